#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "topology/topology.hpp"

namespace dkv {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(Slot, AgreesWithTheVectorsThatOtherLanguagesUse) {
  std::ifstream file(TOPOLOGY_FOLDER "/slot_vectors.json");
  const nlohmann::json vectors = nlohmann::json::parse(file).at("vectors");
  ASSERT_GE(vectors.size(), 12u);
  for (const nlohmann::json& vector : vectors) {
    const std::string key = from_hex(vector.at("key_hex"));
    EXPECT_EQ(slot_of(key).value, vector.at("slot").get<unsigned>()) << vector.dump();
  }
}

TEST(Slot, IsThatOfTheTagBetweenTheFirstBraces) {
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("}a{tag}"), slot_of("tag"));
}

TEST(Slot, IsThatOfTheWholeKeyWithoutATag) {
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar"));
  EXPECT_NE(slot_of("{unclosed"), slot_of("unclosed"));
  EXPECT_LT(slot_of("").value, kSlotCount);
}

TEST(Topology, FindsByIdAndByName) {
  Topology topology;
  for (const std::uint32_t id : {2u, 5u, 9u}) {
    topology.nodes.push_back(NodeInfo{NodeId{id}, "node-" + std::to_string(id), {}, {}, {}, {}, {}});
    topology.shards.push_back(ShardInfo{ShardId{id}, "shard-" + std::to_string(id), 1, NodeId{id}, {}, {}});
  }
  EXPECT_EQ(topology.find_node(NodeId{5})->name, "node-5");
  EXPECT_EQ(topology.find_node("node-9")->id, NodeId{9});
  EXPECT_EQ(topology.find_shard(ShardId{2})->name, "shard-2");
  EXPECT_EQ(topology.find_shard("shard-5")->id, ShardId{5});
  for (const std::uint32_t id : {0u, 1u, 3u, 10u}) {
    EXPECT_EQ(topology.find_node(NodeId{id}), nullptr);
    EXPECT_EQ(topology.find_shard(ShardId{id}), nullptr);
  }
  EXPECT_EQ(topology.find_node("shard-5"), nullptr);
  EXPECT_EQ(topology.find_shard("node-5"), nullptr);
}

}  // namespace
}  // namespace dkv
