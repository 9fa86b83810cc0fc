// The member: a shard's copy on this node, whichever part it has in the shard. It follows as a replica, and
// leads as primary while the register says so; which of the two is decided here, by the register, heartbeats
// and leases. What a replica or a primary does is the ReplicaActor's and the ShardActor's, one of which it
// owns and hands every message to. README.md has the protocol and why it is safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "actors/member/lease.hpp"
#include "actors/member/rules.hpp"
#include "actors/replica/replica_actor.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/shard/shard_actor.hpp"

namespace dkv {

/// How long what is waited for. Every node of a cluster must have the same.
struct LeaseTiming {
  /// What a heartbeat's answer promises.
  Duration lease = 1s;
  /// How long nothing is heard from a primary before somebody takes over. Longer than the lease by more than
  /// two clocks can drift apart in it.
  Duration grace = 1500ms;
  Duration heartbeat = 100ms;
  /// How long a primary that cannot commit asks the others to wait for it. No shorter where leases are: disks
  /// do not know of it, and a replica whose disk stands still is to be dropped first.
  Duration patience = 3s;
};

LeaseTiming timing_of(Failover failover);

struct MemberOptions {
  CopyOptions copy;
  ShardOptions shard;
  ReplicaOptions replica;
  LeaseTiming timing;
  std::uint64_t process = 0;      // different in every run
  std::uint64_t incarnation = 0;  // of this member's folder: made with it, never 0
  MemberRules rules;
  /// R18: from its start, when its process is one of several that crashed soon.
  Duration lets_others_go_first{0};
};

class MemberActor final : public Actor {
 public:
  MemberActor(Address self, std::shared_ptr<Store> store, MemberOptions options);

  void on_start(TimePoint now, Effects& out) override;
  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_wake(TimePoint now, Effects& out) override;
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override;

  /// For tests.
  ReplicaActor* replica() const { return replica_.get(); }
  ShardActor* primary() const { return primary_.get(); }
  bool holds_lease(TimePoint now) const { return leading() && now < lease_ends_at(now); }
  Epoch epoch() const { return epoch_; }
  const TopologyPtr& topology() const { return topology_; }
  std::uint64_t incarnation() const { return options_.incarnation; }
  bool has_pending() const { return pending_.has_value(); }
  /// It has been replica or primary anew so often.
  std::uint64_t changes_of_part() const { return changes_of_part_; }

 private:
  /// A change that this process has asked the register for. Until its outcome is known it counts as made and
  /// as not made (R13).
  struct Pending {
    enum class Kind : std::uint8_t { begin, take, force, hand_over, drop, admit };
    Kind kind;
    std::uint64_t change;
    NodeId node;         // dropped, admitted or handed over to
    bool first = false;  // the shard has never had a primary
  };
  /// A replica as its primary sees it.
  struct Follower {
    std::uint64_t incarnation = 0;
    Epoch epoch;  // of its newest acknowledgement
  };
  /// Whom an operator's wish is answered to, once.
  struct Wish {
    Address asker;
    std::uint64_t token;
  };
  /// A hand-over: from its beginning on no request is taken (R16).
  struct HandingOver {
    Wish wish;
    NodeId to;
    TimePoint until;  // not proposed by then, it is given up
  };

  bool handle(TopologyChanged& message, const Address& from, TimePoint now, Effects& out);
  bool handle(RegisterReach& message, const Address& from, TimePoint now, Effects& out);
  bool handle(ChangeSettled& message, const Address& from, TimePoint now, Effects& out);
  bool handle(peer::Heartbeat& message, const Address& from, TimePoint now, Effects& out);
  bool handle(peer::LeaseGrant& message, const Address& from, TimePoint now, Effects& out);
  bool handle(peer::ReplicaAck& message, const Address& from, TimePoint now, Effects& out);
  bool handle(ClientRequest& message, const Address& from, TimePoint now, Effects& out);
  bool handle(PartRequest& message, const Address& from, TimePoint now, Effects& out);
  bool handle(StatusQuery& message, const Address& from, TimePoint now, Effects& out);
  bool handle(HandOver& message, const Address& from, TimePoint now, Effects& out);
  bool handle(ForcePromotion& message, const Address& from, TimePoint now, Effects& out);
  /// True when a message was taken; else it is for the part that this member has.
  template <class Other>
  bool handle(Other& message, const Address& from, TimePoint now, Effects& out);

  Actor* part() const;
  bool leading() const { return primary_ != nullptr && !stepping_down_; }
  bool is_deposed() const;
  bool is_pending(Pending::Kind kind) const { return pending_ && pending_->kind == kind; }
  bool taking() const { return is_pending(Pending::Kind::take) || is_pending(Pending::Kind::force); }
  void learn(const TopologyPtr& topology, TimePoint now, Effects& out);
  void reconsider(TimePoint now, Effects& out);

  // Becoming primary, and ceasing to be.
  bool may_begin(TimePoint now) const;
  bool is_volatile() const { return shard_->store == StoreKind::memory; }
  TimePoint nobody_takes_over_at() const;
  TimePoint begins_at() const;
  TimePoint begins_empty_at() const;
  TimePoint take_over_at() const;
  bool owns_registered_folder() const;
  void propose_to_lead(Pending::Kind kind, TimePoint now, Effects& out);
  void note_hand_over(NodeId primary_before, TimePoint now);
  TimePoint may_serve_at(TimePoint now) const;
  void lead(TimePoint now, Effects& out);
  void step_down(const std::string& why, Effects& out);
  void become_replica(TimePoint now, Effects& out);

  // A primary's.
  void tend_followers(TimePoint now, Effects& out);
  void send_heartbeats(TimePoint now, Effects& out);
  TimePoint lease_ends_at(TimePoint now) const;
  void update_counted();
  void judge_followers(TimePoint now, Effects& out);
  bool is_close(NodeId node) const;
  bool is_stuck(TimePoint now) const;

  // What operators want.
  void report(const Wish& wish, Errc code, std::string text, Effects& out) const;
  std::optional<NodeId> heir(NodeId wanted, TimePoint now) const;
  void tend_hand_over(TimePoint now, Effects& out);
  void end_hand_over(Errc code, std::string text, Effects& out);
  void hand_over_settled(TimePoint now, Effects& out);
  void promotion_settled(ChangeOutcome outcome, Effects& out);
  std::string why_not_promotable() const;
  std::optional<Error> why_not(const rpc::Request& request) const;
  void propose(Pending::Kind kind, ShardInfo next, bool begins_epoch, NodeId node, Effects& out);

  Address self_;
  std::shared_ptr<Store> store_;
  MemberOptions options_;
  std::unique_ptr<ReplicaActor> replica_;  // one of the two, from the first topology on
  std::unique_ptr<ShardActor> primary_;
  bool stepping_down_ = false;  // primary_ only waits for its store
  TopologyPtr topology_;        // the register's newest that is known here
  const ShardInfo* shard_ = nullptr;
  bool isolated_ = true;
  std::optional<Pending> pending_;
  std::uint64_t changes_ = 0;  // asked for by this process
  std::uint64_t changes_of_part_ = 0;

  std::optional<HandingOver> handing_over_;
  std::optional<Wish> promotion_;  // forced; its change is pending

  TimePoint started_{};
  TimePoint reached_since_{};  // a majority of the keepers
  TimePoint quiet_since_{};    // R9: since when nothing was heard from a primary
  TimePoint last_grant_{};     // when this member last answered a heartbeat
  Epoch heard_epoch_;          // of that heartbeat
  Epoch begun_epoch_;          // that a change of this process began
  bool begun_first_ = false;   // as the shard's first
  bool begun_by_force_ = false;
  bool begun_empty_ = false;  // a volatile shard, all of whose copies are gone
  std::uint64_t take_ = 0;    // the last change by which this process wanted to take over
  std::optional<TimePoint>
      handed_over_at_;  // when this member learned that the primary before had made it one
  Epoch epoch_;         // led by this process
  TimePoint led_since_{};
  TimePoint able_at_{};      // R18: when it could last answer
  TimePoint last_turn_{};    // of this primary
  TimePoint awake_since_{};  // without a pause, in which answers to its heartbeats have grown old
  TimePoint serves_from_{};  // R10
  Lease lease_;
  TimePoint heartbeat_due_{};
  std::map<NodeId, Follower> followers_;
  std::vector<NodeId> counted_;
  std::optional<NodeId> admitting_;  // counted, not in sync yet
  Seq admit_from_;                   // what it must have on disk first
};

}  // namespace dkv
