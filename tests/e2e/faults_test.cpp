// Rounds of mixed faults in a cluster of five real nodes under load: nodes are killed, frozen, wiped and cut
// off, one at a time and all at once. Whatever clients were told must have an order, to the last read: so no
// acknowledged write is lost, and no read is stale.
//
// DISTRIKV_ROUNDS sets how many rounds are run; DISTRIKV_SEED repeats a run's choices (the processes' own
// timing stays their own).
#include <algorithm>
#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <random>

#include "tests/e2e/load.hpp"
#include "tests/e2e/namespaces.hpp"
#include "tests/linearizability/check.hpp"

namespace dkv::e2e {
namespace {

constexpr int kFaultRounds = 7;
constexpr int kFaultKeys = 24;
constexpr std::uint64_t kOperationsBetween = 300;

const std::vector<std::string> kNodes = {"node-1", "node-2", "node-3", "node-4", "node-5"};
/// Of topology/namespaces.toml.
const std::map<std::string, std::vector<std::string>> kMembers = {
    {"shard-1", {"node-1", "node-4"}}, {"shard-2", {"node-2", "node-5"}}, {"shard-3", {"node-3", "node-4"}}};

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    try {
      cluster_ = std::make_unique<NamespaceCluster>();
    } catch (const NamespacesRefused& refused) {
      GTEST_SKIP() << refused.what();
    }
    ASSERT_TRUE(cluster_->start_and_wait(kNodes));
  }

  std::string any_shard() {
    return std::next(kMembers.begin(), static_cast<int>(random_() % kMembers.size()))->first;
  }
  std::string any_primary() { return cluster_->wait_for_primary(any_shard()); }
  std::string any_node() { return kNodes[random_() % kNodes.size()]; }
  std::string other_member(const std::string& shard, const std::string& member) {
    const auto& members = kMembers.at(shard);
    return members[0] == member ? members[1] : members[0];
  }
  /// From shorter than a lease to longer than it takes to be replaced.
  void let_pass() { std::this_thread::sleep_for(std::chrono::milliseconds(300 + random_() % 2'700)); }

  void kill_a_primary() {
    const std::string victim = any_primary();
    cluster_->kill(victim);
    let_pass();
    cluster_->start({victim});
  }
  void freeze_a_primary() {
    const std::string victim = any_primary();
    cluster_->freeze(victim);
    let_pass();
    cluster_->thaw(victim);
  }
  void cut_a_primary_from_its_replica() {
    const std::string shard = any_shard();
    const std::string primary = cluster_->wait_for_primary(shard);
    cluster_->cut(primary, other_member(shard, primary));
    let_pass();
  }
  void cut_one_way_between_members() {
    const std::string shard = any_shard();
    std::vector<std::string> members = kMembers.at(shard);
    if (random_() % 2 == 0) std::swap(members[0], members[1]);
    cluster_->cut_one_way(members[0], members[1]);
    let_pass();
  }
  /// Also from its keepers; the client still reaches it.
  void cut_a_primary_from_all_nodes() {
    const std::string victim = any_primary();
    const bool is_one_way = random_() % 2 == 0;
    for (const std::string& node : kNodes) {
      if (node == victim) continue;
      is_one_way ? cluster_->cut_one_way(victim, node) : cluster_->cut(victim, node);
    }
    let_pass();
  }
  /// A node whose copies are all led by others, so that it is one of two of each.
  void wipe_a_replica() {
    for (const std::string& node : kNodes) {
      const bool leads = std::any_of(kMembers.begin(), kMembers.end(), [&](const auto& shard) {
        const auto& members = shard.second;
        return std::find(members.begin(), members.end(), node) != members.end() &&
               cluster_->wait_for_primary(shard.first) == node;
      });
      if (leads) continue;
      cluster_->kill(node);
      cluster_->wipe(node);
      cluster_->start({node});
      return;
    }
  }
  void kill_all() {
    for (const std::string& node : kNodes) cluster_->kill(node);
    cluster_->start(kNodes);
  }

  using Fault = void (Faults::*)();
  static constexpr std::array<std::pair<const char*, Fault>, 7> kFaults = {{
      {"kill a primary", &Faults::kill_a_primary},
      {"freeze a primary", &Faults::freeze_a_primary},
      {"cut a primary from its replica", &Faults::cut_a_primary_from_its_replica},
      {"cut one way between members", &Faults::cut_one_way_between_members},
      {"cut a primary from all nodes", &Faults::cut_a_primary_from_all_nodes},
      {"wipe a replica", &Faults::wipe_a_replica},
      {"kill all nodes", &Faults::kill_all},
  }};

  void recover() {
    cluster_->heal_all();
    ASSERT_TRUE(cluster_->wait_until_ready(kNodes));
  }

  std::uint64_t seed_ = chosen_seed();
  std::mt19937_64 random_{seed_};
  std::unique_ptr<NamespaceCluster> cluster_;
};

TEST_F(Faults, NoAcknowledgedWriteIsLostAndNoReadIsStale) {
  const char* set = std::getenv("DISTRIKV_ROUNDS");
  const int rounds = set != nullptr ? std::atoi(set) : kFaultRounds;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
  Load::Options options;
  for (const std::string& node : kNodes) options.client.seeds.push_back(cluster_->rpc(node));
  options.client.deadline = 1s;
  for (int i = 0; i < kFaultKeys; ++i) options.keys.push_back("key-" + std::to_string(i));
  options.seed = seed_;
  options.pause = 3ms;
  Load load(options);
  load.start();
  std::vector<std::size_t> order(kFaults.size());
  for (int round = 0; round < rounds; ++round) {
    const std::size_t turn = static_cast<std::size_t>(round) % kFaults.size();
    if (turn == 0) {
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::shuffle(order.begin(), order.end(), random_);
    }
    const auto& [name, fault] = kFaults[order[turn]];
    ASSERT_TRUE(load.wait_for(kOperationsBetween)) << "after round " << round;
    std::printf("round %d: %s\n", round + 1, name);
    std::fflush(stdout);
    (this->*fault)();
    recover();
    if (HasFatalFailure()) return;
  }
  ASSERT_TRUE(load.wait_for(kOperationsBetween));
  load.stop();

  const linear::History history = load.history();
  const linear::Judgement judgement = linear::check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
  const auto count = [&](linear::Outcome outcome) {
    return std::count_if(history.begin(), history.end(),
                         [&](const linear::Operation& one) { return one.outcome == outcome; });
  };
  std::printf("%d rounds, %zu operations, %td of unknown outcome, %td refused, %llu configurations\n", rounds,
              history.size(), count(linear::Outcome::unknown), count(linear::Outcome::failed),
              static_cast<unsigned long long>(judgement.configurations));
}

}  // namespace
}  // namespace dkv::e2e
