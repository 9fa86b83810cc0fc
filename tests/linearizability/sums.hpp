// Which sums can be had of some of several amounts: whether the increments whose outcome is unknown can be
// what is missing between two numbers. It may say yes too often (the search then finds out), never no.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

namespace dkv::linear {

class Sums {
 public:
  struct Amount {
    std::int64_t amount = 0;
    std::size_t times = 0;  // at most
    bool operator==(const Amount&) const = default;
  };

  /// Cheap when they are those of the last time.
  void take(const std::vector<Amount>& amounts);
  /// Of the amounts from the `first`-th on.
  bool can_be(std::int64_t sum, std::size_t first) const;
  const std::vector<Amount>& amounts() const { return amounts_; }

 private:
  /// Sums are known up to multiples of this (a prime, lest amounts have factors with it in common), and how
  /// far they go: exactly, where that is not as far.
  static constexpr std::size_t kModulus = 16381;
  using Set = std::bitset<kModulus>;

  static std::size_t remainder(std::int64_t sum);

  std::vector<Amount> amounts_;
  // By the first amount that counts; one more, for none. Doubles, for sums may be over 64 bits.
  std::vector<double> lowest_{0};
  std::vector<double> highest_{0};
  std::vector<Set> reached_{Set(1)};  // remainders
};

}  // namespace dkv::linear
