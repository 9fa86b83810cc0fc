#include "actors/runtime/zmq/peer_port.hpp"

#include <optional>
#include <type_traits>

#include "messages/limits.hpp"
#include "messages/peer.hpp"

namespace dkv::runtime {

namespace {

/// Messages that wait for one node. Acks are small and periodic, and a puller asks for one answer of
/// some kMaxPullBytes at a time, so that this many wait only for a node that is stuck.
constexpr int kSendQueue = 1'024;
/// Bytes of large messages that wait for one node: some of the largest answers, one for each puller. Past
/// it they are dropped, as for a node that is away; acks always fit.
constexpr std::uint64_t kMaxUnsentBytes = std::uint64_t{64} << 20;
constexpr int kReceiveQueue = 1'024;
constexpr int kConnectTimeoutMs = 2'000;

/// The body that crosses the network, if this is such a message.
std::optional<peer::Body> to_body(Message message) {
  return std::visit(
      [](auto& body) -> std::optional<peer::Body> {
        if constexpr (std::is_constructible_v<peer::Body, decltype(std::move(body))>) {
          return std::move(body);
        } else {
          return std::nullopt;
        }
      },
      message);
}

/// Which actors speak to which by a message.
struct Route {
  Role from;
  Role to;
  ShardId shard;
};

Route route_of(const peer::Body& body) {
  return std::visit(Overloaded{
                        [](const peer::RegisterPrepare&) {
                          return Route{Role::registrar, Role::keeper, {}};
                        },
                        [](const peer::RegisterAccept&) {
                          return Route{Role::registrar, Role::keeper, {}};
                        },
                        [](const peer::RegisterPoll&) {
                          return Route{Role::registrar, Role::keeper, {}};
                        },
                        [](const peer::RegisterPromise&) {
                          return Route{Role::keeper, Role::registrar, {}};
                        },
                        [](const peer::RegisterAccepted&) {
                          return Route{Role::keeper, Role::registrar, {}};
                        },
                        [](const peer::RegisterNack&) {
                          return Route{Role::keeper, Role::registrar, {}};
                        },
                        [](const peer::RegisterState&) {
                          return Route{Role::keeper, Role::registrar, {}};
                        },
                        [](const peer::RegisterChosen&) {
                          return Route{Role::registrar, Role::registrar, {}};
                        },
                        [](const peer::ChangesRequest& request) {
                          return Route{Role::watcher, Role::member, request.shard};
                        },
                        [](const peer::ChangesReply& reply) {
                          return Route{Role::member, Role::watcher, reply.shard};
                        },
                        [](const auto& of_a_shard) {
                          return Route{Role::member, Role::member, of_a_shard.shard};
                        },
                    },
                    body);
}

/// A watcher is one for all shards.
Address address(NodeId node, Role role, ShardId shard) {
  return {node, role, role == Role::watcher ? ShardId{} : shard};
}

}  // namespace

PeerPort::PeerPort(zmq::context_t& context, Shared& shared)
    : shared_(shared), incoming_(context, zmq::socket_type::router), reader_(incoming_, true) {
  harden(incoming_, kMaxMessageBytes);
  add_heartbeats(incoming_);
  incoming_.set(zmq::sockopt::router_mandatory, 1);
  incoming_.set(zmq::sockopt::rcvhwm, kReceiveQueue);
  for (const NodeInfo& node : shared.options.topology->nodes) {
    if (node.id != shared.options.self) connect(context, node);
  }
}

void PeerPort::connect(zmq::context_t& context, const NodeInfo& node) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  harden(socket, kMaxMessageBytes);
  add_heartbeats(socket);
  // Nothing is kept for a node that is away: it will ask again for what it misses.
  socket.set(zmq::sockopt::immediate, 1);
  socket.set(zmq::sockopt::sndhwm, kSendQueue);
  socket.set(zmq::sockopt::rcvhwm, 1);
  reconnect_soon(socket);
  socket.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
  if (node.peer.front() == '[') socket.set(zmq::sockopt::ipv6, 1);
  socket.connect(tcp_address(node.peer));
  outgoing_.emplace(node.id, Link{std::move(socket), std::make_shared<Outstanding>()});
}

Result<void> PeerPort::bind() { return runtime::bind(incoming_, shared_.self().peer, "peer"); }

void PeerPort::drain(std::vector<Envelope>& arrived) {
  zmq::message_t routing_id;
  zmq::message_t body;
  for (Burst burst; !burst.full();) {
    const auto outcome = reader_.next(routing_id, body);
    if (outcome == PartReader::Outcome::nothing) return;
    burst.took(body.size());
    if (outcome == PartReader::Outcome::refused) {
      refuse("it was empty or had several parts");
    } else {
      take(view(body), arrived);
    }
  }
}

void PeerPort::take(std::string_view bytes, std::vector<Envelope>& arrived) {
  auto message = peer::decode(bytes);
  if (!message) return refuse(message.error().message);
  if (message->topology_id != shared_.options.topology->id) return refuse("it came from another cluster");
  const NodeId from = message->from;
  if (outgoing_.find(from) == outgoing_.end()) {
    return refuse("its sender, node " + std::to_string(from.value) + ", is not in the topology");
  }
  const Route route = route_of(message->body);
  arrived.push_back({address(from, route.from, route.shard),
                     address(shared_.options.self, route.to, route.shard),
                     std::visit([](auto& body) { return Message(std::move(body)); }, message->body)});
}

void PeerPort::refuse(const std::string& why) {
  ++shared_.counters.peer_refused;
  refused_.say(shared_, "ignored a message on the peer port: " + why);
}

void PeerPort::send(const Address& to, Message message) {
  const char* name = name_of(message);
  auto body = to_body(std::move(message));
  const auto node = outgoing_.find(to.node);
  if (!body || node == outgoing_.end()) {
    ++shared_.counters.undeliverable;
    shared_.log(LogLevel::error, std::string("cannot send ") + name + " to " + to_string(to));
    return;
  }
  std::string bytes = peer::encode({shared_.options.self, shared_.options.topology->id, std::move(*body)});
  if (!send(node->second, std::move(bytes))) ++shared_.counters.peer_unsent;
}

void PeerPort::tidy() {
  for (auto& [node, link] : outgoing_) run_commands(link.socket);
}

bool PeerPort::send(Link& link, std::string bytes) {
  if (bytes.size() >= kZeroCopyBytes && link.unsent->bytes() + bytes.size() > kMaxUnsentBytes) return false;
  return runtime::send(link.socket, make_message(std::move(bytes), link.unsent)) == Sent::yes;
}

}  // namespace dkv::runtime
