// The `peer` port: what nodes tell each other. A ROUTER takes what comes, one DEALER per other node sends;
// nothing is ever sent back over the ROUTER. Losing a message is allowed, and never blocks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq/sockets.hpp"

namespace dkv::runtime {

class PeerPort {
 public:
  /// Connects to every other node of the topology.
  PeerPort(zmq::context_t& context, Shared& shared);

  Result<void> bind();
  zmq::socket_t& socket() { return incoming_; }

  /// One burst of messages, appended to `arrived`.
  void drain(std::vector<Envelope>& arrived);
  /// `message` must be one of peer::Body's.
  void send(const Address& to, Message message);
  /// Every second or so: for what is in no poll set.
  void tidy();

 private:
  struct Link {
    zmq::socket_t socket;
    std::shared_ptr<Outstanding> unsent;
  };

  void connect(zmq::context_t& context, const NodeInfo& node);
  void take(std::string_view bytes, std::vector<Envelope>& arrived);
  void refuse(const std::string& why);
  bool send(Link& link, std::string bytes);

  Shared& shared_;
  zmq::socket_t incoming_;
  PartReader reader_;
  std::map<NodeId, Link> outgoing_;
  Complaint refused_;
};

}  // namespace dkv::runtime
