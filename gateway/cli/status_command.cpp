// `distrikv status`: asks every node of the topology what it knows of itself, and says in words what is
// wrong with the whole, and what to do about it.
#include <algorithm>
#include <cstdio>

#include "gateway/cli/cluster_view.hpp"
#include "gateway/cli/commands.hpp"
#include "gateway/cli/table.hpp"
#include "gateway/http/json.hpp"

namespace dkv::cli {

namespace {

std::string shown(std::uint64_t number) { return std::to_string(number); }

/// Whether a replica is in sync: its primary says so, else the topology.
Cell sync_cell(const ClusterView& view, const ShardInfo& shard, NodeId node) {
  const MemberStatus* primary = view.member(shard.primary, shard.id);
  if (primary != nullptr && primary->primary) {
    for (const ReplicaStatus& replica : primary->replicas) {
      if (replica.node != view.name_of(node)) continue;
      if (replica.in_sync) return {"yes", Tone::good};
      return replica.counted ? Cell{"joining", Tone::warning} : Cell{"no", Tone::warning};
    }
  }
  const bool is_in_sync = std::find(shard.in_sync.begin(), shard.in_sync.end(), node) != shard.in_sync.end();
  return is_in_sync ? Cell{"yes", Tone::good} : Cell{"no", Tone::warning};
}

Cell lease_cell(const MemberStatus& member) {
  if (!member.primary) return {"-"};
  if (!member.leased) return {"none", Tone::bad};
  return {member.lease_ms == 0 ? "not needed" : shown(member.lease_ms) + " ms", Tone::good};
}

void add_row(Table& table, const ClusterView& view, const ShardInfo& shard, const NodeInfo& node) {
  const bool leads = shard.primary == node.id;
  const MemberStatus* member = view.member(node.id, shard.id);
  if (member == nullptr) {
    const char* what = view.answers_at(node.id) ? "missing" : "unreachable";
    table.add({{node.name},
               {shard.name},
               {leads ? "primary" : "replica"},
               {what, Tone::bad},
               {"-"},
               {"-"},
               {"-"},
               {"-"},
               leads ? Cell{"-"} : sync_cell(view, shard, node.id),
               {"-"}});
    return;
  }
  const Tone tone = member->ready ? Tone::good : member->state == "failed" ? Tone::bad : Tone::warning;
  const bool behind = member->lag_events > 0;
  table.add({{node.name},
             {shard.name},
             {member->primary ? "primary" : "replica"},
             {member->state, tone},
             {shown(member->epoch.value)},
             {shown(member->head.value)},
             {shown(member->commit.value)},
             {member->primary ? "-" : shown(member->lag_events), behind ? Tone::warning : Tone::plain},
             member->primary ? Cell{"-"} : sync_cell(view, shard, node.id),
             lease_cell(*member)});
}

void print_table(const ClusterView& view) {
  Table table({"NODE", "SHARD", "ROLE", "STATE", "EPOCH", "HEAD", "COMMIT", "LAG", "IN SYNC", "LEASE"});
  for (const Answer& answer : view.answers) {
    bool placed = false;
    for (const ShardInfo& shard : view.topology->shards) {
      if (!is_member(shard, answer.node->id)) continue;
      add_row(table, view, shard, *answer.node);
      placed = true;
    }
    if (placed) continue;
    const Cell state = answer.status ? Cell{"running", Tone::good} : Cell{"unreachable", Tone::bad};
    table.add({{answer.node->name}, {"-"}, {"-"}, state, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}});
  }
  table.print();
}

/// How many of the nodes that answer reach this keeper.
std::size_t reached_by(const ClusterView& view, const std::string& keeper) {
  std::size_t count = 0;
  for (const Answer& answer : view.answers) {
    if (!answer.status) continue;
    for (const KeeperStatus& seen : answer.status->keepers)
      count += seen.node == keeper && seen.reached ? 1 : 0;
  }
  return count;
}

void print_keepers(const ClusterView& view) {
  const Topology& topology = *view.topology;
  std::size_t reached = 0;
  std::string names;
  for (const Keeper& keeper : topology.keepers) {
    names += (names.empty() ? "" : ", ") + view.name_of(keeper.node);
    reached += reached_by(view, view.name_of(keeper.node)) > 0 ? 1 : 0;
  }
  std::printf("Topology version %s; keepers %s: %zu of %zu answer.\n", shown(topology.version).c_str(),
              names.c_str(), reached, topology.keepers.size());
}

void print_words(const ClusterView& view) {
  const Topology& topology = *view.topology;
  std::printf("\n");
  print_keepers(view);
  const std::vector<std::string> problems = problems_of(view);
  for (const std::string& problem : problems) std::printf("! %s\n", problem.c_str());
  for (const ShardInfo& shard : topology.shards) {
    if (shard.store != StoreKind::memory) continue;
    std::printf(
        "Shard %s is volatile: it is kept in memory only, and empty once all its members have stopped.\n",
        shard.name.c_str());
  }
  if (!problems.empty()) return;
  std::printf("All is well: %zu of %zu nodes answer, %zu of %zu shards are served.\n", view.answers.size(),
              view.answers.size(), topology.shards.size(), topology.shards.size());
}

void print_json(const ClusterView& view) {
  const Topology& topology = *view.topology;
  Json json{{"cluster", topology.name},
            {"topology_version", topology.version},
            {"shards", Json::array()},
            {"keepers", Json::array()},
            {"nodes", Json::array()}};
  for (const ShardInfo& shard : topology.shards) {
    Json in_sync = Json::array();
    for (const NodeId node : shard.in_sync) in_sync.push_back(view.name_of(node));
    json["shards"].push_back({{"name", shard.name},
                              {"served", view.server_of(shard.id) != nullptr},
                              {"primary", view.name_of(shard.primary)},
                              {"epoch", shard.epoch.value},
                              {"in_sync", std::move(in_sync)}});
  }
  for (const Keeper& keeper : topology.keepers) {
    const std::string& name = view.name_of(keeper.node);
    json["keepers"].push_back({{"node", name}, {"reached_by", reached_by(view, name)}});
  }
  for (const Answer& answer : view.answers) {
    Json node{
        {"name", answer.node->name}, {"rpc", answer.node->rpc}, {"reachable", answer.status.has_value()}};
    if (answer.status) {
      node["status"] = Json::parse(http::status_json(*answer.status));
    } else {
      node["error"] = answer.status.error().message;
    }
    json["nodes"].push_back(std::move(node));
  }
  json["problems"] = problems_of(view);
  print(json);
}

}  // namespace

int status(const Options& options) {
  auto made = client_options(options);
  if (!made) return report(made.error(), options.json);
  Client client(std::move(*made));
  const auto view = look_at_cluster(client);
  if (!view) return report(view.error(), options.json);
  if (options.json) {
    print_json(*view);
  } else {
    print_table(*view);
    print_words(*view);
  }
  const auto& shards = view->topology->shards;
  const bool all_served = std::all_of(shards.begin(), shards.end(), [&](const ShardInfo& shard) {
    return view->server_of(shard.id) != nullptr;
  });
  return all_served ? kOk : kUnavailable;
}

}  // namespace dkv::cli
