// The threads that serve connections. Each waits for the answer of the backend within it, so their number
// is how many operations are under way at once. The queue is bounded by the number of connections.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "gateway/http/connection.hpp"

namespace dkv::http {

class Workers {
 public:
  /// `worker` tells the threads apart, from 0.
  using Serve = std::function<void(std::size_t worker, ConnectionPtr, bool timed_out)>;

  Workers(std::size_t count, Shared& shared, Serve serve);
  /// Waits for every thread, however long its call takes.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Any thread. After the threads have ended the connection is closed instead.
  void add(ConnectionPtr connection, bool timed_out);
  /// Lets the threads end once the queue is empty; waits for that, but for `grace` at most.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Task {
    ConnectionPtr connection;
    bool timed_out = false;
  };

  void run(std::size_t worker);
  bool next(Task& task);

  Shared& shared_;
  const Serve serve_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::condition_variable ended_;
  std::deque<Task> queue_;
  std::size_t running_ = 0;  // threads
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dkv::http
