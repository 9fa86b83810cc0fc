// Which epochs a log's events are of: what two copies compare to find where they part. One primary writes an
// epoch, on top of one log, so two logs that both hold (epoch, seq) hold the same up to there. (Raft and
// Kafka call it a leader epoch cache.)
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "messages/ids.hpp"
#include "messages/limits.hpp"

namespace dkv {

/// The epochs of a log, each above the one before, without gaps between their seqs. The first range begins
/// with the position before the log's first event, which is a part of its history too; (0, 0), before all
/// events, is a part of every history.
class EpochHistory {
 public:
  /// A crash loop makes an epoch at each start: the oldest are forgotten. 24 kB, also as a message.
  static constexpr std::size_t kMaxEpochs = kMaxLogEpochs;

  /// Of a log that has no events and begins after `begin`.
  explicit EpochHistory(Position begin = {}) : ranges_{{begin.epoch, begin.seq, begin.seq}} {}

  /// Events up to `last`, all of its epoch, were appended.
  void extend(Position last);
  /// Those above `at`, which is in it, were cut.
  void cut(Position at);
  /// The log begins after `begin`, which is in it or before it.
  void trim(Position begin);

  /// Never empty.
  const std::vector<EpochRange>& ranges() const { return ranges_; }

 private:
  std::vector<EpochRange> ranges_;
};

/// The last position that both histories have, each as EpochHistory::ranges() or an end of it; nothing when
/// they part below what both still know (then only a copy of the whole helps). `theirs` may be what a peer
/// sent, unchecked: the result is a position of `ours` whatever it holds. Takes at most the product of their
/// lengths.
std::optional<Position> last_common(const std::vector<EpochRange>& ours,
                                    const std::vector<EpochRange>& theirs);

}  // namespace dkv
