// Writes topology files: what `distrikv topology new` prints. What comes out is a start for a person to
// edit, and always loads with load_topology().
#pragma once

#include <cstdint>
#include <string>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

struct GenerateOptions {
  std::uint32_t shards = 1;
  std::uint32_t replicas = 0;  // of each shard
  std::string base;            // the IPv4 address of the first node
  StoreKind store = StoreKind::lmdb;
  Failover failover = Failover::standard;
};

/// Shards are shard-1, shard-2, … (padded with zeros to one width). Each has nodes of its own: its primary
/// has the shard's name, its replicas are shard-1-replica, shard-1-replica-2, … The first node gets the
/// base address and each following one the next, counted as a 32-bit number: all primaries first, then
/// every shard's first replica, and so on. All use the default ports. The first 5, 3 or 1 nodes in
/// this order are keepers.
///
/// Errors: bad_request when shards, replicas or nodes are out of range (1 to kMaxShards, 0 to kMaxReplicas,
/// at most kMaxNodes), when the base is not an IPv4 address that a node can have, and when the addresses
/// would leave its /8 network or reach that network's last address.
Result<std::string> generate_toml(const GenerateOptions& options);

}  // namespace dkv
