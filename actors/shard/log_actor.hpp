// The log actor: beside each member, on a thread of its own, it waits for the disk so that nobody else
// has to. All frames that a turn brings share one write and one fdatasync (group commit): whatever
// gathers during a sync is the next turn's batch. After its first error it has stopped for good.
#pragma once

#include <memory>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "actors/shard/log.hpp"

namespace dkv {

class LogActor : public Actor {
 public:
  LogActor(Address self, std::unique_ptr<Disk> disk, LogOptions options);

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_turn_end(TimePoint now, Effects& out) override;

 private:
  void handle(OpenLog message, Effects& out);
  void handle(ResetLog message, Effects& out);
  void handle(AppendFrame message, Effects& out);
  void handle(TrimLog message, Effects& out);
  void handle(ReadLog message, Effects& out);
  template <class Other>
  void handle(Other, Effects&) {}

  void fail(const Error& error, Effects& out);

  Address member_;
  Log log_;
  bool opened_ = false;
  bool failed_ = false;
  std::vector<FrameBytes> batch_;
  Position batch_last_;
};

}  // namespace dkv
