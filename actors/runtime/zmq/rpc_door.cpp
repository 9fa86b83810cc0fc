#include "actors/runtime/zmq/rpc_door.hpp"

#include "messages/limits.hpp"

namespace dkv::runtime {

namespace {

/// Small replies that may wait for one connection: more than any sensible window of a pipelining client,
/// all of whose replies may leave in one turn after a slow sync.
constexpr int kReplyQueue = 16'384;
/// Requests of one connection that wait to be read: a turn's burst. Beyond, TCP holds the client back.
constexpr int kRequestQueue = 256;
/// Large replies, of all connections together, that wait for clients to read them.
constexpr std::uint64_t kMaxHeldReplyBytes = std::uint64_t{256} << 20;
/// What a request's envelope may add to its limit; the codec checks the limit itself.
constexpr std::size_t kSlackBytes = std::size_t{64} << 10;
/// For the replies that are on their way when a node stops.
constexpr int kLingerMs = 200;

}  // namespace

RpcDoor::RpcDoor(zmq::context_t& context, Shared& shared)
    : shared_(shared), socket_(context, zmq::socket_type::router), reader_(socket_, true) {
  harden(socket_, kMaxRequestBytes + kSlackBytes);
  socket_.set(zmq::sockopt::linger, kLingerMs);
  socket_.set(zmq::sockopt::router_mandatory, 1);
  socket_.set(zmq::sockopt::sndhwm, kReplyQueue);
  socket_.set(zmq::sockopt::rcvhwm, kRequestQueue);
  // Clients that vanished without a word. Not ZeroMQ's heartbeats: older clients do not answer them.
  socket_.set(zmq::sockopt::tcp_keepalive, 1);
  socket_.set(zmq::sockopt::tcp_keepalive_idle, 60);
}

Result<void> RpcDoor::bind() { return runtime::bind(socket_, shared_.self().rpc, "rpc"); }

void RpcDoor::drain(std::vector<Envelope>& arrived) {
  zmq::message_t routing_id;
  zmq::message_t body;
  for (Burst burst; !burst.full();) {
    const auto outcome = reader_.next(routing_id, body);
    if (outcome == PartReader::Outcome::nothing) return;
    burst.took(body.size());
    if (outcome == PartReader::Outcome::refused) {
      refuse(view(routing_id), 0, {Errc::bad_request, "a request is one ZeroMQ message of one part"});
    } else {
      take(routing_id, std::move(body), arrived);
      body = zmq::message_t();
    }
  }
}

void RpcDoor::take(const zmq::message_t& routing_id, zmq::message_t body, std::vector<Envelope>& arrived) {
  // The operations are views into the received message, which lives as long as the request.
  auto owner = std::make_shared<const zmq::message_t>(std::move(body));
  std::uint64_t request_id = 0;
  auto request = rpc::decode_request(view(*owner), request_id);
  if (!request) {
    refuse(view(routing_id), request_id, request.error());
    return;
  }
  request->owner = std::move(owner);
  ++owed_;
  arrived.push_back({Address{shared_.options.self, Role::client, {}},
                     Address{shared_.options.self, Role::router, {}},
                     ClientRequest{Origin{kRpcDoor, std::string(view(routing_id))}, std::move(*request)}});
}

void RpcDoor::refuse(std::string_view connection, std::uint64_t request_id, Error error) {
  ++shared_.counters.requests_refused;
  send_reply(connection, rpc::Reply{request_id, std::move(error)});
}

void RpcDoor::reply(const ClientReply& reply) {
  if (owed_ > 0) --owed_;
  send_reply(reply.origin.connection, reply.reply);
}

void RpcDoor::send_reply(std::string_view connection, const rpc::Reply& reply) {
  Counter& held = shared_.counters.large_reply_bytes;
  std::string bytes = rpc::encode(reply);
  if (bytes.size() >= kZeroCopyBytes && bytes.size() + held.load() > kMaxHeldReplyBytes) {
    bytes = rpc::encode(rpc::Reply{
        reply.request_id, Error{Errc::unknown_outcome,
                                "the node holds too many large replies that clients have not read; retry"}});
  }
  Sent sent = send(socket_, zmq::message_t(connection.data(), connection.size()), true);
  if (sent == Sent::yes) sent = send(socket_, make_message(std::move(bytes), &held));
  if (sent == Sent::yes) return;
  ++shared_.counters.replies_dropped;
  dropped_.say(shared_, sent == Sent::full ? "dropped a reply to a client that does not read its replies"
                                           : "dropped a reply to a client that has gone");
}

}  // namespace dkv::runtime
