#include "tests/sim/cluster_run.hpp"

#include <algorithm>

#include "tests/linearizability/check.hpp"
#include "tests/sim/prefix_check.hpp"
#include "tests/sim/replica_reads.hpp"
#include "tests/sim/sim_world.hpp"
#include "tests/sim/small_limits.hpp"
#include "topology/placement.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kCalmBefore = 1s;
constexpr Duration kClientsRestBefore = 5s;  // before the end
constexpr Duration kFaultsEndBefore = 10s;   // before the end
constexpr Duration kClientTimeout = 800ms;
constexpr Duration kPrefixCheckInterval = 500ms;
constexpr std::size_t kClients = 4;
constexpr std::size_t kKeys = 12;  // shared by all clients
constexpr std::size_t kMaxViolations = 20;

/// Shards, each with its primary on a node of its own, and replicas on others.
TopologyPtr make_topology(Random& random) {
  auto topology = std::make_shared<Topology>();
  topology->name = "simulated";
  topology->id = random.next();
  const std::size_t shards = random.between(std::uint64_t{1}, std::uint64_t{3});
  const auto add_node = [&] {
    const NodeId id{static_cast<std::uint32_t>(topology->nodes.size() + 1)};
    NodeInfo node;
    node.id = id;
    node.name = "node-" + std::to_string(id.value);
    topology->nodes.push_back(node);
    return id;
  };
  std::vector<PlacementShard> placement;
  for (std::size_t i = 0; i < shards; ++i) {
    ShardInfo shard;
    shard.id = ShardId{static_cast<std::uint32_t>(i + 1)};
    shard.name = "shard-" + std::to_string(i + 1);
    shard.primary = add_node();
    const std::size_t replicas = random.between(std::uint64_t{1}, std::uint64_t{2});
    for (std::size_t r = 0; r < replicas; ++r) shard.replicas.push_back(add_node());
    placement.push_back({shard.id, shard.name, shard.weight});
    topology->shards.push_back(shard);
  }
  topology->slots = place(placement);
  return topology;
}

class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        setup_(options.seed),
        world_(setup_.next(), make_topology(setup_), node_options(options)),
        end_(world_.now() + options.length) {
    if (options.disks_lie) world_.make_disks_lie();
    world_.observe([this](const Envelope& envelope) { observe(envelope); });
  }

  RunResult go() {
    world_.set_faults(random_faults());
    world_.start_all();
    for (std::size_t client = 0; client < kClients; ++client) schedule_client(client);
    world_.at(world_.now() + kCalmBefore, [this] { cause_trouble(); });
    check_prefixes();
    world_.run_until(end_ - kFaultsEndBefore);
    world_.heal();
    world_.run_until(end_);
    check_final_state();
    check_linearizability();
    result_.trace_hash = world_.trace_hash();
    return result_;
  }

 private:
  static NodeOptions node_options(const RunOptions& options) {
    NodeOptions node = small_limits(options.seed);
    node.replica_rules = options.replica_rules;
    return node;
  }

  NetworkFaults random_faults() {
    NetworkFaults faults;
    faults.drop_per_million = setup_.below(150'000);
    faults.duplicate_per_million = setup_.below(80'000);
    faults.slow_per_million = setup_.below(150'000);
    return faults;
  }

  // ---- clients

  void schedule_client(std::size_t client) {
    world_.at(world_.now() + random().between(Duration{5ms}, Duration{60ms}),
              [this, client] { act(client); });
  }

  void act(std::size_t client) {
    if (world_.now() >= end_ - kClientsRestBefore) return;
    const std::string key = "key-" + std::to_string(random().below(kKeys));
    const ShardInfo& shard = *world_.topology().find_shard(world_.topology().slots[slot_of(key).value]);
    switch (random().below(10)) {
      case 0:
      case 1:
        return read(client, key, shard.primary);
      case 2:
        return read_at_replica(client, key, shard.replicas[random().below(shard.replicas.size())]);
      case 3:
        return write(client, key, std::nullopt, shard.primary);
      case 4:
        return ask_anywhere(client, key, shard);
      default:
        return write(client, key,
                     "value-" + std::to_string(++written_) + std::string(random().below(120), 'x'),
                     shard.primary);
    }
  }

  /// Sends one operation; exactly one of `answered` and `silent` is called, then the client goes on.
  template <class Answered, class Silent>
  void send(std::size_t client, NodeId node, OpCode code, const std::string& key, const std::string& value,
            ReadMode read, Answered answered, Silent silent) {
    struct Buffer {
      std::string key, value;
    };
    auto buffer = std::make_shared<Buffer>(Buffer{key, value});
    rpc::Request request;
    request.request_id = ++requests_;
    request.read = read;
    request.operations.push_back({code, buffer->key, buffer->value, code == OpCode::put});
    request.owner = buffer;
    auto open = std::make_shared<bool>(true);
    world_.ask(node, std::move(request), [this, client, open, answered](const rpc::Reply& reply) {
      if (!*open) return;
      *open = false;
      answered(single_result(reply));
      schedule_client(client);
    });
    world_.at(world_.now() + kClientTimeout, [this, client, open, silent] {
      if (!*open) return;
      *open = false;
      silent();
      schedule_client(client);
    });
  }

  /// Asks a primary, and records what was asked and told.
  template <class Answered>
  void ask_primary(std::size_t client, NodeId node, OpCode code, const std::string& key,
                   const std::string& value, Answered answered) {
    if (code == OpCode::put) replica_reads_.asked_to_put(key, value);
    const std::size_t place = history_.size();
    history_.push_back(linear::asked(static_cast<std::uint32_t>(client), code, key, value, time()));
    send(
        client, node, code, key, value, ReadMode::linearizable,
        [this, place, answered](const OperationResult& result) {
          linear::answered(history_[place], result, true, time());
          answered(result);
        },
        [] {});
  }

  void write(std::size_t client, const std::string& key, const std::optional<std::string>& value,
             NodeId primary) {
    ask_primary(client, primary, value ? OpCode::put : OpCode::remove, key, value.value_or(""),
                [this](const OperationResult& result) {
                  if (result.code == Errc::disk_full) ++result_.refused_for_room;
                  if (was_done(result)) ++result_.acknowledged_writes;
                });
  }

  void read(std::size_t client, const std::string& key, NodeId primary) {
    ask_primary(client, primary, OpCode::get, key, {}, [this, key, primary](const OperationResult& result) {
      if (!was_done(result)) return;
      ++result_.reads;
    });
  }

  void read_at_replica(std::size_t client, const std::string& key, NodeId replica) {
    const std::string reader =
        "replica " + std::to_string(replica.value) + ", process " + std::to_string(lives_[replica]);
    send(
        client, replica, OpCode::get, key, {}, ReadMode::replica,
        [this, key, reader, replica](const OperationResult& result) {
          if (!was_done(result)) return;
          ++result_.replica_reads;
          note(replica_reads_.problem_of(reader, key, result));
        },
        [] {});
  }

  void ask_anywhere(std::size_t client, const std::string& key, const ShardInfo& shard) {
    const auto& nodes = world_.topology().nodes;
    const NodeId node = nodes[random().below(nodes.size())].id;
    ask_primary(client, node, OpCode::get, key, {}, [this, key, node, &shard](const OperationResult& result) {
      const bool moved = result.code == Errc::moved;
      if (moved == (node == shard.primary)) violated("wrong answer about who owns " + key);
      if (moved && result.moved->shard != shard.id) violated("moved to the wrong shard");
    });
  }

  static bool was_done(const OperationResult& result) {
    return result.code == Errc::ok || result.code == Errc::not_found;
  }

  linear::Time time() const { return world_.now().time_since_epoch(); }

  void violated(std::string what) {
    if (result_.violations.size() < kMaxViolations) result_.violations.push_back(std::move(what));
  }
  void note(std::string problem) {
    if (!problem.empty()) violated(std::move(problem));
  }

  // ---- faults

  void cause_trouble() {
    if (world_.now() >= end_ - kFaultsEndBefore) return;
    ++result_.faults;
    const auto& nodes = world_.topology().nodes;
    const NodeId node = nodes[random().below(nodes.size())].id;
    switch (random().below(7)) {
      case 0:
      case 1:
        crash(node, false);
        break;
      case 2:
        crash(node, is_replica(node));
        break;
      case 3:
        world_.freeze(node, world_.now() + random().between(Duration{50ms}, Duration{3s}));
        break;
      case 4:
        fill_disks(node);
        break;
      default:
        partition(node, nodes[random().below(nodes.size())].id);
        break;
    }
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{3s}), [this] { cause_trouble(); });
  }

  bool is_replica(NodeId node) const {
    return std::none_of(world_.topology().shards.begin(), world_.topology().shards.end(),
                        [&](const ShardInfo& shard) { return shard.primary == node; });
  }

  void crash(NodeId node, bool wipe) {
    if (!world_.is_up(node)) return;
    world_.crash(node);
    ++lives_[node];
    if (wipe) world_.wipe(node);
    world_.at(world_.now() + random().between(Duration{10ms}, Duration{2s}), [this, node] {
      if (!world_.is_up(node)) world_.start(node);
    });
  }

  void partition(NodeId a, NodeId b) {
    if (a == b) return;
    const bool both_ways = random().chance(500'000);
    world_.cut(a, b, true);
    if (both_ways) world_.cut(b, a, true);
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}), [this, a, b] {
      world_.cut(a, b, false);
      world_.cut(b, a, false);
    });
  }

  void fill_disks(NodeId node) {
    world_.limit_disks(node, random().below(2000));
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}),
              [this, node] { world_.unlimit_disks(node); });
  }

  // ---- what must hold at any time

  void observe(const Envelope& envelope) {
    const ShardId shard = envelope.to.shard;
    if (const auto* append = std::get_if<AppendFrame>(&envelope.message)) {
      if (world_.topology().find_shard(shard)->primary == envelope.to.node)
        prefixes_.appended(shard, append->bytes);
    } else if (std::holds_alternative<BeginImport>(envelope.message)) {
      ++result_.snapshots;
    } else if (const auto* chunk = std::get_if<ImportRecords>(&envelope.message)) {
      ++result_.snapshot_chunks;
      if (chunk->next_key.empty()) ++result_.snapshots_done;
    }
  }

  /// Every replica that answers reads is at a prefix of its shard's history.
  void check_prefixes() {
    for (const ShardInfo& shard : world_.topology().shards) {
      for (const NodeId node : shard.replicas) {
        auto* replica = dynamic_cast<ReplicaActor*>(world_.actor({node, Role::member, shard.id}));
        if (replica == nullptr || !replica->answers_reads()) continue;
        ++result_.prefix_checks;
        const std::string problem =
            prefixes_.problem_of("replica " + std::to_string(node.value), shard.id, replica->copy());
        note(problem);
      }
    }
    world_.at(world_.now() + kPrefixCheckInterval, [this] { check_prefixes(); });
  }

  // ---- what must hold in the end

  void check_final_state() {
    for (const ShardInfo& shard : world_.topology().shards) {
      auto& primary = dynamic_cast<ShardActor&>(*world_.actor({shard.primary, Role::member, shard.id}));
      read_all(shard, primary);
      for (const NodeId node : shard.replicas) {
        check_replica(dynamic_cast<ReplicaActor&>(*world_.actor({node, Role::member, shard.id})), primary,
                      shard, node);
      }
    }
    for (const std::string& alarm : world_.alarms()) {
      if (alarm.find("the disk is full") == std::string::npos) violated("alarm: " + alarm);
    }
  }

  std::vector<std::string> keys_of(const ShardInfo& shard) const {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < kKeys; ++i) {
      std::string key = "key-" + std::to_string(i);
      if (world_.topology().slots[slot_of(key).value] == shard.id) keys.push_back(std::move(key));
    }
    return keys;
  }

  /// As one more client would, in the end: so an acknowledged write that is lost was lost for a reader.
  void read_all(const ShardInfo& shard, ShardActor& primary) {
    for (const std::string& key : keys_of(shard)) {
      const auto found = primary.copy().get(key);
      if (!found) return violated("in the end " + key + " cannot be read: " + found.error().message);
      OperationResult result;
      result.code = found->has_value() ? Errc::ok : Errc::not_found;
      if (found->has_value()) {
        result.value = (*found)->value;
        result.version = (*found)->version;
      }
      history_.push_back(linear::asked(kClients, OpCode::get, key, {}, time()));
      linear::answered(history_.back(), result, false, time());
    }
  }

  void check_linearizability() {
    const linear::Judgement judgement = linear::check(history_);
    for (const linear::Problem& problem : judgement.problems) violated(problem.explanation);
    result_.not_linearizable = judgement.problems.size();
    result_.judged_operations = history_.size();
  }

  void check_replica(ReplicaActor& replica, ShardActor& primary, const ShardInfo& shard, NodeId node) {
    result_.gaps_repaired += replica.gaps_repaired();
    const std::string name = "replica " + std::to_string(node.value) + " of " + shard.name;
    if (!replica.answers_reads()) violated(name + " does not answer reads in the end");
    if (replica.head() != primary.copy().last()) {
      violated(name + " ends at " + to_string(replica.head()) + ", its primary at " +
               to_string(primary.copy().last()));
    }
    for (const std::string& key : keys_of(shard)) {
      const auto ours = replica.copy().get(key);
      const auto theirs = primary.copy().get(key);
      const bool same = ours->has_value() == theirs->has_value() &&
                        (!ours->has_value() ||
                         ((*ours)->value == (*theirs)->value && (*ours)->version == (*theirs)->version));
      if (!same) violated(name + " differs from its primary in " + key);
    }
  }

  Random& random() { return world_.random(); }

  RunOptions options_;
  Random setup_;
  SimWorld world_;
  TimePoint end_;
  linear::History history_;
  ReplicaReads replica_reads_;
  PrefixCheck prefixes_;
  RunResult result_;
  std::map<NodeId, int> lives_;
  std::uint64_t written_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace

RunResult run_cluster(const RunOptions& options) { return Run(options).go(); }

}  // namespace dkv::sim
