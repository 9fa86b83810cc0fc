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

/// Of any mix of the kinds.
Shape with_new_kinds(Shape shape, sim::Random& random) {
  shape.condition_per_million = random.below(3) * 400'000;
  shape.increment_per_million = random.below(3) * 300'000;
  return shape;
}

TEST(RandomHistories, WithConditionsAndIncrementsAreLinearizable) {
  sim::Random random(4);
  std::uint64_t configurations = 0;
  for (std::uint64_t seed = 1; seed <= 6000; ++seed) {
    const Shape shape = with_new_kinds({.operations = 5 + random.below(120),
                                        .clients = 1 + random.below(8),
                                        .keys = 1 + random.below(3),
                                        .values = random.below(5),
                                        .unknown_per_million = random.below(300'000),
                                        .version_per_million = random.below(3) * 500'000},
                                       random);
    const Judgement judgement = check(RandomHistory(seed, shape).make());
    ASSERT_TRUE(judgement.ok()) << "seed " << seed << "\n" << judgement.text();
    configurations += judgement.configurations;
  }
  std::cout << configurations << " configurations\n";
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

/// The same of the kinds that depend on what they find.
TEST(RandomHistories, WithConditionsAndIncrementsAreJudgedAsTheDefinitionDoes) {
  sim::Random random(5);
  int fits = 0;
  int violated = 0;
  for (std::uint64_t seed = 1; seed <= 40'000; ++seed) {
    const Shape shape = with_new_kinds({.operations = 1 + random.below(7),
                                        .clients = 1 + random.below(4),
                                        .values = 1 + random.below(4),
                                        .unknown_per_million = random.below(3) * 400'000,
                                        .version_per_million = random.below(3) * 500'000},
                                       random);
    History history = RandomHistory(seed, shape).make();
    for (std::uint64_t i = random.below(5); i > 0; --i) mutate(history, random);
    const bool expected = BruteForce(history).has_order();
    const Judgement judgement = check(history);
    ASSERT_EQ(judgement.ok(), expected) << "seed " << seed << "\n" << judgement.text();
    ++(expected ? fits : violated);
  }
  EXPECT_GT(fits, 10'000);
  EXPECT_GT(violated, 10'000);
  std::cout << fits << " linearizable, " << violated << " not\n";
}

/// One counter, sixteen clients, dozens of increments of which nobody knows whether they happened.
TEST(RandomHistories, OneHotCounterIsJudgedToo) {
  for (const std::int64_t most_added : {1, 5, 1000}) {
    const Shape shape{.operations = 4'000,
                      .clients = 16,
                      .keys = 1,
                      .unknown_per_million = 20'000,
                      .version_per_million = 1'000'000,
                      .increment_per_million = 600'000,
                      .only_counts = true,
                      .most_added = most_added};
    History history = RandomHistory(1, shape).make();
    const Judgement judgement = check(history);
    EXPECT_TRUE(judgement.ok()) << judgement.text();
    EXPECT_LT(judgement.configurations, 3 * shape.operations);
    std::cout << judgement.configurations << " configurations\n";
    // The last increment goes wrong.
    const auto told = std::find_if(history.rbegin(), history.rend(), [](const Operation& one) {
      return one.code == OpCode::increment && one.outcome == Outcome::ok;
    });
    told->found = std::to_string(std::stoll(told->found) + 1'000'000);
    const Judgement wrong = check(history);
    ASSERT_EQ(wrong.problems.size(), 1U);
    EXPECT_EQ(wrong.problems[0].verdict, Verdict::violated);
  }
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
