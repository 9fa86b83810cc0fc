// Actor tests read as conversations: tell it something, end the turn, see what it says.
#pragma once

#include <deque>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "topology/topology.hpp"

namespace dkv::test {

inline constexpr NodeId kPrimaryNode{1};
inline constexpr NodeId kReplicaNode{2};
inline constexpr ShardId kShard{1};

/// One shard that owns all slots, its primary on node 1, a replica on node 2.
inline TopologyPtr one_shard(std::vector<NodeId> in_sync = {}) {
  auto topology = std::make_shared<Topology>();
  topology->nodes = {
      {kPrimaryNode, "alpha", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"},
      {kReplicaNode, "beta", "127.0.0.2:1", "127.0.0.2:2", "127.0.0.2:3", "127.0.0.2:4", "127.0.0.2:5"}};
  topology->shards = {{kShard, "city", 1, kPrimaryNode, {kReplicaNode}, std::move(in_sync)}};
  topology->keepers = {{kPrimaryNode}};
  topology->slots.fill(kShard);
  return topology;
}

class Conversation {
 public:
  /// `said`: by the actor while it was made.
  explicit Conversation(Actor& actor, Effects said = {}) : actor_(actor), effects_(std::move(said)) { take(); }

  /// One message in a turn of its own.
  void tell(Message message, Address from = {}) {
    deliver(std::move(message), from);
    end_turn();
  }
  void deliver(Message message, Address from = {}) {
    actor_.on_message({from, {}, std::move(message)}, now_, effects_);
    take();
  }
  void end_turn() {
    actor_.on_turn_end(now_, effects_);
    take();
  }
  /// Lets time pass, and wakes the actor when it asked for that.
  void pass(Duration time) {
    now_ += time;
    if (actor_.wake_at() > now_) return;
    actor_.on_wake(now_, effects_);
    end_turn();
  }

  /// The oldest message of type T that was said and not yet asked for; fails when there is none.
  template <class T>
  T said() {
    for (auto at = said_.begin(); at != said_.end(); ++at) {
      if (auto* message = std::get_if<T>(&at->second)) {
        T found = std::move(*message);
        last_to_ = at->first;
        said_.erase(at);
        return found;
      }
    }
    ADD_FAILURE() << "no such message was sent: " << name_of(Message{T{}});
    return {};
  }
  template <class T>
  bool has_said() const {
    for (const auto& [to, message] : said_) {
      if (std::holds_alternative<T>(message)) return true;
    }
    return false;
  }
  /// To whom the last one returned by said() was sent.
  const Address& last_to() const { return last_to_; }
  void forget() {
    said_.clear();
    published_.clear();
  }

  std::vector<FrameBytes>& published() { return published_; }
  std::vector<NodeId>& subscribed() { return subscribed_; }
  std::vector<std::string>& logged() { return logged_; }
  TimePoint now() const { return now_; }

 private:
  void take() {
    for (auto& one : effects_.sends) said_.push_back(std::move(one));
    for (auto& frame : effects_.publications) published_.push_back(std::move(frame));
    for (const NodeId node : effects_.subscriptions) subscribed_.push_back(node);
    for (const auto& line : effects_.lines) logged_.push_back(line.text);
    effects_.clear();
  }

  Actor& actor_;
  TimePoint now_ = TimePoint{} + 1000s;
  Effects effects_;
  std::deque<std::pair<Address, Message>> said_;
  Address last_to_;
  std::vector<FrameBytes> published_;
  std::vector<NodeId> subscribed_;
  std::vector<std::string> logged_;
};

/// A request whose bytes it owns.
inline rpc::Request request_of(std::vector<std::pair<OpCode, std::pair<std::string, std::string>>> operations,
                               std::uint64_t id = 1) {
  auto owner = std::make_shared<decltype(operations)>(std::move(operations));
  rpc::Request request;
  request.request_id = id;
  for (const auto& [code, pair] : *owner) request.operations.push_back({code, pair.first, pair.second});
  request.owner = owner;
  return request;
}
inline rpc::Request put(std::string key, std::string value, std::uint64_t id = 1) {
  return request_of({{OpCode::put, {std::move(key), std::move(value)}}}, id);
}
inline rpc::Request get(std::string key, std::uint64_t id = 1) {
  return request_of({{OpCode::get, {std::move(key), ""}}}, id);
}
inline rpc::Request remove(std::string key, std::uint64_t id = 1) {
  return request_of({{OpCode::remove, {std::move(key), ""}}}, id);
}

inline OperationResult result_of(const ClientReply& reply, std::size_t index = 0) {
  const auto* results = std::get_if<std::vector<OperationResult>>(&reply.reply.body);
  if (results == nullptr || index >= results->size()) {
    ADD_FAILURE() << "the reply has no result " << index;
    return OperationResult::failed(Errc::internal, "no results");
  }
  return (*results)[index];
}

inline Errc error_of(const ClientReply& reply) {
  const auto* error = std::get_if<Error>(&reply.reply.body);
  return error != nullptr ? error->code : Errc::ok;
}

}  // namespace dkv::test
