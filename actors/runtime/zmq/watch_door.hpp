// The way from threads that are no actors (the HTTP server's) to the node's watcher, straight into its
// thread's inbox: watches cost the main thread nothing. One socket under a mutex serves all threads.
#pragma once

#include <mutex>
#include <optional>
#include <zmq.hpp>

#include "actors/runtime/zmq/inbox.hpp"

namespace dkv::runtime {

class WatchDoor {
 public:
  void open(zmq::context_t& context, const std::string& inbox, const Address& watcher) {
    const std::lock_guard lock(mutex_);
    watcher_ = watcher;
    outbox_.emplace(context, inbox);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    outbox_.reset();
  }
  /// Nothing while it is not open.
  void post(Message message) {
    const std::lock_guard lock(mutex_);
    if (!outbox_) return;
    const Address door{watcher_.node, Role::client, {}};
    outbox_->post(std::make_unique<Envelope>(Envelope{door, watcher_, std::move(message)}));
  }

 private:
  std::mutex mutex_;
  std::optional<Outbox> outbox_;
  Address watcher_;
};

}  // namespace dkv::runtime
