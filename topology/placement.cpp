#include "topology/placement.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "messages/result.hpp"

namespace dkv {

namespace {

/// A shard while slots are dealt out.
struct Claim {
  ShardId id;
  std::string name;
  std::uint64_t weight = 1;
  std::size_t owned = 0;        // slots in the current map
  std::size_t quota = 0;        // slots in the next one
  std::uint64_t remainder = 0;  // of its exact share, in units of 1 / total weight
  bool keeps_extra = false;     // already owns more than its share rounded down
};

std::vector<Claim> claims_by_name(const std::vector<PlacementShard>& shards) {
  std::vector<Claim> claims;
  for (const PlacementShard& shard : shards) {
    DKV_ASSERT(shard.id != ShardId{} && shard.weight >= 1 && shard.weight <= kMaxWeight);
    claims.push_back({.id = shard.id, .name = shard.name, .weight = shard.weight});
  }
  DKV_ASSERT(!claims.empty());
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) { return a.name < b.name; });
  return claims;
}

/// Where each shard stands among `claims`.
std::map<ShardId, std::size_t> index_by_id(const std::vector<Claim>& claims) {
  std::map<ShardId, std::size_t> index;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    DKV_ASSERT(i == 0 || claims[i - 1].name != claims[i].name);
    const bool is_new = index.emplace(claims[i].id, i).second;
    DKV_ASSERT(is_new);
  }
  return index;
}

void set_quotas(std::vector<Claim>& claims) {
  std::uint64_t total_weight = 0;
  for (const Claim& claim : claims) total_weight += claim.weight;

  std::size_t left = kSlotCount;
  for (Claim& claim : claims) {
    const std::uint64_t share = kSlotCount * claim.weight;  // in units of 1 / total_weight
    claim.quota = static_cast<std::size_t>(share / total_weight);
    claim.remainder = share % total_weight;
    claim.keeps_extra = claim.owned > claim.quota;
    left -= claim.quota;
  }
  DKV_ASSERT(left < claims.size() || left == 0);

  std::vector<Claim*> by_remainder;
  for (Claim& claim : claims) by_remainder.push_back(&claim);
  std::sort(by_remainder.begin(), by_remainder.end(), [](const Claim* a, const Claim* b) {
    return std::tie(b->remainder, b->keeps_extra, a->name) < std::tie(a->remainder, a->keeps_extra, b->name);
  });
  for (std::size_t i = 0; i < left; ++i) ++by_remainder[i]->quota;
}

}  // namespace

SlotMap place(const std::vector<PlacementShard>& shards) { return rebalance(SlotMap{}, shards); }

SlotMap rebalance(const SlotMap& current, const std::vector<PlacementShard>& shards_now) {
  std::vector<Claim> claims = claims_by_name(shards_now);
  const std::map<ShardId, std::size_t> index = index_by_id(claims);
  for (const ShardId owner : current) {
    if (const auto found = index.find(owner); found != index.end()) ++claims[found->second].owned;
  }
  set_quotas(claims);

  // Everybody keeps the lowest of the slots that they own, up to their quota.
  SlotMap next{};
  std::vector<std::size_t> dealt(claims.size(), 0);
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    const auto found = index.find(current[slot]);
    if (found == index.end() || dealt[found->second] == claims[found->second].quota) continue;
    next[slot] = current[slot];
    ++dealt[found->second];
  }
  // The rest goes to those below their quota, one after the other, which keeps ranges long.
  std::size_t taker = 0;
  for (ShardId& owner : next) {
    if (owner != ShardId{}) continue;
    while (dealt[taker] == claims[taker].quota) ++taker;
    owner = claims[taker].id;
    ++dealt[taker];
  }
  return next;
}

}  // namespace dkv
