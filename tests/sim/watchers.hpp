// Clients who watch a simulated cluster, each through one node, until that ends, or now and then until they
// like another one better: there they go on from where they are. Each must be told exactly what happened to
// its keys, in the order of each shard, whatever its nodes and the primaries go through; of what it is not
// told, it must be told that.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/prefix_check.hpp"
#include "tests/sim/sim_world.hpp"

namespace dkv::sim {

class Watchers {
 public:
  /// `may_lose`: histories of these shards may be undone.
  Watchers(SimWorld& world, PrefixCheck& history, std::size_t count, std::uint64_t seed,
           std::function<bool(ShardId)> may_lose, std::function<void(std::string)> violated);

  /// Everybody must have been told of all that happened up to `last`.
  void finish(ShardId shard, Position last);

  std::uint64_t events() const { return events_; }
  std::uint64_t resumed() const { return resumed_; }
  std::uint64_t gaps() const { return gaps_; }

 private:
  struct Watcher {
    std::string name;
    std::string prefix;
    NodeId node;  // zero: none
    std::uint64_t generation = 0;
    std::uint64_t watch = 0;
    bool opened = false;
    std::map<ShardId, Position> at;  // told up to here
  };

  void look_after(std::size_t index);
  void open(Watcher& watcher);
  void take(NodeId node, const WatchNews& news);
  void take_events(Watcher& watcher, const WatchNews& news);
  void take_later(const Watcher& watcher, std::uint64_t bytes);

  SimWorld& world_;
  PrefixCheck& history_;
  Random random_;  // of their own: they change nothing for all others
  std::function<bool(ShardId)> may_lose_;
  std::function<void(std::string)> violated_;
  std::vector<Watcher> watchers_;
  std::uint64_t last_watch_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t resumed_ = 0;
  std::uint64_t gaps_ = 0;
};

}  // namespace dkv::sim
