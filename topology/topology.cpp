#include "topology/topology.hpp"

#include <algorithm>
#include <xxhash.h>

#include "topology/members.hpp"

namespace dkv {

namespace {

/// Of items ordered by id.
template <class Item, class Id>
const Item* find_by_id(const std::vector<Item>& items, Id id) {
  const auto found = std::lower_bound(items.begin(), items.end(), id,
                                      [](const Item& item, Id wanted) { return item.id < wanted; });
  return found != items.end() && found->id == id ? &*found : nullptr;
}

template <class Item>
const Item* find_by_name(const std::vector<Item>& items, std::string_view name) {
  const auto found =
      std::find_if(items.begin(), items.end(), [name](const Item& item) { return item.name == name; });
  return found != items.end() ? &*found : nullptr;
}

std::string_view hash_part(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const std::size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

}  // namespace

const char* name_of(StoreKind kind) { return kind == StoreKind::memory ? "memory" : "lmdb"; }

const char* name_of(Failover failover) { return failover == Failover::fast ? "fast" : "standard"; }

const NodeInfo* Topology::find_node(NodeId node) const { return find_by_id(nodes, node); }
const NodeInfo* Topology::find_node(std::string_view node) const { return find_by_name(nodes, node); }
const ShardInfo* Topology::find_shard(ShardId shard) const { return find_by_id(shards, shard); }
const ShardInfo* Topology::find_shard(std::string_view shard) const { return find_by_name(shards, shard); }

bool is_member(const ShardInfo& shard, NodeId node) {
  return shard.primary == node || contains(shard.replicas, node);
}

SlotId slot_of(std::string_view key) {
  const std::string_view part = hash_part(key);
  return SlotId{static_cast<std::uint16_t>(XXH3_64bits(part.data(), part.size()) % kSlotCount)};
}

}  // namespace dkv
