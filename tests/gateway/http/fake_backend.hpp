// A node in memory: a map, two shards of which "delhi" is served here, and switches to misbehave.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "gateway/http/backend.hpp"
#include "topology/topology.hpp"

namespace dkv::testing {

/// Nodes delhi (127.0.0.2:8080) and mumbai (127.0.0.3:8080), a shard of the same name on each.
Topology two_shards();
/// A key that the shard owns, made from `stem`.
std::string key_of_shard(std::string_view shard_name, const std::string& stem = "key");

class FakeBackend : public Backend {
 public:
  rpc::Reply call(rpc::Request request, std::chrono::milliseconds timeout) override;
  /// Takes keys of the other shard too.
  std::vector<OperationResult> execute(const rpc::Request& request,
                                       std::shared_ptr<Session> session) override;
  Result<ScanResult> scan(const ScanOptions& options) override;
  void tell_watcher(WatchCommand command) override;

  // Set before requests come.
  std::optional<Error> refuses_all;            // every request as a whole
  std::optional<OperationResult> answers_all;  // every operation
  std::string moves_to_node = "mumbai";        // keys of the other shard
  bool throws = false;
  Topology topology = two_shards();  // what it says that it has
  NodeStatus status;
  ScanOptions last_scan;
  ScanResult page;
  Session shows;  // by each answer to a session

  /// From here on operations wait, until release().
  void hold();
  void release();
  /// Returns once `count` operations are waiting.
  void await_held(int count);

  std::size_t operations() const;
  std::size_t topology_fetches() const;
  std::map<std::string, std::string> records() const;
  rpc::Request last() const;
  /// Waits for the next that the watcher is told.
  WatchCommand next_command();

 private:
  OperationResult perform(const Operation& operation);
  OperationResult perform_here(const Operation& operation);
  OperationResult moved(std::string_view key) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int waiting_ = 0;
  std::uint64_t seq_ = 0;
  std::size_t operations_ = 0;
  std::size_t topology_fetches_ = 0;
  rpc::Request last_;
  struct Record {
    std::string value;
    Position version;
  };
  std::map<std::string, Record> records_;
  std::deque<WatchCommand> commands_;
};

}  // namespace dkv::testing
