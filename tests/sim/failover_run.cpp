#include "tests/sim/failover_run.hpp"

#include <algorithm>

#include "actors/keeper/keeper_actor.hpp"
#include "actors/keeper/quorum.hpp"
#include "tests/sim/small_limits.hpp"
#include "topology/codec.hpp"
#include "topology/placement.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kCalmBefore = 3s;
constexpr Duration kFaultsEndBefore = 20s;
constexpr Duration kClientsRestBefore = 5s;
constexpr std::size_t kClients = 5;
constexpr std::size_t kKeys = 10;
constexpr std::size_t kWatchers = 5;
constexpr std::size_t kRepeaters = 3;
constexpr std::size_t kScanners = 2;

/// Shards over shared nodes, each with one to three replicas; three or five keepers. Now and then a volatile
/// one.
TopologyPtr random_topology(Random& random) {
  const std::uint64_t id = random.next();
  // Most clusters are small: the larger, the less of its faults meets each shard.
  const std::size_t most = random.chance(200'000) ? 12 : 7;
  const std::size_t nodes = random.between(std::uint64_t{3}, most);
  const std::size_t keepers = nodes >= 5 && random.chance(500'000) ? 5 : 3;
  auto topology = simulated_nodes(id, nodes, 1, keepers);
  std::vector<PlacementShard> placement;
  const std::size_t shards = random.between(std::uint64_t{1}, std::uint64_t{3});
  for (std::size_t i = 0; i < shards; ++i) {
    ShardInfo shard;
    shard.id = ShardId{static_cast<std::uint32_t>(i + 1)};
    shard.name = "shard-" + std::to_string(i + 1);
    if (random.chance(150'000)) shard.store = StoreKind::memory;
    std::vector<NodeId> members;
    for (const NodeInfo& node : topology->nodes) members.push_back(node.id);
    for (std::size_t at = members.size(); at > 1; --at) std::swap(members[at - 1], members[random.below(at)]);
    shard.primary = members[0];
    const std::size_t replicas =
        std::min<std::size_t>(random.chance(100'000) ? 3 : 1 + random.below(2), nodes - 1);
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
        cluster_(setup_.next(), random_topology(setup_), node_options(options)),
        world_(cluster_.world()),
        end_(world_.now() + options.length) {}

  FailoverResult go() {
    if (options_.causes_faults) {
      world_.set_faults(random_faults());
      world_.set_clock_drift(kDriftBoundPpm);
    }
    world_.start_all();
    cluster_.start_clients(kClients, kKeys, end_ - kClientsRestBefore);
    if (options_.repeats) cluster_.start_repeaters(kRepeaters, options_.seed, end_ - kClientsRestBefore);
    if (options_.scans) cluster_.start_scanners(kScanners, options_.seed, end_ - kClientsRestBefore);
    if (options_.watches) cluster_.start_watchers(kWatchers, options_.seed);
    if (options_.causes_faults) world_.at(world_.now() + kCalmBefore, [this] { cause_trouble(); });
    world_.run_until(end_ - kFaultsEndBefore);
    cluster_.finish();
    return cluster_.result();
  }

 private:
  static NodeOptions node_options(const FailoverOptions& options) {
    NodeOptions node = small_limits(options.seed);
    if (options.breaks) options.breaks(node);
    return node;
  }

  NetworkFaults random_faults() {
    NetworkFaults faults;
    faults.drop_per_million = setup_.below(60'000);
    faults.duplicate_per_million = setup_.below(60'000);
    faults.slow_per_million = setup_.below(60'000);
    faults.corrupt_per_million = setup_.below(20'000);
    return faults;
  }

  void cause_trouble() {
    if (world_.now() >= end_ - kFaultsEndBefore) return;
    ++cluster_.result().faults;
    const auto& nodes = world_.topology().nodes;
    const NodeId node = nodes[random().below(nodes.size())].id;
    switch (random().below(11)) {
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
      case 6:
        lose_folders(node);
        break;
      case 7:
      case 8:
        hand_over();
        break;
      default:
        partition(node, nodes[random().below(nodes.size())].id);
        break;
    }
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}), [this] { cause_trouble(); });
  }

  void start_later(NodeId node) {
    world_.at(world_.now() + random().between(Duration{10ms}, Duration{4s}), [this, node] {
      if (!world_.is_up(node)) world_.start(node);
    });
  }

  void crash(NodeId node) {
    if (!world_.is_up(node)) return;
    world_.crash(node);
    start_later(node);
  }

  void partition(NodeId a, NodeId b) {
    if (a == b) return;
    cluster_.set_cut(a, b, true, random().chance(500'000), true);
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{5s}),
              [this, a, b] { cluster_.set_cut(a, b, true, true, false); });
  }

  void isolate(NodeId node) {
    const bool there = random().chance(750'000);
    const bool back = !there || random().chance(500'000);
    for (const NodeInfo& other : world_.topology().nodes) {
      if (other.id != node) cluster_.set_cut(node, other.id, there, back, true);
    }
    world_.at(world_.now() + random().between(Duration{500ms}, Duration{6s}),
              [this, node] { cluster_.cut_off(node, false); });
  }

  void fill_disks(NodeId node) {
    world_.limit_disks(node, random().below(2000));
    world_.at(world_.now() + random().between(Duration{100ms}, Duration{4s}),
              [this, node] { world_.unlimit_disks(node); });
  }

  void hand_over() {
    const auto& shards = world_.topology().shards;
    const ShardInfo& shard = cluster_.newest_of(shards[random().below(shards.size())].id);
    if (!world_.is_up(shard.primary)) return;
    const bool any = shard.in_sync.empty() || random().chance(500'000);
    cluster_.hand_over(shard.id, shard.primary,
                       any ? NodeId{} : shard.in_sync[random().below(shard.in_sync.size())]);
  }

  // ---- folders that are lost: never the last one that has what was acknowledged, nor a majority of the
  // keepers'

  void lose_folders(NodeId node) {
    if (!is_at_rest() || !others_have_all(node)) return crash(node);
    ++cluster_.result().wiped;
    world_.crash(node);
    is_keeper(node) && !may_lose_keeper(node) ? world_.wipe_members(node) : world_.wipe(node);
    start_later(node);
  }

  /// Nothing is under way that could change who is in sync: so the register's newest is what all know.
  bool is_at_rest() {
    const TopologyPtr newest = cluster_.newest();
    for (const NodeInfo& node : world_.topology().nodes) {
      if (!world_.is_up(node.id) || world_.is_frozen(node.id)) return false;
      for (const ShardInfo& shard : newest->shards) {
        const MemberActor* member = cluster_.member(node.id, shard.id);
        if (member == nullptr) continue;
        if (member->has_pending() || !member->topology() || member->topology()->version != newest->version)
          return false;
      }
    }
    for (const Keeper& keeper : newest->keepers) {
      const KeeperState& state = keeper_of(keeper.node);
      const auto accepted = decode_topology(state.topology);
      if (accepted && accepted->version > newest->version) return false;
    }
    return true;
  }

  bool others_have_all(NodeId node) {
    const TopologyPtr newest = cluster_.newest();
    return std::all_of(newest->shards.begin(), newest->shards.end(), [&](const ShardInfo& shard) {
      std::vector<NodeId> holders = shard.in_sync;
      holders.push_back(shard.primary);
      if (std::find(holders.begin(), holders.end(), node) == holders.end()) return true;
      return std::any_of(holders.begin(), holders.end(),
                         [&](NodeId other) { return other != node && has_registered_folder(shard, other); });
    });
  }

  bool has_registered_folder(const ShardInfo& shard, NodeId node) {
    const std::uint64_t incarnation = cluster_.member(node, shard.id)->incarnation();
    return std::any_of(shard.folders.begin(), shard.folders.end(), [&](const MemberFolder& folder) {
      return folder.node == node && folder.incarnation == incarnation;
    });
  }

  const KeeperState& keeper_of(NodeId node) {
    return dynamic_cast<KeeperActor&>(*world_.actor({node, Role::keeper, {}})).state();
  }

  bool is_keeper(NodeId node) { return find_keeper(world_.topology(), node) != nullptr; }

  bool may_lose_keeper(NodeId node) {
    const auto keepers = cluster_.newest()->keepers;
    const auto whole = std::count_if(keepers.begin(), keepers.end(), [&](const Keeper& keeper) {
      return keeper.node != node && keeper_of(keeper.node).incarnation == keeper.incarnation;
    });
    return static_cast<std::size_t>(whole) > keepers.size() / 2;
  }

  Random& random() { return world_.random(); }

  FailoverOptions options_;
  Random setup_;
  FailoverCluster cluster_;
  SimWorld& world_;
  TimePoint end_;
};

}  // namespace

FailoverResult run_failover(const FailoverOptions& options) { return FailoverRun(options).go(); }

}  // namespace dkv::sim
