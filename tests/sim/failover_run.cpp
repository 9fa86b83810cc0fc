#include "tests/sim/failover_run.hpp"

#include <algorithm>
#include <map>

#include "tests/linearizability/check.hpp"
#include "tests/sim/sim_world.hpp"
#include "tests/sim/small_limits.hpp"
#include "topology/placement.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kCalmBefore = 3s;
constexpr Duration kFaultsEndBefore = 20s;
constexpr Duration kClientsRestBefore = 4s;
constexpr Duration kClientTimeout = 900ms;
constexpr Duration kLeaseCheckInterval = 3ms;
constexpr std::size_t kClients = 5;
constexpr std::size_t kKeys = 10;
constexpr std::size_t kMaxViolations = 20;

/// Shards over shared nodes, each with one or two replicas; three or five keepers.
TopologyPtr make_topology(Random& random) {
  auto topology = std::make_shared<Topology>();
  topology->name = "simulated";
  topology->id = random.next();
  const std::size_t nodes = random.between(std::uint64_t{3}, std::uint64_t{7});
  for (std::size_t i = 1; i <= nodes; ++i) {
    NodeInfo node;
    node.id = NodeId{static_cast<std::uint32_t>(i)};
    node.name = "node-" + std::to_string(i);
    const std::string host = "10.0.0." + std::to_string(i) + ":";
    node.http = host + "8080";
    node.rpc = host + "7001";
    node.events = host + "7002";
    node.peer = host + "7003";
    node.watch = host + "7004";
    topology->nodes.push_back(node);
  }
  const std::size_t keepers = nodes >= 5 && random.chance(500'000) ? 5 : 3;
  for (std::size_t i = 0; i < keepers; ++i) topology->keepers.push_back({topology->nodes[i].id});
  std::vector<PlacementShard> placement;
  const std::size_t shards = random.between(std::uint64_t{1}, std::uint64_t{3});
  for (std::size_t i = 0; i < shards; ++i) {
    ShardInfo shard;
    shard.id = ShardId{static_cast<std::uint32_t>(i + 1)};
    shard.name = "shard-" + std::to_string(i + 1);
    std::vector<NodeId> members;
    for (const NodeInfo& node : topology->nodes) members.push_back(node.id);
    for (std::size_t at = members.size(); at > 1; --at) std::swap(members[at - 1], members[random.below(at)]);
    shard.primary = members[0];
    const std::size_t replicas = random.between(std::uint64_t{1}, std::uint64_t{2});
    for (std::size_t r = 1; r <= replicas; ++r) shard.replicas.push_back(members[r]);
    placement.push_back({shard.id, shard.name, shard.weight});
    topology->shards.push_back(shard);
  }
  topology->slots = place(placement);
  return topology;
}

class FailoverRun {
 public:
  explicit FailoverRun(const FailoverOptions& options)
      : options_(options),
        setup_(options.seed),
        world_(setup_.next(), make_topology(setup_), node_options(options)),
        end_(world_.now() + options.length) {
    for (const ShardInfo& shard : world_.topology().shards) guess_[shard.id] = shard.primary;
  }

  FailoverResult go() {
    if (options_.causes_faults) world_.set_faults(random_faults());
    world_.start_all();
    for (std::size_t client = 0; client < kClients; ++client) schedule_client(client);
    if (options_.causes_faults) world_.at(world_.now() + kCalmBefore, [this] { cause_trouble(); });
    check_leases();
    world_.run_until(end_ - kFaultsEndBefore);
    world_.heal();
    world_.run_until(end_ - kClientsRestBefore);
    for (std::size_t key = 0; key < kKeys; ++key) read_in_the_end("key-" + std::to_string(key));
    world_.run_until(end_);
    check_final_state();
    const linear::Judgement judgement = linear::check(history_);
    for (const linear::Problem& problem : judgement.problems)
      violated("not linearizable: " + problem.key + "\n" + problem.explanation);
    result_.trace_hash = world_.trace_hash();
    return result_;
  }

 private:
  static NodeOptions node_options(const FailoverOptions& options) {
    NodeOptions node = small_limits(options.seed);
    node.has_register = true;
    node.member_rules = options.rules;
    node.register_rules = options.register_rules;
    return node;
  }

  NetworkFaults random_faults() {
    NetworkFaults faults;
    faults.drop_per_million = setup_.below(60'000);
    faults.duplicate_per_million = setup_.below(60'000);
    faults.slow_per_million = setup_.below(60'000);
    return faults;
  }

  // ---- clients

  void schedule_client(std::size_t client) {
    world_.at(world_.now() + random().between(Duration{5ms}, Duration{60ms}),
              [this, client] { act(client); });
  }

  void act(std::size_t client) {
    if (world_.now() >= end_ - kClientsRestBefore - 1s) return;
    const std::string key = "key-" + std::to_string(random().below(kKeys));
    switch (random().below(10)) {
      case 0:
      case 1:
      case 2:
        return ask(client, OpCode::get, key, {});
      case 3:
        return ask(client, OpCode::remove, key, {});
      default:
        return ask(client, OpCode::put, key, "value-" + std::to_string(++written_));
    }
  }

  const ShardInfo& shard_of(const std::string& key) const {
    return *world_.topology().find_shard(world_.topology().slots[slot_of(key).value]);
  }

  void ask(std::size_t client, OpCode code, const std::string& key, const std::string& value) {
    struct Buffer {
      std::string key, value;
    };
    auto buffer = std::make_shared<Buffer>(Buffer{key, value});
    rpc::Request request;
    request.request_id = ++requests_;
    request.operations.push_back({code, buffer->key, buffer->value, code == OpCode::put});
    request.owner = buffer;
    const ShardId shard = shard_of(key).id;
    const std::size_t place = history_.size();
    history_.push_back(linear::asked(static_cast<std::uint32_t>(client), code, key, value, time()));
    auto open = std::make_shared<bool>(true);
    world_.ask(guess_[shard], std::move(request),
               [this, client, open, place, shard](const rpc::Reply& reply) {
                 if (!std::exchange(*open, false)) return;
                 note(place, shard, single_result(reply));
                 schedule_client(client);
               });
    world_.at(world_.now() + kClientTimeout, [this, client, open, shard] {
      if (!std::exchange(*open, false)) return;
      guess_again(shard);
      schedule_client(client);
    });
  }

  void note(std::size_t place, ShardId shard, const OperationResult& result) {
    linear::answered(history_[place], result, true, time());
    if (result.code == Errc::moved) {
      guess_[shard] = world_.topology().find_node(result.moved->node_name)->id;
    } else if (result.code == Errc::unavailable || result.code == Errc::unknown_outcome) {
      guess_again(shard);
    } else if (result.code == Errc::ok) {
      ++(history_[place].code == OpCode::get ? result_.reads : result_.acknowledged_writes);
    }
  }

  /// Any node may know.
  void guess_again(ShardId shard) {
    const auto& nodes = world_.topology().nodes;
    guess_[shard] = nodes[random().below(nodes.size())].id;
  }

  void read_in_the_end(const std::string& key) {
    const ShardId shard = shard_of(key).id;
    ShardActor* primary = nullptr;
    for (const NodeInfo& node : world_.topology().nodes) {
      auto* member = dynamic_cast<MemberActor*>(world_.actor({node.id, Role::member, shard}));
      if (member == nullptr || !member->holds_lease(world_.now())) continue;
      primary = member->primary();
      guess_[shard] = node.id;
    }
    if (primary == nullptr) return violated("in the end nobody leads the shard of " + key);
    // Schedules no other.
    ask(kClients, OpCode::get, key, {});
  }

  linear::Time time() const { return world_.now().time_since_epoch(); }
  void violated(std::string what) {
    if (result_.violations.size() < kMaxViolations) result_.violations.push_back(std::move(what));
  }

  // ---- faults

  void cause_trouble() {
    if (world_.now() >= end_ - kFaultsEndBefore) return;
    ++result_.faults;
    const auto& nodes = world_.topology().nodes;
    const NodeId node = nodes[random().below(nodes.size())].id;
    switch (random().below(8)) {
      case 0:
      case 1:
      case 2:
        crash(node);
        break;
      case 3:
        world_.freeze(node, world_.now() + random().between(Duration{50ms}, Duration{4s}));
        break;
      case 4:
        isolate(node);
        break;
      case 5:
        fill_disks(node);
        break;
      default:
        partition(node, nodes[random().below(nodes.size())].id);
        break;
    }
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}), [this] { cause_trouble(); });
  }

  void crash(NodeId node) {
    if (!world_.is_up(node)) return;
    world_.crash(node);
    world_.at(world_.now() + random().between(Duration{10ms}, Duration{4s}), [this, node] {
      if (!world_.is_up(node)) world_.start(node);
    });
  }

  void set_cut(NodeId a, NodeId b, bool there, bool back, bool is_cut) {
    if (there) world_.cut(a, b, is_cut);
    if (back) world_.cut(b, a, is_cut);
  }

  void partition(NodeId a, NodeId b) {
    if (a == b) return;
    set_cut(a, b, true, random().chance(500'000), true);
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{5s}),
              [this, a, b] { set_cut(a, b, true, true, false); });
  }

  void isolate(NodeId node) {
    const bool there = random().chance(750'000);
    const bool back = !there || random().chance(500'000);
    for (const NodeInfo& other : world_.topology().nodes) {
      if (other.id != node) set_cut(node, other.id, there, back, true);
    }
    world_.at(world_.now() + random().between(Duration{500ms}, Duration{6s}), [this, node] {
      for (const NodeInfo& other : world_.topology().nodes) set_cut(node, other.id, true, true, false);
    });
  }

  void fill_disks(NodeId node) {
    world_.limit_disks(node, random().below(2000));
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}),
              [this, node] { world_.unlimit_disks(node); });
  }

  // ---- what must hold at any time

  MemberActor* member(NodeId node, ShardId shard) {
    return dynamic_cast<MemberActor*>(world_.actor({node, Role::member, shard}));
  }

  /// Never two who may acknowledge.
  void check_leases() {
    for (const ShardInfo& shard : world_.topology().shards) {
      const MemberActor* holder = nullptr;
      for (const NodeInfo& node : world_.topology().nodes) {
        const MemberActor* one = member(node.id, shard.id);
        if (one == nullptr || !one->holds_lease(world_.now())) continue;
        if (holder != nullptr) {
          violated("two primaries of " + shard.name + " with a lease, in epochs " +
                   std::to_string(holder->epoch().value) + " and " + std::to_string(one->epoch().value));
        }
        holder = one;
        note_epoch(shard.id, node.id, one->epoch());
      }
    }
    world_.at(world_.now() + kLeaseCheckInterval, [this] { check_leases(); });
  }

  void note_epoch(ShardId shard, NodeId node, Epoch epoch) {
    auto& [newest, leader] = led_[shard];
    if (epoch < newest) violated("an epoch went back in shard " + std::to_string(shard.value));
    if (epoch == newest) return;
    ++result_.epochs;
    if (leader != node && newest != Epoch{}) ++result_.take_overs;
    newest = epoch;
    leader = node;
  }

  // ---- what must hold in the end

  void check_final_state() {
    for (const ShardInfo& shard : world_.topology().shards) {
      ShardActor* primary = nullptr;
      for (const NodeInfo& node : world_.topology().nodes) {
        const MemberActor* one = member(node.id, shard.id);
        if (one != nullptr && one->holds_lease(world_.now())) primary = one->primary();
      }
      if (primary == nullptr) {
        violated("in the end nobody leads " + shard.name);
        continue;
      }
      for (const NodeInfo& node : world_.topology().nodes) {
        const MemberActor* one = member(node.id, shard.id);
        if (one == nullptr || one->primary() != nullptr) continue;
        check_replica(*one->replica(), *primary, shard.name + "'s replica on " + node.name);
      }
    }
    for (const std::string& alarm : world_.alarms()) {
      const bool expected = alarm.find("the disk is full") != std::string::npos ||
                            alarm.find("taking over") != std::string::npos ||
                            alarm.find("stepping down") != std::string::npos ||
                            alarm.find("in-sync set") != std::string::npos;
      if (!expected) violated("alarm: " + alarm);
    }
  }

  /// In its own words.
  std::string status_of(Actor& member) {
    Effects said;
    member.on_message({{}, {}, StatusQuery{}}, world_.now(), said);
    const MemberStatus status = std::get<StatusReport>(said.sends.at(0).second).status;
    return status.state + " " + status.problem + " head " + std::to_string(status.head.value) + " durable " +
           std::to_string(status.durable.value) + " commit " + std::to_string(status.commit.value) +
           " applied " + std::to_string(status.applied.value);
  }

  void check_replica(ReplicaActor& replica, ShardActor& primary, const std::string& name) {
    if (!replica.answers_reads()) violated(name + " does not answer reads in the end");
    if (replica.head() != primary.copy().last()) {
      violated(name + " ends at " + to_string(replica.head()) + ", its primary at " +
               to_string(primary.copy().last()) + ": " + status_of(replica) + "; " + status_of(primary));
    }
    for (std::size_t i = 0; i < kKeys; ++i) {
      const auto ours = replica.copy().get("key-" + std::to_string(i));
      const auto theirs = primary.copy().get("key-" + std::to_string(i));
      const bool same = ours->has_value() == theirs->has_value() &&
                        (!ours->has_value() || (*ours)->version == (*theirs)->version);
      if (!same) violated(name + " differs from its primary in key-" + std::to_string(i));
    }
  }

  Random& random() { return world_.random(); }

  FailoverOptions options_;
  Random setup_;
  SimWorld world_;
  TimePoint end_;
  linear::History history_;
  FailoverResult result_;
  std::map<ShardId, NodeId> guess_;  // all clients': where its primary is
  std::map<ShardId, std::pair<Epoch, NodeId>> led_;
  std::uint64_t written_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace

FailoverResult run_failover(const FailoverOptions& options) { return FailoverRun(options).go(); }

}  // namespace dkv::sim
