#include "actors/runtime/zmq/time_slice.hpp"

#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

namespace dkv::runtime {

namespace {

/// sched_setattr(2); glibc has neither the call nor the struct before 2.41.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

constexpr std::uint32_t kOrdinaryPolicy =
    0;  // SCHED_OTHER: another one was chosen by somebody who knows better
constexpr std::uint64_t kShortestNs = 100'000;  // of what Linux accepts

}  // namespace

void ask_for_short_slices() {
  SchedulingAttributes mine{};
  if (::syscall(SYS_sched_getattr, 0, &mine, sizeof mine, 0) != 0 || mine.policy != kOrdinaryPolicy) return;
  mine.size = sizeof mine;
  mine.runtime_ns = kShortestNs;
  // Without it all works, only later: a failure is none.
  static_cast<void>(::syscall(SYS_sched_setattr, 0, &mine, 0));
}

}  // namespace dkv::runtime
