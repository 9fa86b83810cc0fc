#include "tests/messages/vector_json.hpp"

#include <fstream>

namespace dkv::test {

using nlohmann::json;

const json& vectors() {
  static const json loaded = [] {
    std::ifstream file(DKV_VECTORS);
    return json::parse(file);
  }();
  return loaded;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  return hex;
}

namespace {

std::string_view keep(const json& hex, std::deque<std::string>& storage) {
  return storage.emplace_back(from_hex(hex.get<std::string>()));
}

OpCode op_code_of(const std::string& name) {
  return name == "get"      ? OpCode::get
         : name == "put"    ? OpCode::put
         : name == "remove" ? OpCode::remove
         : name == "touch"  ? OpCode::touch
                            : OpCode::increment;
}

Position version_of(const json& meaning) { return {Epoch{meaning.at("epoch")}, Seq{meaning.at("seq")}}; }

Condition condition_of(const json& meaning) {
  const std::string kind = meaning.at("kind");
  if (kind == "version") return {Condition::Kind::version, version_of(meaning)};
  return {kind == "exists" ? Condition::Kind::exists : Condition::Kind::missing};
}

Ttl ttl_of(const json& meaning) {
  if (meaning == "forever") return {};
  if (meaning == "keep") return {Ttl::Kind::keep};
  return {Ttl::Kind::limited, meaning};
}

Operation operation_of(const json& meaning, std::deque<std::string>& storage) {
  Operation operation{op_code_of(meaning.at("op")), keep(meaning.at("key_hex"), storage), {}};
  if (operation.code == OpCode::put) operation.value = keep(meaning.at("value_hex"), storage);
  if (operation.code == OpCode::increment) operation.amount = meaning.at("amount");
  operation.report_created = meaning.value("report_created", false);
  if (meaning.contains("condition")) operation.condition = condition_of(meaning.at("condition"));
  if (meaning.contains("ttl_ms")) operation.ttl = ttl_of(meaning.at("ttl_ms"));
  return operation;
}

std::shared_ptr<const Moved> moved_of(const json& meaning) {
  return std::make_shared<const Moved>(Moved{ShardId{meaning.at("shard")}, meaning.at("shard_name"),
                                             meaning.at("node_name"), meaning.at("rpc_endpoint"),
                                             meaning.at("http_endpoint"), meaning.at("topology_version")});
}

OperationResult result_of(const json& meaning) {
  OperationResult result;
  result.code = static_cast<Errc>(meaning.at("code").get<std::uint16_t>());
  if (result.code == Errc::ok) {
    result.version = version_of(meaning);
    result.created = meaning.at("created");
    result.value = from_hex(meaning.at("value_hex"));
    result.ttl_ms = meaning.value("ttl_ms", std::uint64_t{0});
  } else if (result.code == Errc::moved) {
    result.moved = moved_of(meaning.at("moved"));
  } else {
    result.message = meaning.at("message");
    if (result.code == Errc::condition_failed) result.version = version_of(meaning);
  }
  return result;
}

rpc::ScanReply page_of(const json& meaning) {
  rpc::ScanReply page;
  if (meaning.contains("moved")) {
    page.moved = moved_of(meaning.at("moved"));
    return page;
  }
  page.ended = meaning.at("ended");
  page.next = from_hex(meaning.at("next_hex"));
  for (const json& item : meaning.at("items"))
    page.items.push_back({from_hex(item.at("key_hex")), version_of(item), from_hex(item.at("value_hex")),
                          item.value("ttl_ms", std::uint64_t{0})});
  return page;
}

ReadMode read_mode_of(const json& meaning) {
  return meaning.at("read") == "replica" ? ReadMode::replica : ReadMode::linearizable;
}

MemberStatus member_of(const json& meaning) {
  MemberStatus member{ShardId{meaning.at("shard")},
                      meaning.at("shard_name"),
                      meaning.at("primary"),
                      meaning.at("ready"),
                      meaning.at("state"),
                      meaning.at("problem"),
                      Epoch{meaning.at("epoch")},
                      Seq{meaning.at("head")},
                      Seq{meaning.at("durable")},
                      Seq{meaning.at("commit")},
                      Seq{meaning.at("applied")},
                      meaning.at("lag_events"),
                      meaning.at("gaps_repaired"),
                      meaning.at("copied_records"),
                      meaning.at("copied_bytes"),
                      meaning.at("volatile"),
                      meaning.at("leased"),
                      meaning.at("lease_ms"),
                      {}};
  for (const json& replica : meaning.at("replicas")) {
    member.replicas.push_back({replica.at("node"), replica.at("in_sync"), replica.at("counted"),
                               replica.at("heard"), Seq{replica.at("durable")}, replica.at("lag_events"),
                               replica.at("silent_ms")});
  }
  return member;
}

NodeStatus status_of(const json& meaning) {
  NodeStatus status{meaning.at("node"),
                    meaning.at("version"),
                    meaning.at("topology_version"),
                    meaning.at("topology_change"),
                    meaning.at("ready"),
                    meaning.at("isolated"),
                    {},
                    {}};
  for (const json& keeper : meaning.at("keepers"))
    status.keepers.push_back({keeper.at("node"), keeper.at("reached"), keeper.at("silent_ms")});
  for (const json& member : meaning.at("members")) status.members.push_back(member_of(member));
  return status;
}

Ballot ballot_of(const json& ballot) { return {ballot.at(0), NodeId{ballot.at(1)}, ballot.at(2)}; }

peer::KeeperIdentity keeper_of(const json& message) {
  return {message.at("incarnation"), message.at("since")};
}

peer::Body register_body_of(const std::string& type, const json& message) {
  const auto ballot = [&](const char* name) { return ballot_of(message.at(name)); };
  const auto topology = [&] { return from_hex(message.at("topology_hex")); };
  if (type == "register_prepare") return peer::RegisterPrepare{ballot("ballot"), ballot("known")};
  if (type == "register_promise")
    return peer::RegisterPromise{ballot("ballot"), keeper_of(message), ballot("accepted"), topology()};
  if (type == "register_accept") return peer::RegisterAccept{ballot("ballot"), topology()};
  if (type == "register_accepted") return peer::RegisterAccepted{ballot("ballot"), keeper_of(message)};
  if (type == "register_nack") return peer::RegisterNack{ballot("ballot"), ballot("promised")};
  if (type == "register_poll")
    return peer::RegisterPoll{message.at("process"), message.at("request"), ballot("known")};
  if (type == "register_state") {
    return peer::RegisterState{message.at("process"), message.at("request"), keeper_of(message),
                               ballot("accepted"), topology()};
  }
  return peer::RegisterChosen{ballot("ballot"), topology()};
}

peer::PullOutcome outcome_of(const std::string& name) {
  return name == "ok"         ? peer::PullOutcome::ok
         : name == "diverged" ? peer::PullOutcome::diverged
         : name == "too_old"  ? peer::PullOutcome::too_old
                              : peer::PullOutcome::refused;
}

peer::Body body_of(const json& meaning) {
  for (const auto& [type, message] : meaning.items()) {
    if (type.starts_with("register_")) return register_body_of(type, message);
  }
  if (meaning.contains("replica_ack")) {
    const json& ack = meaning.at("replica_ack");
    return peer::ReplicaAck{ShardId{ack.at("shard")},
                            Epoch{ack.at("epoch")},
                            {Epoch{ack.at("durable_epoch")}, Seq{ack.at("durable_seq")}},
                            Seq{ack.at("applied")},
                            ack.at("incarnation")};
  }
  if (meaning.contains("pull_request")) {
    const json& pull = meaning.at("pull_request");
    return peer::PullRequest{ShardId{pull.at("shard")},
                             pull.at("process"),
                             pull.at("request"),
                             {Epoch{pull.at("from_epoch")}, Seq{pull.at("from_seq")}},
                             pull.at("max_bytes")};
  }
  if (meaning.contains("changes_request")) {
    const json& changes = meaning.at("changes_request");
    return peer::ChangesRequest{ShardId{changes.at("shard")},
                                changes.at("process"),
                                changes.at("request"),
                                {Epoch{changes.at("from_epoch")}, Seq{changes.at("from_seq")}},
                                changes.at("max_bytes")};
  }
  if (meaning.contains("changes_reply")) {
    const json& changes = meaning.at("changes_reply");
    return peer::ChangesReply{ShardId{changes.at("shard")},
                              changes.at("process"),
                              changes.at("request"),
                              outcome_of(changes.at("outcome")),
                              {Epoch{changes.at("upto_epoch")}, Seq{changes.at("upto_seq")}},
                              from_hex(changes.at("frames_hex"))};
  }
  if (meaning.contains("snapshot_request")) {
    const json& snapshot = meaning.at("snapshot_request");
    return peer::SnapshotRequest{ShardId{snapshot.at("shard")}, snapshot.at("process"),
                                 snapshot.at("request"), from_hex(snapshot.at("from_key_hex")),
                                 snapshot.at("max_bytes")};
  }
  if (meaning.contains("snapshot_reply")) {
    const json& chunk = meaning.at("snapshot_reply");
    const std::string outcome = chunk.at("outcome");
    const auto code = outcome == "ok" ? peer::SnapshotOutcome::ok : peer::SnapshotOutcome::refused;
    return peer::SnapshotReply{ShardId{chunk.at("shard")},
                               chunk.at("process"),
                               chunk.at("request"),
                               code,
                               Epoch{chunk.at("epoch")},
                               {Epoch{chunk.at("at_epoch")}, Seq{chunk.at("at_seq")}},
                               from_hex(chunk.at("next_key_hex")),
                               from_hex(chunk.at("records_hex"))};
  }
  if (meaning.contains("heartbeat")) {
    const json& beat = meaning.at("heartbeat");
    return peer::Heartbeat{ShardId{beat.at("shard")}, Epoch{beat.at("epoch")}, beat.at("process"),
                           beat.at("sent_ns")};
  }
  if (meaning.contains("lease_grant")) {
    const json& grant = meaning.at("lease_grant");
    return peer::LeaseGrant{ShardId{grant.at("shard")}, Epoch{grant.at("epoch")}, grant.at("process"),
                            grant.at("sent_ns"), grant.at("incarnation")};
  }
  const json& reply = meaning.at("pull_reply");
  std::vector<EpochRange> epochs;
  for (const json& range : reply.value("epochs", json::array()))
    epochs.push_back({Epoch{range.at(0)}, Seq{range.at(1)}, Seq{range.at(2)}});
  return peer::PullReply{
      ShardId{reply.at("shard")}, reply.at("process"),
      reply.at("request"),        outcome_of(reply.at("outcome")),
      Epoch{reply.at("epoch")},   {Epoch{reply.at("head_epoch")}, Seq{reply.at("head_seq")}},
      Seq{reply.at("commit")},    from_hex(reply.at("frames_hex")),
      std::move(epochs)};
}

}  // namespace

std::vector<OpCode> asked_of(const json& asked) {
  std::vector<OpCode> codes;
  for (const json& name : asked) codes.push_back(op_code_of(name));
  return codes;
}

std::shared_ptr<const Session> session_of(const json& meaning) {
  if (!meaning.contains("session")) return nullptr;
  const json& session = meaning.at("session");
  auto all = std::make_shared<Session>(Session{session.at("topology_version"), {}});
  for (const json& place : session.at("seen"))
    all->seen.push_back({ShardId{place.at(0)}, {Epoch{place.at(1)}, Seq{place.at(2)}}});
  return all;
}

rpc::Request request_of(const json& meaning, std::deque<std::string>& storage) {
  rpc::Request request;
  request.session = session_of(meaning);
  request.request_id = meaning.at("request_id");
  request.client_id = meaning.at("client_id");
  request.number = meaning.at("number");
  const std::string type = meaning.at("type");
  if (type == "control") {
    const json& control = meaning.at("control");
    request.type = rpc::Type::control;
    request.control = std::make_shared<const rpc::Control>(rpc::Control{
        control.at("action") == "promote" ? rpc::ControlAction::promote : rpc::ControlAction::hand_over,
        control.at("shard"), control.at("node")});
    return request;
  }
  if (type == "scan") {
    const json& scan = meaning.at("scan");
    request.type = rpc::Type::scan;
    request.read = read_mode_of(scan);
    request.scan = std::make_shared<const rpc::Scan>(
        rpc::Scan{ShardId{scan.at("shard")}, from_hex(scan.at("from_hex")), from_hex(scan.at("to_hex")),
                  scan.at("down"), scan.at("keys_only"), scan.at("limit")});
    return request;
  }
  if (type != "operations") {
    request.type = type == "topology" ? rpc::Type::topology : rpc::Type::status;
    return request;
  }
  request.read = read_mode_of(meaning);
  request.ack = meaning.at("ack") == "local" ? AckMode::local : AckMode::committed;
  request.atomic = meaning.value("atomic", false);
  const std::uint64_t first = request.atomic ? 0 : std::exchange(request.number, 0);
  for (const json& operation : meaning.at("operations")) {
    request.operations.push_back(operation_of(operation, storage));
    if (first != 0)
      request.operations.back().number = operation.value("number", first + request.operations.size() - 1);
  }
  return request;
}

rpc::Reply reply_of(const json& meaning) {
  rpc::Reply reply;
  reply.request_id = meaning.at("request_id");
  reply.session = session_of(meaning);
  if (meaning.contains("error")) {
    const json& error = meaning.at("error");
    reply.body = Error{static_cast<Errc>(error.at("code").get<std::uint16_t>()), error.at("message")};
  } else if (meaning.contains("topology")) {
    const json& topology = meaning.at("topology");
    reply.body = rpc::TopologyReply{topology.at("version"), from_hex(topology.at("encoded_hex"))};
  } else if (meaning.contains("status")) {
    reply.body = status_of(meaning.at("status"));
  } else if (meaning.contains("control")) {
    reply.body = rpc::ControlReply{meaning.at("control").at("text")};
  } else if (meaning.contains("page")) {
    reply.body = page_of(meaning.at("page"));
  } else {
    std::vector<OperationResult> results;
    for (const json& result : meaning.at("results")) results.push_back(result_of(result));
    reply.body = std::move(results);
  }
  return reply;
}

FrameView frame_of(const json& meaning, std::deque<std::string>& storage) {
  FrameView frame;
  frame.shard = ShardId{meaning.at("shard")};
  frame.epoch = Epoch{meaning.at("epoch")};
  frame.prev = {Epoch{meaning.at("prev_epoch")}, Seq{meaning.at("prev_seq")}};
  frame.commit = Seq{meaning.at("commit")};
  for (const json& event : meaning.at("events")) {
    const std::string type = event.at("type");
    const auto code = type == "put"      ? EventType::put
                      : type == "remove" ? EventType::remove
                                         : EventType::epoch_start;
    frame.events.push_back({code, keep(event.at("key_hex"), storage), keep(event.at("value_hex"), storage),
                            event.value("expires_ms", std::uint64_t{0})});
  }
  return frame;
}

peer::Message peer_message_of(const json& meaning) {
  return {NodeId{meaning.at("from")}, meaning.at("topology_id"), body_of(meaning)};
}

}  // namespace dkv::test
