#include "messages/peer.hpp"

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv::peer {

namespace {

constexpr std::size_t kMaxTokens = 32;

enum class Type : std::uint8_t {
  replica_ack = 1,
  pull_request = 2,
  pull_reply = 3,
  snapshot_request = 4,
  snapshot_reply = 5
};

void pack_position(Packer& out, const Position& position) {
  out.uint(position.epoch.value).uint(position.seq.value);
}

Position read_position(Unpacker& in) {
  Position position;
  position.epoch = Epoch{in.uint()};
  position.seq = Seq{in.uint()};
  return position;
}

ShardId read_shard(Unpacker& in) { return ShardId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))}; }

void pack(Packer& out, const ReplicaAck& body) {
  out.array(5).uint(body.shard.value).uint(body.epoch.value);
  pack_position(out, body.durable);
  out.uint(body.applied.value);
}

void pack(Packer& out, const PullRequest& body) {
  out.array(6).uint(body.shard.value).uint(body.process).uint(body.request);
  pack_position(out, body.from);
  out.uint(body.max_bytes);
}

void pack(Packer& out, const PullReply& body) {
  out.array(9).uint(body.shard.value).uint(body.process).uint(body.request);
  out.uint(static_cast<std::uint64_t>(body.outcome)).uint(body.epoch.value);
  pack_position(out, body.head);
  out.uint(body.commit.value).bytes(body.frames);
}

void pack(Packer& out, const SnapshotRequest& body) {
  out.array(6).uint(body.shard.value).uint(body.process).uint(body.request);
  out.bytes(body.from_key).uint(body.max_bytes).boolean(body.refill);
}

void pack(Packer& out, const SnapshotReply& body) {
  out.array(9).uint(body.shard.value).uint(body.process).uint(body.request);
  out.uint(static_cast<std::uint64_t>(body.outcome)).uint(body.epoch.value);
  pack_position(out, body.at);
  out.bytes(body.next_key).bytes(body.records);
}

Type type_of(const ReplicaAck&) { return Type::replica_ack; }
Type type_of(const PullRequest&) { return Type::pull_request; }
Type type_of(const PullReply&) { return Type::pull_reply; }
Type type_of(const SnapshotRequest&) { return Type::snapshot_request; }
Type type_of(const SnapshotReply&) { return Type::snapshot_reply; }

ReplicaAck read_replica_ack(Unpacker& in) {
  ReplicaAck body;
  in.array(5);
  body.shard = read_shard(in);
  body.epoch = Epoch{in.uint()};
  body.durable = read_position(in);
  body.applied = Seq{in.uint()};
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
  in.array(9);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.outcome = static_cast<PullOutcome>(in.uint(static_cast<std::uint64_t>(PullOutcome::too_old)));
  body.epoch = Epoch{in.uint()};
  body.head = read_position(in);
  body.commit = Seq{in.uint()};
  body.frames = std::string(in.bytes(kMaxMessageBytes));
  return body;
}

SnapshotRequest read_snapshot_request(Unpacker& in) {
  SnapshotRequest body;
  in.array(6);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.from_key = std::string(in.bytes(kMaxKeyBytes));
  body.max_bytes = in.uint();
  body.refill = in.boolean();
  return body;
}

SnapshotReply read_snapshot_reply(Unpacker& in) {
  SnapshotReply body;
  in.array(9);
  body.shard = read_shard(in);
  body.process = in.uint();
  body.request = in.uint();
  body.outcome = static_cast<SnapshotOutcome>(in.uint(static_cast<std::uint64_t>(SnapshotOutcome::nothing)));
  body.epoch = Epoch{in.uint()};
  body.at = read_position(in);
  body.next_key = std::string(in.bytes(kMaxKeyBytes));
  body.records = std::string(in.bytes(kMaxMessageBytes));
  return body;
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
  return bytes;
}

Result<Message> decode(std::string_view bytes) {
  thread_local Unpacker in;
  in.parse(bytes, kMaxTokens);
  if (in.array() == 0) in.fail();
  const std::uint64_t version = in.uint();
  if (in.ok() && version != kVersion) {
    return Error{Errc::wrong_version,
                 "a peer message of version " + std::to_string(version) + ": this node speaks 1"};
  }
  const auto type = static_cast<Type>(in.uint(UINT8_MAX));
  Message message;
  message.from = NodeId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  message.topology_id = in.uint();
  switch (type) {
    case Type::replica_ack:
      message.body = read_replica_ack(in);
      break;
    case Type::pull_request:
      message.body = read_pull_request(in);
      break;
    case Type::pull_reply:
      message.body = read_pull_reply(in);
      break;
    case Type::snapshot_request:
      message.body = read_snapshot_request(in);
      break;
    case Type::snapshot_reply:
      message.body = read_snapshot_reply(in);
      break;
    default:
      in.fail();
  }
  if (!in.done()) return Error{Errc::bad_request, "a peer message that makes no sense"};
  return message;
}

}  // namespace dkv::peer
