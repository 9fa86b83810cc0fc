#include "actors/runtime/zmq/event_port.hpp"

#include <algorithm>

#include "messages/limits.hpp"

namespace dkv::runtime {

namespace {

/// Frames that wait for one subscriber: some ten milliseconds at full speed. Beyond that pulling from the
/// log is the better way.
constexpr int kFrameQueue = 256;
/// Bytes of frames that wait for subscribers; one that waits for several counts once. More than a full queue
/// of usual frames, so that only frames of very large values make one who does not read a loss to others, and
/// only until its heartbeats end it.
constexpr std::uint64_t kMaxUnreadFrameBytes = kFrameQueue * kTargetFrameBytes * 5 / 4;
/// Who subscribes sends a topic, nothing larger. libzmq keeps a tree node per byte of it.
constexpr std::size_t kMaxSubscriptionBytes = 1'024;

}  // namespace

EventPort::EventPort(zmq::context_t& context, Shared& shared)
    : context_(context), shared_(shared), publisher_(context, zmq::socket_type::pub) {
  harden(publisher_, kMaxSubscriptionBytes);
  add_heartbeats(publisher_);
  publisher_.set(zmq::sockopt::sndhwm, kFrameQueue);
}

Result<void> EventPort::bind() { return runtime::bind(publisher_, shared_.self().events, "events"); }

void EventPort::publish(const FrameBytes& frame) {
  if (frame->size() >= kZeroCopyBytes && unread_->bytes() + frame->size() > kMaxUnreadFrameBytes) {
    ++shared_.counters.frames_unsent;
    unsent_.say(shared_, "did not publish a frame: subscribers leave too much unread; they will pull it");
    return;
  }
  // PUB never reports a full queue: it drops for that subscriber.
  send(publisher_, make_message(frame, unread_));
}

EventPort::Subscription::Subscription(zmq::context_t& context, const Address& asking, NodeId publisher)
    : member(asking), node(publisher), socket(context, zmq::socket_type::sub), reader(socket, false) {
  harden(socket, kMaxMessageBytes);
  add_heartbeats(socket);
  socket.set(zmq::sockopt::rcvhwm, kFrameQueue);
  reconnect_soon(socket);
  socket.set(zmq::sockopt::subscribe, topic_of(member.shard));
}

void EventPort::subscribe(const Address& member, NodeId node) {
  const NodeInfo* publisher = shared_.options.topology->find_node(node);
  if (publisher == nullptr) {
    shared_.log(LogLevel::error,
                to_string(member) + " asked for the events of a node that is not in the topology");
    return;
  }
  const bool known = std::any_of(subscriptions_.begin(), subscriptions_.end(), [&](const Subscription& one) {
    return one.member == member && one.node == node;
  });
  if (known) return;
  zmq::socket_t& socket = subscriptions_.emplace_back(context_, member, node).socket;
  if (publisher->events.front() == '[') socket.set(zmq::sockopt::ipv6, 1);
  socket.connect(tcp_address(publisher->events));
}

void EventPort::add_poll_items(std::vector<zmq::pollitem_t>& items) {
  for (Subscription& one : subscriptions_) items.push_back({one.socket.handle(), 0, ZMQ_POLLIN, 0});
}

void EventPort::drain(const zmq::pollitem_t* items, std::size_t count, std::vector<Envelope>& arrived) {
  for (std::size_t i = 0; i < count; ++i) {
    if ((items[i].revents & ZMQ_POLLIN) != 0) drain(subscriptions_[i], arrived);
  }
}

void EventPort::drain(Subscription& subscription, std::vector<Envelope>& arrived) {
  zmq::message_t unused;
  zmq::message_t frame;
  for (Burst burst; !burst.full();) {
    const auto outcome = subscription.reader.next(unused, frame);
    if (outcome == PartReader::Outcome::nothing) return;
    burst.took(frame.size());
    if (outcome == PartReader::Outcome::refused) {
      ++shared_.counters.frames_refused;
      refused_.say(shared_,
                   "ignored an event of several parts from node " + std::to_string(subscription.node.value));
      continue;
    }
    arrived.push_back({Address{subscription.node, Role::member, subscription.member.shard},
                       subscription.member, EventFrame{std::make_shared<const std::string>(view(frame))}});
  }
}

}  // namespace dkv::runtime
