// Spread for actors, which have no random source: SplitMix64 (Steele, Lea, Flood: "Fast splittable
// pseudorandom number generators", 2014), to be seeded with the node's process number, which is different in
// every run.
#pragma once

#include <cstdint>

#include "actors/runtime/time.hpp"

namespace dkv {

class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// From nothing up to `most`.
  Duration up_to(Duration most) {
    return Duration{static_cast<Duration::rep>(next() % (static_cast<std::uint64_t>(most.count()) + 1))};
  }

 private:
  std::uint64_t state_;
};

}  // namespace dkv
