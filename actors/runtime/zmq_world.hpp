// The real world: carries out the effects of a node's actors with threads and ZeroMQ sockets.
//
// One thread named kMainThread owns every external socket (rpc, peer, events, watch), the router and the
// members: a message between two of them is a direct hand-over. Every other thread name is one more
// thread, for an actor that waits for the disk. README.md in this folder has the map and the rules.
//
// Limits: publishing and subscribing is for actors of the main thread. A world is started and stopped
// once. An exception that leaves an actor ends the process: half-alive actors acknowledge nothing good.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "actors/runtime/actor.hpp"
#include "messages/rpc.hpp"
#include "topology/topology.hpp"

namespace dkv {

inline constexpr const char* kMainThread = "main";

struct ZmqWorldOptions {
  NodeId self;
  /// Where to bind and whom to connect to, by its `nodes`; given to the router as the first
  /// TopologyChanged. Must have a node `self`.
  TopologyPtr topology;
  /// Takes the actors' and the world's own lines, from any thread.
  std::function<void(LogLevel, std::string_view)> log;
  /// How long stop() waits for the replies that are still owed.
  std::chrono::milliseconds stop_grace{500};
  /// Takes what watches are told, on the watcher's thread: it must not wait. What the news points into lives
  /// as long as their owner.
  std::function<void(const WatchNews&)> on_news{};
};

/// What was lost or refused since the start. All of it is allowed; much of it wants an explanation.
struct WorldCounters {
  std::uint64_t requests_refused = 0;  // rpc: malformed, wrong version
  std::uint64_t replies_dropped = 0;   // the client vanished, or does not read
  std::uint64_t late_replies = 0;      // to call()s that had timed out
  std::uint64_t peer_refused = 0;      // peer: malformed, another cluster, unknown sender
  std::uint64_t peer_unsent = 0;       // the other node is away, or does not read
  std::uint64_t frames_refused = 0;    // events: not one part
  std::uint64_t frames_unsent = 0;     // events: not published, since subscribers leave too many bytes unread
  std::uint64_t undeliverable = 0;     // to an actor that is not here
};

class ZmqWorld {
 public:
  explicit ZmqWorld(ZmqWorldOptions options);
  /// stop()
  ~ZmqWorld();
  ZmqWorld(const ZmqWorld&) = delete;
  ZmqWorld& operator=(const ZmqWorld&) = delete;

  /// Before start(). `address.node` must be `self`, and the address new. The actor starts, works and
  /// dies on the thread of that name.
  void spawn(const std::string& thread, const Address& address, std::unique_ptr<Actor> actor);

  /// Binds the sockets, starts the threads, and returns once every actor has started and has its first
  /// topology. Errors: in_use (an address that is taken), bad_request (one that cannot be bound).
  Result<void> start();

  /// Takes no more requests, waits up to `stop_grace` for the replies that are owed, destroys the actors
  /// on their own threads, and ends the threads. Waits for a disk write that is under way. Idempotent.
  void stop();

  /// The local door, for any thread: gives `request` to this node's router and waits for the reply, whose
  /// request_id is the request's. `request.owner` must own what its operations point into. Without a reply
  /// in time, or when the world stops: unknown_outcome if an operation writes, else unavailable.
  rpc::Reply call(rpc::Request request, std::chrono::milliseconds timeout);

  /// For the node's watcher (OpenWatch, CloseWatch, WatchTaken), from any thread, in order for each. Before
  /// start() and once stop() has begun nobody hears it.
  void tell_watcher(Message message);

  WorldCounters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dkv
