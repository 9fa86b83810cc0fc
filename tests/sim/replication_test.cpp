// Replication under faults, in simulation. The environment's DKV_SIM_SEEDS sets how many seeds are run.
#include <gtest/gtest.h>
#include <iostream>
#include <set>

#include "tests/actors/conversation.hpp"
#include "tests/linearizability/check.hpp"
#include "tests/sim/cluster_run.hpp"
#include "tests/sim/seeds.hpp"
#include "tests/sim/sim_world.hpp"

namespace dkv::sim {
namespace {

TEST(SimulatedCluster, KeepsItsPromisesUnderFaultsAndReplaysEachSeedToTheSameTrace) {
  RunResult total;
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunResult result = run_cluster(options);
    ASSERT_TRUE(result.violations.empty())
        << "replay with: distrikv-sim --seed " << seed << all_of(result.violations);
    ASSERT_EQ(result.trace_hash, run_cluster(options).trace_hash) << "seed " << seed;
    traces.insert(result.trace_hash);
    total.acknowledged_writes += result.acknowledged_writes;
    total.reads += result.reads;
    total.replica_reads += result.replica_reads;
    total.refused_for_room += result.refused_for_room;
    total.faults += result.faults;
    total.gaps_repaired += result.gaps_repaired;
    total.prefix_checks += result.prefix_checks;
    total.snapshots += result.snapshots;
    total.snapshots_done += result.snapshots_done;
    total.snapshot_chunks += result.snapshot_chunks;
    total.judged_operations += result.judged_operations;
  }
  EXPECT_EQ(traces.size(), seed_count());
  // Faults must not have kept the clients from doing anything, and must have been felt.
  EXPECT_GT(total.acknowledged_writes, seed_count() * 100);
  EXPECT_GT(total.reads, seed_count() * 20);
  EXPECT_GT(total.replica_reads, seed_count() * 10);
  EXPECT_GT(total.refused_for_room, seed_count());
  EXPECT_GT(total.faults, seed_count() * 10);
  EXPECT_GT(total.gaps_repaired, seed_count() * 10);
  EXPECT_GT(total.prefix_checks, seed_count() * 100);
  EXPECT_GT(total.snapshots_done, seed_count());
  // Some were given up, of many.
  if (seed_count() >= kManySeeds) {
    EXPECT_GT(total.snapshots, total.snapshots_done);
  }
  EXPECT_GT(total.judged_operations, total.acknowledged_writes + total.reads);
  std::cout << seed_count() << " seeds: " << total.acknowledged_writes << " acknowledged writes, "
            << total.reads << " reads, " << total.replica_reads << " replica reads, " << total.faults
            << " faults, " << total.gaps_repaired << " gaps repaired, " << total.snapshots << " snapshots of "
            << total.snapshot_chunks << " chunks, " << total.prefix_checks << " copies compared\n";
}

/// Whether a broken world is noticed, within 50 seeds, as `how` says.
template <class How>
bool is_noticed(RunOptions options, How how) {
  for (options.seed = 1; options.seed <= 50; ++options.seed) {
    if (how(run_cluster(options))) return true;
  }
  return false;
}

TEST(SimulatedCluster, NoticesAReplicaThatDoesNotDetectGaps) {
  RunOptions options;
  options.replica_rules.detect_gaps = false;
  EXPECT_TRUE(is_noticed(options, [](const RunResult& result) { return !result.violations.empty(); }));
}

TEST(SimulatedCluster, NoticesADiskThatDoesNotSyncByWhatItsClientsAreTold) {
  RunOptions options;
  options.disks_lie = true;
  EXPECT_TRUE(is_noticed(options, [](const RunResult& result) { return result.not_linearizable > 0; }));
}

class TwoNodes : public testing::Test {
 protected:
  TwoNodes() : world_(7, test::one_shard(), {}) {
    world_.start_all();
    run_for(1s);
  }
  void run_for(Duration time) { world_.run_until(world_.now() + time); }
  /// The reply to one operation, or an empty one.
  rpc::Reply ask(NodeId node, rpc::Request request) {
    rpc::Reply got;
    world_.ask(node, std::move(request), [&](rpc::Reply reply) { got = std::move(reply); });
    run_for(1s);
    return got;
  }
  MemberStatus status(NodeId node) {
    rpc::Request request;
    request.type = rpc::Type::status;
    return std::get<NodeStatus>(ask(node, std::move(request)).body).members.at(0);
  }
  void write(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) ask(test::kPrimaryNode, test::put(prefix + std::to_string(i), "value"));
  }

  SimWorld world_;
};

TEST_F(TwoNodes, AnEmptiedPrimaryStopsRatherThanBeginASecondHistory) {
  write("before-", 5);
  EXPECT_TRUE(status(test::kReplicaNode).ready);
  world_.crash(test::kPrimaryNode);
  world_.wipe(test::kPrimaryNode);
  world_.start(test::kPrimaryNode);
  run_for(3s);
  EXPECT_EQ(status(test::kPrimaryNode).state, "failed");
  EXPECT_FALSE(status(test::kReplicaNode).ready);
}

TEST_F(TwoNodes, TwoHistoriesAreNeverTakenForOne) {
  write("before-", 5);
  // The replica is away while the primary loses its folder and begins anew, twice, and writes past what
  // the replica has.
  world_.crash(test::kReplicaNode);
  world_.crash(test::kPrimaryNode);
  world_.wipe(test::kPrimaryNode);
  world_.start(test::kPrimaryNode);
  run_for(1s);
  write("after-", 5);
  world_.crash(test::kPrimaryNode);
  world_.start(test::kPrimaryNode);
  run_for(1s);
  write("later-", 20);
  world_.start(test::kReplicaNode);
  run_for(3s);
  EXPECT_EQ(status(test::kReplicaNode).state, "diverged");
  rpc::Request read = test::get("before-1");
  read.read = ReadMode::replica;
  EXPECT_TRUE(std::holds_alternative<Error>(ask(test::kReplicaNode, std::move(read)).body));
}

/// What a client is told before and after its primary lost its power, when nobody else has what it wrote.
class PowerFailure {
 public:
  explicit PowerFailure(std::uint64_t seed) : world_(seed, test::one_shard(), {}) {
    world_.start(test::kPrimaryNode);
    run_for(1s);
  }
  void make_disks_lie() { world_.make_disks_lie(); }
  linear::History history() {
    for (int i = 0; i < 20; ++i) put_and_record("key-" + std::to_string(i));
    world_.crash(test::kPrimaryNode);
    world_.start(test::kPrimaryNode);
    run_for(3s);
    for (int i = 0; i < 20; ++i) get_and_record("key-" + std::to_string(i));
    return history_;
  }

 private:
  void run_for(Duration time) { world_.run_until(world_.now() + time); }
  linear::Time time() const { return world_.now().time_since_epoch(); }
  void put_and_record(const std::string& key) {
    history_.push_back(linear::asked(0, OpCode::put, key, "value", time()));
    ask_and_record(test::put(key, "value"));
  }
  void get_and_record(const std::string& key) {
    history_.push_back(linear::asked(0, OpCode::get, key, "", time()));
    ask_and_record(test::get(key));
  }
  void ask_and_record(rpc::Request request) {
    world_.ask(test::kPrimaryNode, std::move(request), [this](const rpc::Reply& reply) {
      linear::answered(history_.back(), single_result(reply), false, time());
    });
    run_for(1s);
  }

  SimWorld world_;
  linear::History history_;
};

constexpr std::uint64_t kPowerFailures = 20;  // each leaves of what was not synced something else

TEST(APowerFailure, LosesNothingThatWasAcknowledged) {
  for (std::uint64_t seed = 1; seed <= kPowerFailures; ++seed) {
    const linear::History history = PowerFailure(seed).history();
    const linear::Judgement judgement = linear::check(history);
    EXPECT_TRUE(judgement.ok()) << judgement.text();
    for (const linear::Operation& operation : history) EXPECT_EQ(operation.outcome, linear::Outcome::ok);
  }
}

TEST(APowerFailure, OfADiskThatDoesNotSyncIsNoticedByWhatClientsAreTold) {
  std::uint64_t noticed = 0;
  for (std::uint64_t seed = 1; seed <= kPowerFailures; ++seed) {
    PowerFailure failure(seed);
    failure.make_disks_lie();
    const linear::Judgement judgement = linear::check(failure.history());
    if (judgement.ok()) continue;
    ++noticed;
    EXPECT_NE(judgement.text().find("get -> not found: the key is there"), std::string::npos)
        << judgement.text();
  }
  EXPECT_GT(noticed, 0U);
  EXPECT_LT(noticed, kPowerFailures);  // some keep all, or are noticed by the node itself
}

}  // namespace
}  // namespace dkv::sim
