// The shard actor: a shard's primary. It executes operations on arrival, in order, on the newest state;
// it never waits for a disk. Each turn's events become one frame (or a few), which the log actor makes
// durable; a reply leaves once commit has reached the event that it depends on. So group commit,
// pipelining and linearizable reads are one rule (the commit rule, R1).
//
// It leads in one epoch, which its member has from the register (R6), on top of what that had as a replica:
// nothing is answered before the epoch's first event is committed. Its member tells it who counts, and how
// long its lease holds (see actors/member/).
// After a log failure it has failed for good: what was pending is of unknown outcome.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/reply.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/shard/change_feed.hpp"
#include "actors/shard/plan.hpp"
#include "actors/shard/shard_copy.hpp"
#include "actors/shard/snapshot_reads.hpp"
#include "messages/once.hpp"

namespace dkv {

struct ShardOptions {
  std::size_t max_value_bytes = std::size_t{16} << 20;
  /// Events packed but not yet committed; past this, writes are refused as overloaded.
  std::size_t max_in_flight_bytes = std::size_t{64} << 20;
  /// Replies that wait or leave at the end of this turn, values included; past this, requests are refused
  /// as overloaded.
  std::size_t max_owed_bytes = std::size_t{64} << 20;
  /// Of its newest frames, kept in memory while watchers ask for them; what is older comes from the log.
  std::size_t max_recent_bytes = std::size_t{8} << 20;
  /// How long the outcome of a write that is to be done once is kept for those who send it again.
  Duration keep_outcomes = 10min;
  // What a test may break, to see that it is noticed.
  bool sync_first = true;       // R2: commit waits for this disk
  bool whole_batches = true;    // an atomic batch is in one frame
  bool scans_wait = true;       // R1: a page leaves once all that was executed before it is committed
  bool committed_only = true;   // R17: watchers are told what is committed
  bool outcomes_of_all = true;  // R19: of what was not done too
};

/// What a replica that becomes primary has: its copy, and what follows it in its log, committed or not. All
/// of it stays.
struct Inheritance {
  ShardCopy copy;
  Position head;                      // the last event handed to the log
  Position durable;                   // the last event on this disk
  Seq commit;                         // known committed
  std::vector<FrameBytes> unapplied;  // in the log, not in the copy
  TopologyPtr topology;
  std::string remark{};  // for its status
};

class ShardActor : public Actor {
 public:
  /// The primary of an epoch that the register has given to this process. Its log is open. It has no lease
  /// yet.
  ShardActor(Address self, Inheritance from, ShardOptions options, Epoch epoch, std::vector<NodeId> counted,
             Effects& out);

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_wake(TimePoint, Effects&) override {}  // what is due is done at the turn's end
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override;

  // What its member tells it, at any time.

  /// R1: whose disks a committed event must have reached, beside its own.
  void count(std::vector<NodeId> nodes) { counted_ = std::move(nodes); }
  /// R7: without a lease nothing is acknowledged, and nothing that was read leaves.
  void set_lease(TimePoint until) { lease_until_ = until; }
  /// Somebody else is primary, or another epoch begins: what was pending is given up. It only waits for its
  /// store to be written then.
  void step_down(const std::string& why, Effects& out);
  /// It is given no more requests, and waits for all to be committed: it removes nothing unasked.
  void set_handing_over(bool is) { handing_over_ = is; }
  /// `node` has another folder than before: what it has acknowledged is gone.
  void forget(NodeId node) { replicas_.erase(node); }
  /// Of this epoch, on the disk of `node`.
  Seq durable_on(NodeId node) const;
  /// The last event sent to replicas.
  Position published() const { return published_; }
  bool has_failed() const { return state_ == State::failed; }
  /// R18: it serves, and what it was given is being committed; or its disk is full, which it can wait for.
  bool moves(TimePoint now) const;
  /// What commit waits for is this node's own log: no replica is behind it.
  bool waits_for_own_log() const { return durable_ < head_ && in_sync_has() == durable_.seq; }
  /// All that it was given is committed and answered.
  bool is_idle() const;

  /// For tests: the copy's content.
  ShardCopy& copy() { return copy_; }

 private:
  enum class State { beginning, serving, failed, deposed };

  struct Waiting {
    Asker asker;
    bool writes = false;
    std::size_t bytes = 0;  // what it takes in memory, about
    rpc::Reply reply;
    TimePoint leaves_at{};  // of what wrote: not before, while a checkpoint is under way
  };
  /// A frame on its way to being committed, and the replies that wait for it.
  struct InFlight {
    Position last;
    FrameBytes bytes;
    std::vector<Waiting> for_durable;  // ack=local
    std::vector<Waiting> for_commit;
  };
  struct Progress {
    Seq durable;
    TimePoint heard;
  };
  struct Pull {
    Address asker;
    peer::PullRequest request;
  };

  void handle(TopologyChanged message, const Address& from, TimePoint now, Effects& out);
  void handle(ClientRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(PartRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(StatusQuery message, const Address& from, TimePoint now, Effects& out);
  void handle(Durable message, const Address& from, TimePoint now, Effects& out);
  void handle(LogRead message, const Address& from, TimePoint now, Effects& out);
  void handle(LogReadFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(LogBlocked message, const Address& from, TimePoint now, Effects& out);
  void handle(LogFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(CheckpointWritten message, const Address& from, TimePoint now, Effects& out);
  void handle(CheckpointFailed message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::ReplicaAck message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::PullRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::SnapshotRequest message, const Address& from, TimePoint now, Effects& out);
  void handle(peer::ChangesRequest message, const Address& from, TimePoint now, Effects& out);
  /// A message for another role of this member: of no concern to a primary.
  template <class Other>
  void handle(Other, const Address&, TimePoint, Effects&) {}

  void begin_epoch(Epoch epoch, Effects& out);
  void give_up_all(const std::string& why, Effects& out);
  /// Speaks to its replicas: it has an epoch, though its first event may not be committed yet.
  bool leads() const { return state_ == State::serving || state_ == State::beginning; }
  void answer(Asker asker, rpc::Request& request, TimePoint now, Effects& out);
  void answer_scan(Waiting waiting, const rpc::Request& request, Effects& out);
  void prefetch(const std::vector<Operation>& operations);
  std::vector<OperationResult> execute(const rpc::Request& request, Seq& depends_on, Effects& out);
  std::vector<OperationResult> execute_atomically(std::span<const Operation> operations, OnceId id,
                                                  Seq& depends_on, Effects& out);
  std::optional<std::vector<OperationResult>> recall(const std::string& outcome, std::uint64_t question,
                                                     std::size_t count, Seq& depends_on);
  bool has_outcome(const rpc::Request& batch);
  std::shared_ptr<const Session> seen(Seq depends_on) const;
  OperationResult execute(const Operation& operation, Seq& depends_on, std::size_t& room, Effects& out);
  std::optional<Error> no_room() const;
  OperationResult write(const Operation& operation, Seq& depends_on, Effects& out);
  OperationResult put_or_remove(const Operation& operation, Seq& depends_on, Effects& out);
  OperationResult increment(const Operation& operation, Seq& depends_on, Effects& out);
  OperationResult touch(const Operation& operation, Seq& depends_on, Effects& out);
  const Plan::Write* planned(std::string_view key) const;
  OperationResult read(const Operation& operation, std::size_t& room, Effects& out);
  Result<ShardCopy::Presence> look_up(std::string_view key, Store::Check check, Effects& out);
  Result<std::optional<StoredRecord>> find(std::string_view key, std::size_t most_bytes, Seq& depends_on,
                                           Effects& out);
  std::uint64_t expiry_of(const Ttl& ttl) const;
  bool is_really_over(std::string_view key);
  Position expire(std::string_view key, Effects& out);
  void sweep(TimePoint now, Effects& out);
  Position write_down(const Event& event, Effects& out);
  Position append(const Event& event, Effects& out);
  void append(const Plan& plan, Effects& out);
  void add(const Event& event);
  void seal_frame(Effects& out);
  void wait_for(Seq depends_on, AckMode ack, Waiting waiting);
  void publish_durable(Effects& out);
  Seq in_sync_has() const;
  void advance_commit();
  void pace(TimePoint now);
  void unpace();
  void trim_log(bool disk_is_full, Effects& out);
  void publish_heartbeat(TimePoint now, Effects& out);
  void reply(Waiting waiting, Effects& out);
  void refuse(const Pull& pull, Effects& out);
  Position tellable() const;
  std::size_t owed_bytes() const { return owed_bytes_ + snapshots_.bytes(); }
  void fail(const std::string& problem, Effects& out);
  MemberStatus status(TimePoint now) const;

  Address self_;
  ShardOptions options_;
  ShardCopy copy_;
  TopologyPtr topology_;
  const ShardInfo* shard_ = nullptr;  // in topology_
  std::vector<NodeId> counted_;
  TimePoint lease_until_{};
  State state_ = State::beginning;
  std::string problem_;
  std::string blocked_;  // why the log does not move: not empty while the disk is full
  std::string remark_;
  TimePoint moved_at_{};  // when commit was last not waited for, or rose

  Epoch epoch_;
  Position head_;       // the last event executed
  Position packed_;     // the last event that is in a frame
  Position durable_;    // the last event on this disk
  Position published_;  // the last event sent to replicas
  Seq commit_;
  Seq published_commit_;
  Seq serves_from_;  // this epoch's first event
  TimePoint published_at_{};

  TimePoint now_{};  // of the request that is being executed
  bool handing_over_ = false;
  TimePoint sweeps_at_{};          // not before
  std::vector<HashedKey> hashed_;  // of one request; kept for its memory
  Plan* plan_ = nullptr;           // of the atomic batch that is being executed
  FramePacker packer_;
  std::vector<Waiting> turn_for_durable_;  // wait for the frame that this turn is packing
  std::vector<Waiting> turn_for_commit_;
  std::vector<Waiting> ready_;  // depend on nothing uncommitted
  std::deque<Waiting> paced_;   // nor do these: their writers are slowed down
  std::deque<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::size_t owed_bytes_ = 0;  // of all Waiting
  std::map<NodeId, Progress> replicas_;
  std::map<std::uint64_t, Pull> pulls_;
  SnapshotReads snapshots_;
  ChangeFeed changes_;
  std::uint64_t next_token_ = 1;
};

}  // namespace dkv
