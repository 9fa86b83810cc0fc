#include "gateway/http/workers.hpp"

namespace dkv::http {

Workers::Workers(std::size_t count, Shared& shared, Serve serve) : shared_(shared), serve_(std::move(serve)) {
  running_ = count;
  for (std::size_t worker = 0; worker < count; ++worker)
    threads_.emplace_back([this, worker] { run(worker); });
}

Workers::~Workers() {
  stop({});
  for (auto& thread : threads_) thread.join();
}

void Workers::add(ConnectionPtr connection, bool timed_out) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ && running_ == 0) return;
    queue_.push_back({std::move(connection), timed_out});
    ++shared_.queued;
  }
  came_.notify_one();
}

void Workers::stop(std::chrono::milliseconds grace) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  came_.notify_all();
  ended_.wait_for(lock, grace, [this] { return running_ == 0; });
}

void Workers::run(std::size_t worker) {
  while (true) {
    Task task;
    if (!next(task)) return;
    serve_(worker, std::move(task.connection), task.timed_out);
  }
}

bool Workers::next(Task& task) {
  std::unique_lock lock(mutex_);
  came_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (queue_.empty()) {
    --running_;
    ended_.notify_all();
    return false;
  }
  task = std::move(queue_.front());
  queue_.pop_front();
  --shared_.queued;
  return true;
}

}  // namespace dkv::http
