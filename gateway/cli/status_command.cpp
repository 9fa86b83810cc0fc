// `distrikv status`: asks every node of the topology what it knows of itself, and says in words what is
// wrong with the whole, and what to do about it.
#include <algorithm>
#include <cstdio>

#include "gateway/cli/commands.hpp"
#include "gateway/cli/table.hpp"
#include "gateway/http/json.hpp"

namespace dkv::cli {

namespace {

/// A node of the topology and what it answered.
struct Answer {
  const NodeInfo* node;
  Result<NodeStatus> status;
};

const MemberStatus* find_member(const Answer& answer, ShardId shard) {
  if (!answer.status) return nullptr;
  for (const MemberStatus& member : answer.status->members) {
    if (member.shard == shard) return &member;
  }
  return nullptr;
}

std::string text_of(std::uint64_t number) { return std::to_string(number); }

void add_row(Table& table, const ShardInfo& shard, const Answer& answer) {
  const std::string role = shard.primary == answer.node->id ? "primary" : "replica";
  if (!answer.status) {
    table.add(
        {{answer.node->name}, {shard.name}, {role}, {"unreachable", Tone::bad}, {"-"}, {"-"}, {"-"}, {"-"}});
    return;
  }
  const MemberStatus* member = find_member(answer, shard.id);
  if (member == nullptr) {
    table.add(
        {{answer.node->name}, {shard.name}, {role}, {"missing", Tone::bad}, {"-"}, {"-"}, {"-"}, {"-"}});
    return;
  }
  const Tone tone = member->ready ? Tone::good : member->state == "failed" ? Tone::bad : Tone::warning;
  const bool behind = member->lag_events > 0;
  table.add({{answer.node->name},
             {member->shard_name},
             {member->primary ? "primary" : "replica"},
             {member->state, tone},
             {text_of(member->epoch.value)},
             {text_of(member->head.value)},
             {text_of(member->commit.value)},
             {member->primary ? "-" : text_of(member->lag_events), behind ? Tone::warning : Tone::plain}});
}

void print_table(const Topology& topology, const std::vector<Answer>& answers) {
  Table table({"NODE", "SHARD", "ROLE", "STATE", "EPOCH", "HEAD", "COMMIT", "LAG"});
  for (const Answer& answer : answers) {
    bool placed = false;
    for (const ShardInfo& shard : topology.shards) {
      if (!is_member(shard, answer.node->id)) continue;
      add_row(table, shard, answer);
      placed = true;
    }
    if (placed) continue;
    const Cell state = answer.status ? Cell{"running", Tone::good} : Cell{"unreachable", Tone::bad};
    table.add({{answer.node->name}, {"-"}, {"-"}, state, {"-"}, {"-"}, {"-"}, {"-"}});
  }
  table.print();
}

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

bool is_served(const ShardInfo& shard, const std::vector<Answer>& answers) {
  return std::any_of(answers.begin(), answers.end(), [&](const Answer& answer) {
    const MemberStatus* member = find_member(answer, shard.id);
    return member != nullptr && member->primary && member->ready;
  });
}

std::string problem_of(const Topology& topology, const Answer& answer) {
  const std::string& name = answer.node->name;
  const std::string duties = duties_of(topology, answer.node->id);
  if (!answer.status) {
    return name + " does not answer at " + answer.node->rpc + (duties.empty() ? "" : " (" + duties + ")") +
           ". Start it if it is down (distrikvd --node " + name +
           " …), or see its log and the network between.";
  }
  return {};
}

std::string problem_of(const std::string& node, const MemberStatus& member) {
  if (member.ready) return {};
  const std::string where =
      node + ", " + (member.primary ? "primary" : "replica") + " of shard " + member.shard_name + ": ";
  if (!member.problem.empty()) return where + member.problem;
  if (member.state == "refilling") {
    return where +
           "it was restarted and takes its data back from a replica: " + text_of(member.copied_records) +
           " records so far. It serves in a few seconds.";
  }
  if (member.state == "copying") {
    return where + "its data is being copied from the primary: " + text_of(member.copied_records) +
           " records so far, " + text_of(member.copied_bytes >> 20) +
           " MiB. It answers no reads until that is done.";
  }
  if (member.state == "failed") return where + "it has failed. See the node's log, then restart the node.";
  return where + "it is not ready yet (" + member.state +
         "). Wait; if that does not end, see the node's log.";
}

void add_replica_problems(const MemberStatus& primary, const std::vector<Answer>& answers,
                          std::vector<std::string>& problems) {
  for (const ReplicaStatus& replica : primary.replicas) {
    if (replica.heard) continue;
    const bool unreachable = std::any_of(answers.begin(), answers.end(), [&](const Answer& answer) {
      return answer.node->name == replica.node && !answer.status;
    });
    // Said already.
    if (unreachable) continue;
    problems.push_back("the primary of shard " + primary.shard_name + " has not heard from its replica " +
                       replica.node + " since it started. Check that the two reach each other's peer ports.");
  }
}

std::vector<std::string> problems_of(const Topology& topology, const std::vector<Answer>& answers) {
  std::vector<std::string> problems;
  for (const Answer& answer : answers) {
    if (auto problem = problem_of(topology, answer); !problem.empty()) problems.push_back(std::move(problem));
    if (!answer.status) continue;
    if (answer.status->topology_version != topology.version) {
      problems.push_back(answer.node->name + " goes by version " + text_of(answer.status->topology_version) +
                         " of the topology, where others have version " + text_of(topology.version) +
                         ". It catches up by itself; if it does not, restart it.");
    }
    for (const MemberStatus& member : answer.status->members) {
      if (auto problem = problem_of(answer.node->name, member); !problem.empty()) {
        problems.push_back(std::move(problem));
      }
      if (member.primary) add_replica_problems(member, answers, problems);
    }
  }
  for (const ShardInfo& shard : topology.shards) {
    if (is_served(shard, answers)) continue;
    problems.push_back("shard " + shard.name +
                       " is not served: its keys can be neither read nor written until its primary " +
                       topology.find_node(shard.primary)->name + " is ready.");
  }
  return problems;
}

void print_words(const Topology& topology, const std::vector<Answer>& answers) {
  const std::vector<std::string> problems = problems_of(topology, answers);
  std::printf("\n");
  for (const std::string& problem : problems) std::printf("! %s\n", problem.c_str());
  for (const ShardInfo& shard : topology.shards) {
    if (shard.store != StoreKind::memory) continue;
    std::printf(
        "Shard %s is volatile: it is kept in memory only, and empty once all its members have stopped.\n",
        shard.name.c_str());
  }
  if (!problems.empty()) return;
  std::printf("All is well: %zu of %zu nodes answer, %zu of %zu shards are served.\n", answers.size(),
              answers.size(), topology.shards.size(), topology.shards.size());
}

void print_json(const Topology& topology, const std::vector<Answer>& answers) {
  Json json{{"cluster", topology.name}, {"topology_version", topology.version}, {"nodes", Json::array()}};
  for (const Answer& answer : answers) {
    Json node{
        {"name", answer.node->name}, {"rpc", answer.node->rpc}, {"reachable", answer.status.has_value()}};
    if (answer.status) {
      node["status"] = Json::parse(http::status_json(*answer.status));
    } else {
      node["error"] = answer.status.error().message;
    }
    json["nodes"].push_back(std::move(node));
  }
  json["problems"] = problems_of(topology, answers);
  print(json);
}

}  // namespace

int status(const Options& options) {
  auto made = client_options(options);
  if (!made) return report(made.error(), options.json);
  Client client(std::move(*made));
  const auto topology = client.topology();
  if (!topology) return report(topology.error(), options.json);

  std::vector<std::string> endpoints;
  for (const NodeInfo& node : (*topology)->nodes) endpoints.push_back(node.rpc);
  auto statuses = client.status(endpoints);
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    answers.push_back({&(*topology)->nodes[i], std::move(statuses[i])});
  }
  if (options.json) {
    print_json(**topology, answers);
  } else {
    print_table(**topology, answers);
    print_words(**topology, answers);
  }
  const bool all_served = std::all_of((*topology)->shards.begin(), (*topology)->shards.end(),
                                      [&](const ShardInfo& shard) { return is_served(shard, answers); });
  return all_served ? kOk : kUnavailable;
}

}  // namespace dkv::cli
