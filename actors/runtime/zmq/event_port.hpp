// The `events` port: a PUB for the frames of this node's primaries, and a SUB for each primary that a
// replica here follows. Frames are lost whenever a queue is full, or too many bytes wait; those
// who follow notice by `prev`.
// Plain drop per subscriber: with XPUB_NODROP one stalled subscriber would take all others to zero.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq/sockets.hpp"

namespace dkv::runtime {

class EventPort {
 public:
  EventPort(zmq::context_t& context, Shared& shared);

  Result<void> bind();
  void publish(const FrameBytes& frame);

  /// From now on, and until the end, `node`'s frames of the member's shard come to it. Asking again
  /// changes nothing.
  void subscribe(const Address& member, NodeId node);

  /// Every second or so: for what is in no poll set.
  void tidy() { run_commands(publisher_); }

  /// One item for each subscription, in the order that drain() expects.
  void add_poll_items(std::vector<zmq::pollitem_t>& items);
  /// One burst from each readable one. `items` begins with what add_poll_items() appended; subscriptions
  /// made since then wait for the next turn.
  void drain(const zmq::pollitem_t* items, std::size_t count, std::vector<Envelope>& arrived);

 private:
  struct Subscription {
    Subscription(zmq::context_t& context, const Address& asking, NodeId publisher);

    Address member;
    NodeId node;
    zmq::socket_t socket;
    PartReader reader;
  };

  void drain(Subscription& subscription, std::vector<Envelope>& arrived);

  zmq::context_t& context_;
  Shared& shared_;
  zmq::socket_t publisher_;
  std::shared_ptr<Outstanding> unread_ = std::make_shared<Outstanding>();
  std::deque<Subscription> subscriptions_;  // stable: a reader refers to its socket
  Complaint refused_;
  Complaint unsent_;
};

}  // namespace dkv::runtime
