#include "gateway/http/json.hpp"

#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace dkv::http {

namespace {

using Json = nlohmann::ordered_json;

std::string text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// A cluster's or a change's, as node.json writes it: 16 hex digits in a string. A JSON number over 2^53 is
/// rounded by JavaScript and by all else that reads numbers as doubles.
std::string hex_id(std::uint64_t id) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016" PRIx64, id);
  return digits;
}

Json error(std::string_view code, std::string_view message) {
  return {{"error", {{"code", code}, {"message", message}}}};
}

Json replica_json(const ReplicaStatus& replica) {
  return {
      {"node", replica.node},          {"in_sync", replica.in_sync},       {"counted", replica.counted},
      {"heard", replica.heard},        {"durable", replica.durable.value}, {"lag_events", replica.lag_events},
      {"silent_ms", replica.silent_ms}};
}

Json member_json(const MemberStatus& member) {
  Json json = {{"shard", member.shard_name},
               {"shard_id", member.shard.value},
               {"role", member.primary ? "primary" : "replica"},
               {"ready", member.ready},
               {"state", member.state},
               {"problem", member.problem},
               {"epoch", member.epoch.value},
               {"head", member.head.value},
               {"durable", member.durable.value},
               {"commit", member.commit.value},
               {"applied", member.applied.value},
               {"lag_events", member.lag_events},
               {"gaps_repaired", member.gaps_repaired},
               {"copied_records", member.copied_records},
               {"copied_bytes", member.copied_bytes},
               {"volatile", member.is_volatile},
               {"leased", member.leased},
               {"lease_ms", member.lease_ms},
               {"replicas", Json::array()}};
  for (const auto& replica : member.replicas) json["replicas"].push_back(replica_json(replica));
  return json;
}

std::string why_not_ready(const NodeStatus& status) {
  std::string why;
  for (const auto& member : status.members) {
    if (member.ready) continue;
    why += (why.empty() ? "" : "; ") + std::string("shard ") + member.shard_name +
           (member.primary ? " (primary): " : " (replica): ") + member.state;
    if (!member.problem.empty()) why += ", " + member.problem;
  }
  return why.empty() ? "the node has no current topology yet" : why;
}

std::string name_of_node(const Topology& topology, NodeId id) {
  const auto* node = topology.find_node(id);
  return node ? node->name : std::to_string(id.value);
}

Json names(const Topology& topology, const std::vector<NodeId>& ids) {
  Json list = Json::array();
  for (const auto id : ids) list.push_back(name_of_node(topology, id));
  return list;
}

Json keeper_names(const Topology& topology) {
  std::vector<NodeId> nodes;
  for (const Keeper& keeper : topology.keepers) nodes.push_back(keeper.node);
  return names(topology, nodes);
}

/// [[first, last], …] in order.
Json slot_ranges(const Topology& topology, ShardId shard) {
  Json ranges = Json::array();
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    if (topology.slots[slot] != shard) continue;
    const std::size_t first = slot;
    while (slot + 1 < kSlotCount && topology.slots[slot + 1] == shard) ++slot;
    ranges.push_back(Json::array({first, slot}));
  }
  return ranges;
}

Json shard_json(const Topology& topology, const ShardInfo& shard) {
  const auto count = std::count(topology.slots.begin(), topology.slots.end(), shard.id);
  return {{"id", shard.id.value},
          {"name", shard.name},
          {"weight", shard.weight},
          {"store", name_of(shard.store)},
          {"epoch", shard.epoch.value},
          {"primary", name_of_node(topology, shard.primary)},
          {"replicas", names(topology, shard.replicas)},
          {"in_sync", names(topology, shard.in_sync)},
          {"slot_count", count},
          {"slots", slot_ranges(topology, shard.id)}};
}

Json node_json(const NodeInfo& node) {
  return {{"id", node.id.value},   {"name", node.name}, {"http", node.http},  {"rpc", node.rpc},
          {"events", node.events}, {"peer", node.peer}, {"watch", node.watch}};
}

}  // namespace

std::string error_json(std::string_view code, std::string_view message) { return text(error(code, message)); }

std::string not_ready_json(const NodeStatus& status) {
  Json json = error("unavailable", "not ready: " + why_not_ready(status));
  json["node"] = status.node;
  json["ready"] = false;
  json["not_ready"] = Json::array();
  for (const auto& member : status.members) {
    if (!member.ready) json["not_ready"].push_back(member_json(member));
  }
  return text(json);
}

std::string status_json(const NodeStatus& status) {
  Json json = {{"node", status.node},
               {"version", status.version},
               {"topology_version", status.topology_version},
               {"topology_change", hex_id(status.topology_change)},
               {"ready", status.ready},
               {"isolated", status.isolated},
               {"keepers", Json::array()},
               {"members", Json::array()}};
  for (const auto& keeper : status.keepers)
    json["keepers"].push_back(
        {{"node", keeper.node}, {"reached", keeper.reached}, {"silent_ms", keeper.silent_ms}});
  for (const auto& member : status.members) json["members"].push_back(member_json(member));
  return text(json, 2);
}

std::string topology_json(const Topology& topology) {
  Json json = {{"version", topology.version},
               {"change", hex_id(topology.change)},
               {"id", hex_id(topology.id)},
               {"name", topology.name},
               {"nodes", Json::array()},
               {"shards", Json::array()},
               {"keepers", keeper_names(topology)},
               {"failover", name_of(topology.failover)}};
  for (const auto& node : topology.nodes) json["nodes"].push_back(node_json(node));
  for (const auto& shard : topology.shards) json["shards"].push_back(shard_json(topology, shard));
  return text(json);
}

}  // namespace dkv::http
