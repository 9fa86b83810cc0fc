// The one sequence of events that each rule of the register is for: with the rule the second change is not
// acknowledged on top of the first, without it is. A test that only passes says nothing about its rule.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "actors/keeper/register_actor.hpp"
#include "tests/actors/keeper/keeper_kit.hpp"

namespace dkv::test {
namespace {

constexpr std::uint64_t kFirst = 71;  // a change of node 1
constexpr std::uint64_t kOther = 72;  // another, which does not know of it

/// Three keepers, registrars on nodes 1 and 2, and a network that delivers what the test says, when it says
/// so.
class Table {
 public:
  explicit Table(const RegisterRules& rules) : rules_(rules) {
    for (std::uint32_t node = 1; node <= 3; ++node) start_keeper(node);
    for (std::uint32_t node = 1; node <= 2; ++node) {
      start_registrar(node);
      deliver_all();
    }
  }

  void start_keeper(std::uint32_t node) {
    keepers_[node] =
        std::make_unique<KeeperActor>(Address{NodeId{node}, Role::keeper, {}}, disks_[node].open(),
                                      KeeperOptions{kCluster, ++processes_, rules_});
    Effects out;
    keepers_[node]->on_start(now_, out);
  }
  void crash_keeper(std::uint32_t node) {
    disks_[node].crash();
    start_keeper(node);
  }
  void wipe_keeper(std::uint32_t node) {
    disks_[node].platter.files.clear();
    start_keeper(node);
  }
  /// A new process, its first round begun. What the old one sent is still under way.
  void start_registrar(std::uint32_t node) {
    registrars_[node] =
        std::make_unique<RegisterActor>(Address{NodeId{node}, Role::registrar, {}}, three_keepers(),
                                        RegisterOptions{++processes_, rules_, {}});
    Effects out;
    registrars_[node]->on_start(now_, out);
    pass(node, 1s);
  }
  void pass(std::uint32_t node, Duration time) {
    now_ += time;
    Effects out;
    registrars_[node]->on_turn_end(now_, out);
    take({NodeId{node}, Role::registrar, {}}, out);
  }
  void propose(std::uint32_t node, std::uint64_t id) {
    hand_over({{},
               {NodeId{node}, Role::registrar, {}},
               ProposeChange{{id, {{0, three_keepers()->shards[0], true}}}}});
  }

  /// The first phase of a registrar's round, with these keepers alone; likewise the second. What it says to
  /// others stays under way.
  void prepare(std::uint32_t node, const std::set<std::uint32_t>& keepers) {
    exchange<peer::RegisterPrepare>(node, keepers);
  }
  void accept(std::uint32_t node, const std::set<std::uint32_t>& keepers) {
    exchange<peer::RegisterAccept>(node, keepers);
  }
  void deliver_all() {
    while (deliver_first([](const Envelope&) { return true; })) {
    }
  }
  /// The id of the change that made the shard what it is, as a registrar reads it from these keepers alone.
  std::uint64_t read(std::uint32_t node, const std::set<std::uint32_t>& keepers) {
    hand_over({{}, {NodeId{node}, Role::registrar, {}}, ReadRegister{1}});
    for (int round = 0; round < 10 && !read_; ++round) {
      prepare(node, keepers);
      accept(node, keepers);
      pass(node, 1s);
    }
    return read_ ? read_->shards[0].change : 0;
  }
  /// The oldest message of type T to that keeper; likewise lost.
  template <class T>
  void deliver(std::uint32_t keeper) {
    EXPECT_TRUE(deliver_first([&](const Envelope& one) {
      return one.to.node.value == keeper && std::holds_alternative<T>(one.message);
    }));
  }
  template <class T>
  void drop_first(std::uint32_t keeper) {
    const auto at = std::find_if(under_way_.begin(), under_way_.end(), [&](const Envelope& one) {
      return one.to.node.value == keeper && std::holds_alternative<T>(one.message);
    });
    ASSERT_NE(at, under_way_.end());
    under_way_.erase(at);
  }
  template <class T>
  void drop() {
    std::erase_if(under_way_, [](const Envelope& one) { return std::holds_alternative<T>(one.message); });
  }

  const std::set<std::uint64_t>& acknowledged() const { return acknowledged_; }

 private:
  template <class Question>
  void exchange(std::uint32_t node, const std::set<std::uint32_t>& keepers) {
    while (deliver_first([&](const Envelope& one) {
      const bool asks = one.from.node.value == node && std::holds_alternative<Question>(one.message) &&
                        keepers.contains(one.to.node.value);
      const bool answers = one.to == Address{NodeId{node}, Role::registrar, {}} &&
                           one.from.role == Role::keeper && keepers.contains(one.from.node.value);
      return asks || answers;
    })) {
    }
  }
  template <class Which>
  bool deliver_first(Which which) {
    const auto at = std::find_if(under_way_.begin(), under_way_.end(), which);
    if (at == under_way_.end()) return false;
    Envelope envelope = std::move(*at);
    under_way_.erase(at);
    hand_over(std::move(envelope));
    return true;
  }
  void hand_over(Envelope envelope) {
    const Address to = envelope.to;
    Actor* actor = nullptr;
    if (to.role == Role::keeper) actor = keepers_[to.node.value].get();
    if (to.role == Role::registrar) actor = registrars_[to.node.value].get();
    if (actor == nullptr) return;
    Effects out;
    actor->on_message(std::move(envelope), now_, out);
    actor->on_turn_end(now_, out);
    take(to, out);
  }
  void take(const Address& from, Effects& out) {
    for (auto& [to, message] : out.sends) {
      if (const auto* settled = std::get_if<ChangeSettled>(&message)) {
        if (settled->outcome == ChangeOutcome::chosen) acknowledged_.insert(settled->change);
      } else if (const auto* read = std::get_if<RegisterRead>(&message)) {
        read_ = read->topology;
      } else if (!std::holds_alternative<peer::RegisterPoll>(message) &&
                 !std::holds_alternative<peer::RegisterChosen>(message)) {
        under_way_.push_back({from, to, std::move(message)});
      }
    }
  }

  RegisterRules rules_;
  TimePoint now_ = TimePoint{} + 1000s;
  std::uint64_t processes_ = 0;  // upward, so that a later process has the higher ballot
  std::map<std::uint32_t, TestDisk> disks_;
  std::map<std::uint32_t, std::unique_ptr<KeeperActor>> keepers_;
  std::map<std::uint32_t, std::unique_ptr<RegisterActor>> registrars_;
  std::deque<Envelope> under_way_;
  std::set<std::uint64_t> acknowledged_;
  TopologyPtr read_;
};

using Acknowledged = std::set<std::uint64_t>;

/// Node 1 has promises of keepers 1 and 2, then node 2 has later ones of 1 and 3; keeper 1 crashes before it
/// is asked to accept what node 1 proposes.
Acknowledged after_a_crash_behind_a_promise(const RegisterRules& rules) {
  Table table(rules);
  table.propose(1, kFirst);
  table.prepare(1, {1, 2});
  table.propose(2, kOther);
  table.prepare(2, {1, 3});
  table.crash_keeper(1);
  table.accept(1, {1, 2});
  table.accept(2, {1, 3});
  return table.acknowledged();
}

/// The first change is with keepers 1 and 2; keeper 1 loses its folder; node 2 reaches only it and keeper 3.
Acknowledged after_a_lost_folder(const RegisterRules& rules) {
  Table table(rules);
  table.propose(1, kFirst);
  table.prepare(1, {1, 2});
  table.accept(1, {1, 2});
  table.drop<TopologyChosen>();
  table.drop<peer::RegisterAccept>();
  table.wipe_keeper(1);
  table.propose(2, kOther);
  table.prepare(2, {1, 3});
  table.accept(2, {1, 3});
  return table.acknowledged();
}

/// Each node reaches the one keeper that the other does not.
Acknowledged after_a_partition(const RegisterRules& rules) {
  Table table(rules);
  table.propose(1, kFirst);
  table.prepare(1, {1});
  table.accept(1, {1});
  table.drop<TopologyChosen>();
  table.drop<peer::RegisterAccept>();
  table.propose(2, kOther);
  table.prepare(2, {3});
  table.accept(2, {3});
  return table.acknowledged();
}

/// Node 2 has its change accepted by keeper 1 and starts anew, with another change, at a counter that keeper
/// 3 tells it. What its first life told keeper 3 arrives late, and the answer is taken by its second. The
/// change that is in the register when node 1 asks keepers 1 and 3; the second one has been acknowledged.
std::uint64_t in_the_register_after_a_restart(const RegisterRules& rules) {
  Table table(rules);
  table.propose(2, kFirst);
  table.prepare(2, {1, 2});
  table.accept(2, {1});
  table.start_registrar(2);
  table.drop<peer::RegisterPrepare>();
  table.propose(2, kOther);
  table.pass(2, 1s);  // it gives up the round that nobody heard of
  table.pass(2, 1s);
  table.prepare(2, {2, 3});
  table.drop_first<peer::RegisterAccept>(2);  // the first life's
  table.deliver<peer::RegisterAccept>(2);
  table.deliver<peer::RegisterAccept>(3);  // the first life's
  table.accept(2, {2, 3});
  EXPECT_EQ(table.acknowledged(), Acknowledged{kOther});
  return table.read(1, {1, 3});
}

RegisterRules without(bool RegisterRules::*rule) {
  RegisterRules rules;
  rules.*rule = false;
  return rules;
}

const Acknowledged kBoth{kFirst, kOther};

TEST(RegisterRule, APromiseIsOnDiskBeforeItIsAnswered) {
  EXPECT_EQ(after_a_crash_behind_a_promise({}), Acknowledged{kOther});
  EXPECT_EQ(after_a_crash_behind_a_promise(without(&RegisterRules::persist_promises)), kBoth);
}

TEST(RegisterRule, AKeeperWithoutItsFolderDoesNotCount) {
  EXPECT_EQ(after_a_lost_folder({}), Acknowledged{kFirst});
  EXPECT_EQ(after_a_lost_folder(without(&RegisterRules::tell_folders_apart)), kBoth);
}

TEST(RegisterRule, AQuorumIsAMajority) {
  EXPECT_EQ(after_a_partition({}), Acknowledged{});
  EXPECT_EQ(after_a_partition(without(&RegisterRules::need_majority)), kBoth);
}

TEST(RegisterRule, ABallotIsUsedOnce) {
  EXPECT_EQ(in_the_register_after_a_restart({}), kOther);
  EXPECT_EQ(in_the_register_after_a_restart(without(&RegisterRules::fresh_ballots)), kFirst);
}

}  // namespace
}  // namespace dkv::test
