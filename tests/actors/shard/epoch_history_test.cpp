#include "actors/shard/epoch_history.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace dkv {
namespace {

EpochRange range(std::uint64_t epoch, std::uint64_t first, std::uint64_t last) {
  return {Epoch{epoch}, Seq{first}, Seq{last}};
}
Position at(std::uint64_t epoch, std::uint64_t seq) { return {Epoch{epoch}, Seq{seq}}; }

using Ranges = std::vector<EpochRange>;

TEST(EpochHistory, BeginsWithThePositionBeforeTheFirstEvent) {
  EpochHistory empty;
  EXPECT_EQ(empty.ranges(), Ranges{range(0, 0, 0)});
  empty.extend(at(1, 3));
  EXPECT_EQ(empty.ranges(), (Ranges{range(0, 0, 0), range(1, 1, 3)}));
  EpochHistory later(at(4, 10));
  later.extend(at(4, 12));
  later.extend(at(6, 15));
  EXPECT_EQ(later.ranges(), (Ranges{range(4, 10, 12), range(6, 13, 15)}));
}

TEST(EpochHistory, ForgetsTheOldestEpochsPastItsLimit) {
  EpochHistory history;
  for (std::uint64_t epoch = 1; epoch <= 3 * EpochHistory::kMaxEpochs; ++epoch)
    history.extend(at(epoch, epoch));
  EXPECT_EQ(history.ranges().size(), EpochHistory::kMaxEpochs);
  EXPECT_EQ(history.ranges().back(), range(3000, 3000, 3000));
  history.cut(at(7, 7));  // the log reaches further back than its history
  EXPECT_EQ(history.ranges(), Ranges{range(7, 7, 7)});
}

TEST(LastCommon, IsWhereTheyPart) {
  const Ranges ours = {range(0, 0, 0), range(1, 1, 10), range(3, 11, 20)};
  EXPECT_EQ(last_common(ours, ours), at(3, 20));
  EXPECT_EQ(last_common(ours, {range(0, 0, 0), range(1, 1, 7)}), at(1, 7));
  EXPECT_EQ(last_common(ours, {range(0, 0, 0), range(1, 1, 15)}), at(1, 10));
  EXPECT_EQ(last_common(ours, {range(0, 0, 0), range(1, 1, 8), range(2, 9, 30)}), at(1, 8));
  EXPECT_EQ(last_common(ours, {range(3, 15, 25)}), at(3, 20));
  EXPECT_EQ(last_common(ours, {range(0, 0, 0), range(9, 1, 4)}), at(0, 0)) << "nothing but the beginning";
}

TEST(LastCommon, IsNotKnownWhenWhatTheyShareWasTrimmedAway) {
  const Ranges ours = {range(1, 5, 10), range(3, 11, 20)};
  EXPECT_EQ(last_common(ours, {range(0, 0, 0), range(1, 1, 4), range(2, 5, 30)}), std::nullopt);
  EXPECT_EQ(last_common(ours, {range(3, 21, 30)}), std::nullopt);
  EXPECT_EQ(last_common(ours, {}), std::nullopt);
  EXPECT_EQ(last_common(ours, {range(3, 15, 14)}), std::nullopt) << "nonsense";
}

/// All positions of a log, the one before its first event first: what a history says in short.
using Positions = std::vector<Position>;

EpochHistory history_of(const Positions& log) {
  EpochHistory history(log.front());
  for (std::size_t i = 1; i < log.size(); ++i) history.extend(log[i]);
  return history;
}

std::optional<Position> last_in_both(const Positions& a, const Positions& b) {
  std::optional<Position> last;
  for (const Position& one : a) {
    if (std::find(b.begin(), b.end(), one) != b.end()) last = one;
  }
  return last;
}

/// Members one of whom at a time is primary: it writes an epoch of its own, and others take parts of its log,
/// once they have cut what it does not have.
std::vector<Positions> random_cluster() {
  std::vector<Positions> logs(3, Positions{Position{}});
  const auto epochs = *rc::gen::inRange(1, 12);
  for (int i = 1; i <= epochs; ++i) {
    Positions& primary = logs[*rc::gen::inRange<std::size_t>(0, 3)];
    const auto events = *rc::gen::inRange(0, 5);
    for (int n = 0; n < events; ++n) {
      primary.push_back({Epoch{static_cast<std::uint64_t>(i)}, Seq{primary.back().seq.value + 1}});
    }
    for (Positions& log : logs) {
      if (&log == &primary || !*rc::gen::arbitrary<bool>()) continue;
      const auto common = static_cast<std::size_t>(last_in_both(log, primary)->seq.value) + 1;
      log.resize(*rc::gen::inRange(common, primary.size() + 1));
      std::copy(primary.begin(), primary.begin() + static_cast<std::ptrdiff_t>(log.size()), log.begin());
    }
  }
  return logs;
}

TEST(LastCommon, AgreesWithAComparisonOfEveryPosition) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Positions> logs = random_cluster();
    const Positions& a = logs[0];
    const Positions& b = logs[1];
    const auto common = last_common(history_of(a).ranges(), history_of(b).ranges());
    RC_ASSERT(common == last_in_both(a, b));
    RC_ASSERT(common == last_common(history_of(b).ranges(), history_of(a).ranges()));
    // What is shared is a beginning of both.
    const auto shared = static_cast<std::ptrdiff_t>(common->seq.value) + 1;
    RC_ASSERT(std::equal(a.begin(), a.begin() + shared, b.begin()));
    RC_CLASSIFY(shared < std::min(std::ssize(a), std::ssize(b)), "both have a tail of their own");
  }));
}

TEST(LastCommon, TellsTheSameOfTrimmedLogsOrThatNothingIsKnown) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Positions> logs = random_cluster();
    const auto whole = last_in_both(logs[0], logs[1]);
    std::vector<EpochHistory> histories;
    Seq begin;
    for (std::size_t i = 0; i < 2; ++i) {
      histories.push_back(history_of(logs[i]));
      const Position first = logs[i][*rc::gen::inRange<std::size_t>(0, logs[i].size())];
      histories.back().trim(first);
      begin = std::max(begin, first.seq);
    }
    const auto common = last_common(histories[0].ranges(), histories[1].ranges());
    RC_ASSERT(common == (whole->seq >= begin ? whole : std::nullopt));
    RC_CLASSIFY(!common, "nothing is known");
  }));
}

TEST(EpochHistory, ACutOrTrimmedOneIsThatOfTheCutOrTrimmedLog) {
  EXPECT_TRUE(rc::check([] {
    Positions log = random_cluster()[0];
    EpochHistory history = history_of(log);
    const auto begin = *rc::gen::inRange<std::size_t>(0, log.size());
    const auto end = *rc::gen::inRange(begin, log.size());
    history.trim(log[begin]);
    history.cut(log[end]);
    log = Positions(log.begin() + static_cast<std::ptrdiff_t>(begin),
                    log.begin() + static_cast<std::ptrdiff_t>(end) + 1);
    RC_ASSERT(history.ranges() == history_of(log).ranges());
    const Position next{Epoch{100}, Seq{log.back().seq.value + 1}};
    log.push_back(next);
    history.extend(next);
    RC_ASSERT(history.ranges() == history_of(log).ranges());
  }));
}

}  // namespace
}  // namespace dkv
