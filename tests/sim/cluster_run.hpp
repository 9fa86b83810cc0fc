// One simulated life of a cluster: clients that write, delete and read while nodes crash, freeze, lose
// their disks and are cut off; then everything heals, and what must hold is checked. Everything follows
// from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/assembly.hpp"

namespace dkv::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  Duration length = 60s;
  bool disks_lie = false;      // a broken world, to see that it would be noticed
  ReplicaRules replica_rules;  // likewise
};

struct RunResult {
  std::uint64_t trace_hash = 0;
  std::uint64_t acknowledged_writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t replica_reads = 0;
  std::uint64_t refused_for_room = 0;  // writes, while a disk was full
  std::uint64_t faults = 0;
  std::uint64_t gaps_repaired = 0;
  std::uint64_t prefix_checks = 0;
  std::uint64_t snapshots = 0;          // begun
  std::uint64_t snapshots_done = 0;     // with all chunks in
  std::uint64_t snapshot_chunks = 0;    // brought to a store
  std::uint64_t judged_operations = 0;  // that were to be linearizable
  std::uint64_t not_linearizable = 0;   // keys; each is a violation too
  std::vector<std::string> violations;  // what did not hold; empty when all is well
};

RunResult run_cluster(const RunOptions& options);

}  // namespace dkv::sim
