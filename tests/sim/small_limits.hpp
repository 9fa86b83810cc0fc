// Limits so small that a simulated minute meets all of them.
#pragma once

#include <cstdint>

#include "actors/assembly.hpp"

namespace dkv::sim {

/// The log is retained for followers by the seed: from so short that replicas often take a copy of the whole
/// shard, to long.
inline NodeOptions small_limits(std::uint64_t seed) {
  NodeOptions options;
  options.copy.freeze_bytes = 6 << 10;
  options.copy.freeze_log_bytes = 8 << 10;
  options.copy.max_bytes = 64 << 10;
  options.log_segment_bytes = 4 << 10;
  options.log_retain_bytes = std::uint64_t{1} << (10 + seed % 8);
  options.snapshot_chunk_bytes = 300;
  return options;
}

}  // namespace dkv::sim
