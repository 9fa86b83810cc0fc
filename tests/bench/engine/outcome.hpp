// What a measurement of distrikv-bench found, and what it cost this process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "messages/result.hpp"
#include "tests/bench/engine/histogram.hpp"

namespace dkv::bench {

using Clock = std::chrono::steady_clock;

struct Outcome {
  std::uint64_t ops = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  std::optional<std::uint64_t> written_bytes;  // that the folder's disk was given, by whoever
  std::uint64_t batches = 0;                   // frames, syncs or commits
  std::uint64_t checkpoints = 0;               // of the server, that were seen
  Histogram latency;                           // of operations: each has that of its batch
};

/// Measures from its construction until finish(); with a folder, also what its disk is given.
class Meter {
 public:
  explicit Meter(std::string folder = {});
  /// Fills in seconds, cpu_seconds and written_bytes.
  void finish(Outcome& outcome) const;

 private:
  Clock::time_point start_;
  double cpu_seconds_;
  std::string folder_;
  std::optional<std::uint64_t> written_bytes_;
};

/// Calls `batch`, which does `count` operations and says whether that worked, over and over for so long.
template <class Batch>
Outcome measure_batches(const std::string& folder, std::size_t count, double seconds, Batch batch) {
  Outcome outcome;
  const Meter meter(folder);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  bool works = true;
  for (auto start = Clock::now(); start < end && works;) {
    works = batch();
    const auto now = Clock::now();
    outcome.latency.add(static_cast<std::uint64_t>((now - start).count()), count);
    outcome.ops += count;
    ++outcome.batches;
    start = now;
  }
  meter.finish(outcome);
  return outcome;
}

}  // namespace dkv::bench
