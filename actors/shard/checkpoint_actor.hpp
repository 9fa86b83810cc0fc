// The checkpoint actor: beside each member, on a thread of its own, it writes frozen memtables to the
// store, and records that come from another copy, so that the member never waits for a commit.
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
    std::visit([&](const auto& message) { handle(message, out); }, envelope.message);
  }

 private:
  void handle(const WriteCheckpoint& message, Effects& out);
  void handle(const BeginImport& message, Effects& out);
  void handle(const ImportRecords& message, Effects& out);
  template <class Other>
  void handle(const Other&, Effects&) {}

  Address member_;
  std::shared_ptr<Store> store_;
};

}  // namespace dkv
