// What the register's tests share: a cluster of three nodes with a keeper each, and a disk that can be
// broken.
#pragma once

#include <gtest/gtest.h>

#include "actors/keeper/keeper_actor.hpp"
#include "tests/actors/conversation.hpp"
#include "tests/sim/disk.hpp"
#include "topology/codec.hpp"

namespace dkv::test {

inline constexpr std::uint64_t kCluster = 77;

/// As the file has it.
inline TopologyPtr three_keepers() {
  auto topology = std::make_shared<Topology>(*one_shard());
  topology->id = kCluster;
  topology->name = "c";
  topology->nodes.push_back(
      {NodeId{3}, "gamma", "127.0.0.3:1", "127.0.0.3:2", "127.0.0.3:3", "127.0.0.3:4", "127.0.0.3:5"});
  topology->keepers = {{NodeId{1}}, {NodeId{2}}, {NodeId{3}}};
  return topology;
}

/// As the register has it: made by a change, with the keepers' folders.
inline TopologyPtr version(std::uint64_t version, std::vector<Keeper> keepers) {
  auto topology = std::make_shared<Topology>(*three_keepers());
  topology->version = version;
  topology->change = 1000 + version;
  topology->keepers = std::move(keepers);
  return topology;
}
inline TopologyPtr version(std::uint64_t number, std::uint64_t first_incarnation = 101) {
  return version(number, {{NodeId{1}, first_incarnation, 1}, {NodeId{2}, 102, 1}, {NodeId{3}, 103, 1}});
}

inline Ballot ballot(std::uint64_t counter, std::uint32_t node = 2) { return {counter, NodeId{node}, 7}; }

struct TestDisk {
  sim::Platter platter;
  sim::Stopwatch watch;
  sim::Random random{1};
  std::unique_ptr<Disk> open() { return std::make_unique<sim::SimDisk>(platter, watch, random); }
  /// Power is lost: what was not synced is left to chance.
  void crash() {
    watch.now += 1h;  // every sync that returned has ended
    platter.crash(watch.now, random);
    platter.fails_at_step = UINT64_MAX;
  }
};

}  // namespace dkv::test
