// The phases of a load test over either protocol: every caller takes pairs from one counter, writes or reads
// them, and notes what became of each.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "tests/bench/load_plan.hpp"
#include "topology/topology.hpp"

namespace dkv::bench {

struct LoadOptions {
  std::string topology_file;
  std::size_t pairs = 1000;
  std::size_t callers = 32;
  std::size_t value_bytes = 100;
  std::size_t pipeline = 1;  // zmq: operations that each caller keeps in flight
  bool zmq = false;
  bool shared = false;  // zmq: one client pipelines for all callers
  bool direct = false;  // http: to the owner at once, without redirects
  std::uint64_t seed = 0;
  std::string floor;  // endpoint of a plain HTTP server to compare with
  bool json = false;
  int timeout_ms = 10000;
};

enum class Phase { sets, gets };

struct PhaseResult {
  Tally tally;
  double seconds = 0;
};

/// `progress` counts finished operations, for whoever shows them.
PhaseResult run_http(const LoadOptions& options, const Topology& topology, Phase phase, Plan& plan,
                     std::atomic<std::size_t>& progress);
PhaseResult run_zmq(const LoadOptions& options, const Topology& topology, Phase phase, Plan& plan,
                    std::atomic<std::size_t>& progress);
/// As many GETs of "/" as the plan has pairs, from a server that does nothing.
PhaseResult run_floor(const LoadOptions& options, std::atomic<std::size_t>& progress);

}  // namespace dkv::bench
