#include "actors/runtime/zmq/time_slice.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace dkv::runtime {
namespace {

struct Scheduling {
  int policy = 0;
  int nice = 0;
  std::uint64_t slice_ns = 0;
};

/// Of the calling thread.
Scheduling scheduling() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0), 0);
  return {static_cast<int>(attributes.policy), attributes.nice, attributes.runtime};
}

TEST(TimeSlice, IsShorterAndNothingElseChanges) {
  std::thread([] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 3), 0);
    const Scheduling before = scheduling();
    ask_for_short_slices();
    const Scheduling after = scheduling();
    EXPECT_EQ(after.policy, before.policy);
    EXPECT_EQ(after.nice, 3);
    // A kernel before 6.12 has no slice to speak of.
    if (before.slice_ns != 0) {
      EXPECT_LT(after.slice_ns, before.slice_ns);
    }
  }).join();
}

TEST(TimeSlice, IsLeftToWhoChoseAnotherPolicy) {
  std::thread([] {
    sched_param none{};
    ASSERT_EQ(::sched_setscheduler(0, SCHED_BATCH, &none), 0);
    const Scheduling before = scheduling();
    ask_for_short_slices();
    EXPECT_EQ(scheduling().policy, SCHED_BATCH);
    EXPECT_EQ(scheduling().slice_ns, before.slice_ns);
  }).join();
}

}  // namespace
}  // namespace dkv::runtime
