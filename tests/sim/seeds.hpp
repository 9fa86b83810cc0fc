// What the tests over many seeds share.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace dkv::sim {

/// How many seeds are run: the environment's DKV_SIM_SEEDS, or what the build says.
inline std::uint64_t seed_count() {
  const char* set = std::getenv("DKV_SIM_SEEDS");
  return set != nullptr ? std::strtoull(set, nullptr, 10) : DKV_SIM_SEEDS;
}

/// A sanitizer, which looks at the code and not at the seeds, runs fewer.
inline constexpr std::uint64_t kManySeeds = 100;

inline std::string all_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace dkv::sim
