#include "actors/runtime/zmq/rpc_door.hpp"

#include <algorithm>

#include "messages/limits.hpp"

namespace dkv::runtime {

namespace {

/// Small replies that may wait for one connection: more than any sensible window of a pipelining client,
/// all of whose replies may leave in one turn after a slow sync.
constexpr int kReplyQueue = 16'384;
/// Requests of one connection that wait to be read: a turn's burst. Beyond, TCP holds the client back.
constexpr int kRequestQueue = 256;
/// Replies of this size and more are counted in bytes while they wait for their client to read them; of
/// smaller ones kReplyQueue are 16 MiB.
constexpr std::size_t kCountedReplyBytes = 1'024;
/// Counted replies that wait for one connection: the four largest, or many smaller ones.
constexpr std::uint64_t kMaxUnreadBytes = std::uint64_t{64} << 20;
/// And for all connections together. When it is reached, each may still have its fair share: several that do
/// not read must not silence those who do.
constexpr std::uint64_t kMaxUnreadBytesOfAll = std::uint64_t{256} << 20;
constexpr std::uint64_t kFairShareBytes = std::uint64_t{1} << 20;
/// The list of connections with unread replies is searched for those who have read them when it has grown
/// to this, or to twice what the last search left.
constexpr std::size_t kPruneAtLeast = 64;
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
  std::string bytes = rpc::encode(reply);
  std::shared_ptr<Outstanding> unread;
  if (bytes.size() >= kCountedReplyBytes) {
    unread = outstanding_of(connection);
    if (!fits(*unread, bytes.size())) {
      bytes = rpc::encode(rpc::Reply{
          reply.request_id,
          Error{Errc::unknown_outcome, "too many large replies wait to be read; read them, then retry"}});
    }
  }
  Sent sent = send(socket_, zmq::message_t(connection.data(), connection.size()), true);
  if (sent == Sent::yes) sent = send(socket_, make_message(std::move(bytes), unread, kCountedReplyBytes));
  if (sent == Sent::yes) return;
  ++shared_.counters.replies_dropped;
  dropped_.say(shared_, sent == Sent::full ? "dropped a reply to a client that does not read its replies"
                                           : "dropped a reply to a client that has gone");
}

std::shared_ptr<Outstanding> RpcDoor::outstanding_of(std::string_view connection) {
  const auto known = unread_.find(connection);
  if (known != unread_.end()) return known->second;
  if (unread_.size() >= prune_at_) {
    std::erase_if(unread_, [](const auto& one) { return one.second->bytes() == 0; });
    prune_at_ = std::max(kPruneAtLeast, 2 * unread_.size());
  }
  auto fresh = std::make_shared<Outstanding>(&shared_.counters.large_reply_bytes);
  return unread_.emplace(std::string(connection), std::move(fresh)).first->second;
}

bool RpcDoor::fits(const Outstanding& unread, std::size_t size) const {
  const bool all_full = shared_.counters.large_reply_bytes.load() + size > kMaxUnreadBytesOfAll;
  return unread.bytes() + size <= (all_full ? kFairShareBytes : kMaxUnreadBytes);
}

}  // namespace dkv::runtime
