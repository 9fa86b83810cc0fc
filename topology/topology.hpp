// The topology: who is in the cluster, which shard owns which slot, and who is its primary. One
// versioned, immutable value: it reaches actors only as a message, and a change is a new value.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"

namespace dkv {

inline constexpr std::size_t kSlotCount = 16384;

struct NodeInfo {
  NodeId id;
  std::string name;
  // Each "host:port".
  std::string http;
  std::string rpc;
  std::string events;
  std::string peer;
  std::string watch;
  bool operator==(const NodeInfo&) const = default;
};

/// Where a shard's members keep its records and its log.
enum class StoreKind : std::uint8_t {
  lmdb = 0,    ///< on disk
  memory = 1,  ///< in memory: volatile, a restarted member takes a copy from another one
};

/// "lmdb", "memory".
const char* name_of(StoreKind kind);

struct ShardInfo {
  ShardId id;
  std::string name;
  std::uint32_t weight = 1;  // its share of the slots, relative to the others'
  NodeId primary;
  std::vector<NodeId> replicas;  // every other member, in the order they were named
  std::vector<NodeId> in_sync;   // the replicas whose disks a committed write must have reached
  StoreKind store = StoreKind::lmdb;
  bool operator==(const ShardInfo&) const = default;
};

/// The owner of each slot.
using SlotMap = std::array<ShardId, kSlotCount>;

struct Topology {
  std::uint64_t version = 1;
  std::uint64_t id = 0;  // of the cluster: made from all of its first topology but addresses; never changes
  std::string name;
  std::vector<NodeInfo> nodes;    // ordered by id
  std::vector<ShardInfo> shards;  // ordered by id
  std::vector<NodeId> keepers;
  SlotMap slots{};

  /// nullptr when there is none.
  const NodeInfo* find_node(NodeId id) const;
  const NodeInfo* find_node(std::string_view name) const;
  const ShardInfo* find_shard(ShardId id) const;
  const ShardInfo* find_shard(std::string_view name) const;
  bool operator==(const Topology&) const = default;
};

using TopologyPtr = std::shared_ptr<const Topology>;

/// The slot of a key: XXH3-64 of its hash part, modulo 16384. The hash part is what stands between the
/// first '{' and the next '}', or the whole key where that is absent or empty (Redis Cluster's rule:
/// https://redis.io/docs/reference/cluster-spec/, "Hash tags").
SlotId slot_of(std::string_view key);

}  // namespace dkv
