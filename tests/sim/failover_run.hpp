// One simulated life of a cluster that heals itself: clients that write, delete and read while nodes crash,
// freeze, lose their folders and are cut off, disks fill up, bits flip, clocks drift and operators hand over,
// and shards change their primaries; then everything heals, and what must hold is checked. Everything follows
// from the seed.
#pragma once

#include <cstdint>
#include <functional>

#include "tests/sim/failover_cluster.hpp"

namespace dkv::sim {

struct FailoverOptions {
  std::uint64_t seed = 1;
  Duration length = 60s;
  bool causes_faults = true;
  bool watches = false;                        // with clients who watch, too
  bool repeats = false;                        // with clients who send writes again, and read by sessions
  bool scans = true;                           // and with clients who scan
  std::function<void(NodeOptions&)> breaks{};  // a rule, to see that it would be noticed
};

FailoverResult run_failover(const FailoverOptions& options);

}  // namespace dkv::sim
