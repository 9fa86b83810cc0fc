// Replicas that miss something get it back: after being down, after losing their folder, after their
// primary began a new epoch. One shard is enough for this: delhi and its replica.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

const std::string kReplica = "delhi-replica";

class Replication : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.start_and_wait({"delhi", kReplica}));
    for (int i = 0; keys_.size() < 60; ++i) {
      const std::string key = "r" + std::to_string(i);
      if (client_.once(cluster_.http("delhi"), "HEAD", kv_path(key)).status == 404) keys_.push_back(key);
    }
  }

  void write_all(const std::string& value) {
    for (const std::string& key : keys_) {
      const int status = client_.once(cluster_.http("delhi"), "PUT", kv_path(key), value + key).status;
      ASSERT_TRUE(status == 200 || status == 201) << status;
    }
  }

  // Every key on the replica's own copy, once it is level with its primary.
  void expect_on_replica(const std::string& value) {
    ASSERT_TRUE(cluster_.wait_until_ready({kReplica}));
    EXPECT_TRUE(cluster_.wait_until_level("delhi", kReplica));
    for (const std::string& key : keys_) {
      const HttpResponse get = client_.once(cluster_.http(kReplica), "GET", kv_path(key) + "?read=replica");
      ASSERT_EQ(get.status, 200) << key << get.body;
      EXPECT_EQ(get.body, value + key);
    }
  }

  Cluster cluster_;
  HttpClient client_;
  std::vector<std::string> keys_;  // of delhi
};

TEST_F(Replication, BringsWritesToTheReplica) {
  write_all("first ");
  expect_on_replica("first ");
  ASSERT_EQ(client_.once(cluster_.http("delhi"), "DELETE", kv_path(keys_[0])).status, 204);
  EXPECT_TRUE(eventually(10s, [&] {
    return client_.once(cluster_.http(kReplica), "GET", kv_path(keys_[0]) + "?read=replica").status == 404;
  }));
}

TEST_F(Replication, AReplicaThatWasDownGetsWhatItMissed) {
  write_all("before ");
  expect_on_replica("before ");
  cluster_.kill(kReplica);
  write_all("while down ");
  cluster_.start({kReplica});
  expect_on_replica("while down ");
  write_all("after ");
  expect_on_replica("after ");
}

TEST_F(Replication, AReplicaWithAnEmptiedFolderCatchesUp) {
  write_all("kept ");
  expect_on_replica("kept ");
  EXPECT_EQ(cluster_.stop(kReplica), 0);
  cluster_.wipe(kReplica);
  cluster_.start({kReplica});
  expect_on_replica("kept ");
}

TEST_F(Replication, ARestartedPrimaryBeginsANewEpochAndItsReplicaFollows) {
  write_all("old ");
  expect_on_replica("old ");
  const std::uint64_t epoch = cluster_.member_status("delhi").at("epoch");
  cluster_.kill("delhi");
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  const std::uint64_t next_epoch = cluster_.member_status("delhi").at("epoch");
  EXPECT_GT(next_epoch, epoch);
  expect_on_replica("old ");
  EXPECT_EQ(cluster_.member_status(kReplica).at("epoch"), next_epoch);
  write_all("new ");
  expect_on_replica("new ");
}

TEST_F(Replication, AReplicaAloneStillAnswersReplicaReads) {
  write_all("there ");
  expect_on_replica("there ");
  cluster_.kill("delhi");
  const HttpResponse get = client_.once(cluster_.http(kReplica), "GET", kv_path(keys_[0]) + "?read=replica");
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body, "there " + keys_[0]);
}

}  // namespace
}  // namespace dkv::e2e
