#include "gateway/cli/cluster_view.hpp"

#include <algorithm>

#include "topology/members.hpp"

namespace dkv::cli {

namespace {

std::string text_of(std::uint64_t number) { return std::to_string(number); }

/// "a", "a and b", "a, b and c".
std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

using Problems = std::vector<std::string>;

// ---- nodes and their copies

/// "primary of shard delhi and replica of shard mumbai"; empty for a node without a shard.
std::string duties_of(const Topology& topology, NodeId node) {
  std::string duties;
  for (const ShardInfo& shard : topology.shards) {
    if (!is_member(shard, node)) continue;
    duties += (duties.empty() ? "" : " and ") + std::string(shard.primary == node ? "primary" : "replica") +
              " of shard " + shard.name;
  }
  return duties;
}

void add_node_problems(const ClusterView& view, const Answer& answer, Problems& problems) {
  const std::string& name = answer.node->name;
  if (!answer.status) {
    const std::string duties = duties_of(*view.topology, answer.node->id);
    problems.push_back(name + " does not answer at " + answer.node->rpc +
                       (duties.empty() ? "" : " (" + duties + ")") +
                       ". Start it if it is down (distrikvd --node " + name +
                       " …), or see its log and the network between.");
    return;
  }
  if (answer.status->isolated) {
    problems.push_back(name +
                       " is isolated: it reaches no majority of the keepers, does not hear of changes, and "
                       "cannot take over. See the network between it and them (peer ports).");
  } else if (answer.status->topology_version != view.topology->version) {
    problems.push_back(name + " goes by version " + text_of(answer.status->topology_version) +
                       " of the topology, where others have version " + text_of(view.topology->version) +
                       ". It catches up by itself within a second or two; if it does not, see its log.");
  }
}

std::string problem_of(const std::string& node, const MemberStatus& member) {
  if (member.ready) return {};
  const std::string where =
      node + ", " + (member.primary ? "primary" : "replica") + " of shard " + member.shard_name + ": ";
  if (!member.problem.empty()) return where + member.problem;
  if (member.state == "copying") {
    return where + "its data is being copied from the primary: " + text_of(member.copied_records) +
           " records so far, " + text_of(member.copied_bytes >> 20) +
           " MiB. It answers no reads until that is done.";
  }
  if (member.state == "failed") return where + "it has failed. See the node's log, then restart the node.";
  return where + "it is not ready yet (" + member.state +
         "). Wait; if that does not end, see the node's log.";
}

// ---- shards

/// Of a shard that is served: what is wrong with its replicas, beyond what each says of itself.
void add_replica_problems(const ClusterView& view, const ShardInfo& shard, const MemberStatus& primary,
                          Problems& problems) {
  std::vector<std::string> in_sync;
  for (const ReplicaStatus& replica : primary.replicas) {
    if (replica.in_sync) in_sync.push_back(replica.node);
    const NodeInfo* node = view.topology->find_node(replica.node);
    // Of a node that is down all is said already.
    if (replica.heard || node == nullptr || !view.answers_at(node->id)) continue;
    problems.push_back("the primary of shard " + shard.name + " has not heard from its replica " +
                       replica.node + " since it leads. Check that the two reach each other's peer ports.");
  }
  if (primary.replicas.empty() || !in_sync.empty()) return;
  problems.push_back("shard " + shard.name +
                     ": no replica is in sync, so what is written is on one disk only, and "
                     "nobody can take over. A replica that runs catches up and is admitted by itself.");
}

/// What brings a shard back that nobody serves.
std::string way_back(const ClusterView& view, const ShardInfo& shard) {
  const std::string& primary = view.name_of(shard.primary);
  if (view.answers_at(shard.primary)) return "until its primary " + primary + " is ready.";
  std::vector<std::string> alive;
  std::vector<std::string> down{primary};
  std::vector<std::string> stale;
  for (const NodeId node : shard.replicas) {
    const bool answers = view.answers_at(node);
    if (contains(shard.in_sync, node)) {
      (answers ? alive : down).push_back(view.name_of(node));
    } else if (answers) {
      stale.push_back(view.name_of(node));
    }
  }
  if (!alive.empty()) {
    return "until " + list(alive) +
           ", in sync, takes over, which should take two seconds; if it does not, see "
           "whether it reaches a majority of the keepers.";
  }
  std::string way = "until one of its in-sync members runs again: start " + list(down) + ".";
  if (stale.empty()) return way;
  return way + " Only if all of them are lost for good: distrikv promote " + shard.name + " --to " +
         stale.front() + " says what would be lost by going on with that copy.";
}

void add_shard_problems(const ClusterView& view, const ShardInfo& shard, Problems& problems) {
  const NodeInfo* server = view.server_of(shard.id);
  if (server == nullptr) {
    problems.push_back("shard " + shard.name + " is not served: its keys can be neither read nor written " +
                       way_back(view, shard));
    return;
  }
  add_replica_problems(view, shard, *view.member(server->id, shard.id), problems);
}

// ---- keepers

void add_keeper_problems(const ClusterView& view, Problems& problems) {
  std::vector<std::string> silent;
  for (const Keeper& keeper : view.topology->keepers) {
    const std::string& name = view.name_of(keeper.node);
    const bool reached = std::any_of(view.answers.begin(), view.answers.end(), [&](const Answer& answer) {
      return answer.status &&
             std::any_of(answer.status->keepers.begin(), answer.status->keepers.end(),
                         [&](const KeeperStatus& seen) { return seen.node == name && seen.reached; });
    });
    if (!reached) silent.push_back(name);
  }
  if (silent.empty()) return;
  const std::size_t all = view.topology->keepers.size();
  const std::size_t alive = all - silent.size();
  const std::size_t majority = all / 2 + 1;
  const std::string who = (silent.size() == 1 ? "keeper " : "keepers ") + list(silent);
  const std::string do_not = silent.size() == 1 ? " does not answer" : " do not answer";
  if (alive < majority) {
    problems.push_back(
        who + do_not + ": " + text_of(alive) + " of " + text_of(all) +
        " are no majority, so nothing in "
        "the topology can change: shards are served as they are, and no replica can take over. "
        "Start their nodes, with their folders.");
  } else {
    problems.push_back(who + do_not + ": the register goes on with " + text_of(alive) + " of " +
                       text_of(all) + ", and needs " + text_of(majority) + ".");
  }
}

}  // namespace

const MemberStatus* ClusterView::member(NodeId node, ShardId shard) const {
  for (const Answer& answer : answers) {
    if (answer.node->id != node || !answer.status) continue;
    for (const MemberStatus& member : answer.status->members) {
      if (member.shard == shard) return &member;
    }
  }
  return nullptr;
}

bool ClusterView::answers_at(NodeId node) const {
  return std::any_of(answers.begin(), answers.end(),
                     [&](const Answer& answer) { return answer.node->id == node && answer.status; });
}

const NodeInfo* ClusterView::server_of(ShardId shard) const {
  for (const Answer& answer : answers) {
    const MemberStatus* here = member(answer.node->id, shard);
    if (here != nullptr && here->primary && here->ready) return answer.node;
  }
  return nullptr;
}

Result<ClusterView> look_at_cluster(Client& client) {
  const auto known = client.topology();
  if (!known) return known.error();
  std::vector<std::string> endpoints;
  for (const NodeInfo& node : (*known)->nodes) endpoints.push_back(node.rpc);
  auto statuses = client.status(endpoints);
  // The nodes are the same in every version; who told us may only have been behind.
  ClusterView view{*known, {}};
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!statuses[i] || statuses[i]->topology_version <= view.topology->version) continue;
    if (auto newer = client.topology_of(endpoints[i])) view.topology = *newer;
  }
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    view.answers.push_back({view.topology->find_node((*known)->nodes[i].id), std::move(statuses[i])});
  return view;
}

std::vector<std::string> problems_of(const ClusterView& view) {
  Problems problems;
  for (const Answer& answer : view.answers) {
    add_node_problems(view, answer, problems);
    if (!answer.status) continue;
    for (const MemberStatus& member : answer.status->members) {
      if (auto problem = problem_of(answer.node->name, member); !problem.empty())
        problems.push_back(std::move(problem));
    }
  }
  add_keeper_problems(view, problems);
  for (const ShardInfo& shard : view.topology->shards) add_shard_problems(view, shard, problems);
  return problems;
}

}  // namespace dkv::cli
