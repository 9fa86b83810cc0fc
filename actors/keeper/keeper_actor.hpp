// The keeper: an acceptor of the register, as CASPaxos has it (Rystsov, "CASPaxos: Replicated State Machines
// without logs", 2018). It has a thread of its own, since it waits for the disk: all that a turn changes is
// written and synced once at the turn's end, and only then is anything of that turn answered (R2).
//
// What it answers is true of itself alone; whether it counts is for whoever asks to decide (quorum.hpp), by
// the folder and the `since` that every answer names. It accepts only a topology that names it so. How a new
// folder becomes a keeper's: README.md, "A keeper that lost its folder".
#pragma once

#include <vector>

#include "actors/keeper/keeper_file.hpp"
#include "actors/keeper/rules.hpp"
#include "actors/runtime/actor.hpp"

namespace dkv {

struct KeeperOptions {
  std::uint64_t cluster = 0;
  std::uint64_t process = 0;  // of which a new folder's incarnation is made
  RegisterRules rules;
};

class KeeperActor final : public Actor {
 public:
  KeeperActor(Address self, std::unique_ptr<Disk> disk, const KeeperOptions& options);

  void on_start(TimePoint now, Effects& out) override;
  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override { return retry_at_; }

  /// For tests. Void once it has failed.
  const KeeperState& state() const { return state_; }
  bool has_failed() const { return phase_ == Phase::failed; }

 private:
  enum class Phase {
    opening,  // the folder is not open: not tried yet, or it is full
    open,
    failed,  // for good: it answers nothing any more
  };

  void open(TimePoint now, Effects& out);
  void handle(const peer::RegisterPrepare& message, const Address& from, Effects& out);
  void handle(peer::RegisterAccept& message, const Address& from, Effects& out);
  void handle(const peer::RegisterPoll& message, const Address& from, Effects& out);
  void handle(const TopologyChosen& message, const Address& from, Effects& out);
  template <class Other>
  void handle(const Other&, const Address&, Effects&) {}

  bool is_named_by(const Topology& topology) const;
  peer::KeeperIdentity identity() const { return {state_.incarnation, state_.since}; }
  std::string topology_unless(const Ballot& known) const;
  void answer(const Address& from, Message message);
  bool save(TimePoint now, Effects& out);
  void say_full(const Error& error, TimePoint now, Effects& out);
  void fail(const Error& error, Effects& out);

  Address self_;
  KeeperOptions options_;
  KeeperFile file_;
  Phase phase_ = Phase::opening;
  KeeperState state_;
  bool unsaved_ = false;  // of state_: nothing may be answered before it is on disk
  std::vector<std::pair<Address, Message>> answers_;  // of this turn, so at most as many as its messages
  TimePoint retry_at_ = kNever;                       // while the disk is full
};

}  // namespace dkv
