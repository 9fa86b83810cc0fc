// Placement: which shard owns which slot. Deterministic from the shards' names and weights, whatever
// order they come in; even; and a change moves only the slots that it must.
//
// A shard's exact share is 16384 * weight / total weight. Its quota is the share rounded down, plus one
// for the shards with the largest remainders until every slot is given ("largest remainder"), so no
// quota is a whole slot away from its share. A share below one slot may be rounded to none.
//
// Limits: callers have checked what people typed. Breaking a REQUIRES ends the process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/topology.hpp"

namespace dkv {

struct PlacementShard {
  ShardId id;  // not 0
  std::string name;
  std::uint32_t weight = 1;  // 1 to kMaxWeight
};

inline constexpr std::uint32_t kMaxWeight = 1000;

/// The first placement: every shard gets one contiguous range, in order of name.
/// REQUIRES: at least one shard, distinct ids and names.
SlotMap place(const std::vector<PlacementShard>& shards);

/// The placement for `shards_now` that is nearest to `current`: a slot moves only if its owner is gone
/// (or it has none) or has more than its quota. Where remainders tie, the extra slot stays with a shard
/// that has it already, then goes by name. REQUIRES: as place().
SlotMap rebalance(const SlotMap& current, const std::vector<PlacementShard>& shards_now);

}  // namespace dkv
