// Every message between actors: who sends it to whom, and why. Within a node they move as objects;
// what crosses the network has its format in messages/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "actors/runtime/address.hpp"
#include "actors/runtime/import.hpp"
#include "messages/frame.hpp"
#include "messages/peer.hpp"
#include "messages/rpc.hpp"
#include "messages/status.hpp"
#include "messages/watch.hpp"
#include "topology/change.hpp"
#include "topology/topology.hpp"

namespace dkv {

class Memtable;

/// The door and the connection a request came through, so that its reply finds the way back. Never shown
/// to anyone: it holds a ZeroMQ routing id.
struct Origin {
  std::uint8_t door = 0;
  std::string connection;
};

/// world -> router, before all else: the file's topology; registrar -> its listeners, of the register's
/// newest, after its first full round (R11), and never an older one than before: the topology that holds from
/// now on.
struct TopologyChanged {
  TopologyPtr topology;
};

/// door -> router -> member. The request's views stay valid as long as request.owner lives.
struct ClientRequest {
  Origin origin;
  rpc::Request request;
};

/// member or router -> client, once what the reply depends on is committed.
struct ClientReply {
  Origin origin;
  rpc::Reply reply;
};

/// router -> member: operations of a client request whose keys live on several local shards.
struct PartRequest {
  std::uint64_t token = 0;  // the router's, comes back
  rpc::Request request;
};

/// member -> router, its answer.
struct PartReply {
  std::uint64_t token = 0;
  rpc::Reply reply;
};

/// router -> member, registrar: for a client that asked for the node's status.
struct StatusQuery {
  std::uint64_t token = 0;
};

/// member -> router, its answer.
struct StatusReport {
  std::uint64_t token = 0;
  MemberStatus status;
};

/// router -> member: an operator wants the shard's primary, who is this member, to hand over to the in-sync
/// replica on `to`, or to any where that is zero.
struct HandOver {
  std::uint64_t token = 0;
  NodeId to;
};

/// router -> member: an operator wants this copy to be primary, in sync or not, and knows what that may lose.
struct ForcePromotion {
  std::uint64_t token = 0;
};

/// member -> router, the answer to either once its outcome is known.
struct ControlReport {
  std::uint64_t token = 0;
  Errc code = Errc::ok;
  std::string text;  // for people: what was done, or why not
};

/// world -> member: a frame arrived on a subscription. Unchecked bytes.
struct EventFrame {
  FrameBytes bytes;
};

/// member -> log, at start, and again when it has ceased to be primary: open the log and replay what lies
/// above `applied`; it must reach to `reached` at least. What was to be appended and is not on disk yet is
/// dropped.
struct OpenLog {
  Position applied;
  Position reached;
};

/// log -> member, any number of times after OpenLog: checked frames in order, the first of which may
/// begin at or below `applied`.
struct LogRecovered {
  std::vector<FrameBytes> frames;
  std::uint64_t bytes_done = 0;  // of the log that is read
  std::uint64_t bytes_total = 0;
};

/// member -> log, after each LogRecovered: read on. So only a few of them are ever on their way.
struct ContinueRecovery {};

/// log -> member: replay, a reset or a cut is complete, and this is the last event on disk; appends may
/// follow. What Durable said before a reset, or of events above a cut, is void.
struct LogOpened {
  Position head;
};

/// member -> log, instead of OpenLog or any time later: durably forget everything, what was sent to be
/// appended included, and go on as a log whose next event follows `at`. Answered by LogOpened. A crash
/// leaves the old log or the new one. The old one need not be readable.
struct ResetLog {
  Position at;
};

/// member -> log, after LogOpened: durably forget every event above `at`, where a frame in the log, or sent
/// to be appended, must end (or where the log begins). Of what was sent before, frames above `at` are
/// dropped, the others are appended first; what is sent afterwards follows `at`. Each is answered by
/// LogOpened{at}, after which no Durable is of what was cut; or by LogFailed, as bad_request for a position
/// that is no frame's end or below what the store may hold (the member must know better, R5). A crash leaves
/// the log as it was, or cut. Meanwhile the log is not read for others.
struct CutLog {
  Position at;
};

/// member -> log: append this frame. Made durable together with whatever else this turn brings.
struct AppendFrame {
  FrameBytes bytes;
  Position last;  // of the frame's events
};

/// log -> member: everything up to `last` is on disk (R2: only after fdatasync has returned).
struct Durable {
  Position last;
};

/// member -> log: what is at or below `upto` is in the store and with every in-sync replica. All but a
/// bounded amount of it, kept for other followers, may go; when the disk is full, all of it.
struct TrimLog {
  Seq upto;
  bool disk_is_full = false;
};

/// member -> log: frames after `from`, for a replica that pulls, or for a watcher.
struct ReadLog {
  std::uint64_t token = 0;
  Position from;
  std::uint64_t max_bytes = 0;
  bool within_frames =
      false;  // for a watcher: `from` may be within a frame, with which the answer begins then
};

/// Whether a log reaches back to a position.
enum class LogReach : std::uint8_t {
  found,    // it is in this log, or just before its first event
  too_old,  // it lies before what this log still holds: whether it ever was in it, nobody knows
  unknown,  // it is not in this log's history
};

/// log -> member, the answer: whole frames, one after the other, at least one when any follow.
struct LogRead {
  std::uint64_t token = 0;
  LogReach reach = LogReach::unknown;  // of `from`
  Position head;
  std::string frames;
  std::vector<EpochRange> epochs{};  // where `from` is unknown: of what the log holds, see EpochHistory
};

/// member -> log: which epochs are its durable events of?
struct ReadEpochs {
  std::uint64_t token = 0;
};

/// log -> member, the answer: see EpochHistory. Or LogReadFailed.
struct LogEpochs {
  std::uint64_t token = 0;
  std::vector<EpochRange> epochs;
};

/// log -> member, instead: nothing could be read. Writing goes on.
struct LogReadFailed {
  std::uint64_t token = 0;
  Error error;
};

/// log -> member: the disk is full. What was sent to be appended is kept and tried again until there is room;
/// Durable, or LogOpened, says when that was.
struct LogBlocked {
  Error error;
};

/// log -> member: the log could not be opened, written or synced. It has stopped for good.
struct LogFailed {
  Error error;
};

/// member -> checkpoint: write this frozen memtable to the store, with `applied`, in one transaction.
struct WriteCheckpoint {
  std::shared_ptr<const Memtable> memtable;
  Position applied;
};

/// checkpoint -> member: the store holds everything up to `applied`.
struct CheckpointWritten {
  Position applied;
};

/// member -> checkpoint: the checkpoint is through; free this where it delays nobody.
struct DiscardMemtable {
  std::shared_ptr<const Memtable> memtable;
};

/// checkpoint -> member: nothing was written.
struct CheckpointFailed {
  Error error;
};

/// member -> checkpoint: empty the store; it is to be filled with a copy whose first chunk is as of `at`.
struct BeginImport {
  Position at;
};

/// checkpoint -> member: the store is empty, and its events follow `at`.
struct ImportBegun {
  Position at;
};

/// member -> checkpoint: add these records (see messages/records.hpp), a chunk as of `at`.
struct ImportRecords {
  std::string records;
  std::string next_key;  // where the next chunk begins; empty: this is the last
  Position at;
};

/// checkpoint -> member: they are in the store.
struct RecordsImported {
  std::optional<Import> progress;  // nothing: the store is whole
};

/// checkpoint -> member: nothing was done.
struct ImportFailed {
  Error error;
};

/// any local actor -> registrar: make this change, which is tried until its outcome is known. Nothing else
/// may be assumed until then (R13).
struct ProposeChange {
  TopologyChange change;
};

enum class ChangeOutcome : std::uint8_t {
  chosen,     ///< it is in the register's history
  lost,       ///< it is not, and never will be
  overtaken,  ///< it may be or not, but others have changed its shards since: only the topology says what
              ///< holds
  refused,    ///< nothing was tried: it breaks a rule, or too many wait
};

/// registrar -> whoever proposed it, once.
struct ChangeSettled {
  std::uint64_t change = 0;
  ChangeOutcome outcome = ChangeOutcome::refused;
  TopologyPtr
      topology;  // the newest chosen, by which it was decided; nullptr when refused before there is one
  Error error;   // when refused
};

/// any local actor -> registrar: a full round, begun after this came.
struct ReadRegister {
  std::uint64_t token = 0;
};

/// registrar -> whoever asked.
struct RegisterRead {
  std::uint64_t token = 0;
  TopologyPtr topology;
};

/// registrar -> its listeners, when it changes: whether a majority of the keepers has answered lately.
struct RegisterReach {
  bool isolated = true;
};

/// registrar -> router, the answer to StatusQuery.
struct RegisterReport {
  std::uint64_t token = 0;
  bool isolated = true;
  std::vector<KeeperStatus> keepers;
};

/// registrar -> the keeper beside it: this was chosen at that ballot.
struct TopologyChosen {
  Ballot ballot;
  TopologyPtr topology;
};

using AnyMessage =
    std::variant<TopologyChanged, ClientRequest, ClientReply, PartRequest, PartReply, StatusQuery,
                 StatusReport, EventFrame, peer::ReplicaAck, peer::PullRequest, peer::PullReply,
                 peer::SnapshotRequest, peer::SnapshotReply, OpenLog, LogRecovered, ContinueRecovery,
                 LogOpened, ResetLog, AppendFrame, Durable, TrimLog, ReadLog, LogRead, LogReadFailed,
                 LogBlocked, LogFailed, CutLog, ReadEpochs, LogEpochs, WriteCheckpoint, CheckpointWritten,
                 DiscardMemtable, CheckpointFailed, BeginImport, ImportBegun, ImportRecords, RecordsImported,
                 ImportFailed, peer::RegisterPrepare, peer::RegisterPromise, peer::RegisterAccept,
                 peer::RegisterAccepted, peer::RegisterNack, peer::RegisterPoll, peer::RegisterState,
                 peer::RegisterChosen, peer::Heartbeat, peer::LeaseGrant, ProposeChange, ChangeSettled,
                 ReadRegister, RegisterRead, RegisterReach, TopologyChosen, HandOver, ForcePromotion,
                 ControlReport, RegisterReport, peer::ChangesRequest, peer::ChangesReply, OpenWatch,
                 CloseWatch, WatchTaken, WatchSubscription, WatchNews, WatchBroadcast>;

template <class Kind, class Variant>
inline constexpr bool kIsAlternative = false;
template <class Kind, class... Kinds>
inline constexpr bool kIsAlternative<Kind, std::variant<Kinds...>> = (std::is_same_v<Kind, Kinds> || ...);

/// One of them. A class of its own, so that what a variant of so many needs to be moved and destroyed is
/// compiled once, in message.cpp, and not wherever messages are handed on: that took a third of the build.
class Message : public AnyMessage {
 public:
  Message();
  template <class Kind>
  requires kIsAlternative<Kind, AnyMessage> Message(Kind message) : Message() { set(std::move(message)); }
  Message(const Message&);
  Message(Message&&) noexcept;
  Message& operator=(const Message&);
  Message& operator=(Message&&) noexcept;
  ~Message();

 private:
  template <class Kind>
  void set(Kind&& message);
  template <class Variant>
  friend struct SettersOf;
};

/// The message's name, for traces and logs.
const char* name_of(const Message& message);

struct Envelope {
  Address from;
  Address to;
  Message message;
};

}  // namespace dkv
