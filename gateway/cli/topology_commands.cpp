#include <algorithm>
#include <cstdio>

#include "gateway/cli/commands.hpp"
#include "gateway/cli/table.hpp"
#include "gateway/http/json.hpp"
#include "topology/generate.hpp"
#include "topology/toml.hpp"

namespace dkv::cli {

namespace {

Result<TopologyPtr> find_topology(const Options& options) {
  if (!options.topology_file.empty()) {
    auto loaded = load_topology(options.topology_file);
    if (!loaded) return Error{Errc::bad_request, loaded.error().message};
    return std::make_shared<const Topology>(std::move(*loaded));
  }
  auto made = client_options(options);
  if (!made) return made.error();
  return Client(std::move(*made)).topology();
}

/// "primary:delhi,replica:mumbai", or "-" for a node without a shard.
std::string roles_of(const Topology& topology, NodeId node) {
  std::string roles;
  for (const ShardInfo& shard : topology.shards) {
    if (!is_member(shard, node)) continue;
    roles += (roles.empty() ? "" : ",") + std::string(shard.primary == node ? "primary:" : "replica:") +
             shard.name;
  }
  return roles.empty() ? "-" : roles;
}

std::string names_of(const Topology& topology, const std::vector<NodeId>& nodes) {
  std::string names;
  for (const NodeId id : nodes) names += (names.empty() ? "" : ",") + topology.find_node(id)->name;
  return names.empty() ? "-" : names;
}

std::string keepers_of(const Topology& topology) {
  std::vector<NodeId> nodes;
  for (const Keeper& keeper : topology.keepers) nodes.push_back(keeper.node);
  return names_of(topology, nodes);
}

std::string share_of(std::size_t slots) {
  char text[32];
  std::snprintf(text, sizeof text, "%zu (%.1f%%)", slots, 100.0 * static_cast<double>(slots) / kSlotCount);
  return text;
}

void print_tables(const Topology& topology) {
  std::printf("cluster %s, topology version %llu, keepers %s%s\n\n", topology.name.c_str(),
              static_cast<unsigned long long>(topology.version), keepers_of(topology).c_str(),
              topology.failover == Failover::standard ? "" : ", fast failover");
  Table nodes({"NODE", "HTTP", "RPC", "ROLES"});
  for (const NodeInfo& node : topology.nodes) {
    nodes.add({{node.name}, {node.http}, {node.rpc}, {roles_of(topology, node.id)}});
  }
  nodes.print();
  std::printf("\n");
  Table shards({"SHARD", "PRIMARY", "REPLICAS", "IN SYNC", "STORE", "SLOTS"});
  for (const ShardInfo& shard : topology.shards) {
    const auto slots = std::count(topology.slots.begin(), topology.slots.end(), shard.id);
    shards.add({{shard.name},
                {topology.find_node(shard.primary)->name},
                {names_of(topology, shard.replicas)},
                {names_of(topology, shard.in_sync)},
                {name_of(shard.store)},
                {share_of(static_cast<std::size_t>(slots))}});
  }
  shards.print();
}

void print_plain(const Topology& topology) {
  for (const NodeInfo& node : topology.nodes) {
    std::printf("%s %s %s %s\n", node.name.c_str(), node.http.c_str(), node.rpc.c_str(),
                roles_of(topology, node.id).c_str());
  }
}

}  // namespace

int show_topology(const Options& options, bool plain) {
  const auto topology = find_topology(options);
  if (!topology) return report(topology.error(), options.json);
  if (options.json) {
    print(Json::parse(http::topology_json(**topology)));
  } else if (plain) {
    print_plain(**topology);
  } else {
    print_tables(**topology);
  }
  return kOk;
}

int new_topology(std::uint32_t shards, std::uint32_t replicas, const std::string& base,
                 const std::string& store, const std::string& failover) {
  const StoreKind kind = store == name_of(StoreKind::memory) ? StoreKind::memory : StoreKind::lmdb;
  const Failover timing = failover == name_of(Failover::fast) ? Failover::fast : Failover::standard;
  const auto text = generate_toml({shards, replicas, base, kind, timing});
  if (!text) return report(text.error(), false);
  std::fwrite(text->data(), 1, text->size(), stdout);
  return kOk;
}

}  // namespace dkv::cli
