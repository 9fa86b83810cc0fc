#include "actors/shard/epoch_history.hpp"

#include <algorithm>

namespace dkv {

void EpochHistory::extend(Position last) {
  EpochRange& newest = ranges_.back();
  if (newest.epoch == last.epoch) {
    newest.last = last.seq;
    return;
  }
  ranges_.push_back({last.epoch, Seq{newest.last.value + 1}, last.seq});
  if (ranges_.size() > kMaxEpochs) ranges_.erase(ranges_.begin());
}

void EpochHistory::cut(Position at) {
  while (ranges_.size() > 1 && ranges_.back().first > at.seq) ranges_.pop_back();
  if (ranges_.back().epoch == at.epoch && ranges_.back().first <= at.seq) {
    ranges_.back().last = at.seq;
  } else {
    *this = EpochHistory(at);  // it had been forgotten
  }
}

void EpochHistory::trim(Position begin) {
  std::erase_if(ranges_, [&](const EpochRange& range) { return range.last < begin.seq; });
  if (ranges_.empty()) ranges_.push_back({begin.epoch, begin.seq, begin.seq});
  ranges_.front().first = std::max(ranges_.front().first, begin.seq);
}

std::optional<Position> last_common(const std::vector<EpochRange>& ours,
                                    const std::vector<EpochRange>& theirs) {
  for (auto mine = ours.rbegin(); mine != ours.rend(); ++mine) {
    std::optional<Seq> last;
    for (const EpochRange& range : theirs) {
      if (range.epoch != mine->epoch || range.first > range.last) continue;
      const Seq both = std::min(mine->last, range.last);
      if (both < std::max(mine->first, range.first)) continue;
      last = std::max(last.value_or(both), both);
    }
    if (last) return Position{mine->epoch, *last};
  }
  return std::nullopt;
}

}  // namespace dkv
