#include "messages/peer.hpp"

#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"
#include "messages/pack.hpp"
#include "messages/pack_ballot.hpp"
#include "messages/pack_position.hpp"
#include "messages/unpack.hpp"

namespace dkv::peer {

namespace {

// A pull's answer with the most epochs, four each.
constexpr std::size_t kMaxTokens = 32 + 4 * kMaxLogEpochs;
constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

std::uint64_t checksum_of(std::string_view message) { return XXH3_64bits(message.data(), message.size()); }

enum class Type : std::uint8_t {
  replica_ack = 1,
  pull_request = 2,
  pull_reply = 3,
  snapshot_request = 4,
  snapshot_reply = 5,
  register_prepare = 6,
  register_promise = 7,
  register_accept = 8,
  register_accepted = 9,
  register_nack = 10,
  register_poll = 11,
  register_state = 12,
  register_chosen = 13,
  heartbeat = 14,
  lease_grant = 15,
  changes_request = 16,
  changes_reply = 17
};

ShardId read_shard(Unpacker& in) { return ShardId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))}; }

void pack_keeper(Packer& out, const KeeperIdentity& keeper) {
  out.array(2).uint(keeper.incarnation).uint(keeper.since);
}

KeeperIdentity read_keeper(Unpacker& in) {
  KeeperIdentity keeper;
  in.array(2);
  keeper.incarnation = in.uint();
  keeper.since = in.uint();
  return keeper;
}

void pack(Packer& out, const ReplicaAck& body) {
  out.array(6).uint(body.shard.value).uint(body.epoch.value);
  pack_position(out, body.durable);
  out.uint(body.applied.value).uint(body.incarnation);
}

void pack(Packer& out, const PullRequest& body) {
  out.array(6).uint(body.shard.value).uint(body.process).uint(body.request);
  pack_position(out, body.from);
  out.uint(body.max_bytes);
}

void pack(Packer& out, const PullReply& body) {
  out.array(10).uint(body.shard.value).uint(body.process).uint(body.request);
  out.uint(static_cast<std::uint64_t>(body.outcome)).uint(body.epoch.value);
  pack_position(out, body.head);
  out.uint(body.commit.value).bytes(body.frames).array(body.epochs.size());
  for (const EpochRange& range : body.epochs)
    out.array(3).uint(range.epoch.value).uint(range.first.value).uint(range.last.value);
}

void pack(Packer& out, const SnapshotRequest& body) {
  out.array(5).uint(body.shard.value).uint(body.process).uint(body.request);
  out.bytes(body.from_key).uint(body.max_bytes);
}

void pack(Packer& out, const SnapshotReply& body) {
  out.array(9).uint(body.shard.value).uint(body.process).uint(body.request);
  out.uint(static_cast<std::uint64_t>(body.outcome)).uint(body.epoch.value);
  pack_position(out, body.at);
  out.bytes(body.next_key).bytes(body.records);
}

void pack(Packer& out, const ChangesRequest& body) {
  out.array(6).uint(body.shard.value).uint(body.process).uint(body.request);
  pack_position(out, body.from);
  out.uint(body.max_bytes);
}

void pack(Packer& out, const ChangesReply& body) {
  out.array(7).uint(body.shard.value).uint(body.process).uint(body.request);
  out.uint(static_cast<std::uint64_t>(body.outcome));
  pack_position(out, body.upto);
  out.bytes(body.frames);
}

void pack(Packer& out, const Heartbeat& body) {
  out.array(4).uint(body.shard.value).uint(body.epoch.value).uint(body.process).uint(body.sent_ns);
}

void pack(Packer& out, const LeaseGrant& body) {
  out.array(5).uint(body.shard.value).uint(body.epoch.value).uint(body.process).uint(body.sent_ns);
  out.uint(body.incarnation);
}

void pack(Packer& out, const RegisterPrepare& body) {
  out.array(2);
  pack_ballot(out, body.ballot);
  pack_ballot(out, body.known);
}

void pack(Packer& out, const RegisterPromise& body) {
  out.array(4);
  pack_ballot(out, body.ballot);
  pack_keeper(out, body.keeper);
  pack_ballot(out, body.accepted);
  out.bytes(body.topology);
}

void pack(Packer& out, const RegisterAccept& body) {
  out.array(2);
  pack_ballot(out, body.ballot);
  out.bytes(body.topology);
}

void pack(Packer& out, const RegisterAccepted& body) {
  out.array(2);
  pack_ballot(out, body.ballot);
  pack_keeper(out, body.keeper);
}

void pack(Packer& out, const RegisterNack& body) {
  out.array(2);
  pack_ballot(out, body.ballot);
  pack_ballot(out, body.promised);
}

void pack(Packer& out, const RegisterPoll& body) {
  out.array(3).uint(body.process).uint(body.request);
  pack_ballot(out, body.known);
}

void pack(Packer& out, const RegisterState& body) {
  out.array(5).uint(body.process).uint(body.request);
  pack_keeper(out, body.keeper);
  pack_ballot(out, body.accepted);
  out.bytes(body.topology);
}

void pack(Packer& out, const RegisterChosen& body) {
  out.array(2);
  pack_ballot(out, body.ballot);
  out.bytes(body.topology);
}

Type type_of(const ReplicaAck&) { return Type::replica_ack; }
Type type_of(const PullRequest&) { return Type::pull_request; }
Type type_of(const PullReply&) { return Type::pull_reply; }
Type type_of(const SnapshotRequest&) { return Type::snapshot_request; }
Type type_of(const SnapshotReply&) { return Type::snapshot_reply; }
Type type_of(const ChangesRequest&) { return Type::changes_request; }
Type type_of(const ChangesReply&) { return Type::changes_reply; }
Type type_of(const Heartbeat&) { return Type::heartbeat; }
Type type_of(const LeaseGrant&) { return Type::lease_grant; }
Type type_of(const RegisterPrepare&) { return Type::register_prepare; }
Type type_of(const RegisterPromise&) { return Type::register_promise; }
Type type_of(const RegisterAccept&) { return Type::register_accept; }
Type type_of(const RegisterAccepted&) { return Type::register_accepted; }
Type type_of(const RegisterNack&) { return Type::register_nack; }
Type type_of(const RegisterPoll&) { return Type::register_poll; }
Type type_of(const RegisterState&) { return Type::register_state; }
Type type_of(const RegisterChosen&) { return Type::register_chosen; }

ReplicaAck read_replica_ack(Unpacker& in) {
  ReplicaAck body;
  in.array(6);
  body.shard = read_shard(in);
  body.epoch = Epoch{in.uint()};
  body.durable = read_position(in);
  body.applied = Seq{in.uint()};
  body.incarnation = in.uint();
  return body;
}

PullRequest read_pull_request(Unpacker& in) {
  PullRequest body;
  in.array(6);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.from = read_position(in);
  body.max_bytes = in.uint();
  return body;
}

PullReply read_pull_reply(Unpacker& in) {
  PullReply body;
  in.array(10);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.outcome = static_cast<PullOutcome>(in.uint(static_cast<std::uint64_t>(PullOutcome::too_old)));
  body.epoch = Epoch{in.uint()};
  body.head = read_position(in);
  body.commit = Seq{in.uint()};
  body.frames = std::string(in.bytes(kMaxMessageBytes));
  const std::size_t epochs = in.array();
  if (epochs > kMaxLogEpochs) in.fail();
  for (std::size_t i = 0; i < epochs && in.ok(); ++i) {
    in.array(3);
    EpochRange& range = body.epochs.emplace_back();
    range.epoch = Epoch{in.uint()};
    range.first = Seq{in.uint()};
    range.last = Seq{in.uint()};
  }
  return body;
}

SnapshotRequest read_snapshot_request(Unpacker& in) {
  SnapshotRequest body;
  in.array(5);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.from_key = std::string(in.bytes(kMaxKeyBytes));
  body.max_bytes = in.uint();
  return body;
}

SnapshotReply read_snapshot_reply(Unpacker& in) {
  SnapshotReply body;
  in.array(9);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.outcome = static_cast<SnapshotOutcome>(in.uint(static_cast<std::uint64_t>(SnapshotOutcome::refused)));
  body.epoch = Epoch{in.uint()};
  body.at = read_position(in);
  body.next_key = std::string(in.bytes(kMaxKeyBytes));
  body.records = std::string(in.bytes(kMaxMessageBytes));
  return body;
}

ChangesRequest read_changes_request(Unpacker& in) {
  ChangesRequest body;
  in.array(6);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.from = read_position(in);
  body.max_bytes = in.uint();
  return body;
}

ChangesReply read_changes_reply(Unpacker& in) {
  ChangesReply body;
  in.array(7);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.outcome = static_cast<PullOutcome>(in.uint(static_cast<std::uint64_t>(PullOutcome::too_old)));
  body.upto = read_position(in);
  body.frames = std::string(in.bytes(kMaxMessageBytes));
  return body;
}

Heartbeat read_heartbeat(Unpacker& in) {
  Heartbeat body;
  in.array(4);
  body.shard = read_shard(in);
  body.epoch = Epoch{in.uint()};
  body.process = in.uint();
  body.sent_ns = in.uint();
  return body;
}

LeaseGrant read_lease_grant(Unpacker& in) {
  LeaseGrant body;
  in.array(5);
  body.shard = read_shard(in);
  body.epoch = Epoch{in.uint()};
  body.process = in.uint();
  body.sent_ns = in.uint();
  body.incarnation = in.uint();
  return body;
}

RegisterPrepare read_register_prepare(Unpacker& in) {
  RegisterPrepare body;
  in.array(2);
  body.ballot = read_ballot(in);
  body.known = read_ballot(in);
  return body;
}

RegisterPromise read_register_promise(Unpacker& in) {
  RegisterPromise body;
  in.array(4);
  body.ballot = read_ballot(in);
  body.keeper = read_keeper(in);
  body.accepted = read_ballot(in);
  body.topology = std::string(in.bytes(kMaxTopologyBytes));
  return body;
}

RegisterAccept read_register_accept(Unpacker& in) {
  RegisterAccept body;
  in.array(2);
  body.ballot = read_ballot(in);
  body.topology = std::string(in.bytes(kMaxTopologyBytes));
  return body;
}

RegisterAccepted read_register_accepted(Unpacker& in) {
  RegisterAccepted body;
  in.array(2);
  body.ballot = read_ballot(in);
  body.keeper = read_keeper(in);
  return body;
}

RegisterNack read_register_nack(Unpacker& in) {
  RegisterNack body;
  in.array(2);
  body.ballot = read_ballot(in);
  body.promised = read_ballot(in);
  return body;
}

RegisterPoll read_register_poll(Unpacker& in) {
  RegisterPoll body;
  in.array(3);
  body.process = in.uint();
  body.request = in.uint();
  body.known = read_ballot(in);
  return body;
}

RegisterState read_register_state(Unpacker& in) {
  RegisterState body;
  in.array(5);
  body.process = in.uint();
  body.request = in.uint();
  body.keeper = read_keeper(in);
  body.accepted = read_ballot(in);
  body.topology = std::string(in.bytes(kMaxTopologyBytes));
  return body;
}

RegisterChosen read_register_chosen(Unpacker& in) {
  RegisterChosen body;
  in.array(2);
  body.ballot = read_ballot(in);
  body.topology = std::string(in.bytes(kMaxTopologyBytes));
  return body;
}

Body read_body(Type type, Unpacker& in) {
  switch (type) {
    case Type::replica_ack:
      return read_replica_ack(in);
    case Type::pull_request:
      return read_pull_request(in);
    case Type::pull_reply:
      return read_pull_reply(in);
    case Type::snapshot_request:
      return read_snapshot_request(in);
    case Type::snapshot_reply:
      return read_snapshot_reply(in);
    case Type::register_prepare:
      return read_register_prepare(in);
    case Type::register_promise:
      return read_register_promise(in);
    case Type::register_accept:
      return read_register_accept(in);
    case Type::register_accepted:
      return read_register_accepted(in);
    case Type::register_nack:
      return read_register_nack(in);
    case Type::register_poll:
      return read_register_poll(in);
    case Type::register_state:
      return read_register_state(in);
    case Type::register_chosen:
      return read_register_chosen(in);
    case Type::changes_request:
      return read_changes_request(in);
    case Type::changes_reply:
      return read_changes_reply(in);
    case Type::heartbeat:
      return read_heartbeat(in);
    case Type::lease_grant:
      return read_lease_grant(in);
  }
  in.fail();
  return {};
}

}  // namespace

std::string encode(const Message& message) {
  std::string bytes;
  Packer out(bytes);
  std::visit(
      [&](const auto& body) {
        out.array(5).uint(kVersion).uint(static_cast<std::uint64_t>(type_of(body))).uint(message.from.value);
        out.uint(message.topology_id);
        pack(out, body);
      },
      message.body);
  append_little_endian(bytes, checksum_of(bytes));
  return bytes;
}

Result<Message> decode(std::string_view bytes) {
  if (bytes.size() < kChecksumBytes) return Error{Errc::bad_request, "a peer message without a checksum"};
  const std::size_t size = bytes.size() - kChecksumBytes;
  if (get_little_endian<std::uint64_t>(bytes, size) != checksum_of(bytes.substr(0, size)))
    return Error{Errc::bad_request, "a peer message that was damaged on its way"};
  bytes = bytes.substr(0, size);
  thread_local Unpacker in;
  in.parse(bytes, kMaxTokens);
  if (in.array() == 0) in.fail();
  const std::uint64_t version = in.uint();
  if (in.ok() && version != kVersion) {
    return Error{Errc::wrong_version, "a peer message of version " + std::to_string(version) +
                                          ": this node speaks " + std::to_string(kVersion)};
  }
  const auto type = static_cast<Type>(in.uint(UINT8_MAX));
  Message message;
  message.from = NodeId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  message.topology_id = in.uint();
  message.body = read_body(type, in);
  if (!in.done()) return Error{Errc::bad_request, "a peer message that makes no sense"};
  return message;
}

}  // namespace dkv::peer
