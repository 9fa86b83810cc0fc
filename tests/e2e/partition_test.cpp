// Links that are cut between real nodes, both ways and one way: what the nodes say, what a client is told,
// and that all comes level once they are mended. Shard-1 has its primary on node-1 and its replica on node-4,
// which also has one of shard-3, of node-3.
#include <gtest/gtest.h>
#include <memory>

#include "gateway/client/client.hpp"
#include "tests/e2e/namespaces.hpp"

namespace dkv::e2e {
namespace {

const std::string kPrimary = "node-1";
const std::string kReplica = "node-4";
const std::string kShard = "shard-1";
const std::string kOtherPrimary = "node-3";
const std::string kOtherShard = "shard-3";

// For what TCP has to send again: it waits up to about as long as the cut has lasted already.
constexpr auto kHealTimeout = 60s;

class Partition : public testing::Test {
 protected:
  void SetUp() override {
    try {
      cluster_ = std::make_unique<NamespaceCluster>();
    } catch (const NamespacesRefused& refused) {
      GTEST_SKIP() << refused.what();
    }
    ASSERT_TRUE(cluster_->start_and_wait({"node-1", "node-2", "node-3", "node-4", "node-5"}));
    for (int i = 0; keys_.size() < 20; ++i) {
      const std::string key = "p" + std::to_string(i);
      if (http_.once(cluster_->http(kPrimary), "HEAD", kv_path(key)).status == 404) keys_.push_back(key);
    }
  }

  void write_all(const std::string& value) {
    for (const std::string& key : keys_) {
      const int status = http_.once(cluster_->http(kPrimary), "PUT", kv_path(key), value + key).status;
      ASSERT_TRUE(status == 200 || status == 201) << status;
    }
  }

  // The replica's own copy.
  void expect_on_replica(const std::string& value) {
    for (const std::string& key : keys_) {
      const HttpResponse get = http_.once(cluster_->http(kReplica), "GET", kv_path(key) + "?read=replica");
      ASSERT_EQ(get.status, 200) << key << get.body;
      EXPECT_EQ(get.body, value + key);
    }
  }

  bool replica_becomes(const std::string& state) {
    return eventually(kHealTimeout,
                      [&] { return cluster_->member_status(kReplica, kShard).at("state") == state; });
  }

  void expect_level() {
    const std::uint64_t head = cluster_->member_status(kPrimary, kShard).at("head");
    EXPECT_TRUE(eventually(kHealTimeout, [&] {
      const nlohmann::json status = cluster_->member_status(kReplica, kShard);
      return status.at("ready") == true && status.at("commit") == head && status.at("durable") == head;
    })) << cluster_->status(kReplica).dump(1);
  }

  // Whatever is between primary and replica now, `mend` ends: until then the replica stays where it is and
  // says why, and then it gets what it missed.
  template <class Mend>
  void expect_silence_then_recovery(Mend mend) {
    ASSERT_TRUE(replica_becomes("primary_silent"));
    write_all("while cut ");
    expect_on_replica("before ");
    EXPECT_EQ(cluster_->member_status(kReplica, kShard).at("ready"), false);
    EXPECT_EQ(http_.once(cluster_->http(kReplica), "GET", "/readyz").status, 503);
    EXPECT_EQ(cluster_->member_status(kReplica, kOtherShard).at("state"), "following")
        << "the link to its other primary is whole";
    mend();
    expect_level();
    expect_on_replica("while cut ");
    write_all("after ");
    expect_level();
    expect_on_replica("after ");
  }

  void write_before() {
    write_all("before ");
    expect_level();
    expect_on_replica("before ");
  }

  // A client that knows the topology, and has a connection to the primary when it has asked it something.
  Client make_client() const { return Client({.seeds = {cluster_->rpc(kReplica)}, .deadline = 2s}); }

  std::unique_ptr<NamespaceCluster> cluster_;
  HttpClient http_;
  std::vector<std::string> keys_;  // of shard-1
};

TEST_F(Partition, AReplicaThatIsCutOffSaysSoAndCatchesUpOnceHealed) {
  write_before();
  cluster_->cut(kPrimary, kReplica);
  expect_silence_then_recovery([&] { cluster_->heal(kPrimary, kReplica); });
}

TEST_F(Partition, AReplicaThatDoesNotHearItsPrimaryCatchesUpOnceHealed) {
  write_before();
  cluster_->cut_one_way(kPrimary, kReplica);
  expect_silence_then_recovery([&] { cluster_->heal(kPrimary, kReplica); });
}

TEST_F(Partition, AReplicaThatItsPrimaryDoesNotHearCatchesUpOnceHealed) {
  write_before();
  cluster_->cut_one_way(kReplica, kPrimary);
  expect_silence_then_recovery([&] { cluster_->heal(kPrimary, kReplica); });
}

TEST_F(Partition, LinksThatComeAndGoLoseNothing) {
  write_before();
  for (int round = 0; round < 5; ++round) {
    cluster_->cut(kPrimary, kReplica);
    write_all("round " + std::to_string(round));
    cluster_->heal(kPrimary, kReplica);
    write_all("between " + std::to_string(round));
  }
  expect_level();
  expect_on_replica("between 4");
}

TEST_F(Partition, ANodeCutOffFromAllSaysSo) {
  cluster_->cut(kReplica, NamespaceCluster::kAll);
  for (const std::string& shard : {kShard, kOtherShard}) {
    EXPECT_TRUE(eventually(kHealTimeout, [&] {
      const nlohmann::json status = cluster_->status_from_inside(kReplica);
      for (const nlohmann::json& member : status.at("members"))
        if (member.at("shard") == shard) return member.at("state") == "primary_silent";
      return false;
    })) << shard;
  }
  EXPECT_FALSE(Socket(cluster_->http(kReplica), 500ms).open()) << "cut off from the client as well";
  write_all("while cut ");
  cluster_->heal_all();
  expect_level();
  expect_on_replica("while cut ");
}

TEST_F(Partition, AFrozenPrimaryIsSilentUntilItGoesOn) {
  write_before();
  cluster_->freeze(kPrimary);
  EXPECT_TRUE(replica_becomes("primary_silent"));
  expect_on_replica("before ");
  cluster_->thaw(kPrimary);
  write_all("after ");
  expect_level();
  expect_on_replica("after ");
}

TEST_F(Partition, AClientThatCannotReachThePrimaryIsToldThatNothingWasDone) {
  cluster_->cut(NamespaceCluster::kClient, kPrimary);
  Client client = make_client();
  const Result<PutResult> put = client.put(keys_[0], "never");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unavailable) << put.error().message;
  const Result<GetResult> get = client.get(keys_[0]);
  ASSERT_FALSE(get);
  EXPECT_EQ(get.error().code, Errc::unavailable) << get.error().message;
  const std::string reachable = key_of_shard(cluster_->http(kReplica), "shard-2", "q");
  EXPECT_TRUE(client.put(reachable, "value")) << "the other shards are served";

  cluster_->heal(NamespaceCluster::kClient, kPrimary);
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> after = client.get(keys_[0]);
    return !after && after.error().code == Errc::not_found;
  })) << "it was not done";
}

TEST_F(Partition, AWriteWhoseAnswerIsLostIsOfUnknownOutcomeAndMayHaveHappened) {
  Client client = make_client();
  ASSERT_TRUE(client.put(keys_[0], "old"));
  cluster_->cut_one_way(kPrimary, NamespaceCluster::kClient);
  const Result<PutResult> put = client.put(keys_[0], "new");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unknown_outcome) << put.error().message;
  cluster_->heal(NamespaceCluster::kClient, kPrimary);
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> get = client.get(keys_[0]);
    return get && get->value == "new";
  })) << "the request had arrived";
}

TEST_F(Partition, AWriteThatIsLostOnItsWayIsOfUnknownOutcome) {
  Client client = make_client();
  ASSERT_TRUE(client.put(keys_[0], "old"));
  cluster_->cut_one_way(NamespaceCluster::kClient, kPrimary);
  const Result<PutResult> put = client.put(keys_[0], "new");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unknown_outcome) << put.error().message;
  cluster_->heal(NamespaceCluster::kClient, kPrimary);
  std::string value;
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> get = client.get(keys_[0]);
    if (get) value = get->value;
    return get.has_value();
  }));
  EXPECT_TRUE(value == "old" || value == "new") << value;
}

TEST_F(Partition, TheCommandLineEndsInTimeWhenThePrimaryIsOutOfReach) {
  cluster_->cut(NamespaceCluster::kClient, kPrimary);
  const Finished set = run(
      {program("distrikv"), "set", "--node", cluster_->rpc(kReplica), "--timeout", "1", keys_[0], "value"});
  EXPECT_EQ(set.code, 3) << set.out << set.err;
  const Finished status =
      run({program("distrikv"), "status", "--node", cluster_->rpc(kReplica), "--timeout", "1"});
  EXPECT_EQ(status.code, 3) << status.out << status.err;
  EXPECT_NE(status.out.find(kPrimary + " does not answer"), std::string::npos) << status.out << status.err;
}

}  // namespace
}  // namespace dkv::e2e
