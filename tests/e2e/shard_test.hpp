// Tests of one shard of two members, whichever of them leads it: what they write and read goes through a
// third node, which is left alone.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {

class ShardTest : public testing::Test {
 protected:
  ShardTest(std::string shard, std::vector<std::string> members, std::string door)
      : shard_(std::move(shard)), members_(std::move(members)), door_(std::move(door)) {}
  virtual Cluster& cluster() = 0;

  /// Starts `nodes`, and waits until a write needs both copies.
  void start(const std::vector<std::string>& nodes, int keys = 60);

  std::string primary() { return cluster().wait_for_primary(shard_); }
  std::string replica() { return primary() == members_[0] ? members_[1] : members_[0]; }
  bool is_in_sync();
  bool becomes_in_sync();

  /// Asks again for as long as nothing was done; the last status.
  int put(const std::string& key, const std::string& value);
  int remove(const std::string& key);
  /// Linearizable.
  HttpResponse get(const std::string& key);
  /// Of that node's own copy.
  HttpResponse read(const std::string& node, const std::string& key);

  // Of every key the value is `prefix`, the key, and the padding.
  void write_all(const std::string& prefix);
  void expect_all(const std::string& prefix);
  /// In both copies, once they are level.
  void expect_on_both(const std::string& prefix);

  bool has_logged(const std::string& node, const std::string& text);

  const std::string shard_;
  const std::vector<std::string> members_;
  const std::string door_;
  std::vector<std::string> keys_;  // of the shard
  std::string padding_;
};

/// Of the one shard of city().
class City : public ShardTest {
 protected:
  City() : ShardTest("delhi", {"delhi", "delhi-replica"}, "witness") {}
  Cluster& cluster() override { return cluster_; }

  Cluster cluster_{city()};
};

}  // namespace dkv::e2e
