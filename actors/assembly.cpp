#include "actors/assembly.hpp"

#include "actors/keeper/keeper_actor.hpp"
#include "actors/keeper/register_actor.hpp"
#include "actors/router/router_actor.hpp"
#include "actors/runtime/memory_disk.hpp"
#include "actors/shard/checkpoint_actor.hpp"
#include "actors/shard/log_actor.hpp"
#include "actors/shard/memory_store.hpp"
#include "actors/watch/watch_actor.hpp"

namespace dkv {

namespace {

/// Of a volatile shard: nothing on disk, so that every process begins with a new, empty folder.
Result<MemberStorage> volatile_storage(std::uint64_t process) {
  return MemberStorage{std::make_unique<MemoryDisk>(), std::make_shared<MemoryStore>(), process | 1};
}

/// Its log and memtables are memory beside its store, and a checkpoint costs it little: so they are smaller.
NodeOptions volatile_limits(NodeOptions limits) {
  constexpr std::size_t kShare = 8;
  limits.copy.freeze_bytes /= kShare;
  limits.copy.freeze_log_bytes /= kShare;
  limits.copy.max_bytes /= kShare;
  limits.log_segment_bytes /= kShare;
  limits.log_retain_bytes /= kShare;
  return limits;
}

}  // namespace

Result<std::vector<PlacedActor>> assemble_node(const Topology& topology, NodeId node,
                                               const NodeOptions& options, const OpenStorage& open_storage,
                                               const OpenKeeper& open_keeper) {
  std::vector<PlacedActor> actors;
  const Address router{node, Role::router, {}};
  actors.push_back({"main", router, std::make_unique<RouterActor>(router, options.shard.max_value_bytes)});
  const Address watcher{node, Role::watcher, {}};
  actors.push_back({"watch", watcher, std::make_unique<WatchActor>(watcher, options.process)});
  std::vector<Address> listeners{router, watcher};
  for (const ShardInfo& shard : topology.shards) {
    if (!is_member(shard, node)) continue;
    const bool is_volatile = shard.store == StoreKind::memory;
    auto storage = is_volatile ? volatile_storage(options.process) : open_storage(shard);
    if (!storage) return storage.error();
    const NodeOptions limits = is_volatile ? volatile_limits(options) : options;
    const Address member{node, Role::member, shard.id};
    const Address log{node, Role::log, shard.id};
    const Address checkpoint{node, Role::checkpoint, shard.id};
    const ReplicaOptions replica_options{options.process, options.replica_rules, options.snapshot_chunk_bytes,
                                         storage->incarnation};
    const MemberOptions member_options{limits.copy,          limits.shard,
                                       replica_options,      options.timing,
                                       options.process,      storage->incarnation,
                                       options.member_rules, options.crash_loop ? kSteadyTime : Duration{}};
    listeners.push_back(member);
    // Thread names show in tools and hold 15 characters.
    const std::string number = std::to_string(shard.id.value);
    const LogOptions log_options{shard.id, limits.process, limits.log_segment_bytes, limits.log_retain_bytes};
    actors.push_back({"main", member, std::make_unique<MemberActor>(member, storage->store, member_options)});
    actors.push_back(
        {"log-" + number, log, std::make_unique<LogActor>(log, std::move(storage->log), log_options)});
    actors.push_back(
        {"checkpoint-" + number, checkpoint, std::make_unique<CheckpointActor>(checkpoint, storage->store)});
  }
  if (auto placed = place_register(actors, topology, node, options, listeners, open_keeper); !placed)
    return placed.error();
  return actors;
}

Result<void> place_register(std::vector<PlacedActor>& actors, const Topology& file, NodeId node,
                            const NodeOptions& options, const std::vector<Address>& listeners,
                            const OpenKeeper& open_keeper) {
  const Address registrar{node, Role::registrar, {}};
  actors.push_back(
      {"main", registrar,
       std::make_unique<RegisterActor>(registrar, std::make_shared<const Topology>(file),
                                       RegisterOptions{options.process, options.register_rules, listeners})});
  if (find_keeper(file, node) == nullptr) return {};
  auto disk = open_keeper();
  if (!disk) return disk.error();
  const Address keeper{node, Role::keeper, {}};
  actors.push_back(
      {"keeper", keeper,
       std::make_unique<KeeperActor>(keeper, std::move(*disk),
                                     KeeperOptions{file.id, options.process, options.register_rules})});
  return {};
}

}  // namespace dkv
