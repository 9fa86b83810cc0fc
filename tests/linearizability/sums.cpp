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
  reached_.clear();
  if (highest_[0] - lowest_[0] >= static_cast<double>(kExact)) return;
  reached_.assign(end + 1, Set(1));
  for (std::size_t i = end; i-- > 0;) {
    const std::int64_t amount = amounts[i].amount;
    // A negative amount moves the lowest down instead of the sum up.
    const auto distance = static_cast<std::size_t>(amount < 0 ? -amount : amount);
    Set reached = reached_[i + 1];
    for (std::size_t times = 0; times < amounts[i].times; ++times) reached |= reached << distance;
    reached_[i] = reached;
  }
}

bool Sums::can_be(std::int64_t sum, std::size_t first) const {
  const auto exact = static_cast<double>(sum);
  if (exact < lowest_[first] || exact > highest_[first]) return false;
  return reached_.empty() || reached_[first][static_cast<std::size_t>(exact - lowest_[first])];
}

}  // namespace dkv::linear
