#include "gateway/client/transport.hpp"

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>
#include <zmq.hpp>

#include "messages/limits.hpp"

namespace dkv::client {

namespace {

using namespace std::chrono_literals;

// Messages taken from one node before the others have their turn.
constexpr int kBurst = 256;
constexpr auto kLongestWait = 1h;

/// All clients of a process share one context, and so one I/O thread; the last of them ends it.
std::shared_ptr<zmq::context_t> shared_context() {
  static std::mutex mutex;
  static std::weak_ptr<zmq::context_t> current;
  const std::lock_guard lock(mutex);
  auto context = current.lock();
  if (!context) {
    context = std::make_shared<zmq::context_t>(1);
    // The default of 1,023 sockets is not enough for many threads with a client each.
    context->set(zmq::ctxopt::max_sockets, 16384);
    current = context;
  }
  return context;
}

zmq::socket_t connect(zmq::context_t& context, const std::string& endpoint, int max_replies) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::immediate, true);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMaxMessageBytes));
  socket.set(zmq::sockopt::handshake_ivl, 3000);
  socket.set(zmq::sockopt::heartbeat_ivl, 1000);
  socket.set(zmq::sockopt::heartbeat_timeout, 3000);
  socket.set(zmq::sockopt::reconnect_ivl, 50);
  socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
  // So that nothing but the lack of a connection keeps it from sending. The flights are bounded elsewhere.
  socket.set(zmq::sockopt::sndhwm, 0);
  // A node's ROUTER must never find our queue full: it would have to drop the reply.
  socket.set(zmq::sockopt::rcvhwm, max_replies);
  if (endpoint.starts_with('[')) socket.set(zmq::sockopt::ipv6, true);
  socket.connect("tcp://" + endpoint);
  return socket;
}

}  // namespace

struct Transport::Connection {
  std::string endpoint;
  std::optional<zmq::socket_t> socket;
  std::deque<std::pair<std::uint64_t, std::string>> unsent;  // with their ids

  /// False when there is no connection just now.
  bool try_send(const std::string& bytes) {
    return socket->send(zmq::const_buffer(bytes.data(), bytes.size()), zmq::send_flags::dontwait).has_value();
  }

  void flush() {
    while (!unsent.empty() && try_send(unsent.front().second)) unsent.pop_front();
  }

  /// The next message, if one is there. A message of several parts is none of ours: it comes out empty.
  bool next(zmq::message_t& message) {
    if (!socket->recv(message, zmq::recv_flags::dontwait)) return false;
    if (!message.more()) return true;
    while (message.more() && socket->recv(message, zmq::recv_flags::dontwait)) {
    }
    message.rebuild();
    return true;
  }
};

struct Transport::State {
  // The context is declared first, so that it outlives the sockets.
  std::shared_ptr<zmq::context_t> context = shared_context();
  int max_replies = 0;
  std::deque<Connection> connections;  // by Peer; a deque, whose elements stay put while a handler adds some
  std::map<std::string, Peer, std::less<>> numbers;
  std::vector<zmq::pollitem_t> items;
  std::vector<std::size_t> polled;  // whose items these are

  void prepare_items() {
    items.clear();
    polled.clear();
    for (std::size_t i = 0; i < connections.size(); ++i) {
      Connection& connection = connections[i];
      if (!connection.socket) continue;
      const int events = connection.unsent.empty() ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT;
      items.push_back({connection.socket->handle(), 0, static_cast<short>(events), 0});
      polled.push_back(i);
    }
  }
};

Transport::Transport(int max_replies) : state_(std::make_unique<State>()) {
  state_->max_replies = max_replies;
}
Transport::~Transport() = default;

Result<Peer> Transport::peer(const std::string& endpoint) {
  if (const auto found = state_->numbers.find(endpoint); found != state_->numbers.end()) return found->second;
  if (state_->connections.size() >= kMaxPeers) {
    return Error{Errc::overloaded, "this client knows 2048 endpoints already: make a new one"};
  }
  const Peer number{state_->connections.size()};
  state_->connections.emplace_back().endpoint = endpoint;
  state_->numbers.emplace(endpoint, number);
  return number;
}

const std::string& Transport::endpoint(Peer peer) const { return state_->connections[peer.value].endpoint; }

Result<void> Transport::send(Peer peer, std::uint64_t id, std::string bytes) {
  Connection& connection = state_->connections[peer.value];
  try {
    if (!connection.socket) {
      connection.socket = connect(*state_->context, connection.endpoint, state_->max_replies);
    }
    // In the order of sending: nothing overtakes what still waits.
    if (connection.unsent.empty() && connection.try_send(bytes)) return {};
  } catch (const zmq::error_t& error) {
    // An interrupted attempt was not made; what else can happen here lies in the endpoint.
    if (error.num() != EINTR) {
      return Error{Errc::bad_request, "cannot connect to '" + connection.endpoint + "': " + error.what() +
                                          " (an endpoint is HOST:PORT)"};
    }
  }
  connection.unsent.emplace_back(id, std::move(bytes));
  return {};
}

bool Transport::is_connected(Peer peer) const {
  const auto& socket = state_->connections[peer.value].socket;
  return socket && (socket->get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0;
}

bool Transport::has_unsent(Peer peer) const { return !state_->connections[peer.value].unsent.empty(); }

bool Transport::withdraw(Peer peer, std::uint64_t id) {
  auto& unsent = state_->connections[peer.value].unsent;
  const auto removed = std::erase_if(unsent, [id](const auto& message) { return message.first == id; });
  return removed != 0;
}

void Transport::receive(Time until, const std::function<void(Peer, std::string_view)>& handler) {
  const auto wait = std::clamp<Clock::duration>(until - Clock::now(), 0ms, kLongestWait);
  try {
    state_->prepare_items();
    zmq::poll(state_->items, std::chrono::ceil<std::chrono::milliseconds>(wait));
    zmq::message_t message;
    for (std::size_t i = 0; i < state_->items.size(); ++i) {
      Connection& connection = state_->connections[state_->polled[i]];
      if ((state_->items[i].revents & ZMQ_POLLOUT) != 0) connection.flush();
      if ((state_->items[i].revents & ZMQ_POLLIN) == 0) continue;
      for (int taken = 0; taken < kBurst && connection.next(message); ++taken) {
        handler(Peer{state_->polled[i]}, {message.data<char>(), message.size()});
      }
    }
  } catch (const zmq::error_t& error) {
    // A signal; the caller asks again. Nothing else can befall sockets of our own.
    DKV_ASSERT(error.num() == EINTR);
  }
}

}  // namespace dkv::client
