#include "topology/change.hpp"

#include <gtest/gtest.h>

#include "tests/actors/conversation.hpp"

namespace dkv {
namespace {

using test::kPrimaryNode;
using test::kReplicaNode;
using test::kShard;

class Change : public testing::Test {
 protected:
  Change() : first_(*test::one_shard()) {
    first_.version = 7;
    first_.id = 1;
    first_.name = "c";
    first_.change = 70;
    first_.keepers = {{kPrimaryNode, 11, 1}};
    first_.shards[0].change = 60;
    first_.shards[0].epoch = Epoch{5};
  }
  TopologyChange change() const { return {80, {{60, first_.shards[0], false}}}; }
  Result<Topology> made(const TopologyChange& change) const {
    Topology next = successor_of(first_, 71);
    if (auto done = make_change(next, change); !done) return done.error();
    return next;
  }
  Topology first_;
};

TEST_F(Change, MakesTheNextVersionAndKeepsTheEpochUnlessThePrimaryBeginsOne) {
  TopologyChange admission = change();
  admission.shards[0].next.in_sync = {kReplicaNode};
  const auto next = made(admission);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->version, 8U);
  EXPECT_EQ(next->change, 71U);
  EXPECT_EQ(next->shards[0].change, 80U);
  EXPECT_EQ(next->shards[0].epoch, Epoch{5});
  EXPECT_EQ(next->shards[0].in_sync, std::vector<NodeId>{kReplicaNode});
}

TEST_F(Change, AStartOfThePrimaryIsAnEpoch) {
  TopologyChange start = change();
  start.shards[0].begins_epoch = true;
  EXPECT_EQ(made(start)->shards[0].epoch, Epoch{8});
}

TEST_F(Change, AnotherPrimaryIsAnEpochWithoutBeingAsked) {
  TopologyChange takeover = change();
  takeover.shards[0].next.primary = kReplicaNode;
  takeover.shards[0].next.replicas = {kPrimaryNode};
  takeover.shards[0].next.epoch = Epoch{99};  // not its to say
  EXPECT_EQ(made(takeover)->shards[0].epoch, Epoch{8});
}

TEST_F(Change, FitsOnlyTheStateThatItWasMadeFrom) {
  EXPECT_EQ(fit_of(first_, change()), Fit::fits);
  EXPECT_EQ(fit_of(*made(change()), change()), Fit::made);
  TopologyChange later = change();
  later.id = 81;
  EXPECT_EQ(fit_of(*made(change()), later), Fit::overtaken);
  // The same members again are not the same state.
  EXPECT_EQ(made(change())->shards[0].in_sync, first_.shards[0].in_sync);
}

TEST_F(Change, ThatBreaksARuleIsRefusedAndChangesNothing) {
  Topology next = successor_of(first_, 71);
  const Topology before = next;
  std::vector<TopologyChange> bad(6, change());
  bad[0].id = 0;
  bad[1].shards.clear();
  bad[2].shards[0].next.id = ShardId{9};
  bad[3].shards[0].next.name = "other";
  bad[4].shards[0].next.in_sync = {kPrimaryNode};
  bad[5].shards[0].next.primary = NodeId{9};
  for (const TopologyChange& one : bad) {
    const auto done = make_change(next, one);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::bad_request);
    EXPECT_EQ(next, before);
  }
}

}  // namespace
}  // namespace dkv
