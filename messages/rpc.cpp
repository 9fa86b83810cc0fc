#include "messages/rpc.hpp"

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "messages/pack_position.hpp"
#include "messages/unpack.hpp"

namespace dkv::rpc {

namespace {

constexpr std::size_t kEnvelopeFields = 6;
// Envelope, body head, and per operation an array of at most six, with a condition of three and a time to
// live of two in it.
constexpr std::size_t kMaxRequestTokens = 16 + 12 * kMaxOperations;
constexpr std::size_t kMaxReplyTokens = 64 + 8 * kMaxOperations;
static_assert(kMaxScanItems <= kMaxOperations);
constexpr std::size_t kMaxNameBytes = 1024;
// What an envelope takes, and the numbers beside an operation's or a result's bytes: to ask for memory once.
constexpr std::size_t kMostEnvelopeBytes = 64;
constexpr std::size_t kMostNumbersBytes = 48;
constexpr std::size_t kMaxMembers = 4096;
constexpr std::size_t kMaxKeepers = 16;

Condition read_condition(Unpacker& in) {
  Condition condition;
  const std::size_t fields = in.array();
  condition.kind =
      static_cast<Condition::Kind>(in.uint(static_cast<std::uint64_t>(Condition::Kind::missing)));
  const bool has_version = condition.kind == Condition::Kind::version;
  if (fields != (has_version ? 3 : 1)) in.fail();
  if (has_version) condition.version = read_position(in);
  return condition;
}

void pack_condition(Packer& out, const Condition& condition) {
  const bool has_version = condition.kind == Condition::Kind::version;
  out.array(has_version ? 3 : 1).uint(static_cast<std::uint64_t>(condition.kind));
  if (has_version) pack_position(out, condition.version);
}

Ttl read_ttl(Unpacker& in) {
  Ttl ttl;
  const std::size_t fields = in.array();
  ttl.kind = static_cast<Ttl::Kind>(in.uint(static_cast<std::uint64_t>(Ttl::Kind::limited)));
  const bool is_limited = ttl.kind == Ttl::Kind::limited;
  if (fields != (is_limited ? 2 : 1)) in.fail();
  if (is_limited) ttl.ms = in.uint();
  return ttl;
}

void pack_ttl(Packer& out, const Ttl& ttl) {
  const bool is_limited = ttl.kind == Ttl::Kind::limited;
  out.array(is_limited ? 2 : 1).uint(static_cast<std::uint64_t>(ttl.kind));
  if (is_limited) out.uint(ttl.ms);
}

/// The sign goes by itself: no format of ours has negative integers.
std::int64_t read_amount(Unpacker& in) {
  constexpr std::uint64_t kMost = INT64_MAX;
  const bool is_negative = in.boolean();
  const std::uint64_t size = in.uint(is_negative ? kMost + 1 : kMost);
  return static_cast<std::int64_t>(is_negative ? 0 - size : size);
}

void pack_amount(Packer& out, std::int64_t amount) {
  const auto bits = static_cast<std::uint64_t>(amount);
  out.boolean(amount < 0).uint(amount < 0 ? 0 - bits : bits);
}

Operation read_operation(Unpacker& in) {
  Operation operation;
  const std::size_t fields = in.array();
  operation.code = static_cast<OpCode>(in.uint(static_cast<std::uint64_t>(OpCode::touch)));
  // Limits of keys and values are checked per operation by those who answer it, so that one bad key
  // does not refuse its neighbours.
  operation.key = in.bytes(kMaxRequestBytes);
  switch (operation.code) {
    case OpCode::get:
      if (fields != 2) in.fail();
      break;
    case OpCode::put:
      if (fields < 3 || fields > 6) in.fail();
      operation.value = in.bytes(kMaxRequestBytes);
      if (fields > 3) operation.report_created = in.boolean();
      if (fields > 4) operation.condition = read_condition(in);
      if (fields > 5) operation.ttl = read_ttl(in);
      break;
    case OpCode::remove:
      if (fields != 2 && fields != 3) in.fail();
      if (fields == 3) operation.condition = read_condition(in);
      break;
    case OpCode::increment:
      if (fields != 4) in.fail();
      operation.amount = read_amount(in);
      break;
    case OpCode::touch:
      if (fields != 3) in.fail();
      operation.ttl = read_ttl(in);
      break;
    default:
      in.fail();
  }
  return operation;
}

void pack_operation(Packer& out, const Operation& operation) {
  const auto begin = [&](std::size_t fields) {
    out.array(fields).uint(static_cast<std::uint64_t>(operation.code)).bytes(operation.key);
  };
  const bool is_conditional = operation.condition.kind != Condition::Kind::none;
  switch (operation.code) {
    case OpCode::get:
      return begin(2);
    case OpCode::put: {
      const std::size_t fields = operation.ttl != Ttl{}     ? 6
                                 : is_conditional           ? 5
                                 : operation.report_created ? 4
                                                            : 3;
      begin(fields);
      out.bytes(operation.value);
      if (fields > 3) out.boolean(operation.report_created);
      if (fields > 4) pack_condition(out, operation.condition);
      if (fields > 5) pack_ttl(out, operation.ttl);
      return;
    }
    case OpCode::remove:
      begin(is_conditional ? 3 : 2);
      if (is_conditional) pack_condition(out, operation.condition);
      return;
    case OpCode::increment:
      begin(4);
      return pack_amount(out, operation.amount);
    case OpCode::touch:
      begin(3);
      return pack_ttl(out, operation.ttl);
  }
}

void pack_moved(Packer& out, const std::shared_ptr<const Moved>& to) {
  DKV_ASSERT(to != nullptr);
  const Moved& moved = *to;
  out.array(7).uint(static_cast<std::uint64_t>(Errc::moved)).uint(moved.shard.value);
  out.text(moved.shard_name).text(moved.node_name);
  out.text(moved.rpc_endpoint).text(moved.http_endpoint).uint(moved.topology_version);
}

void pack_result(Packer& out, const OperationResult& result) {
  const auto code = static_cast<std::uint64_t>(result.code);
  if (result.code == Errc::moved) {
    pack_moved(out, result.moved);
  } else if (result.code == Errc::ok) {
    const bool expires = result.ttl_ms != 0;
    out.array(expires ? 6 : 5).uint(code);
    pack_position(out, result.version);
    out.boolean(result.created).bytes(result.value);
    if (expires) out.uint(result.ttl_ms);
  } else if (result.code == Errc::condition_failed) {
    out.array(4).uint(code).text(result.message);
    pack_position(out, result.version);
  } else {
    out.array(2).uint(code).text(result.message);
  }
}

std::shared_ptr<const Moved> read_moved(Unpacker& in) {
  auto moved = std::make_shared<Moved>();
  moved->shard = ShardId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  moved->shard_name = std::string(in.bytes(kMaxNameBytes));
  moved->node_name = std::string(in.bytes(kMaxNameBytes));
  moved->rpc_endpoint = std::string(in.bytes(kMaxNameBytes));
  moved->http_endpoint = std::string(in.bytes(kMaxNameBytes));
  moved->topology_version = in.uint();
  return moved;
}

OperationResult read_result(Unpacker& in, OpCode asked) {
  const std::size_t fields = in.array();
  const auto code = static_cast<Errc>(in.uint(UINT16_MAX));
  OperationResult result;
  if (code == Errc::moved) {
    if (fields != 7) in.fail();
    result.code = code;
    result.moved = read_moved(in);
    return result;
  }
  if (code != Errc::ok) {
    const bool has_version = code == Errc::condition_failed;
    if (fields != (has_version ? 4 : 2)) in.fail();
    result = OperationResult::failed(code, std::string(in.bytes(kMaxRequestBytes)));
    if (has_version) result.version = read_position(in);
    return result;
  }
  if (fields != 5 && fields != 6) in.fail();
  result.version = read_position(in);
  result.created = in.boolean();
  result.value = std::string(in.bytes(kMaxValueBytes));
  if (fields == 6) result.ttl_ms = in.uint();
  const bool has_value = asked == OpCode::get || asked == OpCode::increment;
  if (!has_value && !result.value.empty()) in.fail();
  return result;
}

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
Result<void> read_envelope(Unpacker& in, std::size_t fields, std::uint64_t& request_id, Type& type) {
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
  if (count != fields || type_number > static_cast<std::uint64_t>(Type::scan)) {
    return Error{Errc::bad_request, "the rpc envelope has an unknown type or a wrong number of fields"};
  }
  type = static_cast<Type>(type_number);
  return {};
}

void read_operations(Unpacker& in, Request& request) {
  const std::size_t fields = in.array();
  if (fields != 3 && fields != 4) in.fail();
  request.read = static_cast<ReadMode>(in.uint(static_cast<std::uint64_t>(ReadMode::replica)));
  request.ack = static_cast<AckMode>(in.uint(static_cast<std::uint64_t>(AckMode::local)));
  const std::size_t count = in.array();
  if (count == 0 || count > kMaxOperations) in.fail();
  if (!in.ok()) return;
  request.operations.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) request.operations.push_back(read_operation(in));
  if (fields == 4) request.atomic = in.boolean();
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

void pack_control(Packer& out, const Control& control) {
  out.array(3).uint(static_cast<std::uint64_t>(control.action)).text(control.shard).text(control.node);
}

}  // namespace

std::string encode(const Request& request) {
  std::string bytes;
  Packer out(bytes);
  out.array(kEnvelopeFields)
      .uint(kVersion)
      .uint(static_cast<std::uint64_t>(request.type))
      .uint(request.request_id);
  out.uint(request.client_id).uint(request.number);
  if (request.type == Type::control) {
    DKV_ASSERT(request.control != nullptr);
    pack_control(out, *request.control);
    return bytes;
  }
  if (request.type == Type::scan) {
    pack_scan(out, request);
    return bytes;
  }
  if (request.type != Type::operations) {
    out.array(0);
    return bytes;
  }
  std::size_t most = kMostEnvelopeBytes;
  for (const Operation& operation : request.operations)
    most += kMostNumbersBytes + operation.key.size() + operation.value.size();
  bytes.reserve(most);
  out.array(request.atomic ? 4 : 3);
  out.uint(static_cast<std::uint64_t>(request.read)).uint(static_cast<std::uint64_t>(request.ack));
  out.array(request.operations.size());
  for (const Operation& operation : request.operations) pack_operation(out, operation);
  if (request.atomic) out.boolean(true);
  return bytes;
}

Result<Request> decode_request(std::string_view bytes, std::uint64_t& request_id) {
  request_id = 0;
  if (bytes.size() > kMaxRequestBytes) return Error{Errc::too_large, "the request is larger than 17 MiB"};
  thread_local Unpacker in;
  in.parse(bytes, kMaxRequestTokens);
  Request request;
  if (auto envelope = read_envelope(in, kEnvelopeFields, request_id, request.type); !envelope) {
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
  if (!in.done()) return Error{Errc::bad_request, "the rpc request is malformed: see messages/README.md"};
  return request;
}

std::string encode(const Reply& reply) {
  std::string bytes;
  Packer out(bytes);
  std::visit(
      [&](const auto& body) {
        bytes.reserve(most_bytes(body));
        out.array(4).uint(kVersion).uint(static_cast<std::uint64_t>(type_of(body))).uint(reply.request_id);
        pack_body(out, body);
      },
      reply.body);
  return bytes;
}

Result<std::uint64_t> peek_request_id(std::string_view reply_bytes) {
  // [4, version, type, id, …: read by hand, since parsing a whole reply for its id would cost its length.
  const auto* at = reinterpret_cast<const unsigned char*>(reply_bytes.data());
  const std::size_t size = reply_bytes.size();
  const auto malformed = Error{Errc::bad_request, "not an rpc reply"};
  if (size < 4 || at[0] != 0x94 || at[1] > 0x7f || at[2] > 0x7f) return malformed;
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
  if (auto envelope = read_envelope(in, 4, reply.request_id, type); !envelope) return envelope.error();
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
  if (!in.done()) return Error{Errc::bad_request, "the rpc reply is malformed"};
  return reply;
}

}  // namespace dkv::rpc
