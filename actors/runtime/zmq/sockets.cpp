#include "actors/runtime/zmq/sockets.hpp"

#include <cerrno>

#include "actors/runtime/zmq/hand_over.hpp"

namespace dkv::runtime {

namespace {

/// Parts of an unwanted message that are swallowed at once; the rest follow in the next turns.
constexpr std::size_t kSkippedParts = 64;
/// Enough for a slow network, short for one who only opens connections.
constexpr int kHandshakeMs = 3'000;
/// How long a peer may leave bytes unread or unacknowledged before its connection ends. Nothing else ends
/// one whose receive window stays shut: it acknowledges keepalives for ever.
constexpr int kUnreadMs = 30'000;
constexpr int kHeartbeatMs = 500;
constexpr int kHeartbeatTimeoutMs = 1'500;
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 1'000;

/// Keeps a large message's bytes until libzmq, on a thread of its own, lets go of them.
template <class Bytes>
struct Held {
  Bytes bytes;
  std::size_t size = 0;
  std::shared_ptr<Outstanding> level;

  static void release(void*, void* hint) {
    after_hand_over(hint);
    auto* held = static_cast<Held*>(hint);
    if (held->level != nullptr) held->level->remove(held->size);
    delete held;
  }
};

template <class Bytes>
zmq::message_t without_copy(Bytes bytes, const char* data, std::size_t size,
                            std::shared_ptr<Outstanding> level) {
  if (level != nullptr) level->add(size);
  auto* held = new Held<Bytes>{std::move(bytes), size, std::move(level)};
  before_hand_over(held);
  // libzmq does not change what it sends; its interface has no const.
  return {const_cast<char*>(data), size, &Held<Bytes>::release, held};
}

}  // namespace

bool receive(zmq::socket_t& socket, zmq::message_t& part) {
  if (zmq_msg_recv(part.handle(), socket.handle(), ZMQ_DONTWAIT) >= 0) return true;
  if (zmq_errno() == EAGAIN || zmq_errno() == EINTR) return false;
  throw zmq::error_t();
}

void run_commands(zmq::socket_t& socket) {
  int unused = 0;
  std::size_t size = sizeof(unused);
  if (zmq_getsockopt(socket.handle(), ZMQ_EVENTS, &unused, &size) != 0 && zmq_errno() != EINTR) {
    throw zmq::error_t();
  }
}

Sent send(zmq::socket_t& socket, zmq::message_t&& part, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (zmq_msg_send(part.handle(), socket.handle(), flags) < 0) {
    if (zmq_errno() == EAGAIN) return Sent::full;
    if (zmq_errno() == EHOSTUNREACH) return Sent::unreachable;
    if (zmq_errno() != EINTR) throw zmq::error_t();
  }
  return Sent::yes;
}

bool PartReader::skip_rest() {
  zmq::message_t part;
  for (std::size_t i = 0; i < kSkippedParts && receive(socket_, part); ++i) {
    if (!part.more()) {
      skipping_ = false;
      return true;
    }
  }
  skipping_ = true;
  return false;
}

PartReader::Outcome PartReader::next(zmq::message_t& routing_id, zmq::message_t& body) {
  if (skipping_ && !skip_rest()) return Outcome::nothing;
  if (has_routing_id_) {
    if (!receive(socket_, routing_id)) return Outcome::nothing;
    if (!routing_id.more()) return Outcome::refused;
  }
  if (!receive(socket_, body)) return Outcome::nothing;
  if (!body.more()) return body.size() > 0 ? Outcome::message : Outcome::refused;
  skip_rest();
  return Outcome::refused;
}

zmq::message_t make_message(std::string bytes, std::shared_ptr<Outstanding> held, std::size_t copy_below) {
  if (bytes.size() < copy_below) return {bytes.data(), bytes.size()};
  // On the heap first: moving a string moves its bytes only when they are not inside it, which large
  // ones never are.
  const char* data = bytes.data();
  const std::size_t size = bytes.size();
  return without_copy(std::move(bytes), data, size, std::move(held));
}

zmq::message_t make_message(const FrameBytes& bytes, std::shared_ptr<Outstanding> held) {
  if (bytes->size() < kZeroCopyBytes) return {bytes->data(), bytes->size()};
  return without_copy(bytes, bytes->data(), bytes->size(), std::move(held));
}

void harden(zmq::socket_t& socket, std::size_t max_message_bytes) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(max_message_bytes));
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::tcp_maxrt, kUnreadMs);
}

void add_heartbeats(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
}

void reconnect_soon(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
}

std::string tcp_address(const std::string& endpoint) { return "tcp://" + endpoint; }

Result<void> bind(zmq::socket_t& socket, const std::string& endpoint, std::string_view what) {
  if (!endpoint.empty() && endpoint.front() == '[') socket.set(zmq::sockopt::ipv6, 1);
  if (zmq_bind(socket.handle(), tcp_address(endpoint).c_str()) == 0) return {};
  const int code = zmq_errno();
  const std::string where = endpoint + " (" + std::string(what) + ")";
  if (code == EADDRINUSE) {
    return Error{Errc::in_use, "cannot listen on " + where +
                                   ": the address is in use; stop the process that holds it, or give this "
                                   "node another port in the topology file"};
  }
  return Error{Errc::bad_request, "cannot listen on " + where + ": " + zmq_strerror(code) +
                                      "; is this an address of this machine?"};
}

}  // namespace dkv::runtime
