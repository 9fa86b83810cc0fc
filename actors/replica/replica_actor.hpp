// The replica actor: a read-only copy of a shard that follows its primary. PUB/SUB is the fast path and
// loses silently; the log is the truth. So every frame says what it follows, heartbeats carry the head,
// and whatever does not fit is pulled from the primary's log.
//
// R3: in an epoch it appends, acknowledges and uses `commit` only after a pull of its own, answered in
// that epoch, has shown that its last event is in the primary's log (alignment). R4: frames of an epoch
// below the highest seen are dropped. R17: its readers see committed events only.
// What its primary's log does not have is cut (R5), but nothing that is known to be committed: where that
// would be needed it says so, and keeps asking. One that the primary's log does not reach back to takes a
// snapshot: from the first chunk until it is a state of the shard again it answers no reads and acknowledges
// nothing.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "actors/replica/recovery_progress.hpp"
#include "actors/reply.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/shard/shard_actor.hpp"
#include "actors/shard/shard_copy.hpp"
#include "actors/shard/snapshot_taker.hpp"
#include "messages/limits.hpp"

namespace dkv {

/// What a test may break, to see that it would be noticed. All true in the product.
struct ReplicaRules {
  bool detect_gaps = true;     // a frame is appended only when it follows the last one
  bool sync_first = true;      // R2: what is not on disk is not acknowledged
  bool align_first = true;     // R3: nothing of an epoch is taken before a pull in it
  bool cut_safe = true;        // R5: an answer counts only for the question and the process that it names
  bool committed_only = true;  // R17: readers see only what is committed
  bool sessions_wait = true;   // R20: nothing older than a reader's session has seen
};

struct ReplicaOptions {
  std::uint64_t process = 0;  // different in every run: an answer to an earlier run's pull must not count
  ReplicaRules rules;
  std::uint64_t snapshot_chunk_bytes = kSnapshotChunkBytes;
  std::uint64_t incarnation = 0;  // of this member's folder
};

class ReplicaActor : public Actor {
 public:
  ReplicaActor(Address self, std::shared_ptr<Store> store, CopyOptions copy_options, ReplicaOptions options);

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_wake(TimePoint, Effects&) override {}  // what is due is done at the turn's end
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override;

  /// It has opened its log, and what it has is a whole copy: it could be primary.
  bool can_lead() const { return state_ == State::following && !taker_.store_is_partial() && !foreign_; }
  /// Gives up its copy, which the caller goes on with. Requires can_lead(); this is of no use any more then.
  Inheritance hand_over(Effects& out);
  /// R18: events that its primary sends come to this disk, sooner or later. Else a commit that waits for this
  /// replica waits for ever: while it takes a copy, its own log does not grow, and the primary's chunks wait
  /// for commit.
  bool makes_progress(TimePoint now) const;

  /// For tests: the copy's content, and how far it got.
  ShardCopy& copy() { return copy_; }
  Position head() const { return head_; }
  bool answers_reads() const { return state_ == State::following && !taker_.store_is_partial() && !foreign_; }
  std::uint64_t gaps_repaired() const { return gaps_repaired_; }

 private:
  enum class State { waiting, opening, following, resetting, cutting, diverged, failed };

  void handle(TopologyChanged message, const Address& from, TimePoint now, Effects& out);
  void handle(ClientRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(PartRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(StatusQuery message, const Address& from, TimePoint now, Effects& out);
  void handle(LogRecovered message, const Address& from, TimePoint now, Effects& out);
  void handle(LogOpened message, const Address& from, TimePoint now, Effects& out);
  void handle(Durable message, const Address& from, TimePoint now, Effects& out);
  void handle(LogEpochs message, const Address& from, TimePoint now, Effects& out);
  void handle(LogReadFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(LogBlocked message, const Address& from, TimePoint now, Effects& out);
  void handle(LogFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(CheckpointWritten message, const Address& from, TimePoint now, Effects& out);
  void handle(CheckpointFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(EventFrame message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::PullReply message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::SnapshotReply message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::ChangesRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(ImportBegun message, const Address& from, TimePoint now, Effects& out);
  void handle(RecordsImported message, const Address& from, TimePoint now, Effects& out);
  void handle(ImportFailed message, const Address& from, TimePoint now, Effects& out);
  /// A message for another role of this member: of no concern to a replica.
  template <class Other>
  void handle(Other, const Address&, TimePoint, Effects&) {}

  void follow(NodeId primary, Epoch epoch, TimePoint now, Effects& out);
  /// By a session, of this shard.
  struct Seen {
    std::uint64_t topology_version = 0;
    Position position;
  };
  /// Reads of a session that has seen more than there is here yet.
  struct Parked {
    Asker asker;
    rpc::Request request;
    Seen seen;
    TimePoint until;
  };
  void answer_or_park(Asker asker, rpc::Request request, TimePoint now, Effects& out);
  bool is_ahead(const Seen& seen) const;
  void answer_parked(TimePoint now, Effects& out);
  rpc::Reply answer(const rpc::Request& request, TimePoint now);
  rpc::Reply send_to_primary(const rpc::Request& request) const;
  void take_live(FrameBytes bytes, const FrameView& frame, Effects& out);
  void append(FrameBytes bytes, const FrameView& frame, Effects& out);
  void append_pulled(std::string_view frames, Effects& out);
  void stash(FrameBytes bytes, const FrameView& frame);
  void raise_epoch(Epoch epoch, TimePoint now);
  void append_stashed(Effects& out);
  void apply_committed();
  void want_pull() { pull_wanted_ = true; }
  void pull(TimePoint now, Effects& out);
  bool may_pull() const;
  bool is_volatile() const;
  void diverge(TimePoint now, Effects& out);
  void ask_again_later(TimePoint now);
  bool counts() const;
  bool copy_counts() const;
  void find_common(std::vector<EpochRange> theirs, Effects& out);
  void tail_was_cut(Position head);
  void take_snapshot(const std::string& why, TimePoint now, Effects& out);
  void forget(Effects& out);
  void say_copied(Effects& out);
  void begin_anew(Position at, Effects& out);
  void acknowledge(TimePoint now, Effects& out);
  bool has_room() const;
  bool caught_up(TimePoint now) const;
  MemberStatus status(TimePoint now) const;

  Address self_;
  Address primary_;
  ReplicaOptions options_;
  ShardCopy copy_;
  SnapshotTaker taker_;
  TopologyPtr topology_;
  State state_ = State::waiting;
  std::string problem_;
  RecoveryProgress recovery_;
  std::string blocked_;  // why the log does not move: not empty while the disk is full

  Epoch highest_epoch_;  // seen in any frame or answer
  Epoch aligned_epoch_;  // 0: in none
  Position head_;        // the last event handed to the log
  Position durable_;     // the last event on this disk
  Seq commit_;           // known committed
  Seq primary_head_;     // as far as we heard
  TimePoint heard_{};    // from the primary, by any way
  bool heard_once_ = false;
  bool foreign_ = false;  // the primary's history is another one, by right: this copy will be replaced
  NodeId
      copied_from_;  // who gave the chunks of the copy under way; 0: an earlier process of this node was told
  bool reached_head_ = false;  // since alignment: has been level with the primary

  struct Unapplied {
    Position last;
    FrameBytes bytes;
  };
  std::deque<Unapplied> unapplied_;  // appended, not yet committed and durable
  std::size_t unapplied_bytes_ = 0;
  std::map<Seq, FrameBytes> stash_;  // live frames beyond a gap, by what they follow
  std::size_t stash_bytes_ = 0;

  bool pull_wanted_ = false;
  std::uint64_t pull_request_ = 0;  // the one outstanding, or 0
  Position pull_from_;              // what it asked about
  Duration pull_timeout_{};
  std::uint64_t next_request_ = 1;
  TimePoint pull_due_at_{};                 // when to ask next, at the earliest
  std::vector<EpochRange> primary_epochs_;  // while cutting: to find where the histories part
  TimePoint log_moved_at_{};                // when nothing was waiting for this disk, or something came to it
  bool log_moved_ = false;
  TimePoint acknowledged_at_{};
  bool acknowledge_wanted_ = false;
  std::deque<Parked> parked_;  // the one that has waited longest first
  std::uint64_t gaps_repaired_ = 0;
};

}  // namespace dkv
