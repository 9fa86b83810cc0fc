#include "tests/linearizability/sums.hpp"

#include <algorithm>

namespace dkv::linear {

void Sums::take(const std::vector<Amount>& amounts) {
  if (amounts == amounts_) return;
  amounts_ = amounts;
  const std::size_t end = amounts.size();
  lowest_.assign(end + 1, 0);
  highest_.assign(end + 1, 0);
  for (std::size_t i = end; i-- > 0;) {
    const double all = static_cast<double>(amounts[i].amount) * static_cast<double>(amounts[i].times);
    lowest_[i] = lowest_[i + 1] + std::min(all, 0.0);
    highest_[i] = highest_[i + 1] + std::max(all, 0.0);
  }
  reached_.assign(end + 1, Set(1));
  for (std::size_t i = end; i-- > 0;) {
    const std::size_t distance = remainder(amounts[i].amount);
    Set& reached = reached_[i] = reached_[i + 1];
    for (std::size_t times = 0; times < amounts[i].times; ++times)
      reached |= reached << distance | reached >> (kModulus - distance);
  }
}

bool Sums::can_be(std::int64_t sum, std::size_t first) const {
  const auto size = static_cast<double>(sum);
  return size >= lowest_[first] && size <= highest_[first] && reached_[first][remainder(sum)];
}

std::size_t Sums::remainder(std::int64_t sum) {
  constexpr auto modulus = static_cast<std::int64_t>(kModulus);
  return static_cast<std::size_t>((sum % modulus + modulus) % modulus);
}

}  // namespace dkv::linear
