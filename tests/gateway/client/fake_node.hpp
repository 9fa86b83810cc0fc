// A node's rpc door for the client's tests: a ROUTER on a thread, behind which a script answers.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "messages/rpc.hpp"
#include "topology/topology.hpp"

namespace dkv::test {

class FakeNode {
 public:
  /// Returns the messages to send back: usually one encoded reply, but any bytes and any number. They go
  /// to whoever sent this request.
  using Script = std::function<std::vector<std::string>(const rpc::Request&)>;

  /// Listens on a free port of 127.0.0.1 and answers like a node that owns every key, from memory.
  FakeNode();
  ~FakeNode();

  const std::string& endpoint() const { return endpoint_; }
  void set_script(Script script);
  /// What topology requests are answered with.
  void set_topology(const Topology& topology);
  /// Operation requests that came so far.
  int requests() const { return requests_; }
  /// Stops listening, forgetting every connection; start() listens on the same port again.
  void stop();
  void start();

  /// The answer of an ordinary node, for scripts that mostly behave.
  std::string answer(const rpc::Request& request);

 private:
  void run(std::string bind_to, std::function<void(std::string)> bound);

  std::string endpoint_;
  std::mutex mutex_;
  Script script_;
  std::string topology_;  // encoded reply body
  std::uint64_t topology_version_ = 0;
  std::map<std::string, std::string> records_;  // touched by the thread alone
  std::uint64_t seq_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

/// A cluster of one shard per node, each with an equal range of slots; shard i's replica, if asked for, is
/// the next node. Nodes and shards are named a, b, …
Topology topology_of(const std::vector<const FakeNode*>& nodes, std::uint64_t version = 1,
                     bool with_replicas = false);

/// A key whose slot shard number `shard` (from 0) of topology_of() owns when there are `shards`.
std::string key_of_shard(std::size_t shard, std::size_t shards);

/// Replies that say one thing of every operation.
std::string refuse_all(const rpc::Request& request, Errc code);
std::string move_all(const rpc::Request& request, const FakeNode& to, std::uint64_t topology_version);

}  // namespace dkv::test
