#include "tests/sim/failover_scenarios.hpp"

#include <algorithm>

#include "actors/keeper/keeper_actor.hpp"
#include "tests/sim/small_limits.hpp"
#include "topology/codec.hpp"

namespace dkv::sim {

namespace {

constexpr ShardId kShard{1};
constexpr NodeId kA{1};  // the file's primary
constexpr NodeId kB{2};
constexpr NodeId kC{3};  // where there are three members

std::vector<NodeId> keepers(FailoverCluster& cluster) {
  std::vector<NodeId> nodes;
  for (const Keeper& keeper : cluster.world().topology().keepers) nodes.push_back(keeper.node);
  return nodes;
}

void set_cut_from_keepers(FailoverCluster& cluster, NodeId node, bool is_cut) {
  for (const NodeId keeper : keepers(cluster)) cluster.set_cut(node, keeper, true, true, is_cut);
}

void delay_keepers_answers(FailoverCluster& cluster, NodeId to, Duration delay) {
  for (const NodeId keeper : keepers(cluster)) cluster.world().delay(keeper, to, delay);
}

bool in_sync(FailoverCluster& cluster, NodeId node) {
  const auto& all = cluster.newest_of(kShard).in_sync;
  return std::find(all.begin(), all.end(), node) != all.end();
}

std::ptrdiff_t keepers_that_accepted(FailoverCluster& cluster,
                                     const std::function<bool(const ShardInfo&)>& is_so) {
  const std::vector<NodeId> all = keepers(cluster);
  return std::count_if(all.begin(), all.end(), [&](NodeId node) {
    const auto& keeper = dynamic_cast<KeeperActor&>(*cluster.world().actor({node, Role::keeper, {}}));
    const auto accepted = decode_topology(keeper.state().topology);
    return accepted && is_so(accepted->shards[0]);
  });
}

/// A leads, and every other member is in sync and level with it.
void settle(FailoverCluster& cluster) {
  cluster.world().start_all();
  const std::size_t replicas = cluster.world().topology().shards[0].replicas.size();
  cluster.run_until("all members are in sync", 20s, [&] {
    return cluster.leader(kShard) == kA && cluster.newest_of(kShard).in_sync.size() == replicas;
  });
  cluster.put(kA, "key-0", "first");
  cluster.run_for(300ms);
}

void wait_for_leader(FailoverCluster& cluster, NodeId node, Duration most = 6s) {
  cluster.run_until("node " + std::to_string(node.value) + " leads", most,
                    [&] { return cluster.leader(kShard) == node; });
}

/// What both sides of a cut are asked for.
void ask_both(FailoverCluster& cluster, Duration time) {
  const TimePoint end = cluster.world().now() + time;
  for (int i = 0; cluster.world().now() < end; ++i) {
    for (const NodeId node : {kA, kB}) {
      cluster.put(node, "key-0", "from-" + std::to_string(node.value) + "-" + std::to_string(i));
      cluster.get(node, "key-0");
    }
    cluster.run_for(40ms);
  }
}

// ---- take-over

/// The primary is cut off from everything but its clients.
void isolated_primary(FailoverCluster& cluster) {
  settle(cluster);
  cluster.cut_off(kA, true);
  ask_both(cluster, 3s);
  wait_for_leader(cluster, kB);
  cluster.put(kB, "key-0", "second");
  cluster.run_for(1s);
}

/// The primary's disk stands still: it goes quiet, and must not drop the one that can take over.
void stalled_disk(FailoverCluster& cluster) {
  settle(cluster);
  cluster.world().stall_disk(kA, kShard, 20s);
  cluster.put(kA, "key-0", "stuck");
  wait_for_leader(cluster, kB, 8s);
  cluster.put(kB, "key-0", "second");
  cluster.world().stall_disk(kA, kShard, 0s);
  cluster.run_until("A is in sync again", 30s, [&] { return in_sync(cluster, kA); });
}

/// Both members end at once, while a replica's disk is slow, and the replica begins alone: with all that it
/// has acknowledged.
void both_end_while_a_disk_is_slow(FailoverCluster& cluster) {
  settle(cluster);
  cluster.world().stall_disk(kB, kShard, 500ms);
  for (int i = 0; i < 10; ++i) {
    cluster.put(kA, "key-" + std::to_string(i), "second");
    cluster.run_for(15ms);
  }
  for (const NodeId node : {kA, kB}) cluster.world().crash(node);
  cluster.world().stall_disk(kB, kShard, 0s);
  cluster.world().start(kB);
  wait_for_leader(cluster, kB, 8s);
}

/// The primary's process ends again and again soon after its start, and each time begins anew before anybody
/// misses it.
void crash_loop(FailoverCluster& cluster) {
  settle(cluster);
  for (std::uint64_t i = 0; i < kCrashLoop; ++i) {
    wait_for_leader(cluster, kA);
    cluster.run_for(1s);
    cluster.world().crash(kA);
    cluster.run_for(200ms);
    cluster.world().start(kA);
  }
  wait_for_leader(cluster, kB, 4s);
  cluster.run_until("A is in sync again", 5s, [&] { return in_sync(cluster, kA); });
}

/// The same, when nobody else can.
void crash_loop_alone(FailoverCluster& cluster) {
  settle(cluster);
  for (std::uint64_t i = 0; i < kCrashLoop; ++i) {
    wait_for_leader(cluster, kA);
    cluster.world().crash(kA);
    if (i == 0) cluster.world().crash(kB);  // in sync
    cluster.world().start(kA);
  }
  wait_for_leader(cluster, kA);
}

/// Power fails everywhere at once.
void power_failure(FailoverCluster& cluster) {
  settle(cluster);
  for (int i = 0; i < 10; ++i) cluster.put(kA, "key-" + std::to_string(i), "kept");
  cluster.run_for(100ms);
  for (const NodeInfo& node : cluster.world().topology().nodes) cluster.world().crash(node.id);
  cluster.world().start_all();
  wait_for_leader(cluster, kA);
}

/// The primary loses its folder, when no replica is in sync: it must not begin a second history, and the
/// replica has not all of the first.
void wiped_primary(FailoverCluster& cluster) {
  settle(cluster);
  cluster.world().crash(kB);
  cluster.run_until("B is dropped", 3s, [&] { return !in_sync(cluster, kB); });
  cluster.put(kA, "key-0", "lost");
  cluster.run_for(100ms);
  cluster.world().crash(kA);
  cluster.world().wipe_members(kA);
  cluster.world().start_all();
  cluster.run_for(5s);
  if (cluster.leader(kShard) != NodeId{}) cluster.violated("a copy that has not all took over");
  cluster.force_promotion(kShard, kB);
}

/// Answers to its heartbeats come to the primary late, and the last one when its lease should be nearly over.
void slow_answers(FailoverCluster& cluster) {
  settle(cluster);
  cluster.world().delay(kB, kA, 700ms);
  cluster.run_for(2s);
  set_cut_from_keepers(cluster, kA, true);
  cluster.world().cut(kA, kB, true);
  ask_both(cluster, 2500ms);
}

/// A replica whose last event its new primary does not have asks for what follows it, ends, begins again, is
/// in sync, and then gets the answer to its earlier process.
void late_answer_to_a_pull(FailoverCluster& cluster) {
  settle(cluster);
  SimWorld& world = cluster.world();
  cluster.cut_off(kA, true);
  cluster.put(kA, "key-1", "never committed");
  wait_for_leader(cluster, kB);
  world.delay(kB, kA, 4s);
  cluster.cut_off(kA, false);
  cluster.run_until("A follows", 2s, [&] { return cluster.member(kA, kShard)->replica() != nullptr; });
  cluster.run_for(500ms);
  world.crash(kA);
  world.delay(kB, kA, {});
  world.start(kA);
  cluster.run_until("A is in sync again", 2500ms, [&] { return in_sync(cluster, kA); });
  for (int i = 0; i < 10; ++i) {
    cluster.put(kB, "key-" + std::to_string(i), "kept");
    cluster.run_for(20ms);
  }
  cluster.run_for(5s);
}

/// The register is slow for a taker, and meanwhile its primary is heard again.
void primary_heard_while_taking(FailoverCluster& cluster) {
  settle(cluster);
  set_cut_from_keepers(cluster, kA, true);
  delay_keepers_answers(cluster, kB, 250ms);
  cluster.world().cut(kA, kB, true);
  cluster.run_until("B asks to take over", 3s, [&] { return cluster.member(kB, kShard)->has_pending(); });
  cluster.run_for(50ms);
  cluster.world().cut(kA, kB, false);
  cluster.run_for(350ms);
  cluster.world().cut(kB, kA, true);  // so that it is not told
  ask_both(cluster, 1500ms);
}

/// A taker's process ends when one keeper has accepted its change, and begins anew; then the change is
/// chosen.
void change_of_an_earlier_process(FailoverCluster& cluster) {
  settle(cluster);
  SimWorld& world = cluster.world();
  const std::vector<NodeId> three = keepers(cluster);
  set_cut_from_keepers(cluster, kA, true);
  delay_keepers_answers(cluster, kB, 250ms);
  world.cut(kA, kB, true);
  cluster.run_until("B asks to take over", 3s, [&] { return cluster.member(kB, kShard)->has_pending(); });
  cluster.run_for(50ms);
  world.cut(kB, three[1], true);
  world.cut(kB, three[2], true);
  cluster.run_until("one keeper accepts it", 1s, [&] {
    return keepers_that_accepted(cluster, [](const ShardInfo& shard) { return shard.primary == kB; }) == 1;
  });
  world.crash(kB);
  delay_keepers_answers(cluster, kB, {});
  set_cut_from_keepers(cluster, kB, false);
  world.cut(kA, kB, false);
  world.cut(three[0], kB, true);  // what the others have accepted is what it hears first
  world.start(kB);
  cluster.run_for(5ms);
  world.cut(three[0], kB, false);
  world.cut(three[2], kB, true);  // and then of what the first one has
  cluster.run_until("it is chosen", 2s, [&] { return cluster.newest_of(kShard).primary == kB; });
  world.cut(kB, kA, true);
  ask_both(cluster, 2s);
}

/// A keeper's process ends right after it has accepted a take, and nobody tells it that this was chosen. It,
/// and another keeper that knows of nothing, then serve the old primary.
void keeper_that_ends_when_it_has_accepted(FailoverCluster& cluster) {
  settle(cluster);
  SimWorld& world = cluster.world();
  const std::vector<NodeId> three = keepers(cluster);
  cluster.cut_off(kA, true);
  cluster.set_cut(kB, three[2], true, true, true);
  for (const NodeId keeper : {three[0], three[2]}) cluster.set_cut(three[1], keeper, true, true, true);
  cluster.run_until("two keepers know of the take", 4s, [&] {
    return keepers_that_accepted(cluster, [](const ShardInfo& shard) { return shard.primary == kB; }) == 2;
  });
  world.cut(kB, three[0], true);  // so that it is not told that this was chosen
  cluster.run_for(20ms);
  world.crash(three[0]);
  cluster.set_cut(kB, three[0], true, true, true);
  for (const NodeId keeper : {three[0], three[2]}) cluster.set_cut(kA, keeper, true, true, false);
  world.start(three[0]);
  ask_both(cluster, 3s);
}

/// A deposed primary that has not heard of it finds one that counted for it, and is a replica again.
void deposed_primary_asks_again(FailoverCluster& cluster) {
  SimWorld& world = cluster.world();
  for (const NodeInfo& node : world.topology().nodes) {
    if (node.id != kC) world.start(node.id);
  }
  cluster.run_until("A leads, with B", 20s,
                    [&] { return cluster.leader(kShard) == kA && in_sync(cluster, kB); });
  cluster.put(kA, "key-0", "first");
  cluster.run_for(200ms);
  cluster.cut_off(kA, true);
  world.start(kC);
  wait_for_leader(cluster, kB, 2500ms);
  cluster.run_until("C is in sync", 2s, [&] { return in_sync(cluster, kC); });
  cluster.hand_over(kShard, kB, kC);
  wait_for_leader(cluster, kC, 2s);
  cluster.set_cut(kA, kB, true, true, false);
  for (int i = 0; i < 20; ++i) {
    cluster.put(kC, "key-0", "new-" + std::to_string(i));
    cluster.get(kA, "key-0");
    cluster.run_for(50ms);
  }
}

/// What a cut-off primary has asked for meanwhile comes to the register late.
void change_made_from_an_old_state(FailoverCluster& cluster) {
  isolated_primary(cluster);
  cluster.cut_off(kA, false);
  ask_both(cluster, 2s);
}

/// A replica is admitted, and its primary is not told.
void admitted_unknown_to_its_primary(FailoverCluster& cluster) {
  SimWorld& world = cluster.world();
  for (const NodeInfo& node : world.topology().nodes) {
    if (node.id != kB) world.start(node.id);
  }
  wait_for_leader(cluster, kA, 20s);
  delay_keepers_answers(cluster, kA, 250ms);
  world.start(kB);
  cluster.run_until("B is admitted", 5s, [&] {
    return keepers_that_accepted(cluster, [](const ShardInfo& shard) { return !shard.in_sync.empty(); }) >= 2;
  });
  cluster.cut_off(kA, true);
  ask_both(cluster, 4s);
}

// ---- operators

/// Under load nothing is lost: what was not answered before was refused before it was done.
void hand_over_under_load(FailoverCluster& cluster) {
  settle(cluster);
  cluster.start_clients(5, 10, cluster.world().now() + 3s);
  cluster.run_for(1s);
  cluster.world().delay(kB, kA, 100ms);  // so that there is always something under way
  cluster.run_for(500ms);
  cluster.hand_over(kShard, kA, {});
  cluster.run_until("the hand-over is answered", 1s, [&] { return cluster.report().has_value(); });
  if (cluster.report() && cluster.report()->code != Errc::ok) cluster.violated(cluster.report()->text);
  wait_for_leader(cluster, kB, 500ms);
  cluster.run_for(2s);
  if (cluster.result().unknown_outcomes > 0)
    cluster.violated("a hand-over left clients with unknown outcomes");
}

/// To one that dies of it: the old primary, in sync, takes over again.
void hand_over_to_one_that_dies(FailoverCluster& cluster) {
  settle(cluster);
  cluster.hand_over(kShard, kA, kB);
  cluster.run_until("it is done", 1s, [&] { return cluster.report().has_value(); });
  cluster.world().crash(kB);
  wait_for_leader(cluster, kA, 4s);
}

/// The primary hands over, and then hears nothing of what came of it: it stays stopped.
void hand_over_of_unknown_outcome(FailoverCluster& cluster) {
  settle(cluster);
  delay_keepers_answers(cluster, kA, 250ms);
  cluster.hand_over(kShard, kA, kB);
  cluster.run_until("it is proposed", 1s, [&] { return cluster.member(kA, kShard)->has_pending(); });
  cluster.run_for(260ms);
  cluster.cut_off(kA, true);
  ask_both(cluster, 4s);
}

/// Only a copy that is not in sync is left, and an operator makes it primary. Then the old one comes back,
/// with what was acknowledged meanwhile.
void forced_promotion(FailoverCluster& cluster) {
  settle(cluster);
  cluster.world().crash(kB);
  cluster.run_until("B is dropped", 3s, [&] { return !in_sync(cluster, kB); });
  for (int i = 0; i < 30; ++i) {
    cluster.put(kA, "key-" + std::to_string(i % 10), "lost-" + std::to_string(i));
    cluster.run_for(20ms);
  }
  cluster.world().crash(kA);
  cluster.world().start(kB);
  cluster.run_for(4s);
  if (cluster.leader(kShard) != NodeId{}) cluster.violated("a copy that is not in sync took over");
  cluster.force_promotion(kShard, kB);
  wait_for_leader(cluster, kB);
  if (!cluster.report() || cluster.report()->code != Errc::ok)
    cluster.violated("the promotion was not reported");
  for (int i = 0; i < 5; ++i) {
    cluster.put(kB, "key-" + std::to_string(i), "kept-" + std::to_string(i));
    cluster.run_for(100ms);
  }
  cluster.world().start(kA);
  cluster.run_until("A is in sync again, with a copy", 10s, [&] { return in_sync(cluster, kA); });
}

/// The same, while a third member is being copied from the old primary: what came of that is of a history
/// that counts no more, also where the forced one goes on past it.
void forced_promotion_during_a_copy(FailoverCluster& cluster) {
  settle(cluster);
  SimWorld& world = cluster.world();
  for (const NodeId node : {kB, kC}) world.crash(node);
  world.wipe_members(kC);
  cluster.run_until("B and C are dropped", 4s, [&] { return cluster.newest_of(kShard).in_sync.empty(); });
  for (int i = 0; i < 100; ++i) {
    cluster.put(kA, "key-" + std::to_string(i), std::string(200, 'v'));
    cluster.run_for(40ms);
  }
  world.delay(kA, kC, 50ms);
  world.start(kC);
  cluster.run_until("C has some of it", 10s, [&] {
    const ReplicaActor* replica = cluster.member(kC, kShard)->replica();
    return replica != nullptr && replica->head() != Position{} && !replica->can_lead();
  });
  cluster.run_for(500ms);
  world.crash(kA);
  world.start(kB);
  cluster.run_until("B knows its shard", 3s, [&] {
    const MemberActor* member = cluster.member(kB, kShard);
    return member->replica() != nullptr && member->replica()->can_lead();
  });
  cluster.force_promotion(kShard, kB);
  wait_for_leader(cluster, kB);
  for (int i = 0; i < 300; ++i) {
    cluster.put(kB, "key-0", "new-" + std::to_string(i));
    cluster.run_for(20ms);
  }
}

/// A copy that is not whole is never primary.
void promotion_of_a_partial_copy(FailoverCluster& cluster) {
  settle(cluster);
  SimWorld& world = cluster.world();
  world.crash(kB);
  world.wipe_members(kB);
  cluster.run_until("B is dropped", 3s, [&] { return !in_sync(cluster, kB); });
  for (int i = 0; i < 200; ++i) {
    cluster.put(kA, "key-" + std::to_string(i), std::string(200, 'v'));
    cluster.run_for(40ms);
  }
  world.delay(kA, kB, 50ms);
  world.start(kB);
  cluster.run_until("B has begun a copy", 10s, [&] {
    const ReplicaActor* replica = cluster.member(kB, kShard)->replica();
    return replica != nullptr && replica->head() != Position{} && !replica->can_lead();
  });
  world.crash(kA);
  cluster.run_for(200ms);
  cluster.world().tell({kB, Role::router, {}}, {kB, Role::member, kShard}, ForcePromotion{7});
  cluster.run_for(3s);
  if (!cluster.report() || cluster.report()->code != Errc::unavailable)
    cluster.violated("a partial copy was not refused");
  if (cluster.leader(kShard) != NodeId{}) cluster.violated("a partial copy became primary");
}

// ---- volatile shards

/// One process at a time ends: nothing is lost.
void volatile_restarts_in_turn(FailoverCluster& cluster) {
  settle(cluster);
  const auto find_first = [&](NodeId node) {
    const auto found = cluster.member(node, kShard)->primary()->copy().get("key-0");
    return found->has_value() && (*found)->value == "first";
  };
  cluster.world().crash(kA);
  cluster.run_for(100ms);
  cluster.world().start(kA);
  wait_for_leader(cluster, kB);
  cluster.run_until("A has a copy again", 5s, [&] { return in_sync(cluster, kA); });
  if (!find_first(kB)) cluster.violated("the volatile shard lost what its other member had");
  cluster.world().crash(kB);
  cluster.world().start(kB);
  wait_for_leader(cluster, kA);
  if (!find_first(kA)) cluster.violated("the volatile shard lost what its other member had");
}

/// All at once: it begins again, empty, and serves.
void volatile_loses_all(FailoverCluster& cluster) {
  settle(cluster);
  for (const NodeId node : {kA, kB}) cluster.world().crash(node);
  cluster.run_for(500ms);
  for (const NodeId node : {kA, kB}) cluster.world().start(node);
  wait_for_leader(cluster, kA, 8s);
  const auto found = cluster.member(kA, kShard)->primary()->copy().get("key-0");
  if (found->has_value()) cluster.violated("nobody can have that");
  cluster.run_until("B is in sync", 5s, [&] { return in_sync(cluster, kB); });
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> kAll = {
      {"isolated-primary", isolated_primary},
      {"stalled-disk", stalled_disk},
      {"both-end-while-a-disk-is-slow", both_end_while_a_disk_is_slow},
      {"crash-loop", crash_loop},
      {"crash-loop-alone", crash_loop_alone},
      {"power-failure", power_failure},
      {"wiped-primary", wiped_primary},
      {"slow-answers", slow_answers},
      {"late-answer-to-a-pull", late_answer_to_a_pull},
      {"primary-heard-while-taking", primary_heard_while_taking},
      {"change-of-an-earlier-process", change_of_an_earlier_process},
      {"keeper-that-ends-when-it-has-accepted", keeper_that_ends_when_it_has_accepted},
      {"deposed-primary-asks-again", deposed_primary_asks_again, 3},
      {"change-made-from-an-old-state", change_made_from_an_old_state},
      {"admitted-unknown-to-its-primary", admitted_unknown_to_its_primary},
      {"hand-over-under-load", hand_over_under_load},
      {"hand-over-to-one-that-dies", hand_over_to_one_that_dies},
      {"hand-over-of-unknown-outcome", hand_over_of_unknown_outcome},
      {"forced-promotion", forced_promotion},
      {"forced-promotion-during-a-copy", forced_promotion_during_a_copy, 3},
      {"promotion-of-a-partial-copy", promotion_of_a_partial_copy},
      {"volatile-restarts-in-turn", volatile_restarts_in_turn, 2, StoreKind::memory},
      {"volatile-loses-all", volatile_loses_all, 2, StoreKind::memory},
  };
  return kAll;
}

const Scenario* find_scenario(const std::string& name) {
  const auto found = std::find_if(scenarios().begin(), scenarios().end(),
                                  [&](const Scenario& one) { return one.name == name; });
  return found == scenarios().end() ? nullptr : &*found;
}

FailoverResult run_scenario(const Scenario& scenario, const std::function<void(NodeOptions&)>& breaks) {
  auto topology = simulated_nodes(4711, scenario.members + 3, scenario.members + 1, 3);
  ShardInfo shard;
  shard.id = kShard;
  shard.name = "shard-1";
  shard.store = scenario.store;
  shard.primary = kA;
  for (std::uint32_t node = 2; node <= scenario.members; ++node) shard.replicas.push_back(NodeId{node});
  topology->shards = {shard};
  topology->slots.fill(kShard);
  NodeOptions options = small_limits(1);
  if (breaks) breaks(options);
  FailoverCluster cluster(1, topology, options);
  scenario.script(cluster);
  cluster.finish();
  return cluster.result();
}

}  // namespace dkv::sim
