// A node: its data folder, its actors in a ZmqWorld, and its HTTP door, put together from the topology.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "actors/assembly.hpp"
#include "actors/runtime/actor.hpp"
#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

struct NodeSetup {
  TopologyPtr topology;
  std::string name;                                     // of a node in `topology`
  std::string data;                                     // the data folder's path
  NodeOptions limits;                                   // what the node does not set itself
  std::function<void(LogLevel, std::string_view)> log;  // from any thread
};

class Node {
 public:
  /// Takes the data folder, opens what is in it, binds every socket and serves. Errors: those of
  /// DataFolder::take (`of_data_folder`), of the stores, and in_use or bad_request for an address.
  struct Failure {
    Error error;
    bool of_data_folder = false;
  };
  static std::unique_ptr<Node> start(const NodeSetup& setup, Failure& failure);
  /// Answers what is under way, if that takes not long, and stops: first HTTP, then the actors.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// To be asked every second or so: whether every local copy has failed for good, so that nothing here will
  /// serve again.
  bool has_failed();
  /// For people.
  std::string description() const;

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dkv
