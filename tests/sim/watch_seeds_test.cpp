// The same random lives as failover_seeds_test.cpp's, with clients who watch.
#include <gtest/gtest.h>
#include <iostream>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

/// By the seed, what watchers are told comes from memory or mostly from the log.
FailoverOptions watched(std::uint64_t seed) {
  FailoverOptions options{.seed = seed, .watches = true};
  options.breaks = [seed](NodeOptions& node) { node.shard.max_recent_bytes = seed % 2 == 0 ? 300 : 8 << 20; };
  return options;
}

TEST(WatchSeeds, WatchersAreToldExactlyWhatWasCommittedInItsOrder) {
  const std::uint64_t seeds = std::max<std::uint64_t>(seed_count() / 16, 4);
  FailoverResult total;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const FailoverResult result = run_failover(watched(seed));
    ASSERT_EQ(all_of(result.violations), "") << "seed " << seed;
    total.watched += result.watched;
    total.resumed += result.resumed;
    total.gaps += result.gaps;
  }
  EXPECT_GT(total.watched, 300 * seeds);
  EXPECT_GT(total.resumed, 10 * seeds);
  if (seed_count() >= kManySeeds) {
    EXPECT_GT(total.gaps, 0U);
  }
  std::cout << seeds << " seeds: " << total.watched << " events told, " << total.resumed
            << " watches resumed, " << total.gaps << " gaps told\n";
}

TEST(WatchSeeds, ItIsNoticedWhenWatchersAreToldWhatIsNotCommitted) {  // R17
  bool noticed = false;
  for (std::uint64_t seed = 1; seed <= 60 && !noticed; ++seed) {
    FailoverOptions options{.seed = seed, .watches = true};
    options.breaks = [](NodeOptions& node) { node.shard.committed_only = false; };
    noticed = !run_failover(options).violations.empty();
  }
  EXPECT_TRUE(noticed);
}

}  // namespace
}  // namespace dkv::sim
