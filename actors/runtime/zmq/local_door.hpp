// The local door: how threads that are no actors (the HTTP server's) ask this node's router and wait.
//
// A request goes into the main thread's inbox like any message. Its reply is put into the asker's slot,
// found by a number of this door's own; when the asker has given up the slot is gone, and a late reply
// finds nobody, whatever request ids the callers chose. One socket under a mutex serves all threads: it
// is held for the half microsecond of an inproc send, and there is nothing per thread to clean up.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <zmq.hpp>

#include "actors/runtime/zmq/inbox.hpp"
#include "actors/runtime/zmq/shared.hpp"

namespace dkv::runtime {

inline constexpr std::uint8_t kLocalDoor = 2;

class LocalDoor {
 public:
  explicit LocalDoor(Shared& shared) : shared_(shared) {}

  /// From now on calls go to this inbox; before, and after close(), they are answered `unavailable`.
  void open(zmq::context_t& context, const std::string& main_inbox);
  /// No new calls.
  void refuse();
  /// Answers all who still wait, and lets go of the socket.
  void close();

  rpc::Reply call(rpc::Request request, std::chrono::milliseconds timeout);
  /// From the main thread.
  void reply(ClientReply reply);
  std::uint64_t owed();

 private:
  /// Where one caller waits.
  struct Slot {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<rpc::Reply> reply;
    bool closed = false;  // the world stops: there will be none

    void fill(rpc::Reply value);
    void close();
    bool wait(std::chrono::milliseconds timeout);
  };

  Shared& shared_;
  std::mutex mutex_;
  std::optional<Outbox> outbox_;  // set while open
  bool refusing_ = false;
  std::uint64_t last_number_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<Slot>> waiting_;
};

}  // namespace dkv::runtime
