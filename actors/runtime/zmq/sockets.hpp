// Thin, exception-free wrappers around the ZeroMQ calls that the world makes per message, and the
// settings that all its sockets share.
#pragma once

#include <memory>
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

/// Lets libzmq handle what happened on a socket that nobody polls or receives from: without it every
/// connection that comes and goes leaves its pipes behind until the next send.
void run_commands(zmq::socket_t& socket);

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

/// The bytes of uncopied messages that libzmq still holds, for one receiver or one socket. High-water marks
/// count messages, whether of ten bytes or of 17 MiB, so whoever sends large ones asks here first.
class Outstanding {
 public:
  /// `total`, if any, counts the same for several together, and outlives the context.
  explicit Outstanding(Counter* total = nullptr) : total_(total) {}

  std::uint64_t bytes() const { return bytes_.load(); }
  void add(std::size_t size) {
    bytes_.fetch_add(size);
    if (total_ != nullptr) total_->fetch_add(size);
  }
  /// From any thread.
  void remove(std::size_t size) {
    bytes_.fetch_sub(size);
    if (total_ != nullptr) total_->fetch_sub(size);
  }

 private:
  Counter bytes_{0};
  Counter* total_;
};

/// A message of `bytes`; those of `copy_below` and more are not copied, and counted by `held`, if any, for as
/// long as libzmq holds them: until the last of their receivers has them, or is gone.
zmq::message_t make_message(std::string bytes, std::shared_ptr<Outstanding> held = nullptr,
                            std::size_t copy_below = kZeroCopyBytes);
zmq::message_t make_message(const FrameBytes& bytes, std::shared_ptr<Outstanding> held = nullptr);
inline std::string_view view(const zmq::message_t& part) {
  return {static_cast<const char*>(part.data()), part.size()};
}

/// What every socket that faces the network has: limits on what it takes and on how long a peer may leave
/// what it sends unread, and no lingering.
void harden(zmq::socket_t& socket, std::size_t max_message_bytes);
/// Notices a frozen or vanished peer within two seconds.
void add_heartbeats(zmq::socket_t& socket);
/// For sockets that connect: a node that is back is found within a second.
void reconnect_soon(zmq::socket_t& socket);

/// `endpoint` is "host:port"; `what` names the socket in the error.
Result<void> bind(zmq::socket_t& socket, const std::string& endpoint, std::string_view what);
std::string tcp_address(const std::string& endpoint);

}  // namespace dkv::runtime
