// A client's connections: one DEALER socket per node, opened when the first message goes there. The only
// file of the client that knows ZeroMQ is transport.cpp.
//
// What waits for a connection waits here and not in ZeroMQ, so that it can be withdrawn: a request that
// never left this process was certainly not executed, which is worth knowing of a write.
//
// One thread only. Limits: kMaxPeers endpoints; messages of at most kMaxMessageBytes come in, a longer
// one ends its connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "messages/result.hpp"

namespace dkv::client {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

/// An endpoint, numbered in the order of first use.
struct Peer {
  std::size_t value = 0;
  auto operator<=>(const Peer&) const = default;
};

class Transport {
 public:
  /// Twice the nodes of the largest cluster; a hostile MOVED cannot make us open more.
  static constexpr std::size_t kMaxPeers = 2048;

  /// `max_replies`: how many messages may wait to be received from one node; the requests in flight.
  explicit Transport(int max_replies);
  /// Closes every connection; what was not sent is dropped.
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// The number of "host:port". Errors: overloaded when there are kMaxPeers already.
  Result<Peer> peer(const std::string& endpoint);
  const std::string& endpoint(Peer peer) const;

  /// Hands the message to ZeroMQ, now or in receive() once there is a connection. `id` is for withdraw().
  /// Errors: bad_request when the endpoint is not one that can be connected to.
  Result<void> send(Peer peer, std::uint64_t id, std::string bytes);
  /// Whether there is a connection just now. Without one, no answer to what was sent can come any more.
  bool is_connected(Peer peer) const;
  /// Whether something waits for a connection to it.
  bool has_unsent(Peer peer) const;
  /// Takes back a message that was not handed to ZeroMQ yet: true means that it will never be sent.
  bool withdraw(Peer peer, std::uint64_t id);

  /// Waits until something arrived or until `until`, and passes on what is there. The bytes live during
  /// the call only; the handler may send(). Also returns early for no reason, as when a signal came.
  void receive(Time until, const std::function<void(Peer, std::string_view)>& handler);

 private:
  struct Connection;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dkv::client
