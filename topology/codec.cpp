#include "topology/codec.hpp"

#include "messages/pack.hpp"
#include "messages/unpack.hpp"
#include "topology/check.hpp"

namespace dkv {

namespace {

constexpr std::uint64_t kFormatVersion = 1;
/// "[", an IPv6 address or a hostname of at most 253, "]:65535"
constexpr std::size_t kMaxEndpointBytes = 261;
/// What the largest valid topology unpacks to, value by value: it bounds the memory of hostile input.
constexpr std::size_t kMaxTokens =
    9 + kMaxNodes * 8 + kMaxShards * (8 + 2 * kMaxReplicas) + 5 + kSlotCount * 4;
/// Above the bytes of the largest valid topology (some 1.7 MB); refuses the rest unread.
constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
constexpr std::uint64_t kMaxId = UINT32_MAX;

void pack_ids(Packer& out, const std::vector<NodeId>& ids) {
  out.array(ids.size());
  for (const NodeId id : ids) out.uint(id.value);
}

void pack_node(Packer& out, const NodeInfo& node) {
  out.array(7).uint(node.id.value).text(node.name);
  out.text(node.http).text(node.rpc).text(node.events).text(node.peer).text(node.watch);
}

void pack_shard(Packer& out, const ShardInfo& shard) {
  // The usual store goes without saying: so clusters without the other one keep their encoding, and their id.
  const bool names_store = shard.store != StoreKind::lmdb;
  out.array(names_store ? 7 : 6).uint(shard.id.value).text(shard.name).uint(shard.weight);
  out.uint(shard.primary.value);
  pack_ids(out, shard.replicas);
  pack_ids(out, shard.in_sync);
  if (names_store) out.uint(static_cast<std::uint64_t>(shard.store));
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
  const std::size_t fields = in.array();
  if (fields != 6 && fields != 7) in.fail();
  shard.id = unpack_shard_id(in);
  shard.name = in.bytes(kMaxNameBytes);
  shard.weight = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
  shard.primary = unpack_node_id(in);
  shard.replicas = unpack_ids(in, kMaxReplicas);
  shard.in_sync = unpack_ids(in, kMaxReplicas);
  if (fields == 7 && in.uint() != static_cast<std::uint64_t>(StoreKind::memory)) in.fail();
  if (fields == 7) shard.store = StoreKind::memory;
  return shard;
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
  out.array(8).uint(kFormatVersion).uint(topology.version).uint(topology.id).text(topology.name);
  out.array(topology.nodes.size());
  for (const NodeInfo& node : topology.nodes) pack_node(out, node);
  out.array(topology.shards.size());
  for (const ShardInfo& shard : topology.shards) pack_shard(out, shard);
  pack_ids(out, topology.keepers);
  pack_slots(out, topology.slots);
  return bytes;
}

Result<Topology> decode_topology(std::string_view bytes) {
  Unpacker in;
  if (bytes.size() > kMaxBytes || !in.parse(bytes, kMaxTokens)) return malformed();
  const std::size_t fields = in.array();
  const std::uint64_t format = in.uint();
  if (!in.ok()) return malformed();
  if (format != kFormatVersion) {
    return Error{Errc::wrong_version,
                 "topology format " + std::to_string(format) + " is not known here, only 1"};
  }
  if (fields != 8) return malformed();

  Topology topology;
  topology.version = in.uint();
  topology.id = in.uint();
  topology.name = in.bytes(kMaxNameBytes);
  topology.nodes.resize(unpack_count(in, kMaxNodes));
  for (NodeInfo& node : topology.nodes) node = unpack_node(in);
  topology.shards.resize(unpack_count(in, kMaxShards));
  for (ShardInfo& shard : topology.shards) shard = unpack_shard(in);
  topology.keepers = unpack_ids(in, kMaxNodes);
  unpack_slots(in, topology.slots);
  if (!in.done()) return malformed();
  if (const Result<void> valid = check(topology); !valid) return valid.error();
  return topology;
}

}  // namespace dkv
