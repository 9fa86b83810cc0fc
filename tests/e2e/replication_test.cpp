// The copies of a shard come level again after whatever happens to one of them, and one leads on when the
// other dies.
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

class Replication : public City {
 protected:
  void SetUp() override { start(kCity); }
};

TEST_F(Replication, BringsWritesToTheReplica) {
  write_all("first ");
  expect_on_both("first ");
  ASSERT_EQ(remove(keys_[0]), 204);
  EXPECT_TRUE(eventually(10s, [&] { return read(replica(), keys_[0]).status == 404; }));
}

TEST_F(Replication, AReplicaThatWasDownGetsWhatItMissed) {
  write_all("before ");
  const std::string down = replica();
  cluster_.kill(down);
  write_all("while down ");
  EXPECT_FALSE(is_in_sync()) << "or nothing could have been written";
  cluster_.start({down});
  expect_on_both("while down ");
  write_all("after ");
  expect_on_both("after ");
  EXPECT_TRUE(becomes_in_sync());
}

TEST_F(Replication, AReplicaWithAnEmptiedFolderCatchesUpAndIsANewMember) {
  write_all("kept ");
  const std::string emptied = replica();
  EXPECT_EQ(cluster_.stop(emptied), 0);
  cluster_.wipe(emptied);
  cluster_.start({emptied});
  expect_on_both("kept ");
  EXPECT_TRUE(becomes_in_sync());
}

TEST_F(Replication, ARestartedPrimaryLeadsNoLongerInItsOldEpoch) {
  write_all("old ");
  const std::string restarted = primary();
  const std::uint64_t epoch = cluster_.member_status(restarted).at("epoch");
  cluster_.kill(restarted);
  cluster_.start({restarted});
  // Whichever of the two it is now.
  EXPECT_GT(cluster_.member_status(primary()).at("epoch"), epoch);
  expect_on_both("old ");
  write_all("new ");
  expect_on_both("new ");
}

TEST_F(Replication, AReplicaTakesOverFromAPrimaryThatDied) {
  write_all("old ");
  const std::string dead = primary();
  const std::string heir = replica();
  cluster_.kill(dead);
  expect_all("old ");
  EXPECT_EQ(primary(), heir);
  write_all("new ");
  cluster_.start({dead});
  expect_on_both("new ");
  EXPECT_EQ(primary(), heir) << "a node that comes back follows";
  EXPECT_TRUE(becomes_in_sync());
}

TEST_F(Replication, APrimaryThatLostItsFolderLeavesTheLeadToItsReplica) {
  write_all("kept ");
  const std::string emptied = primary();
  const std::string heir = replica();
  cluster_.kill(emptied);
  cluster_.wipe(emptied);
  cluster_.start({emptied});
  expect_on_both("kept ");
  EXPECT_EQ(primary(), heir);
  EXPECT_TRUE(becomes_in_sync());
}

TEST_F(Replication, AllKilledAtOnceComeBackWithAllThatWasAcknowledged) {
  write_all("kept ");
  for (const std::string& node : kCity) cluster_.kill(node);
  cluster_.start(kCity);
  expect_all("kept ");
  expect_on_both("kept ");
}

TEST_F(Replication, WithoutAMajorityOfTheKeepersAReplicaDoesNotTakeOver) {
  write_all("there ");
  const std::string alone = replica();
  cluster_.kill("witness");
  cluster_.kill(primary());
  EXPECT_EQ(read(alone, keys_[0]).body, "there " + keys_[0]) << "it answers for its own copy";
  EXPECT_TRUE(eventually(kReadyTimeout, [&] { return cluster_.member_status(alone).at("ready") == false; }));
  EXPECT_EQ(HttpClient(5s).once(cluster_.http(alone), "PUT", kv_path(keys_[0]), "x").status / 100, 3)
      << "it knows of no other primary than the dead one";
  EXPECT_NE(cluster_.member_status(alone).at("role"), "primary");
}

}  // namespace
}  // namespace dkv::e2e
