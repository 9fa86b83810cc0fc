#include "actors/keeper/pending_changes.hpp"

#include "tests/actors/keeper/keeper_kit.hpp"

namespace dkv::test {
namespace {

const Address kProposer{NodeId{1}, Role::member, kShard};

class Pending : public testing::Test {
 protected:
  TopologyChange change(std::uint64_t id) const {
    return {id, {{now_->shards[0].change, now_->shards[0], false}}};
  }
  /// What a round would propose; nothing when it changes nothing.
  TopologyPtr propose() {
    auto next = std::make_shared<Topology>(successor_of(*now_, ++round_));
    PendingChanges::Settled refused;
    return changes_.make_in(*next, *now_, refused) ? TopologyPtr(next) : nullptr;
  }
  /// What another node's change makes of the shard.
  TopologyPtr others(std::uint64_t id) {
    Topology next = successor_of(*now_, ++round_);
    EXPECT_TRUE(make_change(next, change(id)));
    return std::make_shared<const Topology>(next);
  }
  static ChangeOutcome only(const PendingChanges::Settled& settled) {
    EXPECT_EQ(settled.size(), 1U);
    return settled.at(0).second.outcome;
  }

  PendingChanges changes_;
  TopologyPtr now_ = version(4);
  std::uint64_t round_ = 5000;
};

TEST_F(Pending, IsChosenWhenItsIdIsInTheRegister) {
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  const TopologyPtr next = propose();
  ASSERT_TRUE(next);
  EXPECT_EQ(only(changes_.learn(next)), ChangeOutcome::chosen);  // whoever brought it there
  EXPECT_TRUE(changes_.empty());
}

TEST_F(Pending, ThatWasNeverProposedIsLostOnceAnotherCameFirst) {
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  EXPECT_EQ(only(changes_.learn(others(2))), ChangeOutcome::lost);
}

TEST_F(Pending, ThatWasProposedIsUnknownUntilAFullRoundOfOnesOwn) {
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  ASSERT_TRUE(propose());
  const TopologyPtr theirs = others(2);
  EXPECT_TRUE(changes_.learn(theirs).empty());
  EXPECT_EQ(only(changes_.settle(theirs)), ChangeOutcome::overtaken);
}

TEST_F(Pending, ThatWasProposedInVainIsProposedAgain) {
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  ASSERT_TRUE(propose());
  EXPECT_TRUE(changes_.settle(now_).empty());
  EXPECT_TRUE(propose());
}

TEST_F(Pending, OfOneShardAreProposedOneAtATime) {
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  ASSERT_TRUE(changes_.add(kProposer, change(2)));
  const TopologyPtr next = propose();
  EXPECT_EQ(next->shards[0].change, 1U);
  const auto settled = changes_.settle(next);
  ASSERT_EQ(settled.size(), 2U);
  EXPECT_EQ(settled[0].second.outcome, ChangeOutcome::chosen);
  EXPECT_EQ(settled[1].second.outcome, ChangeOutcome::lost);
}

TEST_F(Pending, ThatCanNeverBeMadeIsRefused) {
  TopologyChange bad = change(1);
  bad.shards[0].next.in_sync = {NodeId{9}};
  ASSERT_TRUE(changes_.add(kProposer, bad));
  Topology next = successor_of(*now_, 1);
  PendingChanges::Settled refused;
  EXPECT_FALSE(changes_.make_in(next, *now_, refused));
  EXPECT_EQ(only(refused), ChangeOutcome::refused);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(Pending, AreBoundedAndHaveIdsOfTheirOwn) {
  for (std::uint64_t id = 1; id <= PendingChanges::kMaxPending; ++id)
    ASSERT_TRUE(changes_.add(kProposer, change(id)));
  EXPECT_EQ(changes_.add(kProposer, change(5000)).error().code, Errc::overloaded);
  ASSERT_TRUE(propose());
  EXPECT_EQ(changes_.settle(others(9999)).size(), PendingChanges::kMaxPending);
  ASSERT_TRUE(changes_.add(kProposer, change(1)));
  EXPECT_EQ(changes_.add(kProposer, change(1)).error().code, Errc::bad_request);
}

}  // namespace
}  // namespace dkv::test
