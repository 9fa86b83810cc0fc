// One simulated life of a cluster that heals itself: clients that write, delete and read while nodes crash,
// freeze and are cut off, and shards change their primaries; then everything heals, and what must hold is
// checked. Everything follows from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/assembly.hpp"

namespace dkv::sim {

struct FailoverOptions {
  std::uint64_t seed = 1;
  Duration length = 60s;
  bool causes_faults = true;
  MemberRules rules{};  // to see that a broken one would be noticed
  RegisterRules register_rules{};
};

struct FailoverResult {
  std::uint64_t trace_hash = 0;
  std::uint64_t acknowledged_writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t faults = 0;
  std::uint64_t epochs = 0;      // begun
  std::uint64_t take_overs = 0;  // of them, by another node
  std::vector<std::string> violations;
};

FailoverResult run_failover(const FailoverOptions& options);

}  // namespace dkv::sim
