#include "gateway/client/route_table.hpp"

#include <map>

namespace dkv::client {

Result<RouteTable> RouteTable::make(TopologyPtr topology, Transport& transport) {
  RouteTable table;
  std::map<NodeId, Peer> peers;
  for (const NodeInfo& node : topology->nodes) {
    const auto peer = transport.peer(node.rpc);
    if (!peer) return peer.error();
    peers.emplace(node.id, *peer);
    table.nodes_.push_back(*peer);
  }
  std::map<ShardId, std::uint32_t> places;
  for (const ShardInfo& shard : topology->shards) {
    Route route{shard.id, peers.at(shard.primary), {peers.at(shard.primary)}};
    for (const NodeId replica : shard.replicas) route.members.push_back(peers.at(replica));
    places.emplace(shard.id, static_cast<std::uint32_t>(table.routes_.size()));
    table.routes_.push_back(std::move(route));
  }
  // Both look-ups hold for every topology that decode_topology() accepts.
  for (std::size_t slot = 0; slot < kSlotCount; ++slot)
    table.by_slot_[slot] = places.at(topology->slots[slot]);
  table.topology_ = std::move(topology);
  return table;
}

}  // namespace dkv::client
