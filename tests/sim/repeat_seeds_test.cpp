// The same random lives as failover_seeds_test.cpp's, with clients who send their writes again, and read by
// sessions.
#include <gtest/gtest.h>
#include <iostream>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

TEST(RepeatSeeds, AWriteWithANameIsDoneOnceAndASessionSeesIt) {  // R19, R20
  const std::uint64_t seeds = std::max<std::uint64_t>(seed_count() / 16, 4);
  FailoverResult total;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const FailoverResult result = run_failover({.seed = seed, .repeats = true});
    ASSERT_EQ(all_of(result.violations), "") << "seed " << seed;
    total.named_writes += result.named_writes;
    total.repeated += result.repeated;
    total.session_reads += result.session_reads;
  }
  EXPECT_GT(total.named_writes, 200 * seeds);
  EXPECT_GT(total.repeated, 20 * seeds);
  EXPECT_GT(total.session_reads, 60 * seeds);
  std::cout << seeds << " seeds: " << total.named_writes << " writes by name, sent again " << total.repeated
            << " times, " << total.session_reads << " reads by sessions\n";
}

/// By what the repeaters see, or anybody.
bool is_noticed(const std::function<void(NodeOptions&)>& breaks) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    FailoverOptions options{.seed = seed, .repeats = true};
    options.breaks = breaks;
    if (!run_failover(options).violations.empty()) return true;
  }
  return false;
}

TEST(RepeatSeeds, ItIsNoticedWhenAWriteIsDoneTwice) {
  EXPECT_TRUE(is_noticed([](NodeOptions& node) { node.shard.keep_outcomes = 1ms; }));
  EXPECT_TRUE(is_noticed([](NodeOptions& node) { node.shard.outcomes_of_all = false; }));
}

TEST(RepeatSeeds, ItIsNoticedWhenAReplicaDoesNotWaitForASession) {
  EXPECT_TRUE(is_noticed([](NodeOptions& node) { node.replica_rules.sessions_wait = false; }));
}

}  // namespace
}  // namespace dkv::sim
