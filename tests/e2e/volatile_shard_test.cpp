// A shard whose store is memory: nothing of it is on disk, and its members bring each other back.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

const std::string kReplica = "delhi-replica";

class VolatileShard : public testing::Test {
 protected:
  void SetUp() override {
    cluster_.set_shard_key("delhi", "store = \"memory\"");
    ASSERT_TRUE(cluster_.start_and_wait({"delhi", kReplica}));
    for (int i = 0; keys_.size() < 60; ++i) {
      const std::string key = "v" + std::to_string(i);
      if (client_.once(cluster_.http("delhi"), "HEAD", kv_path(key)).status == 404) keys_.push_back(key);
    }
    for (const std::string& key : keys_) {
      ASSERT_EQ(client_.once(cluster_.http("delhi"), "PUT", kv_path(key), "value of " + key).status, 201);
    }
    wait_until_level();
  }

  void wait_until_level() { EXPECT_TRUE(cluster_.wait_until_level("delhi", kReplica)); }
  void expect_all(const std::string& node) {
    for (const std::string& key : keys_) {
      const HttpResponse get = client_.once(cluster_.http(node), "GET", kv_path(key) + "?read=replica");
      ASSERT_EQ(get.status, 200) << node << " " << key << get.body;
      EXPECT_EQ(get.body, "value of " + key);
    }
  }

  Cluster cluster_;
  HttpClient client_;
  std::vector<std::string> keys_;  // of delhi
};

TEST_F(VolatileShard, SaysThatItIsOneAndLeavesNothingInTheDataFolder) {
  EXPECT_EQ(cluster_.member_status("delhi").at("volatile"), true);
  EXPECT_EQ(cluster_.member_status(kReplica).at("volatile"), true);
  for (const std::string& node : {std::string("delhi"), kReplica}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cluster_.data(node))) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(name == "lock" || name == "node.json") << entry.path();
    }
  }
}

TEST_F(VolatileShard, ComesBackFromItsReplicaWhenItsPrimaryIsKilled) {
  const std::uint64_t epoch = cluster_.member_status("delhi").at("epoch");
  cluster_.kill("delhi");
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  expect_all("delhi");
  EXPECT_GT(cluster_.member_status("delhi").at("epoch"), epoch);
  ASSERT_EQ(client_.once(cluster_.http("delhi"), "PUT", kv_path(keys_[0]), "value of " + keys_[0]).status,
            200);
  wait_until_level();
  expect_all(kReplica);
}

TEST_F(VolatileShard, BringsARestartedReplicaBack) {
  cluster_.kill(kReplica);
  ASSERT_TRUE(cluster_.start_and_wait({kReplica}));
  wait_until_level();
  expect_all(kReplica);
}

TEST_F(VolatileShard, IsEmptyAndServesWhenAllItsMembersWereKilled) {
  cluster_.kill("delhi");
  cluster_.kill(kReplica);
  ASSERT_TRUE(cluster_.start_and_wait({"delhi", kReplica}));
  EXPECT_EQ(client_.once(cluster_.http("delhi"), "GET", kv_path(keys_[0])).status, 404);
  ASSERT_EQ(client_.once(cluster_.http("delhi"), "PUT", kv_path(keys_[0]), "new").status, 201);
  EXPECT_EQ(client_.once(cluster_.http("delhi"), "GET", kv_path(keys_[0])).body, "new");
  wait_until_level();
}

}  // namespace
}  // namespace dkv::e2e
