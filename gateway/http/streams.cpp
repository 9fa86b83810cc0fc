#include "gateway/http/streams.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace dkv::http {

namespace {
constexpr std::uint64_t kStopId = 0;  // no stream has this number
/// A client that has taken nothing for so long is gone, or stuck.
constexpr std::chrono::seconds kPatience{30};
/// What has been taken is told in such steps: well below what the watcher lets be untaken.
constexpr std::uint64_t kToldBytes = std::uint64_t{256} << 10;
/// Output that grew beyond this is given back when it is sent.
constexpr std::size_t kKeptBytes = std::size_t{64} << 10;

Position& place(ShardPositions& positions, ShardId shard) {
  const auto found = std::lower_bound(positions.begin(), positions.end(), shard,
                                      [](const auto& one, ShardId key) { return one.first < key; });
  if (found != positions.end() && found->first == shard) return found->second;
  return positions.insert(found, {shard, {}})->second;
}

void watch_fd(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t id) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll, operation, fd, &event) != 0)
    throw std::system_error(errno, std::system_category(), "epoll");
}
}  // namespace

Streams::Streams(Shared& shared, std::size_t max_pending_bytes, TellWatcher tell_watcher)
    : shared_(shared), max_pending_bytes_(max_pending_bytes), tell_watcher_(std::move(tell_watcher)) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  interrupter_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  try {
    watch_fd(epoll_, EPOLL_CTL_ADD, interrupter_, EPOLLIN, kStopId);
  } catch (...) {
    for (const int fd : {epoll_, interrupter_}) {
      if (fd >= 0) ::close(fd);
    }
    throw;
  }
}

Streams::~Streams() {
  stop();
  ::close(epoll_);
  ::close(interrupter_);
}

void Streams::start() {
  thread_ = std::thread([this] { run(); });
}

void Streams::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  const std::uint64_t once = 1;
  static_cast<void>(!::write(interrupter_, &once, sizeof once));
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  while (!streams_.empty()) end(streams_.begin());
}

void Streams::add(ConnectionPtr connection) {
  const auto asked = connection->watch();
  const int fd = connection->fd();
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  const std::uint64_t number = ++last_number_;
  Stream& stream = streams_[number];
  stream.connection = std::move(connection);
  stream.keys_only = asked->keys_only;
  stream.at = asked->from;
  std::sort(stream.at.begin(), stream.at.end());
  ++shared_.streams;
  tell_watcher_(OpenWatch{number, asked->prefix, asked->from});
  epoll_event event{};
  event.events = EPOLLRDHUP;
  event.data.u64 = number;
  // The poller, which has it disarmed, has an epoll of its own.
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) end(streams_.find(number));
}

void Streams::end(Map::iterator stream) {
  --shared_.streams;
  pending_ -= stream->second.output.size();
  tell_watcher_(CloseWatch{stream->first});
  streams_.erase(stream);  // closes
}

void Streams::run() {
  std::array<epoll_event, 128> events;
  while (true) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto stream = streams_.find(event.data.u64);
      if (stream == streams_.end()) continue;  // ended meanwhile
      const bool has_gone = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
      if (has_gone || !flush(stream->first, stream->second)) end(stream);
    }
  }
}

// ---- what is told

void Streams::tell(const WatchNews& news) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(news.watch);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.untaken += news.bytes;
  // It may have taken some: the system says so only when a third of its buffer is free.
  if (news.kind == WatchNews::Kind::progress && stream.waits && !flush(found->first, stream))
    return end(found);
  const std::size_t before = stream.output.size();
  for (const auto& [shard, position] : news.positions) place(stream.at, shard) = position;
  switch (news.kind) {
    case WatchNews::Kind::opened:
      stream.opened = true;
      append(stream, "event: open\ndata: {}\n");
      break;
    case WatchNews::Kind::events:
      append_events(stream, news);
      place(stream.at, news.shard) = news.upto;
      break;
    case WatchNews::Kind::too_old:
    case WatchNews::Kind::diverged:
      place(stream.at, news.shard) = news.upto;
      append(stream, gap_data(news));
      break;
    case WatchNews::Kind::progress:
      if (is_stuck(stream)) return end(found);
      if (!stream.waits) append(stream, ":\n");
      break;
  }
  pending_ += stream.output.size() - before;
  if (!stream.waits && !flush(found->first, stream)) return end(found);
  // It goes on where it was, when it comes back.
  if (pending_ > max_pending_bytes_ && stream.waits) end(found);
}

/// An event, or a comment, with the place after it. Before the watch has begun everywhere it has none.
void Streams::append(Stream& stream, std::string_view lines) const {
  stream.output += lines;
  if (stream.opened) stream.output += "id: " + to_string(stream.at) + "\n";
  stream.output += "\n";
}

void Streams::append_events(Stream& stream, const WatchNews& news) {
  for (const WatchedEvent& event : news.events) {
    place(stream.at, news.shard) = event.position;
    if (event.value.size() > kSmallBytes) {  // not worth the memory
      append(stream, event_data(event, stream.keys_only));
    } else {
      append(stream, data_of(news, event, stream.keys_only));
    }
  }
}

/// Made once for all who are told of it.
const std::string& Streams::data_of(const WatchNews& news, const WatchedEvent& event, bool keys_only) {
  if (formatted_for_.lock() != news.owner) {
    formatted_.clear();
    formatted_for_ = news.owner;
  }
  std::string& lines = formatted_[event.position.seq.value * 2 + (keys_only ? 1 : 0)];
  if (lines.empty()) lines = event_data(event, keys_only);
  return lines;
}

/// False: the client is gone.
bool Streams::flush(std::uint64_t number, Stream& stream) {
  while (stream.written < stream.output.size()) {
    const auto sent = ::send(stream.connection->fd(), stream.output.data() + stream.written,
                             stream.output.size() - stream.written, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      stream.written += static_cast<std::size_t>(sent);
      stream.moved = Clock::now();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!stream.waits) stream.moved = Clock::now();
      want_output(number, stream, true);
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  want_output(number, stream, false);
  pending_ -= stream.output.size();
  stream.output.clear();
  stream.written = 0;
  if (stream.output.capacity() > kKeptBytes) stream.output = std::string();
  if (stream.untaken >= kToldBytes) tell_watcher_(WatchTaken{number, std::exchange(stream.untaken, 0)});
  return true;
}

void Streams::want_output(std::uint64_t number, Stream& stream, bool wanted) {
  if (stream.waits == wanted) return;
  stream.waits = wanted;
  epoll_event event{};
  event.events = EPOLLRDHUP | (wanted ? EPOLLOUT : 0U);
  event.data.u64 = number;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, stream.connection->fd(), &event);
}

bool Streams::is_stuck(const Stream& stream) const {
  return stream.waits && Clock::now() - stream.moved > kPatience;
}

}  // namespace dkv::http
