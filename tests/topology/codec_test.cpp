#include "topology/codec.hpp"

#include <array>
#include <functional>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <set>

#include "messages/pack.hpp"
#include "topology/check.hpp"
#include "topology/placement.hpp"

namespace dkv {
namespace {

/// `nodes` nodes and as many shards, in a ring, with `replicas` replicas each.
Topology ring(std::uint32_t nodes, std::uint32_t replicas) {
  Topology topology;
  topology.version = 7;
  topology.change = 0xc0ffee;
  topology.id = 0xfedcba9876543210u;
  topology.name = "test";
  std::vector<PlacementShard> placed;
  for (std::uint32_t id = 1; id <= nodes; ++id) {
    const std::string host = "h" + std::to_string(id) + ":";
    topology.nodes.push_back({NodeId{id}, "node-" + std::to_string(id), host + "1", host + "2", host + "3",
                              host + "4", host + "5"});
    ShardInfo shard{ShardId{id}, "shard-" + std::to_string(id), 1 + id % 3, NodeId{id}, {}, {}};
    for (std::uint32_t r = 1; r <= replicas; ++r) shard.replicas.push_back(NodeId{(id + r - 1) % nodes + 1});
    if (id % 2 == 0) shard.store = StoreKind::memory;
    if (replicas > 0) shard.in_sync = {shard.replicas.back()};
    if (id % 3 == 0) shard.folders = {{shard.primary, id + 100}};
    shard.epoch = Epoch{id % 8};
    shard.change = id * 77;
    placed.push_back({shard.id, shard.name, shard.weight});
    topology.shards.push_back(std::move(shard));
  }
  for (std::uint32_t id = 1; id <= (nodes >= 3 ? 3u : 1u); ++id)
    topology.keepers.push_back({NodeId{id}, id + 1000, id});
  topology.slots = place(placed);
  return topology;
}

TEST(TopologyCodec, ComesBackAsItWas) {
  EXPECT_TRUE(rc::check([] {
    const auto nodes = *rc::gen::inRange(1u, 65u);
    Topology topology = ring(nodes, *rc::gen::inRange(0u, std::min(nodes, 5u)));
    topology.version = *rc::gen::inRange<std::uint64_t>(7, UINT64_MAX);
    topology.change = *rc::gen::inRange<std::uint64_t>(1, UINT64_MAX);
    topology.id = *rc::gen::arbitrary<std::uint64_t>();
    topology.failover = *rc::gen::element(Failover::standard, Failover::fast);
    const Result<Topology> decoded = decode_topology(encode(topology));
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == topology);
  }));
}

TEST(TopologyCodec, HoldsTheLargestTopology) {
  Topology topology = ring(kMaxNodes, kMaxReplicas);
  for (ShardInfo& shard : topology.shards) {
    shard.in_sync = shard.replicas;
    shard.epoch = Epoch{UINT64_MAX};
    shard.change = UINT64_MAX;
    std::set<NodeId> members(shard.replicas.begin(), shard.replicas.end());
    members.insert(shard.primary);
    shard.folders.clear();
    for (const NodeId member : members) shard.folders.push_back({member, UINT64_MAX});
  }
  topology.version = topology.change = UINT64_MAX;
  topology.keepers.clear();
  for (std::uint32_t id = 1; id <= kMaxKeepers; ++id)
    topology.keepers.push_back({NodeId{id}, UINT64_MAX, UINT64_MAX});
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {  // no range is longer than one slot
    topology.slots[slot] = ShardId{static_cast<std::uint32_t>(slot % kMaxShards + 1)};
  }
  for (NodeInfo& node : topology.nodes) {
    node.name += std::string(kMaxNameBytes - node.name.size(), 'x');
    std::string host = node.name;
    while (host.size() < 252) host += ".x";
    for (std::string* endpoint : {&node.http, &node.rpc, &node.events, &node.peer, &node.watch}) {
      *endpoint = host + ":6000" + endpoint->back();
    }
  }
  const Result<Topology> decoded = decode_topology(encode(topology));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, topology);
}

TEST(TopologyCodec, TheClustersIdDependsOnNothingThatTheRegisterAdds) {
  Topology topology = ring(5, 2);
  topology.version = 1;
  const std::uint64_t id = cluster_id_of(topology);
  topology.id = 1;
  topology.change = 99;
  for (Keeper& keeper : topology.keepers) keeper = {keeper.node, 4711, 1};
  for (ShardInfo& shard : topology.shards) {
    shard.epoch = Epoch{1};
    shard.change = 98;
    shard.folders = {{shard.primary, 1}};
  }
  topology.nodes[0].http = "moved:1";
  EXPECT_EQ(cluster_id_of(topology), id);
  Topology fast = topology;
  fast.failover = Failover::fast;
  EXPECT_NE(cluster_id_of(fast), id);
  topology.keepers[0].node = NodeId{4};
  EXPECT_NE(cluster_id_of(topology), id);
}

TEST(TopologyCodec, RefusesAnotherVersionByName) {
  std::string bytes = encode(ring(2, 1));
  ASSERT_EQ(bytes[1], 2);  // behind the array's header
  bytes[1] = 1;
  const Result<Topology> decoded = decode_topology(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::wrong_version);
}

TEST(TopologyCodec, NamesTheFailoverOnlyWhereItIsNotTheUsualOne) {
  Topology topology = ring(2, 1);
  std::string usual = encode(topology);
  topology.failover = Failover::fast;
  const std::string fast = encode(topology);
  EXPECT_EQ(fast.size(), usual.size() + 1);
  usual[0] = fast[0];  // ten fields
  EXPECT_FALSE(decode_topology(usual + '\0'));
  EXPECT_TRUE(decode_topology(usual + '\1'));
  EXPECT_FALSE(decode_topology(usual + '\2'));
}

TEST(TopologyCodec, RefusesEveryTruncationAndEveryTrailingByte) {
  const std::string bytes = encode(ring(3, 2));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_topology(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_topology(bytes + '\0'));
  EXPECT_FALSE(decode_topology(bytes + bytes));
}

TEST(TopologyCodec, SurvivesAnyMutation) {
  EXPECT_TRUE(rc::check([] {
    std::string bytes = encode(ring(3, 2));
    const auto changes = *rc::gen::inRange(1, 6);
    for (int i = 0; i < changes; ++i)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
    const Result<Topology> decoded = decode_topology(bytes);
    // What is accepted keeps every rule; and nothing crashed, which the sanitizers watch.
    if (decoded) RC_ASSERT(check(*decoded).has_value());
  }));
}

TEST(TopologyCodec, SurvivesArbitraryBytes) {
  EXPECT_TRUE(rc::check([](const std::vector<char>& bytes) {
    RC_ASSERT(!decode_topology(std::string_view(bytes.data(), bytes.size())).has_value());
  }));
}

TEST(TopologyCodec, RefusesClaimsAboveItsLimitsWithoutAllocating) {
  const std::string header = "\x99\x02\x01\x00\x01\xa1t";
  using namespace std::string_literals;
  for (const std::string& claim :
       {"\xdd\xff\xff\xff\xff"s, "\xdc\xff\xff"s, "\xdb\xff\xff\xff\xff"s, "\xc6\xff\xff\xff\xff"s}) {
    EXPECT_FALSE(decode_topology(claim));
    EXPECT_FALSE(decode_topology(header + claim));
  }
  EXPECT_FALSE(decode_topology(std::string(5u << 20, '\x91')));
  std::string empties;
  Packer(empties).array(1'000'000);
  EXPECT_FALSE(decode_topology(empties + std::string(1'000'000, '\x90')));
}

/// What each rule says no to. The phrase is in the error's message.
TEST(TopologyCodec, RefusesWhatBreaksARule) {
  using Change = std::function<void(Topology&)>;
  const std::pair<std::string, Change> cases[] = {
      {"versions begin at 1", [](Topology& t) { t.version = 0; }},
      {"cluster has no valid name", [](Topology& t) { t.name = ""; }},
      {"no nodes", [](Topology& t) { t.nodes.clear(); }},
      {"node ids are not ordered", [](Topology& t) { std::swap(t.nodes[0], t.nodes[1]); }},
      {"node ids are not ordered", [](Topology& t) { t.nodes[1].id = t.nodes[0].id; }},
      {"node ids are not ordered", [](Topology& t) { t.nodes[0].id = NodeId{0}; }},
      {"node has no valid name", [](Topology& t) { t.nodes[0].name = "Delhi"; }},
      {"node 'node-1' is there twice", [](Topology& t) { t.nodes[1].name = "node-1"; }},
      {"not host:port", [](Topology& t) { t.nodes[0].watch = "h1"; }},
      {"h1:1 is there twice", [](Topology& t) { t.nodes[1].peer = "h1:1"; }},
      {"no shards", [](Topology& t) { t.shards.clear(); }},
      {"shard ids are not ordered", [](Topology& t) { std::swap(t.shards[0], t.shards[1]); }},
      {"shard has no valid name", [](Topology& t) { t.shards[0].name = "a b"; }},
      {"shard 'shard-1' is there twice", [](Topology& t) { t.shards[2].name = "shard-1"; }},
      {"weight out of range", [](Topology& t) { t.shards[0].weight = 0; }},
      {"weight out of range", [](Topology& t) { t.shards[0].weight = 1001; }},
      {"unknown node", [](Topology& t) { t.shards[0].primary = NodeId{9}; }},
      {"unknown node", [](Topology& t) { t.shards[0].replicas[0] = NodeId{9}; }},
      {"has a node twice", [](Topology& t) { t.shards[0].replicas[0] = t.shards[0].primary; }},
      {"in-sync", [](Topology& t) { t.shards[0].in_sync = {t.shards[0].primary}; }},
      {"in-sync", [](Topology& t) { t.shards[0].in_sync = {NodeId{9}}; }},
      {"in-sync",
       [](Topology& t) {
         t.shards[0].in_sync = {NodeId{2}, NodeId{2}};
       }},
      {"keepers are not 1, 3 or 5", [](Topology& t) { t.keepers.clear(); }},
      {"keepers are not 1, 3 or 5", [](Topology& t) { t.keepers.pop_back(); }},
      {"keeper is there twice", [](Topology& t) { t.keepers[2] = t.keepers[0]; }},
      {"keeper is an unknown node", [](Topology& t) { t.keepers[0].node = NodeId{9}; }},
      {"keeper's folder is not known", [](Topology& t) { t.keepers[0].incarnation = 0; }},
      {"keeper's folder is not known",
       [](Topology& t) {
         t.version = 1, t.change = 0;
         for (ShardInfo& shard : t.shards) shard.epoch = {};
       }},
      {"made by no change", [](Topology& t) { t.change = 0; }},
      {"since no version", [](Topology& t) { t.keepers[0].since = 0; }},
      {"since no version", [](Topology& t) { t.keepers[0].since = 8; }},
      {"epoch above", [](Topology& t) { t.shards[0].epoch = Epoch{8}; }},
      {"folders", [](Topology& t) { t.shards[2].folders[0].incarnation = 0; }},
      {"folders", [](Topology& t) { t.shards[2].folders[0].node = NodeId{2}; }},
      {"folders", [](Topology& t) { t.shards[2].folders.push_back(t.shards[2].folders[0]); }},
      {"slot has no owner", [](Topology& t) { t.slots[100] = ShardId{9}; }},
      {"slot has no owner", [](Topology& t) { t.slots[16383] = ShardId{9}; }},
      {"not the encoding", [](Topology& t) { t.slots[0] = ShardId{0}; }},
      {"not the encoding", [](Topology& t) { t.name = std::string(64, 'a'); }},
  };
  for (const auto& [phrase, change] : cases) {
    Topology topology = ring(3, 1);
    change(topology);
    const Result<Topology> decoded = decode_topology(encode(topology));
    ASSERT_FALSE(decoded) << phrase;
    EXPECT_EQ(decoded.error().code, Errc::bad_request);
    EXPECT_NE(decoded.error().message.find(phrase), std::string::npos) << decoded.error().message;
  }
}

/// A topology of one shard whose slots are the given ranges.
std::string with_ranges(const std::vector<std::array<std::uint64_t, 3>>& ranges) {
  const Topology topology = ring(1, 0);
  std::string bytes = encode(topology);
  std::string whole;
  Packer(whole).array(1).array(3).uint(0).uint(kSlotCount - 1).uint(1);
  EXPECT_TRUE(bytes.ends_with(whole));
  bytes.resize(bytes.size() - whole.size());
  Packer out(bytes);
  out.array(ranges.size());
  for (const auto& [first, last, shard] : ranges) out.array(3).uint(first).uint(last).uint(shard);
  return bytes;
}

TEST(TopologyCodec, RefusesRangesThatDoNotCoverEverySlotOnce) {
  EXPECT_TRUE(decode_topology(with_ranges({{0, 16383, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16382, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{1, 16383, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16384, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, UINT64_MAX, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16383, 1}, {16384, 16384, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16383, 1}, {0, 16383, 1}})));
  // Joinable ranges: a second spelling of the same map.
  EXPECT_FALSE(decode_topology(with_ranges({{0, 99, 1}, {100, 16383, 1}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16383, 0}})));
  EXPECT_FALSE(decode_topology(with_ranges({{0, 16383, std::uint64_t{1} << 32 | 1}})));
}

}  // namespace
}  // namespace dkv
