#include "gateway/client/watch.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "gateway/json_bytes.hpp"
#include "messages/operation.hpp"
#include "topology/endpoint.hpp"

namespace dkv {

namespace {
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kConnectPatience{2'000};
/// A node says something every ten seconds.
constexpr std::chrono::milliseconds kSilenceLimit{25'000};
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1'000};
/// A line is at most an event with the largest value, in JSON.
constexpr std::size_t kMaxLineBytes = std::size_t{128} << 20;
constexpr std::size_t kReadBytes = std::size_t{64} << 10;

/// Waits for an event on it; false at `until`.
bool wait_for(int fd, short events, Time until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd item{fd, events, 0};
    const int ready = ::poll(&item, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= until) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

std::string percent_encoded(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      text += c;
    } else {
      text += '%';
      text += kDigits[static_cast<unsigned char>(c) >> 4];
      text += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  return text;
}

/// A TCP connection, -1 where there is none by `until`.
int connect_to(const std::string& endpoint, Time until) {
  const auto parts = parse_endpoint(endpoint);
  if (!parts) return -1;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(parts->host.c_str(), std::to_string(parts->port).c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int failed = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (failed == EINPROGRESS && wait_for(fd, POLLOUT, until)) {
    socklen_t size = sizeof failed;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
  }
  if (failed == 0) return fd;
  ::close(fd);
  return -1;
}

/// Nothing where it makes no sense.
std::optional<WatchEvent> event_of(const std::string& name, const std::string& data) {
  WatchEvent event;
  Json json = Json::parse(data, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  if (name == "open") return event;
  if (name == "gap") {
    event.kind = WatchEvent::Kind::gap;
    event.text = "shard " + json.value("shard", "") + ": " + json.value("message", "");
    return event;
  }
  if (name != "put" && name != "delete") return std::nullopt;
  event.kind = name == "put" ? WatchEvent::Kind::put : WatchEvent::Kind::remove;
  auto key = take_bytes(json, "key");
  auto value = take_bytes(json, "value");
  const std::string etag = json.value("etag", "");
  if (!key || !*key || !value || etag.size() < 2) return std::nullopt;
  const auto version = parse_position(std::string_view(etag).substr(1, etag.size() - 2));
  if (!version) return std::nullopt;
  event.key = std::move(**key);
  if (*value) event.value = std::move(**value);
  event.version = *version;
  return event;
}
}  // namespace

class Watch::Impl {
 public:
  explicit Impl(WatchOptions options) : options_(std::move(options)), place_(options_.after) {}
  ~Impl() { disconnect(); }

  Result<WatchEvent> next(std::chrono::milliseconds timeout) {
    const Time until = Clock::now() + timeout;
    if (options_.nodes.empty()) return Error{Errc::bad_request, "no node to ask was given"};
    for (;;) {
      if (auto event = take_event()) return std::move(*event);
      if (fd_ < 0) {
        if (!wait_to_connect(until)) return none();
        if (auto connected = connect(); !connected) {
          if (connected.error().code == Errc::bad_request) {
            disconnect();
            return connected.error();
          }
          problem_ = connected.error().message;
          set_back();
        }
        continue;
      }
      const Time silent = heard_ + kSilenceLimit;
      if (!wait_for(fd_, POLLIN, std::min(until, silent))) {
        if (Clock::now() < silent) return none();
        problem_ = node() + " has fallen silent";
        set_back();
      } else if (!receive()) {
        problem_ = node() + " has closed the connection";
        set_back();
      }
    }
  }

  const std::string& place() const { return place_; }

 private:
  Error none() const {
    return {Errc::unavailable, fd_ >= 0 ? "nothing has happened" : "no node can be asked: " + problem_};
  }
  const std::string& node() const { return options_.nodes[turn_ % options_.nodes.size()]; }

  void disconnect() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    unread_.clear();
    taken_ = searched_ = 0;
    name_.clear();
    data_.clear();
    id_.clear();
  }

  /// To the next node, and after all of them have been tried, later.
  void set_back() {
    disconnect();
    ++turn_;
    if (turn_ % options_.nodes.size() == 0) pause_ = std::min(kLongestPause, pause_ * 2);
    try_at_ = Clock::now() + (turn_ % options_.nodes.size() == 0 ? pause_ : kFirstPause);
  }

  bool wait_to_connect(Time until) {
    std::this_thread::sleep_until(std::min(try_at_, until));
    return Clock::now() >= try_at_;
  }

  Result<void> connect() {
    const Time until = Clock::now() + kConnectPatience;
    const Error silent{Errc::unavailable, node() + " does not answer"};
    fd_ = connect_to(node(), until);
    if (fd_ < 0) return silent;
    std::string request = "GET /v1/watch?prefix=" + percent_encoded(options_.prefix) +
                          (options_.keys_only ? "&keys_only=true" : "") + " HTTP/1.1\r\nHost: " + node() +
                          "\r\n";
    if (!place_.empty()) request += "Last-Event-ID: " + place_ + "\r\n";
    request += "\r\n";
    if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      return silent;
    std::size_t end = std::string::npos;
    while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
      if (!wait_for(fd_, POLLIN, until) || !receive()) return silent;
    }
    const std::string status = unread_.substr(0, unread_.find("\r\n"));
    unread_.erase(0, end + 4);
    if (status.find(" 200 ") != std::string::npos) {
      pause_ = kFirstPause;
      return {};
    }
    // What it says about it comes with the head, or soon after.
    if (unread_.empty() && wait_for(fd_, POLLIN, until)) static_cast<void>(receive());
    const bool is_ours = status.find(" 400 ") != std::string::npos;
    return Error{is_ours ? Errc::bad_request : Errc::unavailable,
                 node() + " answers " + status + ": " + unread_};
  }

  bool receive() {
    if (unread_.size() > kMaxLineBytes) return false;
    const std::size_t before = unread_.size();
    unread_.resize(before + kReadBytes);
    const auto got = ::recv(fd_, unread_.data() + before, kReadBytes, 0);
    unread_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) heard_ = Clock::now();
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  /// The next whole event of what has come. (The format is that of the HTML standard, 9.2.6; this server ends
  /// lines with LF, and has one line of data.)
  std::optional<WatchEvent> take_event() {
    while (fd_ >= 0) {
      const std::size_t end = unread_.find('\n', searched_);
      if (end == std::string::npos) {
        searched_ = unread_.size();
        return std::nullopt;
      }
      const std::string line = unread_.substr(taken_, end - taken_);
      taken_ = searched_ = end + 1;
      if (line.empty()) {
        auto event = dispatch();
        if (event) return event;
      } else {
        take_line(line);
      }
      if (taken_ > kReadBytes || taken_ == unread_.size()) compact();
    }
    return std::nullopt;
  }

  void compact() {
    unread_.erase(0, taken_);
    taken_ = searched_ = 0;
  }

  void take_line(const std::string& line) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos || colon == 0) return;  // a comment, or a field of no value
    const std::string field = line.substr(0, colon);
    std::string& value = field == "event" ? name_ : field == "data" ? data_ : field == "id" ? id_ : unknown_;
    value = line.substr(colon + 2);
  }

  std::optional<WatchEvent> dispatch() {
    if (!id_.empty()) place_ = std::exchange(id_, {});
    auto event = data_.empty() ? std::nullopt : event_of(name_, data_);
    name_.clear();
    data_.clear();
    return event;
  }

  WatchOptions options_;
  std::string place_;
  int fd_ = -1;
  std::size_t turn_ = 0;  // the node that is asked
  std::chrono::milliseconds pause_ = kFirstPause;
  Time try_at_{};
  Time heard_{};
  std::string problem_;
  std::string unread_;
  std::size_t taken_ = 0;                   // of unread_
  std::size_t searched_ = 0;                // for a line's end
  std::string name_, data_, id_, unknown_;  // of the event that is coming
};

Watch::Watch(WatchOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Watch::~Watch() = default;
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;

Result<WatchEvent> Watch::next(std::chrono::milliseconds timeout) { return impl_->next(timeout); }
const std::string& Watch::place() const { return impl_->place(); }

}  // namespace dkv
