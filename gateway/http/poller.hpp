// The thread that accepts connections and watches over all that wait (epoll): it hands a connection to a
// worker when what it waits for has come or its deadline has passed. So a waiting connection costs no
// thread. It bounds their number: beyond it the one that has been idle longest is closed for a new one.
//
// Why not httplib's own accept loop: it ends for good on any error but EMFILE, has a backlog of 5, and
// gives each connection a thread for its lifetime.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "gateway/http/connection.hpp"

namespace dkv::http {

class Poller {
 public:
  /// Takes a connection that can go on; `timed_out`: its deadline has passed instead.
  using Wake = std::function<void(ConnectionPtr, bool timed_out)>;

  struct Options {
    std::size_t max_connections = 10'000;
    std::chrono::milliseconds linger{30};  // how long a worker may wait in a read of this connection
  };

  /// Owns `listener`, a listening, non-blocking socket. Throws std::system_error when the system has no
  /// descriptors left.
  Poller(int listener, Shared& shared, Options options, Wake wake);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// From here on `wake` is called. Throws std::system_error when the system has no threads left.
  void start();
  /// Any thread. After stop() the connection is closed instead.
  void park(ConnectionPtr connection, const Wait& wait);
  /// Ends the thread and closes the listener and every waiting connection. Idempotent.
  void stop();

 private:
  using Id = std::uint64_t;
  using Deadlines = std::set<std::pair<Clock::time_point, Id>>;
  struct Parked {
    ConnectionPtr connection;
    Clock::time_point deadline;
    bool idle = false;
  };

  void run();
  void accept_all();
  bool accept_one();
  void admit(int fd);
  void pause_accepting();
  void resume_accepting(Clock::time_point now);
  void wake_expired(Clock::time_point now);
  ConnectionPtr take(Id id);
  ConnectionPtr take_locked(Id id);
  bool close_longest_idle();
  int wait_ms();
  void interrupt();

  int listener_;
  Shared& shared_;
  const Options options_;
  const Wake wake_;
  int epoll_ = -1;
  int interrupter_ = -1;  // an eventfd

  std::mutex mutex_;
  bool stopped_ = false;
  Id next_id_ = 0;
  std::unordered_map<Id, Parked> parked_;
  Deadlines idle_deadlines_;  // in order of becoming idle, since each has the same time-out
  Deadlines other_deadlines_;
  Clock::time_point waits_until_ = Clock::time_point::max();

  std::optional<Clock::time_point> accepts_again_;  // only the thread's own
  std::thread thread_;
};

}  // namespace dkv::http
