// The registrar: this node's proposer to the register and its learner (the roles are Paxos's). One on every
// node, whether it has a keeper or not. It
//
// - begins with a full round of its own (R11), which is also how a new cluster's register begins, and tells
// its
//   listeners nothing before that is through;
// - makes the changes that local actors propose: as many as fit go into one round; a round that fails is
//   followed, after a random pause, by one with a higher ballot, until every outcome is known (R12, R13);
// - tells the other nodes what it has got chosen, and polls the keepers every second, so that a node that
// missed
//   it knows a second later;
// - admits a keeper whose folder is new, and finishes what a proposer left half done.
//
// It waits for nothing and lives on "main". Why this is safe: README.md.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "actors/keeper/pending_changes.hpp"
#include "actors/keeper/poll.hpp"
#include "actors/keeper/round.hpp"
#include "actors/keeper/rules.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/jitter.hpp"

namespace dkv {

struct RegisterOptions {
  std::uint64_t process = 0;  // different in every run: makes its ballots its own
  RegisterRules rules;
  std::vector<Address> listeners;  // local: get TopologyChanged and RegisterReach
};

class RegisterActor final : public Actor {
 public:
  /// `file`: the cluster's first topology, as its TOML file gives it.
  RegisterActor(Address self, TopologyPtr file, RegisterOptions options);

  void on_start(TimePoint now, Effects& out) override;
  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override;

  /// For tests.
  const Balloted& known() const { return known_; }
  bool is_ready() const { return ready_; }
  bool is_isolated() const { return isolated_; }
  std::uint64_t rounds_begun() const { return rounds_begun_; }

 private:
  void handle(ProposeChange& message, const Address& from, TimePoint now, Effects& out);
  void handle(ReadRegister& message, const Address& from, TimePoint now, Effects& out);
  void handle(StatusQuery& message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::RegisterPromise& message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::RegisterAccepted& message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::RegisterNack& message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::RegisterState& message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::RegisterChosen& message, const Address& from, TimePoint now, Effects& out);
  template <class Other>
  void handle(Other&, const Address&, TimePoint, Effects&) {}

  // Rounds.
  bool is_needed() const { return !ready_ || !changes_.empty() || !reads_.empty(); }
  TimePoint round_due_at() const;
  void begin_round(TimePoint now, Effects& out);
  void ask_again(TimePoint now, Effects& out);
  void tend_round(TimePoint now, Effects& out);
  void propose(TimePoint now, Effects& out);
  Topology first_topology() const;
  bool admit(Topology& next, const Topology& from, Effects& out) const;
  void finish_round(Effects& out);
  void give_up_round(TimePoint now, Effects& out);

  // Learning.
  void learn(const Balloted& chosen, Effects& out);
  void push(const Balloted& chosen, Effects& out);
  TopologyPtr with_addresses() const;
  void announce(Effects& out);
  void settle(PendingChanges::Settled settled, Effects& out);
  void begin_poll(TimePoint now, Effects& out);
  void judge_poll(TimePoint now, Effects& out);
  void want_repair(TimePoint now);
  void heard(NodeId keeper, const peer::KeeperIdentity& identity, TimePoint now);
  void watch_reach(TimePoint now, Effects& out);

  Address keeper_at(NodeId node) const { return {node, Role::keeper, {}}; }
  std::size_t majority() const { return majority_of(file_->keepers.size(), options_.rules); }

  Address self_;
  TopologyPtr file_;
  RegisterOptions options_;
  SplitMix64 random_;

  Balloted known_;  // the newest that is known to be chosen
  bool ready_ = false;
  bool isolated_ = true;
  std::map<NodeId, TimePoint> heard_;
  TimePoint started_{};

  struct Read {
    Address asker;
    std::uint64_t token;
    std::uint64_t rounds_before;  // only a later one is an answer
  };
  std::vector<Read> reads_;
  PendingChanges changes_;

  std::optional<Round> round_;
  std::uint64_t rounds_begun_ = 0;
  std::uint64_t highest_counter_ = 0;  // of any ballot seen
  unsigned failures_ = 0;              // of rounds, in a row
  TimePoint round_ends_at_ = kNever;
  TimePoint ask_again_at_ = kNever;
  TimePoint next_round_at_{};
  TimePoint repair_at_ = kNever;  // a round that nobody asked for: something is half done, or a keeper is new

  Poll poll_;
  TimePoint next_poll_at_{};
  unsigned unclear_polls_ = 0;  // in a row
  bool said_waiting_ = false;
  bool said_no_majority_ = false;
};

}  // namespace dkv
