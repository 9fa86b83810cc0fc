#include "topology/generate.hpp"

#include <gtest/gtest.h>

#include "topology/check.hpp"
#include "topology/toml.hpp"

namespace dkv {
namespace {

Result<Topology> generated(std::uint32_t shards, std::uint32_t replicas, const std::string& base) {
  const Result<std::string> text = generate_toml({.shards = shards, .replicas = replicas, .base = base});
  if (!text) return text.error();
  return parse_topology(*text, "generated");
}

TEST(Generate, NamesAndNumbersNodesPrimariesFirst) {
  const Result<Topology> topology = generated(2, 2, "127.0.0.2");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->find_node("shard-1")->http, "127.0.0.2:8080");
  EXPECT_EQ(topology->find_node("shard-2")->http, "127.0.0.3:8080");
  EXPECT_EQ(topology->find_node("shard-1-replica")->http, "127.0.0.4:8080");
  EXPECT_EQ(topology->find_node("shard-2-replica-2")->http, "127.0.0.7:8080");
  ASSERT_NE(topology->find_shard("shard-2"), nullptr);
  const ShardInfo& shard = *topology->find_shard("shard-2");
  EXPECT_EQ(shard.primary, topology->find_node("shard-2")->id);
  EXPECT_EQ(shard.replicas, (std::vector{topology->find_node("shard-2-replica")->id,
                                         topology->find_node("shard-2-replica-2")->id}));
  EXPECT_EQ(topology->keepers.size(), 5u);
}

TEST(Generate, WritesTheStoreWhereItIsNotTheUsualOne) {
  const auto text =
      generate_toml({.shards = 2, .replicas = 1, .base = "127.0.0.2", .store = StoreKind::memory});
  ASSERT_TRUE(text);
  const auto topology = parse_topology(*text, "generated");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->shards[1].store, StoreKind::memory);
  EXPECT_EQ(generate_toml({.shards = 1, .replicas = 0, .base = "127.0.0.2"})->find("store"),
            std::string::npos);
}

TEST(Generate, WritesTheFailoverWhereItIsNotTheUsualOne) {
  const auto text =
      generate_toml({.shards = 1, .replicas = 1, .base = "127.0.0.2", .failover = Failover::fast});
  ASSERT_TRUE(text);
  const auto topology = parse_topology(*text, "generated");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->failover, Failover::fast);
  EXPECT_EQ(generate_toml({.shards = 1, .replicas = 0, .base = "127.0.0.2"})->find("failover"),
            std::string::npos);
}

TEST(Generate, PadsNumbersSoThatNamesSortAsTheyCount) {
  const Result<Topology> topology = generated(12, 0, "10.0.0.1");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->shards.front().name, "shard-01");
  EXPECT_EQ(topology->shards.back().name, "shard-12");
}

TEST(Generate, CarriesFromOctetToOctet) {
  const Result<Topology> topology = generated(3, 0, "127.0.0.254");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->find_node("shard-2")->rpc, "127.0.0.255:7001");
  EXPECT_EQ(topology->find_node("shard-3")->rpc, "127.0.1.0:7001");
}

TEST(Generate, AlwaysWritesWhatLoads) {
  for (const std::uint32_t shards : {1u, 2u, 3u, 9u, 10u, 60u, 64u, 1024u}) {
    for (const std::uint32_t replicas : {0u, 1u, 2u, 16u}) {
      const Result<Topology> topology = generated(shards, replicas, "127.0.0.2");
      if (shards * (replicas + 1) > kMaxNodes) {
        EXPECT_FALSE(topology);
        continue;
      }
      ASSERT_TRUE(topology) << topology.error().message;
      EXPECT_EQ(topology->shards.size(), shards);
      EXPECT_EQ(topology->nodes.size(), shards * (replicas + 1));
      EXPECT_TRUE(check(*topology));
    }
  }
}

TEST(Generate, RefusesWhatIsOutOfRange) {
  EXPECT_TRUE(generated(3, 0, "127.255.255.252"));
  const std::pair<GenerateOptions, std::string> bad[] = {
      {{0, 1, "127.0.0.2"}, "shards: must be 1 to 1024, not 0"},
      {{1025, 0, "127.0.0.2"}, "shards: must be 1 to 1024"},
      {{1, 17, "127.0.0.2"}, "replicas: must be 0 to 16, not 17"},
      {{4294967295u, 4294967295u, "127.0.0.2"}, "shards: must be"},
      {{513, 1, "127.0.0.2"}, "1026 nodes are too many"},
      {{1, 0, ""}, "not an IPv4 address"},
      {{1, 0, "localhost"}, "not an IPv4 address"},
      {{1, 0, "::1"}, "not an IPv4 address"},
      {{1, 0, "127.0.0.256"}, "not an IPv4 address"},
      {{1, 0, "0.0.0.0"}, "not an IPv4 address that a node can have"},
      {{1, 0, "224.0.0.1"}, "not an IPv4 address that a node can have"},
      {{1, 0, "127.0.0.0"}, "do not fit into its /8 network"},
      {{4, 0, "127.255.255.252"}, "4 nodes from 127.255.255.252 on do not fit"},
      {{1, 0, "127.255.255.255"}, "do not fit into its /8 network"},
  };
  for (const auto& [options, phrase] : bad) {
    const Result<std::string> text = generate_toml(options);
    ASSERT_FALSE(text) << phrase;
    EXPECT_EQ(text.error().code, Errc::bad_request);
    EXPECT_NE(text.error().message.find(phrase), std::string::npos) << text.error().message;
  }
}

}  // namespace
}  // namespace dkv
