#include "topology/codec.hpp"

#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"
#include "topology/check.hpp"

namespace dkv {

namespace {

constexpr std::uint64_t kFormatVersion = 2;
/// What the cluster's id is made of.
constexpr std::uint64_t kIdentityFormat = 1;
/// "[", an IPv6 address or a hostname of at most 253, "]:65535"
constexpr std::size_t kMaxEndpointBytes = 261;
/// What the largest valid topology unpacks to, value by value: it bounds the memory of hostile input.
constexpr std::size_t kMaxTokens = 11 + kMaxNodes * 8 +
                                   kMaxShards * (11 + 2 * kMaxReplicas + 3 * (kMaxReplicas + 1)) + 5 * 4 +
                                   kSlotCount * 4;
constexpr std::uint64_t kMaxId = UINT32_MAX;

void pack_ids(Packer& out, const std::vector<NodeId>& ids) {
  out.array(ids.size());
  for (const NodeId id : ids) out.uint(id.value);
}

void pack_node(Packer& out, const NodeInfo& node) {
  out.array(7).uint(node.id.value).text(node.name);
  out.text(node.http).text(node.rpc).text(node.events).text(node.peer).text(node.watch);
}

void pack_members(Packer& out, const ShardInfo& shard) {
  out.uint(shard.id.value).text(shard.name).uint(shard.weight).uint(shard.primary.value);
  pack_ids(out, shard.replicas);
  pack_ids(out, shard.in_sync);
}

void pack_shard(Packer& out, const ShardInfo& shard) {
  out.array(10);
  pack_members(out, shard);
  out.uint(static_cast<std::uint64_t>(shard.store)).uint(shard.epoch.value).uint(shard.change);
  out.array(shard.folders.size());
  for (const MemberFolder& folder : shard.folders)
    out.array(2).uint(folder.node.value).uint(folder.incarnation);
}

void pack_shard_identity(Packer& out, const ShardInfo& shard) {
  const bool names_store = shard.store != StoreKind::lmdb;
  out.array(names_store ? 7 : 6);
  pack_members(out, shard);
  if (names_store) out.uint(static_cast<std::uint64_t>(shard.store));
}

/// The last field, and only where it is not the usual one.
bool names_failover(const Topology& topology) { return topology.failover != Failover::standard; }

void pack_failover(Packer& out, const Topology& topology) {
  if (names_failover(topology)) out.uint(static_cast<std::uint64_t>(topology.failover));
}

void pack_keeper(Packer& out, const Keeper& keeper) {
  out.array(3).uint(keeper.node.value).uint(keeper.incarnation).uint(keeper.since);
}

void pack_slots(Packer& out, const SlotMap& slots) {
  std::vector<std::size_t> firsts;
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    if (slot == 0 || slots[slot] != slots[slot - 1]) firsts.push_back(slot);
  }
  out.array(firsts.size());
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    const std::size_t next = i + 1 < firsts.size() ? firsts[i + 1] : kSlotCount;
    out.array(3).uint(firsts[i]).uint(next - 1).uint(slots[firsts[i]].value);
  }
}

NodeId unpack_node_id(Unpacker& in) { return NodeId{static_cast<std::uint32_t>(in.uint(kMaxId))}; }
ShardId unpack_shard_id(Unpacker& in) { return ShardId{static_cast<std::uint32_t>(in.uint(kMaxId))}; }

/// The size of an array, or 0 and a failure above `max`.
std::size_t unpack_count(Unpacker& in, std::size_t max) {
  const std::size_t count = in.array();
  if (count <= max) return count;
  in.fail();
  return 0;
}

std::vector<NodeId> unpack_ids(Unpacker& in, std::size_t max) {
  std::vector<NodeId> ids(unpack_count(in, max));
  for (NodeId& id : ids) id = unpack_node_id(in);
  return ids;
}

NodeInfo unpack_node(Unpacker& in) {
  NodeInfo node;
  in.array(7);
  node.id = unpack_node_id(in);
  node.name = in.bytes(kMaxNameBytes);
  for (std::string* endpoint : {&node.http, &node.rpc, &node.events, &node.peer, &node.watch}) {
    *endpoint = in.bytes(kMaxEndpointBytes);
  }
  return node;
}

ShardInfo unpack_shard(Unpacker& in) {
  ShardInfo shard;
  in.array(10);
  shard.id = unpack_shard_id(in);
  shard.name = in.bytes(kMaxNameBytes);
  shard.weight = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
  shard.primary = unpack_node_id(in);
  shard.replicas = unpack_ids(in, kMaxReplicas);
  shard.in_sync = unpack_ids(in, kMaxReplicas);
  shard.store = static_cast<StoreKind>(in.uint(static_cast<std::uint64_t>(StoreKind::memory)));
  shard.epoch = Epoch{in.uint()};
  shard.change = in.uint();
  shard.folders.resize(unpack_count(in, kMaxReplicas + 1));
  for (MemberFolder& folder : shard.folders) {
    in.array(2);
    folder.node = unpack_node_id(in);
    folder.incarnation = in.uint();
  }
  return shard;
}

Keeper unpack_keeper(Unpacker& in) {
  Keeper keeper;
  in.array(3);
  keeper.node = unpack_node_id(in);
  keeper.incarnation = in.uint();
  keeper.since = in.uint();
  return keeper;
}

/// The ranges follow one another without a gap, from slot 0 to the last, and none could be joined with
/// the one before it: one map has one encoding.
void unpack_slots(Unpacker& in, SlotMap& slots) {
  const std::size_t ranges = unpack_count(in, kSlotCount);
  std::size_t slot = 0;
  ShardId before;
  for (std::size_t i = 0; i < ranges && in.ok(); ++i) {
    in.array(3);
    const std::uint64_t first = in.uint();
    const std::uint64_t last = in.uint(kSlotCount - 1);
    const ShardId owner = unpack_shard_id(in);
    if (first != slot || last < first || owner == before) return in.fail();
    for (; slot <= last; ++slot) slots[slot] = owner;
    before = owner;
  }
  if (slot != kSlotCount) in.fail();
}

Error malformed() { return Error{Errc::bad_request, "topology: not the encoding of a topology"}; }

}  // namespace

std::string encode(const Topology& topology) {
  std::string bytes;
  Packer out(bytes);
  out.array(names_failover(topology) ? 10 : 9)
      .uint(kFormatVersion)
      .uint(topology.version)
      .uint(topology.change);
  out.uint(topology.id).text(topology.name).array(topology.nodes.size());
  for (const NodeInfo& node : topology.nodes) pack_node(out, node);
  out.array(topology.shards.size());
  for (const ShardInfo& shard : topology.shards) pack_shard(out, shard);
  out.array(topology.keepers.size());
  for (const Keeper& keeper : topology.keepers) pack_keeper(out, keeper);
  pack_slots(out, topology.slots);
  pack_failover(out, topology);
  return bytes;
}

std::uint64_t cluster_id_of(Topology topology) {
  for (NodeInfo& node : topology.nodes) {
    for (std::string* endpoint : {&node.http, &node.rpc, &node.events, &node.peer, &node.watch}) {
      endpoint->clear();
    }
  }
  std::string bytes;
  Packer out(bytes);
  out.array(names_failover(topology) ? 9 : 8)
      .uint(kIdentityFormat)
      .uint(topology.version)
      .uint(0)
      .text(topology.name);
  out.array(topology.nodes.size());
  for (const NodeInfo& node : topology.nodes) pack_node(out, node);
  out.array(topology.shards.size());
  for (const ShardInfo& shard : topology.shards) pack_shard_identity(out, shard);
  out.array(topology.keepers.size());
  for (const Keeper& keeper : topology.keepers) out.uint(keeper.node.value);
  pack_slots(out, topology.slots);
  pack_failover(out, topology);
  return XXH3_64bits(bytes.data(), bytes.size());
}

Result<Topology> decode_topology(std::string_view bytes) {
  Unpacker in;
  if (bytes.size() > kMaxTopologyBytes || !in.parse(bytes, kMaxTokens)) return malformed();
  const std::size_t fields = in.array();
  const std::uint64_t format = in.uint();
  if (!in.ok()) return malformed();
  if (format != kFormatVersion) {
    return Error{Errc::wrong_version,
                 "topology format " + std::to_string(format) + " is not known here, only 2"};
  }
  if (fields != 9 && fields != 10) return malformed();

  Topology topology;
  topology.version = in.uint();
  topology.change = in.uint();
  topology.id = in.uint();
  topology.name = in.bytes(kMaxNameBytes);
  topology.nodes.resize(unpack_count(in, kMaxNodes));
  for (NodeInfo& node : topology.nodes) node = unpack_node(in);
  topology.shards.resize(unpack_count(in, kMaxShards));
  for (ShardInfo& shard : topology.shards) shard = unpack_shard(in);
  topology.keepers.resize(unpack_count(in, kMaxKeepers));
  for (Keeper& keeper : topology.keepers) keeper = unpack_keeper(in);
  unpack_slots(in, topology.slots);
  if (fields == 10) {
    topology.failover = static_cast<Failover>(in.uint(static_cast<std::uint64_t>(Failover::fast)));
    if (!names_failover(topology)) in.fail();  // one topology has one encoding
  }
  if (!in.done()) return malformed();
  if (const Result<void> valid = check(topology); !valid) return valid.error();
  return topology;
}

}  // namespace dkv
