// Takes a copy of a shard from another member, chunk by chunk, into this member's store (through its
// checkpoint actor). Its member follows the events after the first chunk meanwhile, in order and above the
// chunks. So chunks may be of different times, none older than what has been written over it, and the copy
// is a state of the shard once every event up to the latest chunk's time has been written.
//
// The store is emptied only once the first chunk has come. How far the copy got is in the store: after a
// crash it goes on from there.
#pragma once

#include <optional>
#include <string>

#include "actors/runtime/actor.hpp"

namespace dkv {

class SnapshotTaker {
 public:
  /// `chunk_bytes`: what to ask for at a time. `unfinished`: what the store says at start.
  SnapshotTaker(Address self, std::uint64_t process, std::uint64_t chunk_bytes,
                const std::optional<Import>& unfinished);

  /// Takes a copy from the beginning; one that is under way is given up.
  void begin(TimePoint now);

  /// No copy is wanted any more; only while waits_for_first() and the store is whole.
  void give_up();

  /// A copy is wanted, or under way.
  bool active() const { return step_ != Step::none; }
  /// The first chunk has not come yet: what is in the store is as it was.
  bool waits_for_first() const { return step_ == Step::first_chunk; }
  /// Chunks have come, and more may, or what follows them.
  bool is_filling() const { return active() && !waits_for_first(); }
  /// The store is no state of the shard. Also while an earlier, unfinished copy is being given up.
  bool store_is_partial() const { return partial_; }
  /// All chunks are in: what is missing is a checkpoint at or above `until()`.
  bool has_all_chunks() const { return step_ == Step::tail; }
  Position until() const { return progress_.until; }
  const Import& progress() const { return progress_; }
  const std::string& problem() const { return problem_; }

  /// An answer. `oldest`: what the store will hold when a chunk comes to it; one that was read before that is
  /// asked for again. True for a first chunk: then the store is being emptied, the member forgets what it has
  /// in memory, resets its log when emptied() is true, and calls log_was_reset().
  bool take(peer::SnapshotReply message, Position oldest, TimePoint now, Effects& out);
  bool emptied(const ImportBegun& message) const;
  void log_was_reset(Effects& out);
  void handle(const RecordsImported& message, TimePoint now);
  void handle(const ImportFailed& message, TimePoint now);
  /// A checkpoint is through. True when it has made the copy whole.
  bool checkpointed(Position applied);

  /// At the end of a turn: asks `source` when it is time.
  void end_turn(const Address& source, TimePoint now, Effects& out);
  TimePoint wake_at() const;

 private:
  enum class Step {
    none,         // the store is whole
    first_chunk,  // asking for it; the store is as it was
    emptying,     // it has come; the store is being emptied, then the log is reset
    chunk,        // asking for the next one
    importing,    // it is being written
    tail,         // all are written; what follows them is not yet
  };

  void end();
  bool asking() const { return step_ == Step::first_chunk || step_ == Step::chunk; }
  void ask_at(TimePoint when);
  void hand_over(Effects& out);

  Address self_;
  Address checkpoint_;
  std::uint64_t process_;
  std::uint64_t chunk_bytes_;
  Step step_ = Step::none;
  bool partial_ = false;
  Import progress_;
  std::string problem_;
  peer::SnapshotReply chunk_;  // the first one, while the store is being emptied

  std::uint64_t request_ = 0;  // the one outstanding, or 0
  std::uint64_t next_request_ = 1;
  TimePoint asked_at_{};
  bool repeated_ = false;
  TimePoint due_at_{};
  Duration patience_;
};

}  // namespace dkv
