#include "actors/assembly.hpp"

#include <algorithm>

#include "actors/router/router_actor.hpp"
#include "actors/shard/checkpoint_actor.hpp"
#include "actors/shard/log_actor.hpp"

namespace dkv {

Result<std::vector<PlacedActor>> assemble_node(const Topology& topology, NodeId node,
                                               const NodeOptions& options, const OpenStorage& open_storage) {
  std::vector<PlacedActor> actors;
  const Address router{node, Role::router, {}};
  actors.push_back({"main", router, std::make_unique<RouterActor>(router, options.shard.max_value_bytes)});
  for (const ShardInfo& shard : topology.shards) {
    const bool is_primary = shard.primary == node;
    const bool is_replica =
        std::find(shard.replicas.begin(), shard.replicas.end(), node) != shard.replicas.end();
    if (!is_primary && !is_replica) continue;
    auto storage = open_storage(shard);
    if (!storage) return storage.error();
    const Address member{node, Role::member, shard.id};
    const Address log{node, Role::log, shard.id};
    const Address checkpoint{node, Role::checkpoint, shard.id};
    std::unique_ptr<Actor> member_actor;
    if (is_primary) {
      member_actor = std::make_unique<ShardActor>(member, storage->store, options.copy, options.shard);
    } else {
      member_actor = std::make_unique<ReplicaActor>(
          member, storage->store, options.copy,
          ReplicaOptions{options.process, options.replica_rules, options.snapshot_chunk_bytes});
    }
    // Thread names show in tools and hold 15 characters.
    const std::string number = std::to_string(shard.id.value);
    const LogOptions log_options{shard.id, options.process, options.log_segment_bytes,
                                 options.log_retain_bytes};
    actors.push_back({"main", member, std::move(member_actor)});
    actors.push_back(
        {"log-" + number, log, std::make_unique<LogActor>(log, std::move(storage->log), log_options)});
    actors.push_back(
        {"checkpoint-" + number, checkpoint, std::make_unique<CheckpointActor>(checkpoint, storage->store)});
  }
  return actors;
}

}  // namespace dkv
