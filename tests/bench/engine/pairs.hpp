// The keys and values that every system in the benchmark is given: "key:000000000042", as redis-benchmark
// makes them, uniform over a range, and values of one length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dkv::bench {

struct KeySpace {
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
};

inline constexpr std::size_t kKeyBytes = 16;

/// SplitMix64: https://prng.di.unimi.it/splitmix64.c
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, end), for an end far below 2^32.
  std::uint64_t below(std::uint64_t end) { return ((next() >> 32) * end) >> 32; }

 private:
  std::uint64_t state_;
};

/// Writes the key of a number into 16 bytes.
inline void write_key(char* out, std::uint64_t number) {
  constexpr std::string_view kPrefix = "key:";
  kPrefix.copy(out, kPrefix.size());
  for (std::size_t at = kKeyBytes; at > kPrefix.size(); number /= 10) {
    out[--at] = static_cast<char>('0' + number % 10);
  }
}

/// Values that do not compress: pieces of one pool of random bytes.
class Values {
 public:
  Values(std::uint64_t seed, std::size_t bytes) : random_(seed), bytes_(bytes), pool_(bytes + kPieces, '\0') {
    for (char& byte : pool_) byte = static_cast<char>(random_.next());
  }
  std::string_view next() { return std::string_view(pool_).substr(random_.below(kPieces), bytes_); }

 private:
  static constexpr std::size_t kPieces = 1 << 16;
  Random random_;
  std::size_t bytes_;
  std::string pool_;
};

}  // namespace dkv::bench
