// Replication under faults, in simulation. DKV_SIM_SEEDS sets how many seeds are run.
#include <cstdlib>
#include <gtest/gtest.h>
#include <iostream>
#include <set>

#include "tests/sim/cluster_run.hpp"

namespace dkv::sim {
namespace {

std::uint64_t seed_count() {
  const char* set = std::getenv("DKV_SIM_SEEDS");
  return set != nullptr ? std::strtoull(set, nullptr, 10) : 300;
}

std::string all_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

TEST(SimulatedCluster, KeepsItsPromisesUnderFaultsAndReplaysEachSeedToTheSameTrace) {
  RunResult total;
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunResult result = run_cluster(options);
    ASSERT_TRUE(result.violations.empty())
        << "replay with: distrikv-sim --seed " << seed << all_of(result.violations);
    ASSERT_EQ(result.trace_hash, run_cluster(options).trace_hash) << "seed " << seed;
    traces.insert(result.trace_hash);
    total.acknowledged_writes += result.acknowledged_writes;
    total.reads += result.reads;
    total.replica_reads += result.replica_reads;
    total.faults += result.faults;
    total.gaps_repaired += result.gaps_repaired;
  }
  EXPECT_EQ(traces.size(), seed_count());
  // Faults must not have kept the clients from doing anything, and must have been felt.
  EXPECT_GT(total.acknowledged_writes, seed_count() * 100);
  EXPECT_GT(total.reads, seed_count() * 20);
  EXPECT_GT(total.replica_reads, seed_count() * 10);
  EXPECT_GT(total.faults, seed_count() * 10);
  EXPECT_GT(total.gaps_repaired, seed_count() * 10);
  std::cout << seed_count() << " seeds: " << total.acknowledged_writes << " acknowledged writes, "
            << total.reads << " reads, " << total.replica_reads << " replica reads, " << total.faults
            << " faults, " << total.gaps_repaired << " gaps repaired\n";
}

/// The first seed at which a broken world is noticed, or 0.
std::uint64_t first_seed_that_notices(RunOptions options) {
  for (options.seed = 1; options.seed <= 50; ++options.seed) {
    if (!run_cluster(options).violations.empty()) return options.seed;
  }
  return 0;
}

TEST(SimulatedCluster, NoticesAReplicaThatDoesNotDetectGaps) {
  RunOptions options;
  options.replica_rules.detect_gaps = false;
  EXPECT_NE(first_seed_that_notices(options), 0U);
}

TEST(SimulatedCluster, NoticesADiskThatDoesNotSync) {
  RunOptions options;
  options.disks_lie = true;
  EXPECT_NE(first_seed_that_notices(options), 0U);
}

}  // namespace
}  // namespace dkv::sim
