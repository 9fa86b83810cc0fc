// One client connection as a state machine: reads requests, has them answered, writes the answers, and
// says what it waits for when it cannot go on. It never holds a thread while it waits (but for a short
// linger), so idle, half-sent and slow connections cost memory only, and that is bounded:
//   - the head by HeadLimits; the body by its limit and, when large, by Shared::bodies;
//   - answers: no further request is taken up while kFlushBytes of output wait to be sent, and a large
//     answer has its share of Shared::answers until the client has taken it;
//   - buffers that grew for a large one shrink when it is done.
// Every wait has a deadline. Requests that come in one piece are answered in order, with one write.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/byte_budget.hpp"
#include "gateway/http/head.hpp"
#include "gateway/http/pace.hpp"
#include "gateway/http/watch.hpp"

namespace dkv::http {

using Clock = std::chrono::steady_clock;

/// A body, or an answer's, up to this size is not worth counting: heads may be as large.
inline constexpr std::size_t kSmallBytes = std::size_t{64} << 10;

/// A request as the API sees it. Views die with the call that they are passed to.
struct Request {
  std::string_view method;
  std::string_view target;
  std::string_view content_type;
  std::string_view body;
  Fields fields{};
};

/// Makes the bytes of answers. One per worker thread.
class Responder {
 public:
  virtual ~Responder() = default;
  /// Has the request carried out and appends the answer. `connection`: "" or what the header of this
  /// name must say. Returns what a large answer takes of Shared::answers, to be held until it is sent; when
  /// there is not enough left, the answer says so instead.
  virtual ByteBudget::Share respond(const Request& request, std::string_view connection,
                                    std::string& output) = 0;
  /// After respond(): what the connection watches from then on, if what was appended begins an event stream.
  virtual std::shared_ptr<const WatchAsked> take_watch() { return nullptr; }
  virtual void refuse(const Refusal& refusal, std::string& output) = 0;
  /// Appends a redirect, one that closes, if the request goes elsewhere whatever its body, which has not
  /// come. False, and appends nothing, when it may be for this node, or nobody knows yet.
  virtual bool redirect(const Request& request_without_body, std::string& output) = 0;
};

struct ConnectionLimits {
  HeadLimits head;
  std::chrono::milliseconds head_timeout{5'000};   // from a request's first byte to the end of its head
  std::chrono::milliseconds idle_timeout{60'000};  // between requests
  // Of each such time a body, or an answer, must move what it moves at the least rate.
  std::chrono::milliseconds transfer_timeout{10'000};
  std::size_t min_bytes_per_second = std::size_t{64} << 10;
  std::chrono::milliseconds drain_timeout{10'000};  // after a refusal: for the client to read it
  std::size_t drain_bytes = std::size_t{64} << 20;
};

/// What the connections of one server share.
struct Shared {
  ConnectionLimits limits;
  ByteBudget bodies;                      // large ones, while they arrive and are acted upon
  ByteBudget answers;                     // large ones, until they are sent
  std::size_t max_lingering = 0;          // of the threads: the others are there for whoever comes
  std::atomic<std::size_t> lingering{0};  // threads that wait for their client's next request
  std::atomic<std::size_t> open{0};       // connections
  std::atomic<std::size_t> streams{0};    // of them, event streams
  std::atomic<std::size_t> queued{0};     // connections that wait for a thread
  std::atomic<bool> stopping{false};      // answer what is there, then close
};

/// What a connection waits for.
struct Wait {
  enum class For { nothing, input, output, thread, events };
  // nothing: it is finished, close it; thread: others have been kept waiting; events: it is a stream from now
  // on, see streams.hpp.
  For what = For::nothing;
  Clock::time_point deadline;
  bool idle = false;  // between requests: may be closed at any time without loss
};

/// Bytes received and not yet used.
class InputBuffer {
 public:
  std::string_view view() const { return {storage_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes);
  /// Room for at least `bytes` more; then tell how many came. When it grows, then for no more than
  /// `expected` in all, unless these bytes need it.
  char* room(std::size_t bytes, std::size_t expected);
  std::size_t room() const { return storage_.size() - end_; }
  void add(std::size_t bytes) { end_ += bytes; }
  void release();

 private:
  void resize(std::size_t bytes);

  std::string storage_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class Connection {
 public:
  /// Owns the socket, which must be blocking, with SO_RCVTIMEO set to the time that a thread may linger.
  Connection(int fd, Shared& shared);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  /// What it watches, once it is an event stream.
  const std::shared_ptr<const WatchAsked>& watch() const { return watch_; }
  /// Goes as far as it can. `timed_out`: the last wait's deadline has passed.
  Wait serve(Responder& responder, bool timed_out);

 private:
  enum class Phase { head, body, closing, stream };
  enum class Progress { some, none, failed };

  bool takes_requests() const { return phase_ == Phase::head || phase_ == Phase::body; }
  bool take_request(Responder& responder);
  bool take_head(Responder& responder);
  bool begin_body(Responder& responder, const Head& head);
  void respond(Responder& responder, const Head& head);
  void begin_stream();
  void refuse(Responder& responder, const Refusal& refusal);
  void end_without_body();
  bool input_is_late();
  bool keeps_up();
  Wait time_out(Responder& responder);
  Wait wait_for_input();
  Wait drain();
  Progress flush();
  Progress receive_next();
  Progress receive(int flags);

  const int fd_;
  Shared& shared_;
  InputBuffer input_;
  std::string output_;
  std::size_t written_ = 0;  // of output_
  HeadScanner scanner_;
  Phase phase_ = Phase::head;
  std::size_t head_bytes_ = 0;  // once the head is whole
  std::size_t body_bytes_ = 0;
  ByteBudget::Share body_share_;
  ByteBudget::Share answer_share_;
  std::shared_ptr<const WatchAsked> watch_;
  std::size_t drained_ = 0;
  bool drains_ = false;  // closing: what the client still sends is read and dropped first
  bool write_ended_ = false;
  bool output_waits_ = false;
  std::optional<Clock::time_point> input_deadline_;  // of a head, or of draining
  Pace input_pace_;                                  // of a body
  Pace output_pace_;                                 // while output waits
};

using ConnectionPtr = std::unique_ptr<Connection>;

}  // namespace dkv::http
