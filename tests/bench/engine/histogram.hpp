// Latencies in little memory and at little cost: buckets as wide as 1/32 of what they hold, from a nanosecond
// to hours. A percentile is at most that much too high.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace dkv::bench {

class Histogram {
 public:
  void add(std::uint64_t ns, std::uint64_t times) {
    counts_[bucket_of(ns)] += times;
    total_ += times;
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
  }

  /// The latency in milliseconds that `share` of them did not pass; 0 without any.
  double percentile_ms(double share) const {
    auto left = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return static_cast<double>(end_of(i)) / 1e6;
      left -= counts_[i];
    }
    return 0;
  }

 private:
  // The first 32 buckets hold one number each; from there on each power of two has 32.
  static constexpr unsigned kBits = 5;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) << kBits;

  static std::size_t bucket_of(std::uint64_t ns) {
    const auto width = static_cast<unsigned>(std::bit_width(ns));
    if (width <= kBits + 1) return ns;
    const unsigned shift = width - kBits - 1;
    return (static_cast<std::size_t>(shift) << kBits) + (ns >> shift);
  }

  static std::uint64_t end_of(std::size_t bucket) {
    if (bucket < (2U << kBits)) return bucket;
    const std::size_t shift = (bucket >> kBits) - 1;
    return ((bucket - (shift << kBits) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace dkv::bench
