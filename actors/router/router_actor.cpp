#include "actors/router/router_actor.hpp"

#include <algorithm>

#include "actors/reply.hpp"
#include "messages/once.hpp"
#include "topology/atomic_batch.hpp"
#include "topology/codec.hpp"
#include "topology/members.hpp"

namespace dkv {

RouterActor::RouterActor(Address self, std::size_t max_value_bytes)
    : self_(self), max_value_bytes_(max_value_bytes) {}

void RouterActor::on_message(Envelope envelope, TimePoint, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), out); }, envelope.message);
}

void RouterActor::handle(TopologyChanged message, Effects&) {
  if (topology_ && message.topology->version < topology_->version) return;
  topology_ = std::move(message.topology);
  encoded_topology_ = encode(*topology_);
  places_.clear();
  local_shards_.clear();
  for (const ShardInfo& shard : topology_->shards) {
    Place& place = places_[shard.id];
    const bool is_replica =
        std::find(shard.replicas.begin(), shard.replicas.end(), self_.node) != shard.replicas.end();
    if (shard.primary == self_.node) {
      place.local = Place::Local::primary;
    } else if (is_replica) {
      place.local = Place::Local::replica;
    }
    if (place.local != Place::Local::none) local_shards_.push_back(shard.id);
    place.moved = std::make_shared<const Moved>(to_primary(*topology_, shard));
  }
  place_of_slot_.resize(kSlotCount);
  for (std::size_t slot = 0; slot < kSlotCount; ++slot)
    place_of_slot_[slot] = &places_.at(topology_->slots[slot]);
}

const RouterActor::Place& RouterActor::place_of(const Operation& operation) const {
  return *place_of_slot_[slot_of(operation.key).value];
}

bool RouterActor::serves(const Place& place, const Operation& operation, ReadMode read) {
  if (place.local == Place::Local::primary) return true;
  return place.local == Place::Local::replica && read == ReadMode::replica && operation.code == OpCode::get;
}

void RouterActor::reply(Origin origin, rpc::Reply reply, Effects& out) {
  out.send({self_.node, Role::client, {}}, ClientReply{std::move(origin), std::move(reply)});
}

void RouterActor::handle(ClientRequest message, Effects& out) {
  const std::uint64_t id = message.request.request_id;
  if (!topology_) {
    return reply(std::move(message.origin),
                 {id, Error{Errc::unavailable, "the node is starting: try again in a moment"}}, out);
  }
  switch (message.request.type) {
    case rpc::Type::operations:
      return message.request.atomic ? route_atomic(std::move(message), out) : route(std::move(message), out);
    case rpc::Type::scan:
      return route_scan(std::move(message), out);
    case rpc::Type::topology:
      return reply(std::move(message.origin), {id, rpc::TopologyReply{topology_->version, encoded_topology_}},
                   out);
    case rpc::Type::status:
      return query_status(std::move(message), out);
    case rpc::Type::control:
      return control(std::move(message), out);
    case rpc::Type::error:
      break;
  }
  reply(std::move(message.origin), {id, Error{Errc::bad_request, "not a request"}}, out);
}

/// Whole to one member when that serves every operation; otherwise in parts.
void RouterActor::route(ClientRequest message, Effects& out) {
  const Place* only = nullptr;
  for (const Operation& operation : message.request.operations) {
    const Place& place = place_of(operation);
    const bool fits =
        check(operation, max_value_bytes_).has_value() && serves(place, operation, message.request.read);
    if (!fits || (only != nullptr && only != &place)) return split(std::move(message), out);
    only = &place;
  }
  if (only == nullptr) {
    const std::uint64_t id = message.request.request_id;
    return reply(std::move(message.origin), {id, std::vector<OperationResult>{}}, out);
  }
  out.send(member(only->moved->shard), std::move(message));
}

/// Whole to the primary, or not at all.
void RouterActor::route_atomic(ClientRequest message, Effects& out) {
  const rpc::Request& request = message.request;
  auto results = refuse_batch(request.operations, max_value_bytes_,
                              static_cast<bool>(OnceId{request.client_id, request.number}));
  if (results.empty() && !request.operations.empty()) {
    const Place& place = place_of(request.operations.front());
    if (place.local == Place::Local::primary) return out.send(member(place.moved->shard), std::move(message));
    return reply(std::move(message.origin), moved_reply(request, place.moved), out);
  }
  reply(std::move(message.origin), {request.request_id, std::move(results)}, out);
}

void RouterActor::route_scan(ClientRequest message, Effects& out) {
  const rpc::Request& request = message.request;
  const auto found = places_.find(request.scan->shard);
  if (found == places_.end()) {
    return reply(std::move(message.origin),
                 {request.request_id, Error{Errc::bad_request, "there is no such shard"}}, out);
  }
  const Place& place = found->second;
  const bool is_here = place.local == Place::Local::primary ||
                       (place.local == Place::Local::replica && request.read == ReadMode::replica);
  if (is_here) return out.send(member(found->first), std::move(message));
  reply(std::move(message.origin), moved_reply(request, place.moved), out);
}

void RouterActor::split(ClientRequest message, Effects& out) {
  const rpc::Request& request = message.request;
  Gathering gathering{std::move(message.origin), request.request_id, {}, 0, kMaxReplyValueBytes, nullptr};
  gathering.results.resize(request.operations.size());
  if (request.session) gathering.session = std::make_shared<Session>();
  std::map<ShardId, std::vector<std::size_t>> indexes_of;
  for (std::size_t i = 0; i < request.operations.size(); ++i) {
    const Operation& operation = request.operations[i];
    const Place& place = place_of(operation);
    if (auto checked = check(operation, max_value_bytes_); !checked) {
      gathering.results[i] = OperationResult::failed(checked.error().code, checked.error().message);
    } else if (serves(place, operation, request.read)) {
      indexes_of[place.moved->shard].push_back(i);
    } else {
      gathering.results[i].code = Errc::moved;
      gathering.results[i].moved = place.moved;
    }
  }
  if (indexes_of.empty()) {
    return reply(std::move(gathering.origin), {gathering.request_id, std::move(gathering.results)}, out);
  }
  const std::uint64_t token = next_token_++;
  gathering.open_parts = indexes_of.size();
  gatherings_.emplace(token, std::move(gathering));
  for (auto& [shard, indexes] : indexes_of) {
    const std::uint64_t part = next_token_++;
    rpc::Request part_request = request;
    part_request.operations.clear();
    for (const std::size_t index : indexes) part_request.operations.push_back(request.operations[index]);
    parts_.emplace(part, Part{token, std::move(indexes)});
    out.send(member(shard), PartRequest{part, std::move(part_request)});
  }
}

void RouterActor::handle(PartReply message, Effects& out) {
  const auto part = parts_.find(message.token);
  if (part == parts_.end()) return;
  const auto gathering = gatherings_.find(part->second.gathering);
  DKV_ASSERT(gathering != gatherings_.end());
  auto* results = std::get_if<std::vector<OperationResult>>(&message.reply.body);
  for (std::size_t i = 0; i < part->second.indexes.size(); ++i) {
    OperationResult& result = gathering->second.results[part->second.indexes[i]];
    std::size_t& room = gathering->second.room;
    // An increment's sum may be told in any case: it was done.
    if (results != nullptr && (*results)[i].value.size() > std::max(room, kMaxCounterBytes)) {
      result = too_large_for_one_reply();
    } else if (results != nullptr) {
      result = std::move((*results)[i]);
      room -= std::min(room, result.value.size());
    } else {
      const Error& error = std::get<Error>(message.reply.body);
      result = OperationResult::failed(error.code, error.message);
    }
  }
  parts_.erase(part);
  if (message.reply.session && gathering->second.session)
    gathering->second.session->take(*message.reply.session);
  if (--gathering->second.open_parts > 0) return;
  reply(std::move(gathering->second.origin),
        {gathering->second.request_id, std::move(gathering->second.results),
         std::move(gathering->second.session)},
        out);
  gatherings_.erase(gathering);
}

void RouterActor::query_status(ClientRequest message, Effects& out) {
  const std::size_t parts = local_shards_.size() + 1;  // and the registrar's
  StatusGathering gathering{std::move(message.origin), message.request.request_id, {}, parts};
  gathering.status.node = topology_->find_node(self_.node)->name;
  gathering.status.version = DKV_VERSION;
  gathering.status.topology_version = topology_->version;
  gathering.status.topology_change = topology_->change;
  gathering.status.ready = true;
  const std::uint64_t token = next_token_++;
  status_gatherings_.emplace(token, std::move(gathering));
  for (const ShardId shard : local_shards_) out.send(member(shard), StatusQuery{token});
  out.send({self_.node, Role::registrar, {}}, StatusQuery{token});
}

void RouterActor::handle(StatusReport message, Effects& out) {
  const auto gathering = status_gatherings_.find(message.token);
  if (gathering == status_gatherings_.end()) return;
  NodeStatus& status = gathering->second.status;
  status.ready = status.ready && message.status.ready;
  status.members.push_back(std::move(message.status));
  finish_part(gathering, out);
}

void RouterActor::handle(RegisterReport message, Effects& out) {
  const auto gathering = status_gatherings_.find(message.token);
  if (gathering == status_gatherings_.end()) return;
  gathering->second.status.isolated = message.isolated;
  gathering->second.status.keepers = std::move(message.keepers);
  finish_part(gathering, out);
}

void RouterActor::finish_part(std::map<std::uint64_t, StatusGathering>::iterator gathering, Effects& out) {
  StatusGathering& done = gathering->second;
  if (--done.open_parts > 0) return;
  reply(std::move(done.origin), {done.request_id, std::move(done.status)}, out);
  status_gatherings_.erase(gathering);
}

// ---- what an operator asks for

/// Handed to the member that can do it; one that is on another node must be asked there.
void RouterActor::control(ClientRequest message, Effects& out) {
  DKV_ASSERT(message.request.control != nullptr);
  const rpc::Control& asked = *message.request.control;
  const std::uint64_t id = message.request.request_id;
  if (auto refusal = why_not(asked)) return reply(std::move(message.origin), {id, std::move(*refusal)}, out);
  const std::uint64_t token = next_token_++;
  controls_.emplace(token, Control{std::move(message.origin), id});
  const Address to = member(topology_->find_shard(asked.shard)->id);
  if (asked.action == rpc::ControlAction::promote) return out.send(to, ForcePromotion{token});
  out.send(to, HandOver{token, asked.node.empty() ? NodeId{} : topology_->find_node(asked.node)->id});
}

std::optional<Error> RouterActor::why_not(const rpc::Control& control) const {
  const ShardInfo* shard = topology_->find_shard(control.shard);
  if (shard == nullptr) return Error{Errc::bad_request, "there is no shard \"" + control.shard + '"'};
  const NodeInfo* named = control.node.empty() ? nullptr : topology_->find_node(control.node);
  if (!control.node.empty() && (named == nullptr || !is_member(*shard, named->id)))
    return Error{Errc::bad_request, "no node \"" + control.node + "\" has a copy of shard " + shard->name};
  const bool is_promotion = control.action == rpc::ControlAction::promote;
  const NodeInfo* right = is_promotion ? named : topology_->find_node(shard->primary);
  if (right->id != self_.node) {
    return Error{Errc::unavailable, (is_promotion ? "that copy" : "the primary of shard " + shard->name) +
                                        std::string(" is on node ") + right->name + ": ask it at " +
                                        right->rpc};
  }
  if (controls_.size() >= kMaxControls)
    return Error{Errc::overloaded, "too many of an operator's requests wait for their outcome"};
  return std::nullopt;
}

void RouterActor::handle(ControlReport message, Effects& out) {
  const auto control = controls_.find(message.token);
  if (control == controls_.end()) return;
  rpc::Reply answer{control->second.request_id, {}};
  if (message.code == Errc::ok) {
    answer.body = rpc::ControlReply{std::move(message.text)};
  } else {
    answer.body = Error{message.code, std::move(message.text)};
  }
  reply(std::move(control->second.origin), std::move(answer), out);
  controls_.erase(control);
}

}  // namespace dkv
