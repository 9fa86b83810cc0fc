// The checkpoint actor: beside each member, on a thread of its own, it writes frozen memtables to the
// store, so that the member never waits for a commit.
#pragma once

#include <memory>

#include "actors/runtime/actor.hpp"
#include "actors/shard/store.hpp"

namespace dkv {

class CheckpointActor : public Actor {
 public:
  CheckpointActor(Address self, std::shared_ptr<Store> store)
      : member_{self.node, Role::member, self.shard}, store_(std::move(store)) {}

  void on_message(Envelope envelope, TimePoint, Effects& out) override {
    const auto* checkpoint = std::get_if<WriteCheckpoint>(&envelope.message);
    if (checkpoint == nullptr) return;
    if (auto written = store_->write(*checkpoint->memtable, checkpoint->applied); !written) {
      out.log(LogLevel::error, written.error().message);
      return out.send(member_, CheckpointFailed{written.error()});
    }
    out.send(member_, CheckpointWritten{checkpoint->applied});
  }

 private:
  Address member_;
  std::shared_ptr<Store> store_;
};

}  // namespace dkv
