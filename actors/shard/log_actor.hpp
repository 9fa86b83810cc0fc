// The log actor: beside each member, on a thread of its own, it waits for the disk so that nobody else
// has to. All frames that a turn brings share one write and one fdatasync (group commit): whatever
// gathers during a sync is the next turn's batch. While the disk is full it keeps the batch and tries again;
// after any other error it has stopped for good. The member bounds what it sends before it hears of Durable.
#pragma once

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
  void handle(AppendFrame message, Effects& out);
  void handle(TrimLog message, Effects& out);
  void handle(ReadLog message, Effects& out);
  template <class Other>
  void handle(Other, Effects&) {}

  void recover(Effects& out);
  void write_batch(TimePoint now, Effects& out);
  void reset_log(TimePoint now, Effects& out);
  void stop_or_retry(const Error& error, TimePoint now, Effects& out);
  void go_on(Effects& out);
  void fail(const Error& error, Effects& out);

  Address member_;
  Log log_;
  Position must_reach_;  // at the end of recovery
  bool opened_ = false;
  bool failed_ = false;
  TimePoint retry_at_ = kNever;       // while the disk is full
  std::optional<Position> reset_at_;  // asked for, not done yet
  Seq trimmed_upto_;                  // nobody must have what is at or below
  std::vector<FrameBytes> batch_;
  Position batch_last_;
};

}  // namespace dkv
