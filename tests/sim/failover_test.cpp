#include <cstdio>
#include <gtest/gtest.h>
#include <utility>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

TEST(Failover, ACalmClusterServes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const FailoverResult result = run_failover({.seed = seed, .length = 40s, .causes_faults = false});
    EXPECT_EQ(all_of(result.violations), "") << "seed " << seed;
    EXPECT_GT(result.acknowledged_writes, 500U) << "seed " << seed;
    EXPECT_EQ(result.take_overs, 0U) << "seed " << seed;
  }
}

TEST(Failover, NothingAcknowledgedIsLostWhateverHappens) {
  std::uint64_t take_overs = 0;
  for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
    const FailoverResult result = run_failover({.seed = seed});
    ASSERT_EQ(all_of(result.violations), "") << "seed " << seed;
    take_overs += result.take_overs;
  }
  EXPECT_GT(take_overs, seed_count() / 2);
}

TEST(Failover, TheSameSeedIsTheSameLife) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    EXPECT_EQ(run_failover({.seed = seed}).trace_hash, run_failover({.seed = seed}).trace_hash);
}

/// A rule that is broken must show within the seeds that hold with it.
class BrokenRule : public testing::TestWithParam<std::pair<const char*, bool MemberRules::*>> {};

TEST_P(BrokenRule, IsNoticed) {
  constexpr std::uint64_t kSeeds = 100;
  if (seed_count() < kSeeds) GTEST_SKIP() << "a sanitizer looks at the code, not at the seeds";
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    FailoverOptions options;
    options.seed = seed;
    options.rules.*GetParam().second = false;
    if (run_failover(options).violations.empty()) continue;
    std::printf("%s: noticed with seed %llu\n", GetParam().first, static_cast<unsigned long long>(seed));
    return;
  }
  FAIL() << GetParam().first << " makes no difference";
}

INSTANTIATE_TEST_SUITE_P(Rules, BrokenRule,
                         testing::Values(std::pair{"R1 all-ack", &MemberRules::all_ack},
                                         std::pair{"R7 lease-all", &MemberRules::lease_all},
                                         std::pair{"R14 in-sync-only", &MemberRules::in_sync_only},
                                         std::pair{"R18 quiet", &MemberRules::quiet}));

}  // namespace
}  // namespace dkv::sim
