#include "topology/check.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "topology/endpoint.hpp"
#include "topology/placement.hpp"

namespace dkv {

namespace {

using Names = std::set<std::string_view>;

Error broken(const std::string& rule) { return Error{Errc::bad_request, "topology: " + rule}; }

/// Adds to `seen`; false when `item` was there.
template <class Set, class Item>
bool add(Set& seen, const Item& item) {
  return seen.insert(item).second;
}

Result<void> check_name(const std::string& what, const std::string& name, Names& seen) {
  if (!is_name(name)) return broken(what + " has no valid name");
  if (!add(seen, name)) return broken(what + " '" + name + "' is there twice");
  return {};
}

Result<void> check_nodes(const std::vector<NodeInfo>& nodes) {
  if (nodes.empty() || nodes.size() > kMaxNodes) return broken("no nodes, or too many");
  Names names;
  Names endpoints;
  NodeId before;
  for (const NodeInfo& node : nodes) {
    if (node.id <= before) return broken("node ids are not ordered from 1 on");
    before = node.id;
    if (auto named = check_name("node", node.name, names); !named) return named;
    for (const std::string* endpoint : {&node.http, &node.rpc, &node.events, &node.peer, &node.watch}) {
      if (!parse_endpoint(*endpoint))
        return broken("node '" + node.name + "' has an endpoint that is not host:port");
      if (!add(endpoints, *endpoint)) return broken("endpoint " + *endpoint + " is there twice");
    }
  }
  return {};
}

Result<void> check_members(const Topology& topology, const ShardInfo& shard) {
  const std::string who = "shard '" + shard.name + "'";
  if (shard.replicas.size() > kMaxReplicas) return broken(who + " has too many replicas");
  std::set<NodeId> members{shard.primary};
  for (const NodeId replica : shard.replicas) {
    if (!add(members, replica)) return broken(who + " has a node twice");
  }
  for (const NodeId member : members) {
    if (topology.find_node(member) == nullptr) return broken(who + " has an unknown node");
  }
  std::set<NodeId> in_sync;
  for (const NodeId replica : shard.in_sync) {
    const bool known = replica != shard.primary && members.count(replica) == 1;
    if (!known || !add(in_sync, replica))
      return broken(who + " has an in-sync set that is no set of its replicas");
  }
  return {};
}

/// What the register adds to a shard.
Result<void> check_register_part(const Topology& topology, const ShardInfo& shard) {
  const std::string who = "shard '" + shard.name + "'";
  if (shard.epoch.value > topology.version) return broken(who + " has an epoch above the topology's version");
  NodeId before;
  for (const MemberFolder& folder : shard.folders) {
    if (!is_member(shard, folder.node) || folder.node <= before || folder.incarnation == 0)
      return broken(who + " has folders that are not its members' in order");
    before = folder.node;
  }
  return {};
}

Result<void> check_shards(const Topology& topology) {
  if (topology.shards.empty() || topology.shards.size() > kMaxShards) return broken("no shards, or too many");
  Names names;
  ShardId before;
  for (const ShardInfo& shard : topology.shards) {
    if (shard.id <= before) return broken("shard ids are not ordered from 1 on");
    before = shard.id;
    if (auto named = check_name("shard", shard.name, names); !named) return named;
    if (shard.weight < 1 || shard.weight > kMaxWeight)
      return broken("shard '" + shard.name + "' has a weight out of range");
    if (auto members = check_members(topology, shard); !members) return members;
    if (auto added = check_register_part(topology, shard); !added) return added;
  }
  return {};
}

Result<void> check_keepers(const Topology& topology) {
  if (!is_keeper_count(topology.keepers.size())) return broken("keepers are not 1, 3 or 5");
  std::set<NodeId> seen;
  const bool of_the_register = topology.change != 0;
  if (!of_the_register && topology.version != 1) return broken("a version above 1 was made by no change");
  for (const Keeper& keeper : topology.keepers) {
    if (topology.find_node(keeper.node) == nullptr) return broken("a keeper is an unknown node");
    if (!add(seen, keeper.node)) return broken("a keeper is there twice");
    if (of_the_register != (keeper.incarnation != 0)) return broken("a keeper's folder is not known");
    if (keeper.since < 1 || keeper.since > topology.version)
      return broken("a keeper is one since no version of this topology");
  }
  return {};
}

Result<void> check_slots(const Topology& topology) {
  ShardId known;  // neighbours mostly have the same owner
  for (const ShardId owner : topology.slots) {
    if (owner == known && owner != ShardId{}) continue;
    if (topology.find_shard(owner) == nullptr) return broken("a slot has no owner, or an unknown one");
    known = owner;
  }
  return {};
}

}  // namespace

bool is_name(std::string_view text) {
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kMaxNameBytes && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_keeper_count(std::size_t count) { return count == 1 || count == 3 || count == 5; }

Result<void> check(const Topology& topology) {
  if (topology.version == 0) return broken("versions begin at 1");
  if (!is_name(topology.name)) return broken("the cluster has no valid name");
  // Nodes first: what follows looks them up by id, which needs their order.
  if (auto nodes = check_nodes(topology.nodes); !nodes) return nodes;
  if (auto shards = check_shards(topology); !shards) return shards;
  if (auto keepers = check_keepers(topology); !keepers) return keepers;
  return check_slots(topology);
}

}  // namespace dkv
