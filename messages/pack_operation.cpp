#include "messages/pack_operation.hpp"

#include "messages/limits.hpp"
#include "messages/pack_position.hpp"

namespace dkv {

namespace {

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

}  // namespace

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

}  // namespace dkv
