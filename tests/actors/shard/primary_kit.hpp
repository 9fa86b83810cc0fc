// What a primary under test has from the replica that it was.
#pragma once

#include "actors/shard/memory_store.hpp"
#include "actors/shard/shard_actor.hpp"
#include "tests/actors/conversation.hpp"

namespace dkv::test {

inline constexpr Address kPrimary{kPrimaryNode, Role::member, kShard};
inline constexpr Address kReplica{kReplicaNode, Role::member, kShard};

/// All that its log holds is on its disk and committed.
inline Inheritance inheritance(Position head = {}, CopyOptions copy = {},
                               std::shared_ptr<Store> store = std::make_shared<MemoryStore>()) {
  return {ShardCopy(kPrimary, std::move(store), copy), head, head, head.seq, {}, one_shard()};
}

/// The first epoch that the register can give to who has that in its log.
inline Epoch epoch_after(Position head) { return {head.epoch.value + 1}; }

/// To whom the register has given an epoch. No replica counts yet, and it holds a lease for ever.
class Shard : public testing::Test {
 protected:
  explicit Shard(CopyOptions copy = {}, ShardOptions options = {}, Position log_head = {},
                 std::shared_ptr<Store> store = std::make_shared<MemoryStore>())
      : shard_(kPrimary, inheritance(log_head, copy, std::move(store)), options, epoch_after(log_head), {},
               made_),
        world_(shard_, std::move(made_)) {
    shard_.set_lease(kNever);
  }

  /// Up to the first event of its epoch on its disk.
  Position begin(std::vector<NodeId> counted = {}) {
    shard_.count(std::move(counted));
    world_.end_turn();
    const Position first = world_.said<AppendFrame>().last;
    world_.tell(Durable{first});
    return first;
  }
  void serve() {
    begin();
    world_.forget();
  }

  /// All that was sent to be appended; the last frame of it.
  AppendFrame appended() {
    AppendFrame last = world_.said<AppendFrame>();
    while (world_.has_said<AppendFrame>()) last = world_.said<AppendFrame>();
    return last;
  }
  void ask(rpc::Request request) { world_.tell(ClientRequest{{0, "caller"}, std::move(request)}); }

  Effects made_;
  ShardActor shard_;
  Conversation world_;
};

}  // namespace dkv::test
