#include "actors/runtime/zmq/ports.hpp"

namespace dkv::runtime {

namespace {

// Where the sockets stand among the poll items.
constexpr std::size_t kPeerItem = 0;
constexpr std::size_t kRpcItem = 1;
constexpr std::size_t kEventItems = 2;

/// Seldom enough to cost nothing, even on an idle node; often enough for any rate of reconnecting.
constexpr Duration kTidyInterval = 1s;

bool readable(const zmq::pollitem_t& item) { return (item.revents & ZMQ_POLLIN) != 0; }

}  // namespace

Result<void> Ports::bind() {
  if (auto bound = rpc_.bind(); !bound) return bound;
  if (auto bound = peer_.bind(); !bound) return bound;
  return events_.bind();
}

void Ports::add_poll_items(std::vector<zmq::pollitem_t>& items) {
  items.push_back({peer_.socket().handle(), 0, ZMQ_POLLIN, 0});
  items.push_back({rpc_.socket().handle(), 0, static_cast<short>(refusing_ ? 0 : ZMQ_POLLIN), 0});
  events_.add_poll_items(items);
}

void Ports::drain(const zmq::pollitem_t* items, std::size_t count, std::vector<Envelope>& arrived) {
  if (readable(items[kPeerItem])) peer_.drain(arrived);
  if (readable(items[kRpcItem])) rpc_.drain(arrived);
  events_.drain(items + kEventItems, count - kEventItems, arrived);
}

void Ports::tidy(TimePoint now) {
  if (now < tidy_at_) return;
  peer_.tidy();
  events_.tidy();
  tidy_at_ = now + kTidyInterval;
}

void Ports::send(const Address& to, Message message) {
  if (to.node != shared_.options.self) {
    peer_.send(to, std::move(message));
  } else if (auto* answer = std::get_if<ClientReply>(&message);
             answer != nullptr && to.role == Role::client) {
    reply(std::move(*answer));
  } else {
    ++shared_.counters.undeliverable;
    undeliverable_.say(shared_,
                       std::string("nobody here takes ") + name_of(message) + " for " + to_string(to));
  }
}

void Ports::reply(ClientReply reply) {
  if (reply.origin.door == kRpcDoor) {
    rpc_.reply(reply);
  } else {
    local_.reply(std::move(reply));
  }
}

void Ports::refuse_requests() {
  refusing_ = true;
  local_.refuse();
}

}  // namespace dkv::runtime
