// Where each key is sent: a topology made into a table from slots to peers, once per topology, so that a
// request costs one hash and one look-up.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/client/transport.hpp"
#include "topology/topology.hpp"

namespace dkv::client {

struct Route {
  ShardId shard;
  Peer primary;
  std::vector<Peer> members;  // the primary too: who may answer a ReadMode::replica get
};

class RouteTable {
 public:
  /// Errors: overloaded when the topology names more endpoints than the transport takes.
  static Result<RouteTable> make(TopologyPtr topology, Transport& transport);

  const Route& route_of(std::string_view key) const { return routes_[by_slot_[slot_of(key).value]]; }
  const TopologyPtr& topology() const { return topology_; }
  /// Every node of the topology.
  const std::vector<Peer>& nodes() const { return nodes_; }

 private:
  RouteTable() = default;

  TopologyPtr topology_;
  std::vector<Peer> nodes_;
  std::vector<Route> routes_;
  std::array<std::uint32_t, kSlotCount> by_slot_{};
};

}  // namespace dkv::client
