// What all parts of one ZmqWorld share: its options, its counters, its clock and its way to log.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <time.h>

#include "actors/runtime/zmq_world.hpp"

namespace dkv::runtime {

inline TimePoint boot_now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

/// Written by the thread that owns the door, read by any.
using Counter = std::atomic<std::uint64_t>;

struct Counters {
  Counter requests_refused{0};
  Counter replies_dropped{0};
  Counter late_replies{0};
  Counter peer_refused{0};
  Counter peer_unsent{0};
  Counter frames_refused{0};
  Counter frames_unsent{0};
  Counter undeliverable{0};
  /// Bytes of the rpc door's larger replies that libzmq still holds. A level, not a count.
  Counter large_reply_bytes{0};
};

struct Shared {
  ZmqWorldOptions options;
  Counters counters;

  const NodeInfo& self() const { return *options.topology->find_node(options.self); }
  void log(LogLevel level, std::string_view text) const {
    if (options.log) options.log(level, text);
  }
};

/// A line that garbage from outside may trigger at any rate: shown at most once in ten seconds, with the
/// number of times it was held back.
class Complaint {
 public:
  void say(const Shared& shared, const std::string& text) {
    const TimePoint now = boot_now();
    if (now < quiet_until_) {
      ++held_back_;
      return;
    }
    const std::string more = held_back_ == 0 ? "" : " (and " + std::to_string(held_back_) + " more like it)";
    shared.log(LogLevel::warning, text + more);
    quiet_until_ = now + 10s;
    held_back_ = 0;
  }

 private:
  TimePoint quiet_until_{};
  std::uint64_t held_back_ = 0;
};

}  // namespace dkv::runtime
