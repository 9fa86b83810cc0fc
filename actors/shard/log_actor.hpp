// The log actor: beside each member, on a thread of its own, it waits for the disk so that nobody else
// has to. All frames that a turn brings share one write and one fdatasync (group commit): whatever
// gathers during a sync is the next turn's batch. While the disk is full it keeps the batch and tries again;
// after any other error it has stopped for good. The member bounds what it sends before it hears of Durable,
// or of LogOpened for a cut.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "actors/shard/log.hpp"

namespace dkv {

class LogActor : public Actor {
 public:
  LogActor(Address self, std::unique_ptr<Disk> disk, LogOptions options);

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_wake(TimePoint, Effects&) override {}  // what is due is done at the turn's end
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override { return retry_at_; }

 private:
  void handle(OpenLog message, Effects& out);
  void handle(ContinueRecovery message, Effects& out);
  void handle(ResetLog message, Effects&);
  void handle(CutLog message, Effects&);
  void handle(AppendFrame message, Effects& out);
  void handle(TrimLog message, Effects& out);
  void handle(ReadLog message, Effects& out);
  void handle(ReadEpochs message, Effects& out);
  template <class Other>
  void handle(Other, Effects&) {}

  /// What is written and synced at once, after a cut if one was asked for.
  struct Batch {
    std::optional<Position> cut_at;
    std::vector<FrameBytes> frames;
    std::vector<Position> ends;  // of each frame
  };

  void recover(Effects& out);
  bool is_changing() const { return reset_at_ || batches_.size() > 1 || batches_.front().cut_at; }
  void drop_batches() { batches_.assign(1, {}); }
  // What is left to do stays when they return false.
  bool reset_log(TimePoint now, Effects& out);
  bool cut_log(Batch& batch, TimePoint now, Effects& out);
  bool write_batch(Batch& batch, TimePoint now, Effects& out);
  void stop_or_retry(const Error& error, TimePoint now, Effects& out);
  void go_on(Effects& out);
  void fail(const Error& error, Effects& out);

  Address member_;
  Log log_;
  Position must_reach_;  // at the end of recovery
  bool opened_ = false;
  bool failed_ = false;
  TimePoint retry_at_ = kNever;                       // while the disk is full
  std::optional<Position> reset_at_;                  // asked for, not done yet
  Seq trimmed_upto_;                                  // nobody must have what is at or below
  Seq store_reach_;                                   // the store may hold events up to here
  std::deque<Batch> batches_ = std::deque<Batch>(1);  // never empty; all but the first begin with a cut
};

}  // namespace dkv
