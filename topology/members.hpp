// What is asked about the members of a shard, of a state of it that is known.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "messages/operation.hpp"
#include "topology/topology.hpp"

namespace dkv {

inline bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

/// The node's folder as the register knows it; nullptr when it knows none.
inline const MemberFolder* folder_of(const ShardInfo& shard, NodeId node) {
  const auto found = std::find_if(shard.folders.begin(), shard.folders.end(),
                                  [&](const MemberFolder& folder) { return folder.node == node; });
  return found == shard.folders.end() ? nullptr : &*found;
}

/// Whether it is this one that the register knows: what any other had counts for nothing.
inline bool knows_folder(const ShardInfo& shard, NodeId node, std::uint64_t incarnation) {
  const MemberFolder* folder = folder_of(shard, node);
  return folder != nullptr && folder->incarnation == incarnation;
}

/// Where all of a shard's keys live: what is told to who has asked another node.
inline Moved to_primary(const Topology& topology, const ShardInfo& shard) {
  const NodeInfo* primary = topology.find_node(shard.primary);
  DKV_ASSERT(primary != nullptr);
  return {shard.id, shard.name, primary->name, primary->rpc, primary->http, topology.version};
}

}  // namespace dkv
