// A shard whose store is memory: nothing of it is on disk, and its members bring each other back.
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

class VolatileShard : public City {
 protected:
  void SetUp() override {
    cluster_.set_shard_key("delhi", "store = \"memory\"");
    start(kCity);
    write_all("value of ");
    expect_on_both("value of ");
  }
};

TEST_F(VolatileShard, SaysThatItIsOneAndLeavesNothingInTheDataFolder) {
  for (const std::string node : {"delhi", "delhi-replica"}) {
    EXPECT_EQ(cluster_.member_status(node).at("volatile"), true);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cluster_.data(node))) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(name == "lock" || name == "node.json" || name == "starts") << entry.path();
    }
  }
}

TEST_F(VolatileShard, OutlivesItsPrimaryInItsReplica) {
  const std::string dead = primary();
  const std::string heir = replica();
  cluster_.kill(dead);
  cluster_.start({dead});
  expect_all("value of ");
  EXPECT_EQ(primary(), heir) << "what comes back has nothing";
  expect_on_both("value of ");
  EXPECT_TRUE(becomes_in_sync());
}

TEST_F(VolatileShard, BringsARestartedReplicaBack) {
  const std::string restarted = replica();
  cluster_.kill(restarted);
  cluster_.start({restarted});
  expect_on_both("value of ");
}

TEST_F(VolatileShard, IsEmptyAndServesWhenAllItsMembersWereKilled) {
  cluster_.kill("delhi");
  cluster_.kill("delhi-replica");
  cluster_.start({"delhi", "delhi-replica"});
  EXPECT_EQ(get(keys_[0]).status, 404);
  write_all("new ");
  expect_on_both("new ");
}

}  // namespace
}  // namespace dkv::e2e
