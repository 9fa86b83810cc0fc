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
    ASSERT_EQ(all_of(result.violations), "") << "seed " << seed << ": distrikv-sim --repeats --seed " << seed;
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

}  // namespace
}  // namespace dkv::sim
