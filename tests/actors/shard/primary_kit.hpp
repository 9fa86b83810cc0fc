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

}  // namespace dkv::test
