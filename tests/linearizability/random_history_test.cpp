// The search against histories that are linearizable by construction, and against the definition.
#include "tests/linearizability/random_history.hpp"

#include <gtest/gtest.h>
#include <iostream>

#include "tests/linearizability/brute_force.hpp"
#include "tests/linearizability/check.hpp"

namespace dkv::linear {
namespace {

TEST(RandomHistories, OfARegisterAreLinearizable) {
  sim::Random random(1);
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const Shape shape{.operations = 5 + random.below(120),
                      .clients = 1 + random.below(8),
                      .keys = 1 + random.below(3),
                      .values = random.below(5),
                      .unknown_per_million = random.below(300'000),
                      .version_per_million = random.below(3) * 500'000};
    const Judgement judgement = check(RandomHistory(seed, shape).make());
    ASSERT_TRUE(judgement.ok()) << "seed " << seed << "\n" << judgement.text();
  }
}

TEST(RandomHistories, OfARegisterWithOneUntrueAnswerAreNot) {
  sim::Random random(2);
  int reads = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const Shape shape{.operations = 5 + random.below(60), .clients = 1 + random.below(8), .values = 0};
    History history = RandomHistory(seed, shape).make();
    const auto read = std::find_if(history.begin(), history.end(), [](const Operation& one) {
      return one.code == OpCode::get && one.outcome == Outcome::ok;
    });
    if (read == history.end()) continue;
    ++reads;
    read->found = "never put";
    const Judgement judgement = check(history);
    ASSERT_EQ(judgement.problems.size(), 1U) << "seed " << seed;
    ASSERT_EQ(judgement.problems[0].verdict, Verdict::violated);
  }
  EXPECT_GT(reads, 500);
}

/// Those of one key with at most 7 operations, some of them true: right or wrong as the definition says.
TEST(RandomHistories, AreJudgedAsTheDefinitionDoes) {
  sim::Random random(3);
  int fits = 0;
  int violated = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    const Shape shape{.operations = 1 + random.below(7),
                      .clients = 1 + random.below(4),
                      .values = 1 + random.below(4),
                      .unknown_per_million = random.below(2) * 400'000,
                      .version_per_million = random.below(3) * 500'000};
    History history = RandomHistory(seed, shape).make();
    for (std::uint64_t i = random.below(6); i > 0; --i) mutate(history, random);
    const bool expected = BruteForce(history).has_order();
    const Judgement judgement = check(history);
    ASSERT_EQ(judgement.ok(), expected) << "seed " << seed << "\n" << judgement.text();
    ++(expected ? fits : violated);
  }
  EXPECT_GT(fits, 5000);
  EXPECT_GT(violated, 5000);
  std::cout << fits << " linearizable, " << violated << " not\n";
}

/// Time is not asserted; configurations are what it goes by. (The check takes some 5 ms.)
TEST(RandomHistories, LargeOnesCostLittleMoreThanAConfigurationPerOperation) {
  const Shape shape{.operations = 10'000,
                    .clients = 16,
                    .keys = 100,
                    .values = 0,
                    .unknown_per_million = 50'000,
                    .version_per_million = 0};
  const Judgement judgement = check(RandomHistory(1, shape).make());
  EXPECT_TRUE(judgement.ok()) << judgement.text();
  EXPECT_LT(judgement.configurations, 3 * shape.operations);
  std::cout << judgement.configurations << " configurations\n";
}

/// Sixteen clients at one key, and hundreds of writes of which nobody knows whether they happened.
TEST(RandomHistories, OneHotKeyIsJudgedToo) {
  for (const std::uint64_t version_per_million : {0, 1'000'000}) {
    const Shape shape{.operations = 10'000,
                      .clients = 16,
                      .keys = 1,
                      .values = 0,
                      .unknown_per_million = 50'000,
                      .version_per_million = version_per_million};
    History history = RandomHistory(1, shape).make();
    const Judgement judgement = check(history);
    EXPECT_TRUE(judgement.ok()) << judgement.text();
    std::cout << judgement.configurations << " configurations\n";
    // The last read goes wrong.
    const auto read = std::find_if(history.rbegin(), history.rend(), [](const Operation& one) {
      return one.code == OpCode::get && one.outcome == Outcome::ok;
    });
    read->found = "never put";
    const Judgement wrong = check(history);
    ASSERT_EQ(wrong.problems.size(), 1U);
    EXPECT_EQ(wrong.problems[0].verdict, Verdict::violated);
  }
}

}  // namespace
}  // namespace dkv::linear
