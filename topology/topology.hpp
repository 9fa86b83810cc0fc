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

/// How soon a replica takes over from a silent primary. All nodes of a cluster go by the same.
enum class Failover : std::uint8_t {
  standard = 0,
  fast = 1,
};

/// "standard", "fast".
const char* name_of(Failover failover);

/// A member's data folder, as the register knows it: a wiped disk is a new member.
struct MemberFolder {
  NodeId node;
  std::uint64_t incarnation = 0;  // never 0
  bool operator==(const MemberFolder&) const = default;
};

struct ShardInfo {
  ShardId id;
  std::string name;
  std::uint32_t weight = 1;  // its share of the slots, relative to the others'
  NodeId primary;
  std::vector<NodeId> replicas;  // every other member, in the order they were named
  std::vector<NodeId> in_sync;   // the replicas whose disks a committed write must have reached
  StoreKind store = StoreKind::lmdb;
  Epoch epoch{};             // the topology version in which its primary last began one; 0: not yet
  std::uint64_t change = 0;  // id of the change that made this what it is; 0: the file
  std::vector<MemberFolder> folders{};  // of those members that are known, ordered by node
  bool operator==(const ShardInfo&) const = default;
};

/// An acceptor of the register (see actors/keeper/). Which one is not said by its node alone: what kept its
/// promises is a folder, and one that was lost is another keeper, which knows nothing of them.
struct Keeper {
  NodeId node;
  std::uint64_t incarnation = 0;  // of its folder; 0: not known yet, in the file's topology alone
  std::uint64_t since = 1;        // the topology version that made this folder a keeper's
  bool operator==(const Keeper&) const = default;
};

/// The owner of each slot.
using SlotMap = std::array<ShardId, kSlotCount>;

struct Topology {
  std::uint64_t version = 1;
  std::uint64_t change = 0;  // id of the change that made it, unlike any other's; 0: the file's topology
  std::uint64_t id = 0;  // of the cluster: made from all of its first topology but addresses; never changes
  std::string name;
  std::vector<NodeInfo> nodes;    // ordered by id
  std::vector<ShardInfo> shards;  // ordered by id
  std::vector<Keeper> keepers;
  SlotMap slots{};
  Failover failover = Failover::standard;  // of the file; never changes

  /// nullptr when there is none.
  const NodeInfo* find_node(NodeId id) const;
  const NodeInfo* find_node(std::string_view name) const;
  const ShardInfo* find_shard(ShardId id) const;
  const ShardInfo* find_shard(std::string_view name) const;
  bool operator==(const Topology&) const = default;
};

/// Whether a node has a copy of the shard, whichever part it has.
bool is_member(const ShardInfo& shard, NodeId node);

using TopologyPtr = std::shared_ptr<const Topology>;

/// The slot of a key: XXH3-64 of its hash part, modulo 16384. The hash part is what stands between the
/// first '{' and the next '}', or the whole key where that is absent or empty (Redis Cluster's rule:
/// https://redis.io/docs/reference/cluster-spec/, "Hash tags").
SlotId slot_of(std::string_view key);

}  // namespace dkv
