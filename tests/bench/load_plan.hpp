// What a load test writes and checks: pairs made from a seed, so that none has to be remembered, and what
// became of each write.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace dkv::bench {

using Clock = std::chrono::steady_clock;

/// What is known of one key's write.
enum class Write : std::uint8_t {
  none,          ///< refused, or never tried: it must not be there
  acknowledged,  ///< it must be there
  unknown,       ///< no answer: it may be there
};

/// What a read showed.
enum class Read : std::uint8_t { none, right, wrong, missing, failed };

class Plan {
 public:
  Plan(std::uint64_t seed, std::size_t pairs, std::size_t value_bytes)
      : seed_(seed), value_bytes_(value_bytes), writes_(pairs, Write::none), reads_(pairs, Read::none) {}

  std::size_t pairs() const { return writes_.size(); }

  /// "load-<seed>-<number>-<noise>": spread over the slots, and another in every run.
  std::string key(std::size_t i) const {
    std::uint64_t state = seed_ ^ (i * 0x9e3779b97f4a7c15ULL);
    return "load-" + hex(seed_) + "-" + std::to_string(i) + "-" + hex(next(state));
  }

  /// Any bytes, none of them compressible.
  std::string value(std::size_t i) const {
    std::uint64_t state = ~seed_ ^ (i * 0xbf58476d1ce4e5b9ULL);
    std::string bytes(value_bytes_, '\0');
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = next(state);
      for (std::size_t j = 0; j < std::min<std::size_t>(8, bytes.size() - at); ++j) {
        bytes[at + j] = static_cast<char>(word >> (8 * j));
      }
    }
    return bytes;
  }

  // Each pair belongs to one thread at a time, and each has bytes of its own.
  void note_write(std::size_t i, Write outcome) { writes_[i] = outcome; }
  void note_read(std::size_t i, Read outcome) { reads_[i] = outcome; }
  Write write_of(std::size_t i) const { return writes_[i]; }
  Read read_of(std::size_t i) const { return reads_[i]; }

 private:
  static std::uint64_t next(std::uint64_t& state) {
    // SplitMix64: https://prng.di.unimi.it/splitmix64.c
    state += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  static std::string hex(std::uint64_t number) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[number >> shift & 15]);
    return text;
  }

  std::uint64_t seed_;
  std::size_t value_bytes_;
  std::vector<Write> writes_;
  std::vector<Read> reads_;
};

/// What one thread saw in one phase; merged at its end, so that measuring shares nothing.
struct Tally {
  std::vector<std::uint32_t> latencies_us;  // of answered operations
  std::uint64_t answered = 0;
  std::uint64_t redirects = 0;
  std::uint64_t failed = 0;   // an error that says nothing was done
  std::uint64_t unknown = 0;  // writes without an answer
  std::string problem;        // the first error's text

  void note(Clock::time_point start) {
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
    latencies_us.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(spent, UINT32_MAX)));
    ++answered;
  }

  void note_problem(const std::string& text) {
    if (problem.empty()) problem = text;
  }

  void merge(Tally& other) {
    latencies_us.insert(latencies_us.end(), other.latencies_us.begin(), other.latencies_us.end());
    answered += other.answered;
    redirects += other.redirects;
    failed += other.failed;
    unknown += other.unknown;
    note_problem(other.problem);
  }

  /// The latency that `share` of the operations did not pass. Sorts; 0 without any.
  std::uint32_t percentile_us(double share) {
    if (latencies_us.empty()) return 0;
    const auto last = static_cast<double>(latencies_us.size() - 1);
    const auto at = latencies_us.begin() + static_cast<std::ptrdiff_t>(share * last);
    std::nth_element(latencies_us.begin(), at, latencies_us.end());
    return *at;
  }
};

}  // namespace dkv::bench
