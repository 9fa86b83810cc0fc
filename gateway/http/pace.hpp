// Whether a transfer keeps up a least rate. Within each window it must move a window's worth of bytes, or
// its deadline passes: one that stands still ends after one window, whatever its size, and one that keeps
// the rate may be as long as it is. Bytes that trickle in do not put the deadline off.
#pragma once

#include <chrono>
#include <cstddef>

namespace dkv::http {

class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  Pace(std::chrono::milliseconds window, std::size_t min_bytes_per_second)
      : window_(window),
        window_bytes_(min_bytes_per_second * static_cast<std::size_t>(window.count()) / 1000) {}

  /// From now on; `moved` counts what has been moved before.
  void begin(std::size_t moved, Clock::time_point now) {
    moved_before_ = moved;
    deadline_ = now + window_;
  }
  /// `moved` bytes by now: when the window's worth is among them, the next window begins.
  void update(std::size_t moved, Clock::time_point now) {
    if (moved - moved_before_ >= window_bytes_ && moved != moved_before_) begin(moved, now);
  }
  Clock::time_point deadline() const { return deadline_; }

 private:
  const std::chrono::milliseconds window_;
  const std::size_t window_bytes_;
  std::size_t moved_before_ = 0;
  Clock::time_point deadline_;
};

}  // namespace dkv::http
