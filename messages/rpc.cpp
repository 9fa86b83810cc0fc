#include "messages/rpc.hpp"

#include <algorithm>

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "messages/pack_operation.hpp"
#include "messages/pack_position.hpp"
#include "messages/unpack.hpp"

namespace dkv::rpc {

namespace {

constexpr std::size_t kEnvelopeFields = 6;
constexpr std::size_t kReplyFields = 4;
// What a session may name; each takes a token for its array and three for its numbers.
constexpr std::size_t kMaxSessionShards = 4096;
constexpr std::size_t kMaxSessionTokens = 3 + 4 * kMaxSessionShards;
// Envelope, body head, and per operation an array of at most six, with a condition of three and a time to
// live of two in it, and the offset of its number.
constexpr std::size_t kMaxRequestTokens = 16 + 13 * kMaxOperations + kMaxSessionTokens;
constexpr std::size_t kMaxReplyTokens = 64 + 8 * kMaxOperations + kMaxSessionTokens;
static_assert(kMaxScanItems <= kMaxOperations);
// What an envelope takes, and the numbers beside an operation's or a result's bytes: to ask for memory once.
constexpr std::size_t kMostEnvelopeBytes = 64;
constexpr std::size_t kMostNumbersBytes = 48;
constexpr std::size_t kMaxMembers = 4096;
constexpr std::size_t kMaxKeepers = 16;

std::size_t most_bytes(const std::vector<OperationResult>& results) {
  std::size_t most = kMostEnvelopeBytes;
  for (const OperationResult& result : results)
    most += kMostNumbersBytes + result.value.size() + result.message.size();
  return most;
}
std::size_t most_bytes(const ScanReply& page) {
  std::size_t most = kMostEnvelopeBytes + kMaxKeyBytes;
  for (const ScanItem& item : page.items) most += kMostNumbersBytes + item.key.size() + item.value.size();
  return most;
}
std::size_t most_bytes(const auto&) { return kMostEnvelopeBytes; }

void pack_body(Packer& out, const Error& error) {
  out.array(2).uint(static_cast<std::uint64_t>(error.code)).text(error.message);
}

void pack_body(Packer& out, const std::vector<OperationResult>& results) {
  out.array(results.size());
  for (const OperationResult& result : results) pack_result(out, result);
}

void pack_body(Packer& out, const TopologyReply& topology) {
  out.array(2).uint(topology.version).bytes(topology.encoded);
}

void pack_replica(Packer& out, const ReplicaStatus& replica) {
  out.array(7).text(replica.node).boolean(replica.in_sync).boolean(replica.counted);
  out.boolean(replica.heard).uint(replica.durable.value);
  out.uint(replica.lag_events).uint(replica.silent_ms);
}

ReplicaStatus read_replica(Unpacker& in) {
  ReplicaStatus replica;
  in.array(7);
  replica.node = std::string(in.bytes(kMaxNameBytes));
  replica.in_sync = in.boolean();
  replica.counted = in.boolean();
  replica.heard = in.boolean();
  replica.durable = Seq{in.uint()};
  replica.lag_events = in.uint();
  replica.silent_ms = in.uint();
  return replica;
}

void pack_member(Packer& out, const MemberStatus& member) {
  out.array(19)
      .uint(member.shard.value)
      .text(member.shard_name)
      .boolean(member.primary)
      .boolean(member.ready);
  out.text(member.state).text(member.problem).uint(member.epoch.value).uint(member.head.value);
  out.uint(member.durable.value).uint(member.commit.value).uint(member.applied.value);
  out.uint(member.lag_events)
      .uint(member.gaps_repaired)
      .uint(member.copied_records)
      .uint(member.copied_bytes);
  out.boolean(member.is_volatile).boolean(member.leased).uint(member.lease_ms);
  out.array(member.replicas.size());
  for (const ReplicaStatus& replica : member.replicas) pack_replica(out, replica);
}

MemberStatus read_member(Unpacker& in) {
  MemberStatus member;
  in.array(19);
  member.shard = ShardId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  member.shard_name = std::string(in.bytes(kMaxNameBytes));
  member.primary = in.boolean();
  member.ready = in.boolean();
  member.state = std::string(in.bytes(kMaxNameBytes));
  member.problem = std::string(in.bytes(kMaxRequestBytes));
  member.epoch = Epoch{in.uint()};
  member.head = Seq{in.uint()};
  member.durable = Seq{in.uint()};
  member.commit = Seq{in.uint()};
  member.applied = Seq{in.uint()};
  member.lag_events = in.uint();
  member.gaps_repaired = in.uint();
  member.copied_records = in.uint();
  member.copied_bytes = in.uint();
  member.is_volatile = in.boolean();
  member.leased = in.boolean();
  member.lease_ms = in.uint();
  const std::size_t replicas = in.array();
  for (std::size_t i = 0; i < replicas && in.ok(); ++i) member.replicas.push_back(read_replica(in));
  return member;
}

void pack_body(Packer& out, const NodeStatus& status) {
  out.array(8).text(status.node).text(status.version).uint(status.topology_version);
  out.uint(status.topology_change).boolean(status.ready).boolean(status.isolated);
  out.array(status.keepers.size());
  for (const KeeperStatus& keeper : status.keepers)
    out.array(3).text(keeper.node).boolean(keeper.reached).uint(keeper.silent_ms);
  out.array(status.members.size());
  for (const MemberStatus& member : status.members) pack_member(out, member);
}

void pack_body(Packer& out, const ControlReply& reply) { out.array(1).text(reply.text); }

void pack_body(Packer& out, const ScanReply& page) {
  if (page.moved) return pack_moved(out, page.moved);
  out.array(4).uint(static_cast<std::uint64_t>(Errc::ok)).boolean(page.ended).bytes(page.next);
  out.array(page.items.size());
  for (const ScanItem& item : page.items) {
    out.array(item.ttl_ms != 0 ? 5 : 4).bytes(item.key);
    pack_position(out, item.version);
    out.bytes(item.value);
    if (item.ttl_ms != 0) out.uint(item.ttl_ms);
  }
}

ScanItem read_item(Unpacker& in) {
  ScanItem item;
  const std::size_t fields = in.array();
  if (fields != 4 && fields != 5) in.fail();
  item.key = std::string(in.bytes(kMaxKeyBytes));
  item.version = read_position(in);
  item.value = std::string(in.bytes(kMaxValueBytes));
  if (fields == 5) item.ttl_ms = in.uint();
  return item;
}

ScanReply read_page(Unpacker& in) {
  ScanReply page;
  const std::size_t fields = in.array();
  const auto code = static_cast<Errc>(in.uint(UINT16_MAX));
  if (code == Errc::moved) {
    if (fields != 7) in.fail();
    page.moved = read_moved(in);
    return page;
  }
  if (code != Errc::ok || fields != 4) in.fail();
  page.ended = in.boolean();
  page.next = std::string(in.bytes(kMaxKeyBytes + 1));
  const std::size_t count = in.array();
  if (count > kMaxScanItems || page.ended != page.next.empty()) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) page.items.push_back(read_item(in));
  return page;
}

KeeperStatus read_keeper(Unpacker& in) {
  KeeperStatus keeper;
  in.array(3);
  keeper.node = std::string(in.bytes(kMaxNameBytes));
  keeper.reached = in.boolean();
  keeper.silent_ms = in.uint();
  return keeper;
}

NodeStatus read_status(Unpacker& in) {
  NodeStatus status;
  in.array(8);
  status.node = std::string(in.bytes(kMaxNameBytes));
  status.version = std::string(in.bytes(kMaxNameBytes));
  status.topology_version = in.uint();
  status.topology_change = in.uint();
  status.ready = in.boolean();
  status.isolated = in.boolean();
  const std::size_t keepers = in.array();
  if (keepers > kMaxKeepers) in.fail();
  for (std::size_t i = 0; i < keepers && in.ok(); ++i) status.keepers.push_back(read_keeper(in));
  const std::size_t members = in.array();
  for (std::size_t i = 0; i < members && i < kMaxMembers && in.ok(); ++i)
    status.members.push_back(read_member(in));
  return status;
}

Type type_of(const Error&) { return Type::error; }
Type type_of(const std::vector<OperationResult>&) { return Type::operations; }
Type type_of(const TopologyReply&) { return Type::topology; }
Type type_of(const NodeStatus&) { return Type::status; }
Type type_of(const ControlReply&) { return Type::control; }
Type type_of(const ScanReply&) { return Type::scan; }

/// Version and, wherever possible, the id: the part that may never change between versions.
/// `has_session`: there is one more field than need be.
Result<void> read_envelope(Unpacker& in, std::size_t fields, std::uint64_t& request_id, Type& type,
                           bool& has_session) {
  const std::size_t count = in.array();
  const std::uint64_t version = in.uint();
  const std::uint64_t type_number = in.uint();
  const std::uint64_t id = in.uint();
  if (!in.ok()) return Error{Errc::bad_request, "the message is not msgpack, or has no rpc envelope"};
  request_id = id;
  if (version != kVersion) {
    return Error{Errc::wrong_version, "protocol version " + std::to_string(version) +
                                          " is not spoken here: this node speaks version 1"};
  }
  has_session = count == fields + 1;
  if ((count != fields && !has_session) || type_number > static_cast<std::uint64_t>(Type::scan)) {
    return Error{Errc::bad_request, "the rpc envelope has an unknown type or a wrong number of fields"};
  }
  type = static_cast<Type>(type_number);
  return {};
}

bool may_have_session(Type type) { return type == Type::operations || type == Type::scan; }

std::shared_ptr<const Session> read_session(Unpacker& in, Type type) {
  auto session = std::make_shared<Session>();
  if (!may_have_session(type)) in.fail();
  in.array(2);
  session->topology_version = in.uint();
  const std::size_t shards = in.array();
  if (shards > kMaxSessionShards) in.fail();
  for (std::size_t i = 0; i < shards && in.ok(); ++i) {
    in.array(3);
    const ShardId shard{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
    // Ascending: each once.
    if (i > 0 && shard <= session->seen.back().first) in.fail();
    session->seen.emplace_back(shard, read_position(in));
  }
  return session;
}

void pack_session(Packer& out, const Session& session) {
  out.array(2).uint(session.topology_version).array(session.seen.size());
  for (const auto& [shard, position] : session.seen) {
    out.array(3).uint(shard.value);
    pack_position(out, position);
  }
}

/// The least of the operations' numbers; 0 where they have none.
std::uint64_t first_number(const std::vector<Operation>& operations) {
  if (operations.empty() || operations.front().number == 0) return 0;
  const auto least = std::min_element(operations.begin(), operations.end(),
                                      [](const auto& a, const auto& b) { return a.number < b.number; });
  return least->number;
}
bool are_in_a_row(const std::vector<Operation>& operations) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].number != operations.front().number + i) return false;
  }
  return true;
}

void read_numbers(Unpacker& in, Request& request, bool are_listed) {
  const bool are_used = request.number != 0 && !request.atomic;
  if (are_listed && (!are_used || in.array() != request.operations.size())) in.fail();
  if (!are_used) return;
  for (std::size_t i = 0; i < request.operations.size() && in.ok(); ++i) {
    const std::uint64_t offset = are_listed ? in.uint() : i;
    if (offset > UINT64_MAX - request.number) in.fail();
    request.operations[i].number = request.number + offset;
  }
  request.number = 0;
}

void read_operations(Unpacker& in, Request& request) {
  const std::size_t fields = in.array();
  if (fields < 3 || fields > 5) in.fail();
  request.read = static_cast<ReadMode>(in.uint(static_cast<std::uint64_t>(ReadMode::replica)));
  request.ack = static_cast<AckMode>(in.uint(static_cast<std::uint64_t>(AckMode::local)));
  const std::size_t count = in.array();
  if (count == 0 || count > kMaxOperations) in.fail();
  if (!in.ok()) return;
  request.operations.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) request.operations.push_back(read_operation(in));
  if (fields > 3) request.atomic = in.boolean();
  read_numbers(in, request, fields == 5);
}

/// `first`: the least of their numbers.
void pack_operations(Packer& out, const Request& request, std::uint64_t first) {
  const bool are_listed = first != 0 && !are_in_a_row(request.operations);
  out.array(are_listed ? 5 : request.atomic ? 4 : 3);
  out.uint(static_cast<std::uint64_t>(request.read)).uint(static_cast<std::uint64_t>(request.ack));
  out.array(request.operations.size());
  for (const Operation& operation : request.operations) pack_operation(out, operation);
  if (request.atomic || are_listed) out.boolean(request.atomic);
  if (!are_listed) return;
  out.array(request.operations.size());
  for (const Operation& operation : request.operations) out.uint(operation.number - first);
}

void read_control(Unpacker& in, Request& request) {
  auto control = std::make_shared<Control>();
  in.array(3);
  control->action = static_cast<ControlAction>(in.uint(static_cast<std::uint64_t>(ControlAction::promote)));
  control->shard = std::string(in.bytes(kMaxNameBytes));
  control->node = std::string(in.bytes(kMaxNameBytes));
  // A promotion loses what only others have: so it names who is meant.
  const bool needs_node = control->action != ControlAction::hand_over;
  if (control->action == ControlAction{} || control->shard.empty() || (needs_node && control->node.empty()))
    in.fail();
  request.control = std::move(control);
}

void read_scan(Unpacker& in, Request& request) {
  auto scan = std::make_shared<Scan>();
  in.array(7);
  request.read = static_cast<ReadMode>(in.uint(static_cast<std::uint64_t>(ReadMode::replica)));
  scan->shard = ShardId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  // One byte more than a key: the next one of the longest.
  scan->from = std::string(in.bytes(kMaxKeyBytes + 1));
  scan->to = std::string(in.bytes(kMaxKeyBytes + 1));
  scan->down = in.boolean();
  scan->keys_only = in.boolean();
  scan->limit = in.uint(kMaxScanItems);
  if (scan->limit == 0) in.fail();
  request.scan = std::move(scan);
}

void pack_scan(Packer& out, const Request& request) {
  DKV_ASSERT(request.scan != nullptr);
  const Scan& scan = *request.scan;
  out.array(7).uint(static_cast<std::uint64_t>(request.read)).uint(scan.shard.value);
  out.bytes(scan.from).bytes(scan.to).boolean(scan.down).boolean(scan.keys_only).uint(scan.limit);
}

void pack_control(Packer& out, const Request& request) {
  DKV_ASSERT(request.control != nullptr);
  const Control& control = *request.control;
  out.array(3).uint(static_cast<std::uint64_t>(control.action)).text(control.shard).text(control.node);
}

}  // namespace

std::string encode(const Request& request) {
  std::string bytes;
  std::size_t most = kMostEnvelopeBytes;
  for (const Operation& operation : request.operations)
    most += kMostNumbersBytes + operation.key.size() + operation.value.size();
  bytes.reserve(most);
  Packer out(bytes);
  const bool has_session = request.session != nullptr && may_have_session(request.type);
  const std::uint64_t first = request.atomic ? 0 : first_number(request.operations);
  out.array(kEnvelopeFields + (has_session ? 1 : 0))
      .uint(kVersion)
      .uint(static_cast<std::uint64_t>(request.type))
      .uint(request.request_id);
  out.uint(request.client_id).uint(first != 0 ? first : request.number);
  switch (request.type) {
    case Type::operations:
      pack_operations(out, request, first);
      break;
    case Type::control:
      pack_control(out, request);
      break;
    case Type::scan:
      pack_scan(out, request);
      break;
    default:
      out.array(0);
  }
  if (has_session) pack_session(out, *request.session);
  return bytes;
}

Result<Request> decode_request(std::string_view bytes, std::uint64_t& request_id) {
  request_id = 0;
  if (bytes.size() > kMaxRequestBytes) return Error{Errc::too_large, "the request is larger than 17 MiB"};
  thread_local Unpacker in;
  in.parse(bytes, kMaxRequestTokens);
  Request request;
  bool has_session = false;
  if (auto envelope = read_envelope(in, kEnvelopeFields, request_id, request.type, has_session); !envelope) {
    return envelope.error();
  }
  request.request_id = request_id;
  request.client_id = in.uint();
  request.number = in.uint();
  switch (request.type) {
    case Type::operations:
      read_operations(in, request);
      break;
    case Type::topology:
    case Type::status:
      in.array(0);
      break;
    case Type::control:
      read_control(in, request);
      break;
    case Type::scan:
      read_scan(in, request);
      break;
    case Type::error:
      in.fail();
      break;
  }
  if (has_session) request.session = read_session(in, request.type);
  if (!in.done()) return Error{Errc::bad_request, "the rpc request is malformed: see messages/README.md"};
  return request;
}

std::string encode(const Reply& reply) {
  std::string bytes;
  Packer out(bytes);
  std::visit(
      [&](const auto& body) {
        bytes.reserve(most_bytes(body));
        const bool has_session = reply.session != nullptr && may_have_session(type_of(body));
        out.array(kReplyFields + (has_session ? 1 : 0))
            .uint(kVersion)
            .uint(static_cast<std::uint64_t>(type_of(body)))
            .uint(reply.request_id);
        pack_body(out, body);
        if (has_session) pack_session(out, *reply.session);
      },
      reply.body);
  return bytes;
}

Result<std::uint64_t> peek_request_id(std::string_view reply_bytes) {
  // [version, type, id, … of 4 or 5 fields: read by hand, since parsing a whole reply for its id would cost
  // its length.
  const auto* at = reinterpret_cast<const unsigned char*>(reply_bytes.data());
  const std::size_t size = reply_bytes.size();
  const auto malformed = Error{Errc::bad_request, "not an rpc reply"};
  if (size < 4 || (at[0] != 0x94 && at[0] != 0x95) || at[1] > 0x7f || at[2] > 0x7f) return malformed;
  if (at[3] <= 0x7f) return std::uint64_t{at[3]};
  const std::size_t width = at[3] == 0xcc ? 1 : at[3] == 0xcd ? 2 : at[3] == 0xce ? 4 : at[3] == 0xcf ? 8 : 0;
  if (width == 0 || size < 4 + width) return malformed;
  std::uint64_t id = 0;
  for (std::size_t i = 0; i < width; ++i) id = id << 8 | at[4 + i];
  return id;
}

Result<Reply> decode_reply(std::string_view bytes, const std::vector<OpCode>& asked) {
  thread_local Unpacker in;
  in.parse(bytes, kMaxReplyTokens);
  Reply reply;
  Type type = Type::error;
  bool has_session = false;
  if (auto envelope = read_envelope(in, kReplyFields, reply.request_id, type, has_session); !envelope)
    return envelope.error();
  switch (type) {
    case Type::error: {
      in.array(2);
      const auto code = static_cast<Errc>(in.uint(UINT16_MAX));
      // Neither can be said of a whole request, and an Error that says ok would be taken for success.
      if (code == Errc::ok || code == Errc::moved) in.fail();
      reply.body = Error{code, std::string(in.bytes(kMaxRequestBytes))};
      break;
    }
    case Type::operations: {
      std::vector<OperationResult> results;
      if (in.array() != asked.size()) in.fail();
      if (in.ok()) results.reserve(asked.size());
      for (std::size_t i = 0; i < asked.size() && in.ok(); ++i) results.push_back(read_result(in, asked[i]));
      reply.body = std::move(results);
      break;
    }
    case Type::topology: {
      in.array(2);
      TopologyReply topology;
      topology.version = in.uint();
      topology.encoded = std::string(in.bytes(kMaxMessageBytes));
      reply.body = std::move(topology);
      break;
    }
    case Type::status:
      reply.body = read_status(in);
      break;
    case Type::control:
      in.array(1);
      reply.body = ControlReply{std::string(in.bytes(kMaxRequestBytes))};
      break;
    case Type::scan:
      reply.body = read_page(in);
      break;
  }
  if (has_session) reply.session = read_session(in, type);
  if (!in.done()) return Error{Errc::bad_request, "the rpc reply is malformed"};
  return reply;
}

}  // namespace dkv::rpc
