// The register under faults, in simulation. The environment's DKV_SIM_SEEDS sets how many seeds are run.
#include <gtest/gtest.h>
#include <iostream>

#include "tests/sim/register_run.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

TEST(SimulatedRegister, IsOneChainUnderFaultsAndReplaysEachSeedToTheSameTrace) {
  RegisterRunResult total;
  for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
    RegisterRunOptions options;
    options.seed = seed;
    options.is_rough = seed % 2 == 0;
    const RegisterRunResult result = run_register(options);
    ASSERT_TRUE(result.violations.empty()) << "seed " << seed << all_of(result.violations);
    if (seed % 5 == 0) {
      ASSERT_EQ(result.trace_hash, run_register(options).trace_hash) << "seed " << seed;
    }
    total.versions += result.versions;
    total.chosen += result.chosen;
    total.lost += result.lost;
    total.overtaken += result.overtaken;
    total.reads += result.reads;
    total.faults += result.faults;
    total.wiped += result.wiped;
    total.restarts += result.restarts;
  }
  // Faults must not have kept anybody from doing anything, and must have been felt.
  EXPECT_GT(total.chosen, seed_count() * 30);
  EXPECT_GT(total.lost, seed_count() * 5);
  EXPECT_GT(total.overtaken, seed_count());
  EXPECT_GT(total.reads, seed_count() * 10);
  EXPECT_GT(total.faults, seed_count() * 5);
  EXPECT_GT(total.wiped, seed_count() / 2);
  EXPECT_GT(total.restarts, seed_count() / 5);
  std::cout << seed_count() << " seeds: " << total.versions << " versions, changes: " << total.chosen
            << " chosen, " << total.lost << " lost, " << total.overtaken << " overtaken; " << total.reads
            << " reads, " << total.faults << " faults, " << total.wiped << " folders lost, " << total.restarts
            << " restarts of all\n";
}

/// The first seed at which a broken rule is noticed, or 0. The other two rules want a sequence of events that
/// is too rare here: see register_scenario_test.cpp.
std::uint64_t first_seed_that_notices(const RegisterRules& rules) {
  RegisterRunOptions options;
  options.rules = rules;
  options.is_rough = true;
  for (options.seed = 1; options.seed <= 50; ++options.seed) {
    const auto result = run_register(options);
    if (!result.violations.empty()) {
      std::cout << "seed " << options.seed << ": " << result.violations[0] << "\n";
      return options.seed;
    }
  }
  return 0;
}

TEST(SimulatedRegister, NoticesAKeeperThatCountsThoughItLostItsFolder) {
  if (seed_count() < kManySeeds) GTEST_SKIP() << "a sanitizer looks at the code, not at the seeds";
  RegisterRules rules;
  rules.tell_folders_apart = false;
  EXPECT_NE(first_seed_that_notices(rules), 0U);
}

TEST(SimulatedRegister, NoticesQuorumsThatAreNoMajority) {
  if (seed_count() < kManySeeds) GTEST_SKIP() << "a sanitizer looks at the code, not at the seeds";
  RegisterRules rules;
  rules.need_majority = false;
  EXPECT_NE(first_seed_that_notices(rules), 0U);
}

TEST(SimulatedRegister, SettlesTheChangesOf64NodesThatStartAtOnce) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const Duration time = time_to_settle(seed, 64, 5);
    std::cout << "seed " << seed << ": "
              << std::chrono::duration_cast<std::chrono::milliseconds>(time).count() << " ms\n";
    EXPECT_LT(time, 10s);
  }
}

}  // namespace
}  // namespace dkv::sim
