// Whole clusters that heal themselves, in simulation. The build sets how many seeds are run, and which of
// several test programs runs which of them, so that they run side by side.
#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/failover_scenarios.hpp"
#include "tests/sim/mutations.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

TEST(Failover, ACalmClusterServes) {
  for (std::uint64_t seed = 1; seed <= (seed_count() < kManySeeds ? 2U : 10U); ++seed) {
    const FailoverResult result = run_failover({.seed = seed, .length = 40s, .causes_faults = false});
    EXPECT_EQ(all_of(result.violations), "") << "seed " << seed;
    EXPECT_GT(result.acknowledged_writes, 500U) << "seed " << seed;
    EXPECT_EQ(result.take_overs, 0U) << "seed " << seed;
  }
}

TEST(Failover, TheSameSeedIsTheSameLife) {
  for (std::uint64_t seed = 1; seed <= (seed_count() < kManySeeds ? 1U : 5U); ++seed)
    EXPECT_EQ(run_failover({.seed = seed}).trace_hash, run_failover({.seed = seed}).trace_hash);
}

class FailoverScenario : public testing::TestWithParam<Scenario> {};

TEST_P(FailoverScenario, Holds) { EXPECT_EQ(all_of(run_scenario(GetParam()).violations), ""); }

std::string test_name_of(std::string name) {
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, FailoverScenario, testing::ValuesIn(scenarios()),
                         [](const auto& one) { return test_name_of(one.param.name); });

TEST(Failover, ALostWriteIsNoticedByWhatClientsAreTold) {
  const FailoverResult result =
      run_scenario(*find_scenario("both-end-while-a-disk-is-slow"),
                   [](NodeOptions& options) { options.replica_rules.sync_first = false; });
  EXPECT_TRUE(std::any_of(
      result.violations.begin(), result.violations.end(),
      [](const std::string& violation) { return violation.starts_with("not linearizable: key-"); }))
      << all_of(result.violations);
}

/// A rule that is broken must show.
class BrokenRule : public testing::TestWithParam<Mutation> {};

TEST_P(BrokenRule, IsNoticed) {
  if (seed_count() < kManySeeds) GTEST_SKIP() << "a sanitizer looks at the code, not at the seeds";
  const auto noticed = notice(GetParam(), kManySeeds);
  ASSERT_TRUE(noticed) << GetParam().rule << ": " << GetParam().what << ": makes no difference";
  std::printf("%s: %s: %s: %s\n", GetParam().rule, GetParam().what, noticed->how.c_str(),
              noticed->what.c_str());
}

INSTANTIATE_TEST_SUITE_P(Rules, BrokenRule, testing::ValuesIn(mutations()), [](const auto& one) {
  return test_name_of(std::to_string(one.index) + "_" + one.param.rule);
});

}  // namespace
}  // namespace dkv::sim
