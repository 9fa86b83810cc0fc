// A volatile shard's primary begins with nothing: its data went with its last process. Before it serves, it
// takes a copy back from the replica that has come furthest. A replica's log counts as committed then: the
// process that could have said otherwise is gone.
//
// It begins empty when no replica gives a copy: each says that it has none, or none answers within kPatience.
// A copy that stops coming for as long is given up, and chosen anew.
#pragma once

#include <map>
#include <vector>

#include "actors/shard/snapshot_taker.hpp"

namespace dkv {

class Refill {
 public:
  /// How long an answer is waited for.
  static constexpr Duration kPatience = 3s;

  Refill(Address self, std::uint64_t process, std::uint64_t chunk_bytes);

  void begin(const std::vector<NodeId>& replicas, TimePoint now);
  /// An answer. True when the member must forget what it has: see SnapshotTaker::take().
  bool take(const Address& from, peer::SnapshotReply message, TimePoint now, Effects& out);
  SnapshotTaker& taker() { return taker_; }
  const Import& progress() const { return taker_.progress(); }

  /// At the end of a turn. True when that was it: the store is whole, or empty, as of `at()`.
  bool end_turn(TimePoint now, Effects& out);
  TimePoint wake_at() const;

  /// The last event of what was taken; zero when nothing was.
  Position at() const { return at_; }
  /// That any replica has seen.
  Epoch highest_epoch() const { return highest_epoch_; }

 private:
  enum class Step { none, choosing, taking, emptying };
  struct Answer {
    bool has_copy = false;
    Position at;
  };

  void choose_anew(TimePoint now);
  void ask_all(TimePoint now, Effects& out);
  bool choose(TimePoint now, Effects& out);

  Address self_;
  std::uint64_t process_;
  SnapshotTaker taker_;
  Step step_ = Step::none;
  std::vector<NodeId> replicas_;
  std::map<NodeId, Answer> answers_;
  std::uint64_t question_ = 0;  // counts up: an answer to an earlier choice must not count
  TimePoint ask_due_{};
  TimePoint deadline_ = kNever;
  Address source_;
  Position at_;
  Epoch highest_epoch_;
};

}  // namespace dkv
