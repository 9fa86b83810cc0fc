// Time as actors see it: handed in by the world, never asked for. CLOCK_BOOTTIME in ZmqWorld, which
// goes on while a machine sleeps (a lease must run out then too); virtual in SimWorld.
#pragma once

#include <chrono>
#include <cstdint>

namespace dkv {

/// A clock without now(): only worlds make time points.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using TimePoint = BootClock::time_point;
using Duration = BootClock::duration;
using namespace std::chrono_literals;

inline constexpr TimePoint kNever = TimePoint::max();

inline std::uint64_t in_ms(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

}  // namespace dkv
