// What a measurement of distrikv-bench found, and what it cost this process.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "messages/result.hpp"
#include "tests/bench/engine/histogram.hpp"

namespace dkv::bench {

using Clock = std::chrono::steady_clock;

struct Outcome {
  std::uint64_t ops = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  std::uint64_t written_bytes = 0;  // that this process made the kernel write to disks
  std::uint64_t batches = 0;        // frames, syncs or commits
  std::uint64_t checkpoints = 0;    // of the server, that were seen
  Histogram latency;                // of operations: each has that of its batch
};

/// Measures from its construction until finish().
class Meter {
 public:
  Meter();
  /// Fills in seconds, cpu_seconds and written_bytes.
  void finish(Outcome& outcome) const;

 private:
  Clock::time_point start_;
  double cpu_seconds_;
  std::uint64_t written_bytes_;
};

}  // namespace dkv::bench
