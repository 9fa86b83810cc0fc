// A replica that its primary's log does not reach back to takes a copy of the whole shard.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

const std::string kReplica = "delhi-replica";

class Snapshot : public testing::Test {
 protected:
  void SetUp() override {
    // A log that soon holds only the newest writes.
    cluster_.set_options({"--memtable", "1MiB", "--log-segment", "1MiB", "--log-retain", "0"});
    ASSERT_TRUE(cluster_.start_and_wait({"delhi", kReplica}));
    for (int i = 0; keys_.size() < 400; ++i) {
      const std::string key = "r" + std::to_string(i);
      if (client_.once(cluster_.http("delhi"), "HEAD", kv_path(key)).status == 404) keys_.push_back(key);
    }
  }

  static std::string value_of(const std::string& prefix, const std::string& key) {
    return prefix + key + std::string(10'000, 'v');
  }
  void write_all(const std::string& prefix) {
    for (const std::string& key : keys_) {
      const HttpResponse put =
          client_.once(cluster_.http("delhi"), "PUT", kv_path(key), value_of(prefix, key));
      ASSERT_TRUE(put.status == 200 || put.status == 201) << put.status << put.body;
    }
  }
  void expect_on_replica(const std::string& prefix) {
    ASSERT_TRUE(cluster_.wait_until_ready({kReplica}));
    EXPECT_TRUE(cluster_.wait_until_level("delhi", kReplica));
    for (const std::string& key : keys_) {
      const HttpResponse get = client_.once(cluster_.http(kReplica), "GET", kv_path(key) + "?read=replica");
      ASSERT_EQ(get.status, key == deleted_ ? 404 : 200) << key << get.body;
      EXPECT_TRUE(key == deleted_ || get.body == value_of(prefix, key)) << key;
    }
  }
  bool has_logged(const std::string& text) {
    return read_file(cluster_.log(kReplica)).find(text) != std::string::npos;
  }

  Cluster cluster_;
  HttpClient client_;
  std::vector<std::string> keys_;  // of delhi
  std::string deleted_;
};

TEST_F(Snapshot, BringsAnEmptiedReplicaBackWhenTheLogHasBeenTrimmed) {
  write_all("first ");
  write_all("second ");
  cluster_.kill(kReplica);
  cluster_.wipe(kReplica);
  cluster_.start({kReplica});
  expect_on_replica("second ");
  EXPECT_TRUE(has_logged("taking a copy of the whole shard"));
  EXPECT_TRUE(has_logged("the copy is complete"));
  write_all("third ");
  expect_on_replica("third ");
}

TEST_F(Snapshot, ReplacesWhatAReplicaHadThatWasAwayForLong) {
  write_all("before ");
  expect_on_replica("before ");
  cluster_.kill(kReplica);
  deleted_ = keys_[7];
  write_all("meanwhile ");
  write_all("later ");
  ASSERT_EQ(client_.once(cluster_.http("delhi"), "DELETE", kv_path(deleted_)).status, 204);
  cluster_.start({kReplica});
  expect_on_replica("later ");
  EXPECT_TRUE(has_logged("taking a copy of the whole shard"));
  // What it has is on its disk.
  cluster_.kill(kReplica);
  cluster_.kill("delhi");
  cluster_.start({kReplica});
  EXPECT_TRUE(eventually(10s, [&] {
    return client_.once(cluster_.http(kReplica), "GET", kv_path(keys_[0]) + "?read=replica").status == 200;
  }));
}

}  // namespace
}  // namespace dkv::e2e
