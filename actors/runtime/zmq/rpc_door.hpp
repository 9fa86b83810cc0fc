// The `rpc` door: a ROUTER for clients on the network. Requests go to the router actor; what is malformed
// is answered here. A client that does not read loses its replies, and in the end its connection, and slows
// nobody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq/sockets.hpp"

namespace dkv::runtime {

inline constexpr std::uint8_t kRpcDoor = 1;

class RpcDoor {
 public:
  RpcDoor(zmq::context_t& context, Shared& shared);

  Result<void> bind();
  zmq::socket_t& socket() { return socket_; }

  /// One burst of requests, appended to `arrived`.
  void drain(std::vector<Envelope>& arrived);
  void reply(const ClientReply& reply);
  /// Requests that were handed in, less the replies that were handed out.
  std::uint64_t owed() const { return owed_; }

 private:
  void take(const zmq::message_t& routing_id, zmq::message_t body, std::vector<Envelope>& arrived);
  void refuse(std::string_view connection, std::uint64_t request_id, Error error);
  void send_reply(std::string_view connection, const rpc::Reply& reply);
  std::shared_ptr<Outstanding> outstanding_of(std::string_view connection);
  bool fits(const Outstanding& unread, std::size_t size) const;

  Shared& shared_;
  zmq::socket_t socket_;
  PartReader reader_;
  Complaint dropped_;
  /// By routing id: those who have larger replies unread, and some who had.
  std::map<std::string, std::shared_ptr<Outstanding>, std::less<>> unread_;
  std::size_t prune_at_ = 0;
  std::uint64_t owed_ = 0;
};

}  // namespace dkv::runtime
