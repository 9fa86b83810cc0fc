// Chunks of this copy for others who take a snapshot of it: asked for at any time, read at the end of a turn,
// at most one in each so that the shard's own clients wait for no more than that, and sent once everything
// in them is committed (R17): they are read on the newest state, like any other read. No read of the store
// outlives its turn, so a taker may be as slow as it likes.
#pragma once

#include <deque>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "actors/shard/shard_copy.hpp"

namespace dkv {

class SnapshotReads {
 public:
  /// `from` asks. The same question again, while its answer is on the way, is no second one; another one
  /// takes its place. Refused past the limits.
  void ask(const Address& from, peer::SnapshotRequest request, Effects& out);
  /// At the end of a turn, when `at` is the copy's last event and ends a frame: reads one chunk, if
  /// one is asked for.
  void read(ShardCopy& copy, Position at, Epoch epoch, Effects& out);
  /// Sends what is committed.
  void release(Seq commit, Effects& out);
  /// Refuses all.
  void refuse_all(Effects& out);

  /// There is something to read.
  bool wanted() const { return !asked_.empty(); }
  /// Of the chunks that wait for commit.
  std::size_t bytes() const { return bytes_; }

  static peer::SnapshotReply answer_to(const peer::SnapshotRequest& request, peer::SnapshotOutcome outcome);

 private:
  struct Asked {
    Address from;
    peer::SnapshotRequest request;
  };
  struct Waiting {
    Address to;
    peer::SnapshotReply reply;
  };

  std::deque<Asked> asked_;
  std::vector<Waiting> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace dkv
