// `distrikv failover` and `distrikv promote`: an operator says who leads a shard. The first hands over
// without losing anything; the second goes on with a copy that may lack what was acknowledged, so it says
// what that may lose, and wants to be sure.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <thread>

#include "gateway/cli/cluster_view.hpp"
#include "gateway/cli/commands.hpp"

namespace dkv::cli {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// For what a node that lives answers at once: one that is down must not use up the command's time.
constexpr std::chrono::milliseconds kQuestionTime{500};
// Between asking a cluster that is changing and asking it again.
constexpr std::chrono::milliseconds kPause{50};

/// A command's time, and the clients that it asks with.
class Attempt {
 public:
  explicit Attempt(ClientOptions options)
      : options_(std::move(options)), began_(Clock::now()), ends_(began_ + options_.deadline) {}

  bool has_time() const { return Clock::now() < ends_; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
  /// A question about the cluster.
  Result<ClusterView> look() const {
    Client client(with_deadline(std::min(kQuestionTime, left())));
    return look_at_cluster(client);
  }
  Result<std::string> ask(const NodeInfo& node, rpc::Control control) const {
    Client client(with_deadline(left()));
    return client.control(node.rpc, std::move(control));
  }
  void pause() const { std::this_thread::sleep_for(std::min(kPause, left())); }

 private:
  std::chrono::milliseconds left() const {
    return std::max(1ms, std::chrono::duration_cast<std::chrono::milliseconds>(ends_ - Clock::now()));
  }
  ClientOptions with_deadline(std::chrono::milliseconds deadline) const {
    ClientOptions options = options_;
    options.deadline = deadline;
    return options;
  }

  ClientOptions options_;
  Clock::time_point began_;
  Clock::time_point ends_;
};

std::string names_of_shards(const Topology& topology) {
  std::string names;
  for (const ShardInfo& shard : topology.shards) names += (names.empty() ? "" : ", ") + shard.name;
  return names;
}

std::string names_of_members(const ClusterView& view, const ShardInfo& shard) {
  std::string names = view.name_of(shard.primary);
  for (const NodeId node : shard.replicas) names += ", " + view.name_of(node);
  return names;
}

/// The shard and, where one is named, the node of it that is to lead. Errors: bad_request.
Result<const ShardInfo*> find(const ClusterView& view, const std::string& shard_name,
                              const std::string& node_name) {
  const ShardInfo* shard = view.topology->find_shard(shard_name);
  if (shard == nullptr) {
    return Error{Errc::bad_request, "there is no shard \"" + shard_name + "\"; the shards are " +
                                        names_of_shards(*view.topology)};
  }
  if (node_name.empty()) return shard;
  const NodeInfo* node = view.topology->find_node(node_name);
  if (node == nullptr || !is_member(*shard, node->id)) {
    return Error{Errc::bad_request, "no node \"" + node_name + "\" has a copy of shard " + shard_name +
                                        "; those that have are " + names_of_members(view, *shard)};
  }
  return shard;
}

/// The view in which the shard is served in a later epoch. Errors: unavailable when time was up before.
Result<ClusterView> await_new_primary(const Attempt& attempt, const ShardInfo& before) {
  while (true) {
    auto view = attempt.look();
    if (!view && !attempt.has_time()) return view.error();
    if (view) {
      const ShardInfo* shard = view->topology->find_shard(before.id);
      const NodeInfo* server = view->server_of(before.id);
      if (server != nullptr && shard->epoch > before.epoch && server->id == shard->primary) return view;
      if (!attempt.has_time()) {
        return Error{Errc::unavailable, "it was done, and " + view->name_of(shard->primary) +
                                            " does not serve the shard yet: see distrikv status"};
      }
    }
    attempt.pause();
  }
}

int report_leader(const Options& options, const Attempt& attempt, const ShardInfo& shard,
                  const std::string& leader, const std::string& before, const std::string& done) {
  if (options.json) {
    print({{"shard", shard.name},
           {"from", before},
           {"to", leader},
           {"epoch", shard.epoch.value},
           {"seconds", attempt.seconds()},
           {"message", done}});
  } else if (leader == before) {
    std::printf("%s leads shard %s: %s.\n", leader.c_str(), shard.name.c_str(), done.c_str());
  } else {
    std::printf("%s leads shard %s since epoch %llu (before: %s). It took %.2f s.\n", leader.c_str(),
                shard.name.c_str(), static_cast<unsigned long long>(shard.epoch.value), before.c_str(),
                attempt.seconds());
  }
  return kOk;
}

/// Waits until the new primary serves, and says who it is; returns the exit code.
int report_new_primary(const Options& options, const Attempt& attempt, const ShardInfo& before,
                       const std::string& old_primary, const std::string& done) {
  const auto view = await_new_primary(attempt, before);
  if (!view) return report(view.error(), options.json);
  const ShardInfo& shard = *view->topology->find_shard(before.id);
  return report_leader(options, attempt, shard, view->name_of(shard.primary), old_primary, done);
}

// ---- promote

/// What an operator must know before a copy is made primary by force.
struct Risk {
  std::string position;   // of the copy
  std::string words;      // what may be lost, and why
  std::string served_by;  // not empty: nothing needs to be forced
};

std::string position_of(const MemberStatus& member) {
  return "event " + std::to_string(member.durable.value) + " (epoch " + std::to_string(member.epoch.value) +
         ")";
}

Result<Risk> risk_of(const ClusterView& view, const ShardInfo& shard, const NodeInfo& node) {
  const MemberStatus* copy = view.member(node.id, shard.id);
  if (copy == nullptr) {
    return Error{Errc::unavailable, "node " + node.name + " does not answer at " + node.rpc +
                                        ": start it first. Nothing was done"};
  }
  Risk risk{position_of(*copy), {}, {}};
  if (const NodeInfo* server = view.server_of(shard.id)) risk.served_by = server->name;
  const bool is_in_sync = shard.primary == node.id || std::find(shard.in_sync.begin(), shard.in_sync.end(),
                                                                node.id) != shard.in_sync.end();
  risk.words = "The copy of shard " + shard.name + " on " + node.name + " reaches " + risk.position + ".\n";
  const MemberStatus* newest = nullptr;
  std::string newest_node;
  std::string silent;
  for (const Answer& answer : view.answers) {
    if (answer.node->id == node.id || !is_member(shard, answer.node->id)) continue;
    const MemberStatus* other = view.member(answer.node->id, shard.id);
    if (other == nullptr) {
      silent += (silent.empty() ? "" : ", ") + answer.node->name;
    } else if (newest == nullptr || other->durable > newest->durable) {
      newest = other;
      newest_node = answer.node->name;
    }
  }
  if (newest != nullptr) {
    risk.words += "The newest of the others that answer is on " + newest_node + " and reaches " +
                  position_of(*newest) + ".\n";
    if (newest->durable > copy->durable) {
      risk.words += "So at least " + std::to_string(newest->durable.value - copy->durable.value) +
                    " events would be lost; with " + newest_node + " fewer would.\n";
    }
  }
  if (!silent.empty()) {
    risk.words += "What " + silent + " had beyond that nobody knows: " +
                  (silent.find(',') == std::string::npos ? "it does" : "they do") + " not answer.\n";
  }
  risk.words += is_in_sync
                    ? "It is registered as in sync: all that was committed should be in it.\n"
                    : "It is NOT in sync: writes that were acknowledged as committed may be missing from it, "
                      "and are lost for good once it leads.\n";
  if (shard.primary != node.id) {
    const std::string& primary = view.name_of(shard.primary);
    risk.words += "Be sure that " + primary +
                  ", the registered primary, is dead or stopped: while it runs and "
                  "cannot be reached, both could acknowledge writes.\n";
  }
  return risk;
}

/// By typing the shard's name.
bool is_confirmed(const std::string& shard) {
  std::fprintf(stderr, "Type the shard's name, %s, to go on: ", shard.c_str());
  std::string typed;
  return std::getline(std::cin, typed) && typed == shard;
}

// ---- failover

/// One try: the exit code, or nothing when it is worth another; `why` says for what reason, then.
std::optional<int> try_failover(const Options& options, const Attempt& attempt, const std::string& shard_name,
                                const std::string& to, Error& why) {
  const auto view = attempt.look();
  if (!view) {
    why = view.error();
    return std::nullopt;
  }
  const auto found = find(*view, shard_name, to);
  if (!found) return report(found.error(), options.json);
  const ShardInfo& shard = **found;
  const NodeInfo& primary = *view->topology->find_node(shard.primary);
  if (primary.name == to) return report_leader(options, attempt, shard, to, to, "it leads already");
  if (shard.replicas.empty())
    return report({Errc::bad_request, "shard " + shard_name + " has no replica to hand over to"},
                  options.json);
  if (!view->answers_at(primary.id)) {
    why = {Errc::unavailable, "its primary " + primary.name +
                                  " does not answer. An in-sync replica takes over by "
                                  "itself within seconds; where there is none, see distrikv promote --help"};
    return std::nullopt;
  }
  if (shard.in_sync.empty()) {
    why = {Errc::unavailable,
           "none of the shard's replicas is in-sync, so none can take over: see distrikv status"};
    return std::nullopt;
  }
  const auto done = attempt.ask(primary, {rpc::ControlAction::hand_over, shard_name, to});
  if (done) return report_new_primary(options, attempt, shard, primary.name, *done);
  why = done.error();
  if (why.code == Errc::unavailable || why.code == Errc::overloaded) return std::nullopt;
  return report(why, options.json);
}

}  // namespace

int failover(const Options& options, const std::string& shard_name, const std::string& to) {
  auto made = client_options(options);
  if (!made) return report(made.error(), options.json);
  const Attempt attempt(std::move(*made));
  Error last;
  // Who is primary may change between being told and being asked.
  while (true) {
    Error why;
    if (const auto code = try_failover(options, attempt, shard_name, to, why)) return *code;
    // A try that time cut short says only that.
    if (last.message.empty() || attempt.has_time()) last = std::move(why);
    if (!attempt.has_time()) return report(last, options.json);
    attempt.pause();
  }
}

int promote(const Options& options, const std::string& shard_name, const std::string& to, bool force,
            bool yes) {
  auto made = client_options(options);
  if (!made) return report(made.error(), options.json);
  const auto view = Attempt(*made).look();
  if (!view) return report(view.error(), options.json);
  const auto found = find(*view, shard_name, to);
  if (!found) return report(found.error(), options.json);
  const ShardInfo& shard = **found;
  const NodeInfo& node = *view->topology->find_node(to);
  const auto risk = risk_of(*view, shard, node);
  if (!risk) return report(risk.error(), options.json);
  if (!risk->served_by.empty()) {
    return report({Errc::bad_request, "shard " + shard_name + " is served, by " + risk->served_by +
                                          ": nothing needs to be forced. distrikv failover " + shard_name +
                                          " --to " + to + " hands over without loss"},
                  options.json);
  }
  std::fprintf(stderr, "%s", risk->words.c_str());
  if (!force) {
    return report({Errc::bad_request,
                   "nothing was done: an in-sync member would lead again by itself once it runs. "
                   "Give --force to go on with this copy all the same"},
                  options.json);
  }
  if (!yes && !is_confirmed(shard_name))
    return report({Errc::bad_request, "not confirmed: nothing was done"}, options.json);
  const Attempt attempt(std::move(*made));  // the time that a person took does not count
  const auto done = attempt.ask(node, {rpc::ControlAction::promote, shard_name, to});
  if (!done) return report(done.error(), options.json);
  return report_new_primary(options, attempt, shard, view->name_of(shard.primary), *done);
}

}  // namespace dkv::cli
