#include "gateway/http/poller.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace dkv::http {

namespace {

constexpr std::uint64_t kListenerId = ~std::uint64_t{0};
constexpr std::uint64_t kInterrupterId = kListenerId - 1;
/// Connections accepted before the waiting ones are looked at again.
constexpr int kAcceptsPerTurn = 64;
/// How long to let be when the system has no descriptors left: the listener would report itself forever.
constexpr std::chrono::milliseconds kAcceptPause{50};

void watch(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t id) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll, operation, fd, &event) != 0)
    throw std::system_error(errno, std::system_category(), "epoll");
}

void set_up(int fd, std::chrono::milliseconds linger) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  timeval time{};
  time.tv_sec = linger.count() / 1000;
  time.tv_usec = linger.count() % 1000 * 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

}  // namespace

Poller::Poller(int listener, Shared& shared, Options options, Wake wake)
    : listener_(listener), shared_(shared), options_(options), wake_(std::move(wake)) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  interrupter_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  try {
    watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN, kListenerId);
    watch(epoll_, EPOLL_CTL_ADD, interrupter_, EPOLLIN, kInterrupterId);
  } catch (...) {
    for (const int fd : {listener_, epoll_, interrupter_}) {
      if (fd >= 0) ::close(fd);
    }
    throw;
  }
}

void Poller::start() {
  thread_ = std::thread([this] { run(); });
}

Poller::~Poller() {
  stop();
  ::close(epoll_);
  ::close(interrupter_);
}

void Poller::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  interrupt();
  if (thread_.joinable()) thread_.join();
  ::close(listener_);
  parked_.clear();  // nobody adds to it any more
  idle_deadlines_.clear();
  other_deadlines_.clear();
}

void Poller::park(ConnectionPtr connection, const Wait& wait) {
  const std::uint32_t event = wait.what == Wait::For::output ? EPOLLOUT : EPOLLIN;
  const int fd = connection->fd();
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  const Id id = next_id_++;
  try {
    auto& deadlines = wait.idle ? idle_deadlines_ : other_deadlines_;
    deadlines.emplace(wait.deadline, id);
    parked_.emplace(id, Parked{std::move(connection), wait.deadline, wait.idle});
    epoll_event armed{};
    armed.events = event | EPOLLONESHOT;
    armed.data.u64 = id;
    // It is known to epoll from the second wait on; one-shot disarms, it does not remove.
    if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &armed) != 0)
      watch(epoll_, EPOLL_CTL_ADD, fd, armed.events, id);
  } catch (const std::exception&) {
    static_cast<void>(take_locked(id));  // no memory to watch it: it closes
    return;
  }
  if (wait.deadline < waits_until_) interrupt();
}

void Poller::run() {
  std::array<epoll_event, 128> events;
  while (true) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      waits_until_ = Clock::time_point::min();  // awake: nobody needs to interrupt
    }
    for (int i = 0; i < count; ++i) {
      const Id id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == kListenerId) {
        accept_all();
      } else if (id == kInterrupterId) {
        std::uint64_t times;
        static_cast<void>(!::read(interrupter_, &times, sizeof times));
      } else if (auto connection = take(id)) {
        wake_(std::move(connection), false);
      }
    }
    const auto now = Clock::now();
    wake_expired(now);
    resume_accepting(now);
  }
}

void Poller::accept_all() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!accept_one()) return;
  }
}

bool Poller::accept_one() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) {
    admit(fd);
    return true;
  }
  switch (errno) {
    case EAGAIN:
      return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      if (close_longest_idle()) return true;
      pause_accepting();
      return false;
    default:
      return true;  // of that one connection, which is gone (accept(2), "Error handling")
  }
}

void Poller::admit(int fd) {
  set_up(fd, options_.linger);
  auto connection = std::make_unique<Connection>(fd, shared_);
  if (shared_.open > options_.max_connections && !close_longest_idle()) return;
  park(std::move(connection), {Wait::For::input, Clock::now() + shared_.limits.idle_timeout, true});
}

void Poller::pause_accepting() {
  watch(epoll_, EPOLL_CTL_MOD, listener_, 0, kListenerId);
  accepts_again_ = Clock::now() + kAcceptPause;
}

void Poller::resume_accepting(Clock::time_point now) {
  if (!accepts_again_ || now < *accepts_again_) return;
  accepts_again_.reset();
  watch(epoll_, EPOLL_CTL_MOD, listener_, EPOLLIN, kListenerId);
}

void Poller::wake_expired(Clock::time_point now) {
  std::vector<ConnectionPtr> expired;
  {
    const std::lock_guard lock(mutex_);
    while (!idle_deadlines_.empty() && idle_deadlines_.begin()->first <= now) {
      static_cast<void>(take_locked(idle_deadlines_.begin()->second));  // closes
    }
    while (!other_deadlines_.empty() && other_deadlines_.begin()->first <= now) {
      expired.push_back(take_locked(other_deadlines_.begin()->second));
    }
  }
  for (auto& connection : expired) wake_(std::move(connection), true);
}

ConnectionPtr Poller::take(Id id) {
  const std::lock_guard lock(mutex_);
  return take_locked(id);
}

ConnectionPtr Poller::take_locked(Id id) {
  const auto found = parked_.find(id);
  if (found == parked_.end()) return nullptr;  // an event of one that was closed meanwhile
  auto connection = std::move(found->second.connection);
  (found->second.idle ? idle_deadlines_ : other_deadlines_).erase({found->second.deadline, id});
  parked_.erase(found);
  return connection;
}

bool Poller::close_longest_idle() {
  const std::lock_guard lock(mutex_);
  if (idle_deadlines_.empty()) return false;
  static_cast<void>(take_locked(idle_deadlines_.begin()->second));
  return true;
}

/// Until the next deadline, for epoll_wait.
int Poller::wait_ms() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return 0;
  auto until = Clock::time_point::max();
  if (!idle_deadlines_.empty()) until = std::min(until, idle_deadlines_.begin()->first);
  if (!other_deadlines_.empty()) until = std::min(until, other_deadlines_.begin()->first);
  if (accepts_again_) until = std::min(until, *accepts_again_);
  waits_until_ = until;
  if (until == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Poller::interrupt() {
  const std::uint64_t once = 1;
  static_cast<void>(!::write(interrupter_, &once, sizeof once));
}

}  // namespace dkv::http
