// Which actors make a node: the topology's members on it, each with its log and checkpoint actors, behind
// one router. The same for every world.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/keeper/rules.hpp"
#include "actors/member/member_actor.hpp"
#include "actors/replica/replica_actor.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/disk.hpp"
#include "actors/shard/shard_actor.hpp"

namespace dkv {

/// So many processes of a node in a row that ended within kSteadyTime of their start, and not cleanly, are a
/// crash loop.
inline constexpr std::uint64_t kCrashLoop = 3;
inline constexpr Duration kSteadyTime = 60s;

struct NodeOptions {
  CopyOptions copy;
  ShardOptions shard;
  std::uint64_t log_segment_bytes = std::uint64_t{64} << 20;
  /// Of the log beyond what recovery and in-sync replicas need: kept for other followers.
  std::uint64_t log_retain_bytes = std::uint64_t{256} << 20;
  /// What a copy of a whole shard is asked for in, at a time.
  std::uint64_t snapshot_chunk_bytes = kSnapshotChunkBytes;
  /// A number that clients cannot know, different in every run of the process.
  std::uint64_t process = 0;
  ReplicaRules replica_rules;
  RegisterRules register_rules;
  LeaseTiming timing;
  MemberRules member_rules;
  /// This process comes after kCrashLoop others that have crashed.
  bool crash_loop = false;
};

/// Opens what a member keeps on disk.
struct MemberStorage {
  std::unique_ptr<Disk> log;
  std::shared_ptr<Store> store;
  std::uint64_t incarnation = 0;  // of the folder that both are in
};
using OpenStorage = std::function<Result<MemberStorage>(const ShardInfo& shard)>;

/// Opens the folder of the node's keeper, made if missing.
using OpenKeeper = std::function<Result<std::unique_ptr<Disk>>()>;

struct PlacedActor {
  std::string thread;  // "main": the thread with the sockets; every other name has a thread of its own
  Address address;
  std::unique_ptr<Actor> actor;
};

/// All actors of `node`. The router still has to get TopologyChanged before all else. Errors: whatever
/// `open_storage` or `open_keeper` reports.
Result<std::vector<PlacedActor>> assemble_node(const Topology& topology, NodeId node,
                                               const NodeOptions& options, const OpenStorage& open_storage,
                                               const OpenKeeper& open_keeper);

/// Of these, those that make the register: a registrar on every node, which tells `listeners` what it learns,
/// and a keeper on a keeper's.
Result<void> place_register(std::vector<PlacedActor>& actors, const Topology& file, NodeId node,
                            const NodeOptions& options, const std::vector<Address>& listeners,
                            const OpenKeeper& open_keeper);

}  // namespace dkv
