#include <gtest/gtest.h>

#include "tests/sim/failover_run.hpp"

namespace dkv::sim {
namespace {

std::string text_of(const FailoverResult& result) {
  std::string text;
  for (const std::string& violation : result.violations) text += violation + "\n";
  return text;
}

TEST(Failover, ACalmClusterServes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const FailoverResult result = run_failover({.seed = seed, .length = 40s, .causes_faults = false});
    EXPECT_EQ(text_of(result), "") << "seed " << seed;
    EXPECT_GT(result.acknowledged_writes, 500U) << "seed " << seed;
    EXPECT_EQ(result.take_overs, 0U) << "seed " << seed;
  }
}

TEST(Failover, NothingAcknowledgedIsLostWhateverHappens) {
  std::uint64_t take_overs = 0;
  for (std::uint64_t seed = 1; seed <= DKV_SIM_SEEDS; ++seed) {
    const FailoverResult result = run_failover({.seed = seed});
    ASSERT_EQ(text_of(result), "") << "seed " << seed;
    take_overs += result.take_overs;
  }
  EXPECT_GT(take_overs, std::uint64_t{DKV_SIM_SEEDS} / 2);
}

TEST(Failover, TheSameSeedIsTheSameLife) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    EXPECT_EQ(run_failover({.seed = seed}).trace_hash, run_failover({.seed = seed}).trace_hash);
}

}  // namespace
}  // namespace dkv::sim
