#include "gateway/http/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sys/socket.h>
#include <unistd.h>

namespace dkv::http {

namespace {

constexpr std::size_t kFirstBufferBytes = std::size_t{16} << 10;
/// The least room that a read gets; it takes what the buffer has.
constexpr std::size_t kReadBytes = std::size_t{8} << 10;
/// Pipelined answers are gathered up to here before they are written.
constexpr std::size_t kFlushBytes = std::size_t{64} << 10;
/// After so many requests in a row a connection lets others have its thread.
constexpr int kRequestsPerTurn = 32;
/// Buffers that grew beyond this are given back.
constexpr std::size_t kKeptBufferBytes = std::size_t{256} << 10;

}  // namespace

void InputBuffer::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
  const auto left = end_ - begin_;
  if (storage_.size() > kKeptBufferBytes && left < kKeptBufferBytes / 2) resize(left);
}

char* InputBuffer::room(std::size_t bytes, std::size_t expected) {
  if (room() < bytes && begin_ > 0) {
    std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Growing by doubling keeps the copying in proportion to what arrived, not to what was announced.
  if (room() < bytes)
    resize(std::max({end_ + bytes, std::min(storage_.size() * 2, expected), kFirstBufferBytes}));
  return storage_.data() + end_;
}

/// To a string of its own: one that grows in place may take twice what it is asked for.
void InputBuffer::resize(std::size_t bytes) {
  std::string other(bytes, '\0');
  end_ -= begin_;
  std::memcpy(other.data(), storage_.data() + begin_, end_);
  begin_ = 0;
  storage_ = std::move(other);
}

void InputBuffer::release() {
  storage_ = std::string();
  begin_ = end_ = 0;
}

Connection::Connection(int fd, Shared& shared)
    : fd_(fd),
      shared_(shared),
      scanner_(shared.limits.head),
      input_pace_(shared.limits.transfer_timeout, shared.limits.min_bytes_per_second),
      output_pace_(input_pace_) {
  ++shared_.open;
}

Connection::~Connection() {
  ::close(fd_);
  --shared_.open;
}

Wait Connection::serve(Responder& responder, bool timed_out) {
  if (timed_out && !keeps_up()) return time_out(responder);
  int answered = 0;
  while (true) {
    while (takes_requests() && output_.size() < kFlushBytes && take_request(responder)) ++answered;
    const bool took_all = output_.size() < kFlushBytes;
    switch (flush()) {
      case Progress::failed:
        return {};
      case Progress::none:
        return {Wait::For::output, output_pace_.deadline(), false};
      case Progress::some:
        break;
    }
    if (phase_ == Phase::closing) return drain();
    if (phase_ == Phase::stream) return {Wait::For::events, {}, false};
    if (answered >= kRequestsPerTurn && shared_.queued > 0) return {Wait::For::thread, {}, false};
    if (!took_all) continue;
    switch (receive_next()) {
      case Progress::failed:
        return {};
      case Progress::none:
        return wait_for_input();
      case Progress::some:
        break;
    }
    if (input_is_late()) return time_out(responder);
  }
}

/// Answers the next request if all of it is there. False: more input is needed, or the connection ends.
bool Connection::take_request(Responder& responder) {
  if (phase_ == Phase::head) return take_head(responder);
  if (input_.view().size() < head_bytes_ + body_bytes_) return false;
  // The input may have moved while the body came: views into the head are made anew.
  const auto head = parse_head(input_.view().substr(0, head_bytes_), shared_.limits.head);
  respond(responder, std::get<Head>(head));
  return true;
}

bool Connection::take_head(Responder& responder) {
  if (input_.view().empty()) return false;
  const auto scanned = scanner_.scan(input_.view());
  if (const auto* refusal = std::get_if<Refusal>(&scanned)) {
    refuse(responder, *refusal);
    return false;
  }
  const auto& length = std::get<std::optional<std::size_t>>(scanned);
  if (!length) {
    if (!input_deadline_) input_deadline_ = Clock::now() + shared_.limits.head_timeout;
    return false;
  }
  const auto parsed = parse_head(input_.view().substr(0, *length), shared_.limits.head);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    refuse(responder, *refusal);
    return false;
  }
  const auto& head = std::get<Head>(parsed);
  head_bytes_ = *length;
  body_bytes_ = head.content_length;
  if (input_.view().size() < head_bytes_ + body_bytes_) return begin_body(responder, head);
  respond(responder, head);
  return true;
}

/// The head is whole, its body is not. Always false: input is needed.
bool Connection::begin_body(Responder& responder, const Head& head) {
  const bool body_is_held_back = head.expect_continue && input_.view().size() == head_bytes_;
  if (body_is_held_back &&
      responder.redirect({head.method, head.target, head.content_type, "", head.fields}, output_)) {
    end_without_body();
    return false;
  }
  if (body_bytes_ > kSmallBytes) {
    auto share = shared_.bodies.take(body_bytes_);
    if (!share) {
      refuse(responder, {429, "overloaded", "too many large bodies are being received: wait, then retry"});
      return false;
    }
    body_share_ = std::move(*share);
  }
  phase_ = Phase::body;
  input_pace_.begin(input_.view().size(), Clock::now());
  if (body_is_held_back) output_ += "HTTP/1.1 100 Continue\r\n\r\n";
  return false;
}

void Connection::respond(Responder& responder, const Head& head) {
  bool close = !head.keep_alive || shared_.stopping;
  const std::string_view connection = close ? "close" : head.http_1_0 ? "keep-alive" : "";
  const auto body = input_.view().substr(head_bytes_, body_bytes_);
  // At most one large answer waits: no further request is taken up before it has been sent.
  answer_share_ = responder.respond({head.method, head.target, head.content_type, body, head.fields},
                                    connection, output_);
  watch_ = responder.take_watch();
  if (watch_) return begin_stream();
  close = close || shared_.stopping;
  input_.consume(head_bytes_ + body_bytes_);
  body_share_.release();
  scanner_.reset();
  input_deadline_.reset();
  phase_ = close ? Phase::closing : Phase::head;
  // Closing with bytes unread resets the connection, and the client may lose the answer.
  drains_ = close && !input_.view().empty();
}

/// Nothing more is read: a stream is the last answer of its connection.
void Connection::begin_stream() {
  input_.release();
  phase_ = Phase::stream;
}

void Connection::refuse(Responder& responder, const Refusal& refusal) {
  responder.refuse(refusal, output_);
  end_without_body();
}

/// The answer is there, and what the client may still send is not wanted.
void Connection::end_without_body() {
  input_.release();
  body_share_.release();
  input_deadline_.reset();
  phase_ = Phase::closing;
  drains_ = true;
}

/// Whether input has missed its deadline.
bool Connection::input_is_late() {
  const auto now = Clock::now();
  if (phase_ != Phase::body) return input_deadline_ && now > *input_deadline_;
  input_pace_.update(input_.view().size(), now);
  return now > input_pace_.deadline();
}

/// A deadline has passed. False: by the transfer's own fault. The system reports a socket writable only
/// when a third of its buffer is free: a slow client may have taken enough without a report.
bool Connection::keeps_up() {
  if (!output_waits_) return false;
  switch (flush()) {
    case Progress::failed:
      return false;
    case Progress::none:
      return Clock::now() < output_pace_.deadline();
    case Progress::some:
      return true;
  }
  return false;
}

Wait Connection::time_out(Responder& responder) {
  const bool mid_request = phase_ != Phase::closing && !input_.view().empty() && output_.empty();
  if (mid_request) {
    refuse(responder, {408, "timeout", "the request did not arrive in time"});
    static_cast<void>(flush());  // as far as it goes: this client has had its time
  }
  return {};
}

Wait Connection::wait_for_input() {
  if (phase_ == Phase::body) return {Wait::For::input, input_pace_.deadline(), false};
  if (!input_.view().empty()) return {Wait::For::input, *input_deadline_, false};
  input_.release();
  output_ = std::string();
  return {Wait::For::input, Clock::now() + shared_.limits.idle_timeout, true};
}

/// The last answer has been sent. A client that is still sending would never read it if the connection
/// closed now: what it sends is dropped, within bounds, until it has seen that nobody listens.
Wait Connection::drain() {
  if (!drains_ || shared_.stopping) return {};
  if (!write_ended_) {
    ::shutdown(fd_, SHUT_WR);
    write_ended_ = true;
    input_deadline_ = Clock::now() + shared_.limits.drain_timeout;
  }
  while (drained_ < shared_.limits.drain_bytes) {
    input_.release();
    switch (receive(MSG_DONTWAIT)) {
      case Progress::failed:
        return {};
      case Progress::none:
        return {Wait::For::input, *input_deadline_, false};
      case Progress::some:
        drained_ += input_.view().size();
    }
  }
  return {};
}

/// some: all output is sent; none: the client does not take it now.
Connection::Progress Connection::flush() {
  while (written_ < output_.size()) {
    const auto sent =
        ::send(fd_, output_.data() + written_, output_.size() - written_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      written_ += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      const auto now = Clock::now();
      output_waits_ ? output_pace_.update(written_, now) : output_pace_.begin(written_, now);
      output_waits_ = true;
      return Progress::none;
    } else if (errno != EINTR) {
      return Progress::failed;
    }
  }
  output_.clear();
  if (output_.capacity() > kKeptBufferBytes) output_ = std::string();
  written_ = 0;
  output_waits_ = false;
  answer_share_.release();
  return Progress::some;
}

/// Between requests the thread lingers for the next one, which often follows at once: a socket's receive
/// time-out is cheaper than epoll and another thread. Not within a request: one that trickles in must not
/// hold a thread. Nor when others wait, or most threads linger already.
Connection::Progress Connection::receive_next() {
  const bool between_requests = input_.view().empty();
  if (!between_requests || shared_.queued > 0) return receive(MSG_DONTWAIT);
  const bool may_linger = ++shared_.lingering <= shared_.max_lingering;
  const auto progress = receive(may_linger ? 0 : MSG_DONTWAIT);
  --shared_.lingering;
  return progress;
}

/// some: input came; none: not now; failed: the client has closed or is gone.
Connection::Progress Connection::receive(int flags) {
  const auto expected = phase_ == Phase::body ? head_bytes_ + body_bytes_ + kReadBytes
                                              : std::numeric_limits<std::size_t>::max();
  char* const room = input_.room(kReadBytes, expected);
  while (true) {
    const auto received = ::recv(fd_, room, input_.room(), flags);
    if (received > 0) {
      input_.add(static_cast<std::size_t>(received));
      return Progress::some;
    }
    if (received == 0) return Progress::failed;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Progress::none;
    if (errno != EINTR) return Progress::failed;
  }
}

}  // namespace dkv::http
