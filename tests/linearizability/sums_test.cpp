#include "tests/linearizability/sums.hpp"

#include <gtest/gtest.h>

namespace dkv::linear {
namespace {

TEST(Sums, AreOfSomeOfTheAmounts) {
  Sums sums;
  EXPECT_TRUE(sums.can_be(0, 0));
  EXPECT_FALSE(sums.can_be(1, 0));
  sums.take({{5, 2}, {-3, 1}, {100, 1}});
  for (const std::int64_t sum : {-3, 0, 2, 5, 7, 10, 97, 100, 102, 105, 107, 110})
    EXPECT_TRUE(sums.can_be(sum, 0)) << sum;
  for (const std::int64_t sum : {-8, -4, -1, 1, 3, 15, 99, 111}) EXPECT_FALSE(sums.can_be(sum, 0)) << sum;
}

TEST(Sums, MayLeaveOutTheFirstAmounts) {
  Sums sums;
  sums.take({{5, 2}, {-3, 1}, {100, 1}});
  EXPECT_TRUE(sums.can_be(97, 1));
  EXPECT_FALSE(sums.can_be(5, 1));
  EXPECT_TRUE(sums.can_be(0, 3));
  EXPECT_FALSE(sums.can_be(100, 3));
}

TEST(Sums, FarApartAreKnownRoughly) {
  Sums sums;
  sums.take({{INT64_MAX, 3}, {INT64_MIN, 1}});
  EXPECT_TRUE(sums.can_be(INT64_MAX, 0));
  EXPECT_TRUE(sums.can_be(INT64_MIN, 0));
  sums.take({{1'000'000'000, 2}});
  EXPECT_TRUE(sums.can_be(2'000'000'000, 0));
  EXPECT_FALSE(sums.can_be(2'000'000'001, 0));
  EXPECT_FALSE(sums.can_be(-1, 0));
}

}  // namespace
}  // namespace dkv::linear
