// Links that are cut between real nodes, both ways and one way: who leads then, what the nodes say, what a
// client is told, and that all comes level once they are mended. Shard-1 is on node-1 and node-4, which also
// has a copy of shard-3; every node has a keeper.
#include <memory>

#include "gateway/client/client.hpp"
#include "tests/e2e/namespaces.hpp"
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

// Nodes without a copy of shard-1.
const std::string kDoor = "node-2";
constexpr auto kHealTimeout = 60s;

class Partition : public ShardTest {
 protected:
  Partition() : ShardTest("shard-1", {"node-1", "node-4"}, kDoor) {}
  Cluster& cluster() override { return *cluster_; }

  void SetUp() override {
    try {
      cluster_ = std::make_unique<NamespaceCluster>();
    } catch (const NamespacesRefused& refused) {
      GTEST_SKIP() << refused.what();
    }
    start({"node-1", "node-2", "node-3", "node-4", "node-5"}, 20);
  }

  // Whatever is between the two members now, `mend` ends: until then one of them serves without the other.
  template <class Mend>
  void expect_service_then_recovery(Mend mend) {
    EXPECT_TRUE(eventually(kHealTimeout, [&] { return !is_in_sync(); }));
    write_all("while cut ");
    expect_all("while cut ");
    mend();
    expect_on_both("while cut ");
    write_all("after ");
    expect_on_both("after ");
  }

  /// A linearizable read of exactly that node, as somebody beside it gets it.
  HttpResponse ask_from_inside(const std::string& node, const std::string& key) {
    return cluster_->from_inside(
        node, [&] { return HttpClient(5s).once(cluster_->http(node), "GET", kv_path(key)); });
  }

  // A client that knows the topology, and has a connection to the primary when it has asked it something.
  Client make_client() const { return Client({.seeds = {cluster_->rpc(kDoor)}, .deadline = 2s}); }

  std::unique_ptr<NamespaceCluster> cluster_;
};

TEST_F(Partition, OneOfTwoThatAreCutFromEachOtherServesAndTheOtherComesBack) {
  write_all("before ");
  cluster_->cut("node-1", "node-4");
  expect_service_then_recovery([&] { cluster_->heal("node-1", "node-4"); });
}

TEST_F(Partition, AReplicaThatDoesNotHearItsPrimaryComesBackOnceHealed) {
  write_all("before ");
  cluster_->cut_one_way(primary(), replica());
  expect_service_then_recovery([&] { cluster_->heal("node-1", "node-4"); });
}

TEST_F(Partition, AReplicaThatItsPrimaryDoesNotHearComesBackOnceHealed) {
  write_all("before ");
  cluster_->cut_one_way(replica(), primary());
  expect_service_then_recovery([&] { cluster_->heal("node-1", "node-4"); });
}

TEST_F(Partition, LinksThatComeAndGoLoseNothing) {
  write_all("before ");
  for (int round = 0; round < 5; ++round) {
    cluster_->cut("node-1", "node-4");
    write_all("round " + std::to_string(round));
    cluster_->heal("node-1", "node-4");
    write_all("between " + std::to_string(round));
  }
  expect_on_both("between 4");
}

TEST_F(Partition, APrimaryCutOffFromAllIsReplacedAndAnswersNothingOfItsOld) {
  write_all("before ");
  const std::string cut_off = primary();
  const std::string heir = replica();
  cluster_->cut(cut_off, NamespaceCluster::kAll);
  write_all("while cut ");
  EXPECT_EQ(ask_from_inside(cut_off, keys_[0]).status, 503);
  const nlohmann::json status = cluster_->from_inside(cut_off, [&] { return cluster_->status(cut_off); });
  EXPECT_EQ(status.at("ready"), false) << status.dump(1);
  cluster_->heal_all();
  expect_on_both("while cut ");
  EXPECT_EQ(primary(), heir);
}

TEST_F(Partition, APrimaryCutOffFromTheOtherKeepersServesWithItsReplica) {
  write_all("before ");
  const std::string leader = primary();
  for (const std::string node : {"node-2", "node-3", "node-5"}) cluster_->cut(leader, node);
  // The way to it is through the client's own network, which is whole; the door's is not.
  for (const std::string& key : keys_) {
    const int status =
        HttpClient(5s).once(cluster_->http(leader), "PUT", kv_path(key), "alone " + key).status;
    ASSERT_EQ(status, 200) << key;
  }
  cluster_->heal_all();
  expect_on_both("alone ");
}

TEST_F(Partition, AFrozenPrimaryIsReplacedAndAnswersNothingOldWhenItGoesOn) {
  write_all("before ");
  const std::string frozen = primary();
  const std::string heir = replica();
  cluster_->freeze(frozen);
  ASSERT_EQ(primary(), heir);
  write_all("while frozen ");
  cluster_->thaw(frozen);
  const HttpResponse got = HttpClient(5s).once(cluster_->http(frozen), "GET", kv_path(keys_[0]));
  EXPECT_TRUE(got.status == 307 || got.status == 503) << got.status << got.body;
  expect_on_both("while frozen ");
  EXPECT_EQ(primary(), heir);
}

TEST_F(Partition, AClientThatCannotReachThePrimaryIsToldThatNothingWasDone) {
  const std::string leader = primary();
  cluster_->cut(NamespaceCluster::kClient, leader);
  Client client = make_client();
  const Result<PutResult> put = client.put(keys_[0], "never");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unavailable) << put.error().message;
  const Result<GetResult> get = client.get(keys_[0]);
  ASSERT_FALSE(get);
  EXPECT_EQ(get.error().code, Errc::unavailable) << get.error().message;
  const std::string reachable = key_of_shard(cluster_->http(kDoor), "shard-2", "q");
  EXPECT_TRUE(client.put(reachable, "value")) << "the other shards are served";

  cluster_->heal(NamespaceCluster::kClient, leader);
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> after = client.get(keys_[0]);
    return !after && after.error().code == Errc::not_found;
  })) << "it was not done";
}

TEST_F(Partition, AWriteWhoseAnswerIsLostIsOfUnknownOutcomeAndMayHaveHappened) {
  const std::string leader = primary();
  Client client = make_client();
  ASSERT_TRUE(client.put(keys_[0], "old"));
  cluster_->cut_one_way(leader, NamespaceCluster::kClient);
  const Result<PutResult> put = client.put(keys_[0], "new");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unknown_outcome) << put.error().message;
  cluster_->heal(NamespaceCluster::kClient, leader);
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> get = client.get(keys_[0]);
    return get && get->value == "new";
  })) << "the request had arrived";
}

TEST_F(Partition, AWriteThatIsLostOnItsWayIsOfUnknownOutcome) {
  const std::string leader = primary();
  Client client = make_client();
  ASSERT_TRUE(client.put(keys_[0], "old"));
  cluster_->cut_one_way(NamespaceCluster::kClient, leader);
  const Result<PutResult> put = client.put(keys_[0], "new");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unknown_outcome) << put.error().message;
  cluster_->heal(NamespaceCluster::kClient, leader);
  std::string value;
  EXPECT_TRUE(eventually(kHealTimeout, [&] {
    const Result<GetResult> get = client.get(keys_[0]);
    if (get) value = get->value;
    return get.has_value();
  }));
  EXPECT_TRUE(value == "old" || value == "new") << value;
}

TEST_F(Partition, TheCommandLineEndsInTimeWhenThePrimaryIsOutOfReach) {
  const std::string leader = primary();
  cluster_->cut(NamespaceCluster::kClient, leader);
  const Finished set =
      run({program("distrikv"), "set", "--node", cluster_->rpc(kDoor), "--timeout", "1", keys_[0], "value"});
  EXPECT_EQ(set.code, 3) << set.out << set.err;
  const Finished status =
      run({program("distrikv"), "status", "--node", cluster_->rpc(kDoor), "--timeout", "1"});
  EXPECT_EQ(status.code, 3) << status.out << status.err;
  EXPECT_NE(status.out.find(leader + " does not answer"), std::string::npos) << status.out << status.err;
}

}  // namespace
}  // namespace dkv::e2e
