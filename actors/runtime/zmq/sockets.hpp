// Thin, exception-free wrappers around the ZeroMQ calls that the world makes per message, and the
// settings that all its sockets share.
#pragma once

#include <string>
#include <string_view>
#include <zmq.hpp>

#include "actors/runtime/zmq/shared.hpp"
#include "messages/frame.hpp"
#include "messages/result.hpp"

namespace dkv::runtime {

/// A turn takes at most this much from one socket, so that a flood on one never starves another.
inline constexpr std::size_t kBurstMessages = 256;
inline constexpr std::size_t kBurstBytes = std::size_t{1} << 20;

/// Counts a socket's share of a turn.
class Burst {
 public:
  bool full() const { return messages_ >= kBurstMessages || bytes_ >= kBurstBytes; }
  void took(std::size_t bytes) {
    ++messages_;
    bytes_ += bytes;
  }

 private:
  std::size_t messages_ = 0;
  std::size_t bytes_ = 0;
};

/// Receives one part if one is there. Throws zmq::error_t only for defects of ours.
bool receive(zmq::socket_t& socket, zmq::message_t& part);

enum class Sent : std::uint8_t { yes, full, unreachable };
/// Sends one part without waiting.
Sent send(zmq::socket_t& socket, zmq::message_t&& part, bool more = false);

/// Reads messages of one part, from a ROUTER with the routing id before it, and swallows all others.
class PartReader {
 public:
  enum class Outcome : std::uint8_t { nothing, message, refused };

  PartReader(zmq::socket_t& socket, bool has_routing_id) : socket_(socket), has_routing_id_(has_routing_id) {}

  /// `refused`: it had more than one part, or none, or an empty one; routing_id says whose it was.
  Outcome next(zmq::message_t& routing_id, zmq::message_t& body);

 private:
  bool skip_rest();

  zmq::socket_t& socket_;
  bool has_routing_id_;
  bool skipping_ = false;
};

/// Below this a copy is cheaper than an allocation and a callback (measured on tcp).
inline constexpr std::size_t kZeroCopyBytes = 10'000;

/// A message of `bytes`; large ones are not copied. `held`, if any, counts the bytes of the uncopied ones
/// for as long as libzmq holds them.
zmq::message_t make_message(std::string bytes, Counter* held = nullptr);
zmq::message_t make_message(const FrameBytes& bytes);
inline std::string_view view(const zmq::message_t& part) {
  return {static_cast<const char*>(part.data()), part.size()};
}

/// What every socket that faces the network has: limits on what it takes, and no lingering.
void harden(zmq::socket_t& socket, std::size_t max_message_bytes);
/// Notices a frozen or vanished peer within two seconds.
void add_heartbeats(zmq::socket_t& socket);

/// `endpoint` is "host:port"; `what` names the socket in the error.
Result<void> bind(zmq::socket_t& socket, const std::string& endpoint, std::string_view what);
std::string tcp_address(const std::string& endpoint);

}  // namespace dkv::runtime
