#include "tests/sim/register_run.hpp"

#include <algorithm>
#include <set>

#include "actors/keeper/keeper_actor.hpp"
#include "actors/keeper/register_actor.hpp"
#include "tests/sim/register_check.hpp"
#include "tests/sim/sim_world.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kCalmAtTheEnd = 9s;
constexpr Duration kAskersRestBefore = 6s;  // before the end

NodeInfo make_node(std::uint32_t number) {
  const std::string host = "10.0.0." + std::to_string(number) + ":";
  return {NodeId{number}, "node-" + std::to_string(number), host + "1", host + "2", host + "3", host + "4",
          host + "5"};
}

/// Keepers on the first nodes; shards whose members are some of the nodes, in a ring.
TopologyPtr make_topology(std::uint64_t id, std::size_t nodes, std::size_t keepers, std::size_t shards) {
  auto topology = std::make_shared<Topology>();
  topology->name = "simulated";
  topology->id = id;
  for (std::uint32_t n = 1; n <= nodes; ++n) topology->nodes.push_back(make_node(n));
  for (std::uint32_t n = 1; n <= keepers; ++n) topology->keepers.push_back({NodeId{n}});
  for (std::uint32_t s = 1; s <= shards; ++s) {
    ShardInfo shard;
    shard.id = ShardId{s};
    shard.name = "shard-" + std::to_string(s);
    shard.primary = NodeId{static_cast<std::uint32_t>((s - 1) % nodes + 1)};
    for (std::uint32_t r = 0; r < std::min<std::size_t>(2, nodes - 1); ++r)
      shard.replicas.push_back(NodeId{static_cast<std::uint32_t>((s + r) % nodes + 1)});
    topology->shards.push_back(shard);
  }
  for (std::size_t slot = 0; slot < kSlotCount; ++slot)
    topology->slots[slot] = ShardId{static_cast<std::uint32_t>(slot * shards / kSlotCount + 1)};
  return topology;
}

/// Stands where the router does, and behaves like many members: proposes, and reads.
class Asker final : public Actor {
 public:
  struct Plan {
    Duration pause_most{};  // between what it asks; zero: it asks for one change, of the shard of its number
    TimePoint until = kNever;  // nothing new is asked later
  };

  Asker(Address self, std::string name, const Plan& plan, RegisterCheck& check, Random& random)
      : self_(self),
        name_(std::move(name)),
        plan_(plan),
        check_(check),
        random_(random),
        floor_(check.newest_version()) {}

  void on_message(Envelope envelope, TimePoint now, Effects&) override {
    if (envelope.from.role != Role::registrar) return;  // the world's first word, which is the file
    std::visit([&](auto& message) { handle(message, now); }, envelope.message);
  }
  void on_turn_end(TimePoint now, Effects& out) override {
    if (now < wake_at()) return;
    act_at_ = kNever;
    plan_.pause_most != Duration{} && random_.below(4) == 0 ? read(out) : propose(out);
  }
  TimePoint wake_at() const override {
    return topology_ && !waits() && act_at_ < plan_.until ? act_at_ : kNever;
  }

  bool waits() const { return change_ != 0 || token_ != 0; }
  bool is_isolated() const { return isolated_; }
  TimePoint settled_at() const { return settled_at_; }
  std::uint64_t reads() const { return reads_; }

 private:
  void handle(TopologyChanged& message, TimePoint now) {
    check_.chosen(name_, message.topology);
    check_.seen(name_, message.topology, floor_);
    if (!topology_) act_at_ = now + random_.between(Duration{}, plan_.pause_most);
    topology_ = message.topology;
  }
  void handle(ChangeSettled& message, TimePoint now) {
    if (message.change != change_) check_.violated(name_ + " was told of a change that it did not ask for");
    check_.settled(name_, message);
    if (message.topology) check_.seen(name_, message.topology, floor_);
    change_ = 0;
    settled_at_ = now;
    ask_later(now);
  }
  void handle(RegisterRead& message, TimePoint now) {
    if (message.token != token_) check_.violated(name_ + " got an answer that it did not ask for");
    check_.chosen(name_, message.topology);
    check_.seen(name_, message.topology, read_floor_);
    token_ = 0;
    ++reads_;
    ask_later(now);
  }
  void handle(RegisterReach& message, TimePoint) { isolated_ = message.isolated; }
  template <class Other>
  void handle(Other&, TimePoint) {
    check_.violated(name_ + " got a message that is not for it");
  }

  void ask_later(TimePoint now) {
    if (plan_.pause_most != Duration{}) act_at_ = now + random_.between(Duration{1ms}, plan_.pause_most);
  }
  void read(Effects& out) {
    token_ = random_.next() | 1;
    read_floor_ = check_.newest_version();
    out.send({self_.node, Role::registrar, {}}, ReadRegister{token_});
  }
  void propose(Effects& out) {
    TopologyChange change{random_.next() | 1, {}};
    const std::size_t count = topology_->shards.size();
    const std::size_t first = plan_.pause_most == Duration{} ? self_.node.value - 1 : random_.below(count);
    change.shards.push_back(edit(topology_->shards[first % count]));
    if (count > 1 && random_.below(5) == 0)
      change.shards.push_back(edit(topology_->shards[(first + 1) % count]));
    change_ = change.id;
    check_.proposed(change);
    out.send({self_.node, Role::registrar, {}}, ProposeChange{std::move(change)});
  }
  ShardEdit edit(const ShardInfo& shard) {
    ShardEdit edit{shard.change, shard, random_.below(3) == 0};
    if (!shard.replicas.empty() && random_.below(3) == 0) std::swap(edit.next.primary, edit.next.replicas[0]);
    edit.next.in_sync.clear();
    for (const NodeId replica : edit.next.replicas) {
      if (random_.below(2) == 0) edit.next.in_sync.push_back(replica);
    }
    return edit;
  }

  Address self_;
  std::string name_;
  Plan plan_;
  RegisterCheck& check_;
  Random& random_;
  std::uint64_t floor_;  // what was known anywhere when this process began
  std::uint64_t read_floor_ = 0;
  TopologyPtr topology_;
  std::uint64_t change_ = 0;  // the one that it waits for
  std::uint64_t token_ = 0;   // of the read that it waits for
  TimePoint act_at_ = kNever;
  TimePoint settled_at_ = kNever;
  bool isolated_ = true;
  std::uint64_t reads_ = 0;
};

/// A world whose nodes have nothing but the register and an asker each.
class RegisterWorld {
 public:
  RegisterWorld(std::uint64_t seed, const TopologyPtr& topology, const RegisterRules& rules)
      : world_(seed, topology, node_options(rules),
               [this](const Topology& file, NodeId node, const NodeOptions& options, const OpenStorage&,
                      const OpenKeeper& open_keeper) { return assemble(file, node, options, open_keeper); }) {
    world_.observe([this](const Envelope& envelope) { observe(envelope); });
  }

  SimWorld& world() { return world_; }
  RegisterCheck& check() { return check_; }
  Asker::Plan& plan() { return plan_; }

  Asker* asker(NodeId node) { return actor<Asker>(node, Role::router); }
  RegisterActor* registrar(NodeId node) { return actor<RegisterActor>(node, Role::registrar); }
  KeeperActor* keeper(NodeId node) { return actor<KeeperActor>(node, Role::keeper); }

 private:
  static NodeOptions node_options(const RegisterRules& rules) {
    NodeOptions options;
    options.register_rules = rules;
    return options;
  }

  Result<std::vector<PlacedActor>> assemble(const Topology& file, NodeId node, const NodeOptions& options,
                                            const OpenKeeper& open_keeper) {
    std::vector<PlacedActor> actors;
    const Address asker{node, Role::router, {}};
    const std::string name = "node " + std::to_string(node.value) + ", life " + std::to_string(++lives_);
    actors.push_back({"main", asker, std::make_unique<Asker>(asker, name, plan_, check_, world_.random())});
    if (auto placed = place_register(actors, file, node, options, {asker}, open_keeper); !placed)
      return placed.error();
    return actors;
  }

  void observe(const Envelope& envelope) {
    if (const auto* chosen = std::get_if<TopologyChosen>(&envelope.message))
      check_.chosen("the keeper of " + to_string(envelope.to), chosen->topology);
  }

  template <class T>
  T* actor(NodeId node, Role role) {
    return dynamic_cast<T*>(world_.actor({node, role, {}}));
  }

  RegisterCheck check_;
  Asker::Plan plan_;
  std::uint64_t lives_ = 0;
  SimWorld world_;
};

class RegisterRun {
 public:
  explicit RegisterRun(const RegisterRunOptions& options)
      : options_(options),
        setup_(options.seed),
        sim_(setup_.next(), random_topology(), options.rules),
        world_(sim_.world()),
        end_(world_.now() + options.length) {}

  RegisterRunResult go() {
    sim_.plan() = {random().between(Duration{20ms}, Duration{800ms}), end_ - kAskersRestBefore};
    world_.set_faults(random_faults());
    world_.start_all();
    world_.at(world_.now() + random().between(Duration{}, Duration{1s}), [this] { cause_trouble(); });
    world_.run_until(end_ - kCalmAtTheEnd);
    heal();
    world_.run_until(end_);
    check_final_state();
    sim_.check().check_outcomes();
    result_.versions = sim_.check().newest_version();
    result_.chosen = sim_.check().count(ChangeOutcome::chosen);
    result_.lost = sim_.check().count(ChangeOutcome::lost);
    result_.overtaken = sim_.check().count(ChangeOutcome::overtaken);
    result_.trace_hash = world_.trace_hash();
    result_.violations = sim_.check().violations();
    return result_;
  }

 private:
  TopologyPtr random_topology() {
    const std::size_t keepers = setup_.below(2) == 0 ? 3 : 5;
    const std::size_t nodes = keepers + setup_.below(13 - keepers);
    return make_topology(setup_.next(), nodes, keepers, setup_.between(std::uint64_t{1}, std::uint64_t{6}));
  }

  NetworkFaults random_faults() {
    NetworkFaults faults;
    faults.drop_per_million = setup_.below(150'000);
    faults.duplicate_per_million = setup_.below(80'000);
    faults.slow_per_million = options_.is_rough ? 200'000 : setup_.below(150'000);
    return faults;
  }

  // ---- faults

  void cause_trouble() {
    if (world_.now() >= end_ - kCalmAtTheEnd) return;
    ++result_.faults;
    const auto& nodes = world_.topology().nodes;
    const NodeId node = nodes[random().below(nodes.size())].id;
    const NodeId keeper = world_.topology().keepers[random().below(world_.topology().keepers.size())].node;
    switch (random().below(10)) {
      case 0:
        crash(node);
        break;
      case 1:
      case 2:
        crash(keeper);
        break;
      case 3:
      case 4:
        wipe(keeper);
        break;
      case 5:
        freeze(node);
        break;
      case 6:
        break_disk(keeper);
        break;
      case 7:
        if (random().below(3) == 0) restart_all();
        break;
      default:
        partition(keeper, nodes[random().below(nodes.size())].id);
        break;
    }
    const Duration most = options_.is_rough ? Duration{300ms} : Duration{1500ms};
    world_.at(world_.now() + random().between(Duration{20ms}, most), [this] { cause_trouble(); });
  }

  void crash(NodeId node) {
    if (!world_.is_up(node)) return;
    world_.crash(node);
    start_later(node);
  }

  void start_later(NodeId node) {
    const Duration most = options_.is_rough ? Duration{200ms} : Duration{2s};
    world_.at(world_.now() + random().between(Duration{1ms}, most), [this, node] {
      if (!world_.is_up(node)) world_.start(node);
    });
  }

  /// A keeper loses its folder, when no other has lost one that was not admitted again: more than one at a
  /// time is more than a register of three survives.
  void wipe(NodeId node) {
    if (!all_keepers_count()) return;
    ++result_.wiped;
    world_.crash(node);
    world_.wipe(node);
    start_later(node);
  }

  bool all_keepers_count() {
    const TopologyPtr newest = sim_.check().newest();
    if (!newest) return false;
    return std::all_of(newest->keepers.begin(), newest->keepers.end(), [&](const Keeper& named) {
      const KeeperActor* keeper = sim_.keeper(named.node);
      return keeper != nullptr && !keeper->has_failed() && keeper->state().incarnation == named.incarnation &&
             keeper->state().since == named.since;
    });
  }

  void freeze(NodeId node) {
    world_.freeze(node, world_.now() + random().between(Duration{50ms}, Duration{3s}));
  }

  void break_disk(NodeId node) {
    world_.break_keeper_disk(node);
    world_.at(world_.now() + random().between(Duration{10ms}, Duration{1s}), [this, node] { crash(node); });
  }

  void restart_all() {
    ++result_.restarts;
    for (const NodeInfo& node : world_.topology().nodes) crash(node.id);
  }

  void partition(NodeId a, NodeId b) {
    if (a == b) return;
    world_.cut(a, b, true);
    if (random().chance(500'000)) world_.cut(b, a, true);
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}), [this, a, b] {
      world_.cut(a, b, false);
      world_.cut(b, a, false);
    });
  }

  void heal() {
    for (const NodeInfo& node : world_.topology().nodes) {
      const KeeperActor* keeper = sim_.keeper(node.id);
      if (keeper != nullptr && keeper->has_failed()) world_.crash(node.id);
    }
    world_.heal();
  }

  // ---- in the end

  void check_final_state() {
    RegisterCheck& check = sim_.check();
    for (const NodeInfo& node : world_.topology().nodes) {
      const std::string who = "in the end " + node.name;
      const RegisterActor& registrar = *sim_.registrar(node.id);
      const Asker& asker = *sim_.asker(node.id);
      result_.rounds += registrar.rounds_begun();
      result_.reads += asker.reads();
      if (!registrar.is_ready()) check.violated(who + " has never read the register");
      if (registrar.is_isolated() || asker.is_isolated()) check.violated(who + " believes to be isolated");
      if (asker.waits()) check.violated(who + " still waits for an answer");
      if (registrar.known().topology && *registrar.known().topology != *check.newest())
        check.violated(who + " does not know the newest topology");
    }
    if (!all_keepers_count()) check.violated("in the end not every keeper counts");
    for (const std::string& alarm : world_.alarms()) {
      if (alarm.find("went back") != std::string::npos) check.violated("alarm: " + alarm);
    }
  }

  Random& random() { return world_.random(); }

  RegisterRunOptions options_;
  Random setup_;
  RegisterWorld sim_;
  SimWorld& world_;
  TimePoint end_;
  RegisterRunResult result_;
};

}  // namespace

RegisterRunResult run_register(const RegisterRunOptions& options) { return RegisterRun(options).go(); }

Duration time_to_settle(std::uint64_t seed, std::size_t nodes, std::size_t keepers) {
  RegisterWorld sim(seed, make_topology(seed, nodes, keepers, nodes), {});
  SimWorld& world = sim.world();
  const TimePoint began = world.now();
  world.start_all();
  world.run_until(began + 60s);
  TimePoint last = began;
  for (const NodeInfo& node : world.topology().nodes) last = std::max(last, sim.asker(node.id)->settled_at());
  return last == kNever ? Duration::max() : last - began;
}

}  // namespace dkv::sim
