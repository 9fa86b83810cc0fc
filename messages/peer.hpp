// What nodes say to each other on their `peer` sockets: acknowledgements, catch-up and the register. Nothing
// here is trusted to arrive, or to arrive once: every exchange is repeated by its asker until answered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages/ballot.hpp"
#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv::peer {

inline constexpr std::uint64_t kVersion = 2;

/// Replica to primary, after each of its syncs and when idle: what is on its disk.
struct ReplicaAck {
  ShardId shard;
  Epoch epoch;  // the one it is aligned with
  Position durable;
  Seq applied;                    // the last committed event that its readers see
  std::uint64_t incarnation = 0;  // of the folder that is on that disk
  bool operator==(const ReplicaAck&) const = default;
};

/// Replica to primary: send me what follows `from` in your log.
struct PullRequest {
  ShardId shard;
  std::uint64_t process = 0;  // of this run of the asker: an answer to an earlier run must not count
  std::uint64_t request = 0;  // likewise for an earlier request
  Position from;              // the asker's last event
  std::uint64_t max_bytes = 0;
  bool operator==(const PullRequest&) const = default;
};

enum class PullOutcome : std::uint8_t {
  ok = 0,        ///< `from` is in the primary's log, and `frames` follow it
  diverged = 1,  ///< `from` is not in the primary's log: the histories differ
  refused = 2,   ///< the asked node is not this shard's serving primary just now
  too_old = 3,   ///< `from` lies before what the primary's log still holds
};

/// Primary to replica, the answer.
struct PullReply {
  ShardId shard;
  std::uint64_t process = 0;
  std::uint64_t request = 0;
  PullOutcome outcome = PullOutcome::ok;
  Epoch epoch;    // of the primary
  Position head;  // its last durable event
  Seq commit;
  std::string frames;                // whole frames, one after the other
  std::vector<EpochRange> epochs{};  // diverged: of the primary's log, to find where the two part
  bool operator==(const PullReply&) const = default;
};

/// Who wants a copy of a shard asks for it chunk by chunk: a replica whose last event the primary's log no
/// longer holds, or has never held.
struct SnapshotRequest {
  ShardId shard;
  std::uint64_t process = 0;  // as a pull's
  std::uint64_t request = 0;
  std::string from_key;  // the first key of interest; empty: from the beginning
  std::uint64_t max_bytes = 0;
  bool operator==(const SnapshotRequest&) const = default;
};

enum class SnapshotOutcome : std::uint8_t {
  ok = 0,
  refused = 1,  ///< not just now: ask again
};

/// The answer: all records from `from_key` up to, not including, `next_key`, as of `at`, which is committed.
struct SnapshotReply {
  ShardId shard;
  std::uint64_t process = 0;
  std::uint64_t request = 0;
  SnapshotOutcome outcome = SnapshotOutcome::ok;
  Epoch epoch;  // the highest that the answerer has seen
  Position at;
  std::string next_key;  // empty: there are no more records
  std::string records;   // see records.hpp
  bool operator==(const SnapshotReply&) const = default;
};

/// Watcher to primary: what has been committed after `from`? Answered when there is something, or when some
/// time has passed without.
struct ChangesRequest {
  ShardId shard;
  std::uint64_t process = 0;  // as a pull's
  std::uint64_t request = 0;
  Position from;  // an event of the shard; zero: where is the history now?
  std::uint64_t max_bytes = 0;
  bool operator==(const ChangesRequest&) const = default;
};

/// The answer: committed events only (R17).
struct ChangesReply {
  ShardId shard;
  std::uint64_t process = 0;
  std::uint64_t request = 0;
  PullOutcome outcome = PullOutcome::ok;
  Position upto;       // ok: the last event told; too_old, diverged: the newest committed one
  std::string frames;  // whole frames, one after the other; the first may begin at or below `from`
  bool operator==(const ChangesReply&) const = default;
};

// The lease: see actors/member/README.md.

/// Primary to each of its replicas, every 100 ms: do you still follow me?
struct Heartbeat {
  ShardId shard;
  Epoch epoch;
  std::uint64_t process = 0;  // of this run of the sender
  std::uint64_t sent_ns = 0;  // when, by the sender's clock
  bool operator==(const Heartbeat&) const = default;
};

/// The answer: this replica takes over from nobody who has that epoch until the lease's length after it was
/// sent.
struct LeaseGrant {
  ShardId shard;
  Epoch epoch;
  std::uint64_t process = 0;
  std::uint64_t sent_ns = 0;
  std::uint64_t incarnation = 0;  // of the replica's folder
  bool operator==(const LeaseGrant&) const = default;
};

// The register: see actors/keeper/README.md. A topology is its encoding.

/// A keeper, as it says of itself: which of its node's folders it is, and since which topology version it
/// knows to be one (1: as far as it knows it was there at the beginning).
struct KeeperIdentity {
  std::uint64_t incarnation = 0;
  std::uint64_t since = 0;
  bool operator==(const KeeperIdentity&) const = default;
};

/// Registrar to keepers, phase 1: promise to accept nothing below this ballot.
struct RegisterPrepare {
  Ballot ballot;
  Ballot known;  // the sender has what was accepted at this ballot: leave it out
  bool operator==(const RegisterPrepare&) const = default;
};

/// The answer, once the promise is on disk.
struct RegisterPromise {
  Ballot ballot;  // the one promised
  KeeperIdentity keeper;
  Ballot accepted;       // what was accepted last; zero: nothing yet
  std::string topology;  // empty: nothing, or what was accepted at `known`
  bool operator==(const RegisterPromise&) const = default;
};

/// Registrar to keepers, phase 2: accept this.
struct RegisterAccept {
  Ballot ballot;
  std::string topology;
  bool operator==(const RegisterAccept&) const = default;
};

/// The answer, once it is on disk.
struct RegisterAccepted {
  Ballot ballot;
  KeeperIdentity keeper;
  bool operator==(const RegisterAccepted&) const = default;
};

/// Keeper to registrar, instead of either answer: a higher ballot was promised.
struct RegisterNack {
  Ballot ballot;  // the refused one
  Ballot promised;
  bool operator==(const RegisterNack&) const = default;
};

/// Registrar to keepers, every second: what have you accepted? It changes nothing there.
struct RegisterPoll {
  std::uint64_t process = 0;  // of this run of the asker
  std::uint64_t request = 0;
  Ballot known;
  bool operator==(const RegisterPoll&) const = default;
};

/// The answer.
struct RegisterState {
  std::uint64_t process = 0;
  std::uint64_t request = 0;
  KeeperIdentity keeper;
  Ballot accepted;
  std::string topology;  // as a promise's
  bool operator==(const RegisterState&) const = default;
};

/// Registrar to every other node's: this was chosen.
struct RegisterChosen {
  Ballot ballot;  // at which a majority accepted it
  std::string topology;
  bool operator==(const RegisterChosen&) const = default;
};

using Body = std::variant<ReplicaAck, PullRequest, PullReply, SnapshotRequest, SnapshotReply, RegisterPrepare,
                          RegisterPromise, RegisterAccept, RegisterAccepted, RegisterNack, RegisterPoll,
                          RegisterState, RegisterChosen, Heartbeat, LeaseGrant, ChangesRequest, ChangesReply>;

struct Message {
  NodeId from;
  std::uint64_t topology_id = 0;  // of the cluster's first topology: two clusters must never mix
  Body body;
};

/// With a checksum: a bit that changes on its way is a loss, not another position.
std::string encode(const Message& message);
/// Errors: wrong_version, bad_request.
Result<Message> decode(std::string_view bytes);

}  // namespace dkv::peer
