// Random lives of whole clusters: seeds 1 to seed_count(), in parts of every kParts-th, which ctest runs side
// by side.
#include <gtest/gtest.h>
#include <iostream>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

constexpr std::uint64_t kParts = 4;

class FailoverSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(FailoverSeeds, NothingAcknowledgedIsLostWhateverHappens) {
  FailoverResult total;
  std::uint64_t seeds = 0;
  for (std::uint64_t seed = GetParam(); seed <= seed_count(); seed += kParts) {
    const FailoverResult result = run_failover({.seed = seed});
    ASSERT_EQ(all_of(result.violations), "") << "seed " << seed << ": distrikv-sim --seed " << seed;
    ++seeds;
    total.acknowledged_writes += result.acknowledged_writes;
    total.atomic_batches += result.atomic_batches;
    total.conditions_held += result.conditions_held;
    total.conditions_failed += result.conditions_failed;
    total.reads += result.reads;
    total.replica_reads += result.replica_reads;
    total.pages += result.pages;
    total.replica_pages += result.replica_pages;
    total.scans += result.scans;
    total.scans_continued += result.scans_continued;
    total.refused_for_room += result.refused_for_room;
    total.faults += result.faults;
    total.take_overs += result.take_overs;
    total.hand_overs += result.hand_overs;
    total.wiped += result.wiped;
    total.copies += result.copies;
  }
  // Faults must have been felt, and must not have kept anybody from working.
  EXPECT_GT(total.acknowledged_writes, 300 * seeds);
  EXPECT_GT(total.atomic_batches, 30 * seeds);
  EXPECT_GT(total.conditions_held, 20 * seeds);
  EXPECT_GT(total.conditions_failed, 20 * seeds);
  EXPECT_GT(total.replica_reads, 100 * seeds);
  EXPECT_GT(total.pages, 100 * seeds);
  EXPECT_GT(total.replica_pages, 20 * seeds);
  EXPECT_GT(total.scans, 20 * seeds);
  EXPECT_GT(total.scans_continued, seeds / 2);
  EXPECT_GT(total.take_overs, seeds);
  if (seed_count() >= kManySeeds) {  // what is rarer
    EXPECT_GT(total.refused_for_room, seeds / 4);
    EXPECT_GT(total.hand_overs, seeds / 4);
    EXPECT_GT(total.wiped, seeds / 4);
    EXPECT_GT(total.copies, seeds / 2);
  }
  std::cout << seeds << " seeds: " << total.acknowledged_writes << " writes, " << total.reads << " reads, "
            << total.replica_reads << " replica reads, " << total.pages << " pages and "
            << total.replica_pages << " at replicas of " << total.scans << " scans, " << total.scans_continued
            << " continued elsewhere, " << total.refused_for_room << " refused for room, " << total.faults
            << " faults, " << total.take_overs << " take-overs, " << total.hand_overs << " hand-overs, "
            << total.wiped << " nodes wiped, " << total.copies << " copies of shards\n";
}

INSTANTIATE_TEST_SUITE_P(Part, FailoverSeeds, testing::Range<std::uint64_t>(1, kParts + 1));

}  // namespace
}  // namespace dkv::sim
