// Reads and writes are linearizable per key, whatever happens to the nodes: clients share a few keys while
// one primary after the other is killed, and what they were told must have an order.
//
// DISTRIKV_SEED repeats a run's choices (the processes' own timing stays their own).
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

#include "tests/e2e/cluster.hpp"
#include "tests/e2e/load.hpp"
#include "tests/linearizability/check.hpp"

namespace dkv::e2e {
namespace {

constexpr int kJudgedKeys = 4;
constexpr int kKillsUnderLoad = 5;
constexpr std::uint64_t kOperationsBetweenKills = 1500;  // and up to as many more

TEST(Linearizability, OutlivesKillsOfThePrimaryUnderLoad) {
  const std::uint64_t the_seed = chosen_seed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(the_seed));
  std::mt19937_64 random(the_seed);
  Cluster cluster(city());
  ASSERT_TRUE(cluster.start_and_wait(kCity));
  std::vector<std::string> keys;
  for (int i = 0; i < kJudgedKeys; ++i) keys.push_back("key-" + std::to_string(i));
  Load load({.client = {.seeds = {cluster.rpc("delhi"), cluster.rpc("witness")}, .deadline = 500ms},
             .keys = keys,
             .seed = the_seed});
  load.start();
  for (int i = 0; i < kKillsUnderLoad; ++i) {
    ASSERT_TRUE(load.wait_for(kOperationsBetweenKills + random() % kOperationsBetweenKills));
    const std::string victim = cluster.wait_for_primary("delhi");
    cluster.kill(victim);
    // Sometimes at once, so that it may lead on itself; sometimes when another has taken over.
    if (random() % 2 == 0) {
      ASSERT_TRUE(load.wait_for(1));
    }
    cluster.start({victim});
    ASSERT_TRUE(cluster.wait_until_ready(kCity));
  }
  ASSERT_TRUE(load.wait_for(kOperationsBetweenKills));
  load.stop();

  const linear::History history = load.history();
  const linear::Judgement judgement = linear::check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
  const auto unknown = std::count_if(history.begin(), history.end(), [](const linear::Operation& one) {
    return one.outcome == linear::Outcome::unknown;
  });
  EXPECT_GT(unknown, 0) << "no kill met a write under way";
  std::printf("%zu operations, %td of unknown outcome, %llu configurations\n", history.size(), unknown,
              static_cast<unsigned long long>(judgement.configurations));
}

}  // namespace
}  // namespace dkv::e2e
