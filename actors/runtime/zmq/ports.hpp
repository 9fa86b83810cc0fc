// Everything of a node that is not an actor, as the main thread sees it: its doors and ports.
#pragma once

#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/event_port.hpp"
#include "actors/runtime/zmq/local_door.hpp"
#include "actors/runtime/zmq/peer_port.hpp"
#include "actors/runtime/zmq/rpc_door.hpp"

namespace dkv::runtime {

class Ports {
 public:
  Ports(zmq::context_t& context, Shared& shared, LocalDoor& local)
      : shared_(shared),
        local_(local),
        rpc_(context, shared),
        peer_(context, shared),
        events_(context, shared) {}

  Result<void> bind();

  void add_poll_items(std::vector<zmq::pollitem_t>& items);
  /// One burst from each readable socket. `items` are those that add_poll_items() appended.
  void drain(const zmq::pollitem_t* items, std::size_t count, std::vector<Envelope>& arrived);

  /// When tidy() is due.
  TimePoint tidy_at() const { return tidy_at_; }
  /// Lets go of connections that ended on sockets which only send.
  void tidy(TimePoint now);

  /// Carries out what no actor of this node takes: replies to clients, messages to other nodes.
  void send(const Address& to, Message message);
  void publish(const FrameBytes& frame) { events_.publish(frame); }
  void subscribe(const Address& member, NodeId node) { events_.subscribe(member, node); }

  /// From now on requests are left unread.
  void refuse_requests();
  /// Whether a client still waits for a reply.
  bool owes_replies() { return rpc_.owed() > 0 || local_.owed() > 0; }

 private:
  void reply(ClientReply reply);

  Shared& shared_;
  LocalDoor& local_;
  RpcDoor rpc_;
  PeerPort peer_;
  EventPort events_;
  Complaint undeliverable_;
  bool refusing_ = false;
  TimePoint tidy_at_{};
};

}  // namespace dkv::runtime
