// What a connection's memory and time are bounded by, part by part.
#include "gateway/http/connection.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

namespace dkv::http {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kLarge = std::size_t{16} << 20;

void fill(InputBuffer& buffer, std::size_t bytes, std::size_t expected) {
  while (buffer.view().size() < bytes) {
    char* const room = buffer.room(8192, expected);
    const auto piece = std::min<std::size_t>(8192, bytes - buffer.view().size());
    std::fill_n(room, piece, 'x');
    buffer.add(piece);
  }
}

TEST(InputBuffer, GrowsNoFurtherThanExpected) {
  InputBuffer buffer;
  fill(buffer, kLarge / 2 + 1, kLarge + 100);
  EXPECT_LE(buffer.view().size() + buffer.room(), kLarge + 100);
  EXPECT_EQ(buffer.view(), std::string(kLarge / 2 + 1, 'x'));
}

TEST(InputBuffer, ShrinksAfterALargeRequestAlsoWhenTheNextHasBegun) {
  InputBuffer buffer;
  fill(buffer, kLarge, kUnknown);
  std::copy_n("next", 4, buffer.room(4, kUnknown));
  buffer.add(4);
  buffer.consume(kLarge);
  EXPECT_EQ(buffer.view(), "next");
  EXPECT_LT(buffer.room(), std::size_t{1} << 20);
  fill(buffer, 100'000, kUnknown);
  EXPECT_EQ(buffer.view(), "next" + std::string(99'996, 'x'));
}

TEST(ByteBudget, GivesNoMoreThanItHas) {
  ByteBudget budget(100);
  auto first = budget.take(60);
  ASSERT_TRUE(first);
  EXPECT_FALSE(budget.take(41));
  auto rest = budget.take(40);
  ASSERT_TRUE(rest);
  EXPECT_FALSE(budget.take(1));
  *rest = std::move(*first);  // gives its own back
  EXPECT_TRUE(budget.take(40));
  rest->release();
  EXPECT_TRUE(budget.take(100));
}

TEST(Pace, EndsATransferThatStandsStillAfterOneWindow) {
  const Pace::Clock::time_point start{1h};
  Pace pace(10s, 1000);
  pace.begin(0, start);
  pace.update(0, start + 9s);
  EXPECT_EQ(pace.deadline(), start + 10s);
}

TEST(Pace, IsNotPutOffByWhatTricklesIn) {
  const Pace::Clock::time_point start{1h};
  Pace pace(10s, 1000);
  pace.begin(500, start);
  for (int second = 0; second < 10; ++second)
    pace.update(500 + static_cast<std::size_t>(second), start + second * 1s);
  pace.update(500 + 9'999, start + 10s);
  EXPECT_EQ(pace.deadline(), start + 10s);
}

TEST(Pace, LetsATransferAtTheLeastRateGoOn) {
  const Pace::Clock::time_point start{1h};
  Pace pace(10s, 1000);
  pace.begin(0, start);
  for (int second = 1; second <= 100; ++second) {
    ASSERT_LE(start + second * 1s, pace.deadline());
    pace.update(static_cast<std::size_t>(second) * 1000, start + second * 1s);
  }
  EXPECT_EQ(pace.deadline(), start + 110s);
}

}  // namespace
}  // namespace dkv::http
