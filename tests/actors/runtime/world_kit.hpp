// What the tests of ZmqWorld share: a topology on free loopback ports, actors made of lambdas, a place to
// wait for what they say, and raw clients of the sockets.
#pragma once

#include <condition_variable>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq_world.hpp"

namespace dkv::test {

/// Longer than anything takes, also under ThreadSanitizer on a busy machine. Never waited out by a test
/// that passes.
inline constexpr auto kPatience = 120s;

/// An actor of lambdas, for what a test wants to see.
struct Script {
  std::function<void(TimePoint, Effects&)> on_start;
  std::function<void(Envelope, TimePoint, Effects&)> on_message;
  std::function<void(TimePoint, Effects&)> on_wake;
  std::function<void(TimePoint, Effects&)> on_turn_end;
  std::function<TimePoint()> wake_at;
  std::function<void()> on_end;
};
std::unique_ptr<Actor> actor(Script script);

/// A list that one thread fills and another waits for.
template <class T>
class Seen {
 public:
  void add(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  /// The first `count`, or fewer when they do not come.
  std::vector<T> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return values_.size() >= count; });
    return values_;
  }
  std::vector<T> now() {
    const std::lock_guard lock(mutex_);
    return values_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

/// Waits until `condition` holds; false when it never does.
bool eventually(const std::function<bool()>& condition);

/// Nodes 1 to `nodes` on this process's own loopback address, with free ports; no shards.
TopologyPtr make_topology(std::uint32_t nodes = 1);

inline constexpr ShardId kShard{7};
Address router_of(NodeId node);
Address member_of(NodeId node, ShardId shard = kShard);
Address log_of(NodeId node, ShardId shard = kShard);

inline constexpr NodeId kOne{1};
inline constexpr NodeId kTwo{2};
/// In tests of one node.
inline constexpr NodeId kSelf = kOne;
inline const Address kRouter = router_of(kSelf);
inline const Address kClient{kSelf, Role::client, {}};

/// A world whose lines are kept.
class TestWorld {
 public:
  explicit TestWorld(TopologyPtr topology, NodeId self = NodeId{1}, std::chrono::milliseconds grace = 500ms);

  void spawn(const std::string& thread, const Address& address, Script script) {
    world.spawn(thread, address, actor(std::move(script)));
  }
  /// Throws, and so fails the test, when it does not start.
  void start();
  const NodeInfo& node() const { return *topology->find_node(self); }
  bool logged(const std::string& part);

  TopologyPtr topology;
  NodeId self;
  std::shared_ptr<Seen<std::string>> lines = std::make_shared<Seen<std::string>>();
  ZmqWorld world;
};

/// A request of one get, owning its key.
rpc::Request get_request(std::uint64_t id, const std::string& key);
rpc::Request put_request(std::uint64_t id, const std::string& key, const std::string& value);
/// Answers every operation with its key as the value.
rpc::Reply echo(const rpc::Request& request);
/// A router that echoes at once.
Script echo_router();

/// A raw ZeroMQ peer, with a deadline on everything.
class RawSocket {
 public:
  /// `queue`: messages that it takes before somebody receives them.
  RawSocket(zmq::socket_type type, const std::string& endpoint, int queue = 10'000);
  bool send(const std::vector<std::string>& parts);
  /// All parts of the next message; empty when none comes.
  std::vector<std::string> receive();
  /// The next message as a reply to a get or put.
  Result<rpc::Reply> receive_reply(OpCode asked = OpCode::get);
  zmq::socket_t& socket() { return socket_; }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
};

/// Opens a TCP connection, writes `bytes` as they are, and waits until the other side closes or `bytes`
/// are all it wanted.
void throw_at(const std::string& endpoint, const std::string& bytes);
/// The same, but says nothing more, and reads nothing but what comes: whether the other side closes.
bool is_closed_on(const std::string& endpoint, const std::string& bytes);
/// How a subscriber's connection begins, to the end of its handshake.
std::string subscriber_hello();
/// A subscriber's connection from the end of its handshake to its end.
void subscribe_and_leave(const std::string& endpoint);
/// Things that are not ZMTP, and things that begin like it.
std::vector<std::string> garbage();

}  // namespace dkv::test
