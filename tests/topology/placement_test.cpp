#include "topology/placement.hpp"

#include <algorithm>
#include <bit>
#include <gtest/gtest.h>
#include <map>
#include <rapidcheck.h>
#include <set>

namespace dkv {
namespace {

using Shards = std::vector<PlacementShard>;
using Counts = std::map<ShardId, std::size_t>;

Counts counts_of(const SlotMap& slots) {
  Counts counts;
  for (const ShardId owner : slots) ++counts[owner];
  return counts;
}

std::uint64_t total_weight(const Shards& shards) {
  std::uint64_t total = 0;
  for (const PlacementShard& shard : shards) total += shard.weight;
  return total;
}

std::size_t moved(const SlotMap& from, const SlotMap& to) {
  std::size_t count = 0;
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) count += from[slot] != to[slot] ? 1 : 0;
  return count;
}

std::size_t ranges_of(const SlotMap& slots) {
  std::size_t ranges = 1;
  for (std::size_t slot = 1; slot < kSlotCount; ++slot) ranges += slots[slot] != slots[slot - 1] ? 1 : 0;
  return ranges;
}

/// The promise: within one slot of the exact share per unit of weight. In whole numbers.
bool is_even(const SlotMap& slots, const Shards& shards) {
  Counts counts = counts_of(slots);
  const auto total = static_cast<std::int64_t>(total_weight(shards));
  for (const PlacementShard& shard : shards) {
    const auto weight = static_cast<std::int64_t>(shard.weight);
    const std::int64_t difference =
        static_cast<std::int64_t>(counts[shard.id]) * total - std::int64_t{kSlotCount} * weight;
    // Both the promise (|count - share| <= weight) and what largest remainder achieves (< 1).
    if (std::abs(difference) > weight * total || std::abs(difference) >= total) return false;
    counts.erase(shard.id);
  }
  return counts.empty();
}

/// Up to `max` shards with ids of no order. Weights from a few values make ties; others make none.
Shards some_shards(std::size_t max) {
  const auto count = *rc::gen::inRange<std::size_t>(1, max + 1);
  const auto ids = *rc::gen::unique<std::vector<std::uint32_t>>(count, rc::gen::inRange(1u, 100'000u));
  const bool ties = *rc::gen::arbitrary<bool>();
  Shards shards;
  for (const std::uint32_t id : ids) {
    const auto weight = ties ? *rc::gen::element(1u, 1u, 2u, 3u) : *rc::gen::inRange(1u, kMaxWeight + 1);
    // The name's order is unrelated to the id's.
    shards.push_back(
        {ShardId{id}, "s" + std::to_string((id * 7919u) % 100'003u) + "-" + std::to_string(id), weight});
  }
  return shards;
}

/// A change as operators make them: some shards leave, some come, some change their weight.
Shards changed(const Shards& before) {
  Shards after;
  for (PlacementShard shard : before) {
    const int fate = *rc::gen::inRange(0, 8);
    if (fate == 0) continue;
    if (fate == 1) shard.weight = *rc::gen::inRange(1u, kMaxWeight + 1);
    after.push_back(shard);
  }
  const auto added = *rc::gen::inRange<std::uint32_t>(after.empty() ? 1 : 0, 4);
  for (std::uint32_t i = 0; i < added; ++i) {
    after.push_back({ShardId{200'000 + i}, "new-" + std::to_string(i), *rc::gen::inRange(1u, 4u)});
  }
  return after;
}

/// The fewest slots that any map with these counts moves: everyone's gain.
std::size_t least_moves(const Counts& before, const Counts& after) {
  std::size_t moves = 0;
  for (const auto& [id, count] : after) {
    const auto found = before.find(id);
    const std::size_t had = found == before.end() ? 0 : found->second;
    moves += count > had ? count - had : 0;
  }
  return moves;
}

/// The fewest slots moved under any choice among tied remainders, by trying every choice.
std::size_t least_moves_of_all_ties(const SlotMap& current, const Shards& shards) {
  const std::uint64_t total = total_weight(shards);
  const Counts before = counts_of(current);
  Counts floors;
  std::size_t extras = kSlotCount;
  for (const PlacementShard& shard : shards) {
    extras -= floors[shard.id] = static_cast<std::size_t>(kSlotCount * std::uint64_t{shard.weight} / total);
  }
  std::size_t best = kSlotCount + 1;
  for (std::uint32_t chosen = 0; chosen < (1u << shards.size()); ++chosen) {
    if (static_cast<std::size_t>(std::popcount(chosen)) != extras) continue;
    std::uint64_t smallest_in = total, largest_out = 0;
    Counts quotas = floors;
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::uint64_t remainder = kSlotCount * std::uint64_t{shards[i].weight} % total;
      const bool in = (chosen >> i & 1) != 0;
      if (in) ++quotas[shards[i].id];
      (in ? smallest_in : largest_out) =
          in ? std::min(smallest_in, remainder) : std::max(largest_out, remainder);
    }
    if (smallest_in >= largest_out) best = std::min(best, least_moves(before, quotas));
  }
  return best;
}

TEST(Placement, IsEvenForAnyShardsAndWeights) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(64);
    RC_ASSERT(is_even(place(shards), shards));
  }));
}

TEST(Placement, StaysEvenOverAnyChanges) {
  EXPECT_TRUE(rc::check([] {
    Shards shards = some_shards(20);
    SlotMap slots = place(shards);
    for (int change = 0; change < 4; ++change) {
      shards = changed(shards);
      for (std::size_t i = 0; i < shards.size(); ++i) {  // later rounds' newcomers are new shards
        if (shards[i].id.value < 200'000) continue;
        shards[i].id.value += static_cast<std::uint32_t>((change + 1) * 1000);
        shards[i].name += "-" + std::to_string(change);
      }
      slots = rebalance(slots, shards);
      RC_ASSERT(is_even(slots, shards));
    }
  }));
}

TEST(Placement, DoesNotDependOnTheOrderOfItsInput) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(20);
    const Shards after = changed(shards);
    const SlotMap slots = place(shards);
    const SlotMap next = rebalance(slots, after);

    const auto shuffled = [](const Shards& from) {
      Shards to;
      std::vector<std::size_t> order(from.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      while (!order.empty()) {
        const auto at = *rc::gen::inRange<std::size_t>(0, order.size());
        to.push_back(from[order[at]]);
        order.erase(order.begin() + static_cast<std::ptrdiff_t>(at));
      }
      return to;
    };
    RC_ASSERT(place(shuffled(shards)) == slots);
    RC_ASSERT(rebalance(slots, shuffled(after)) == next);
  }));
}

TEST(Placement, DependsOnNamesAndWeightsButNotOnIds) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(20);
    Shards renumbered = shards;
    std::map<ShardId, ShardId> mapping;
    for (PlacementShard& shard : renumbered) {
      const ShardId id{1'000'000 - shard.id.value};
      mapping[shard.id] = id;
      shard.id = id;
    }
    SlotMap expected = place(shards);
    for (ShardId& owner : expected) owner = mapping.at(owner);
    RC_ASSERT(place(renumbered) == expected);
  }));
}

TEST(Placement, GivesEachShardOneRangeInOrderOfNameAtFirst) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(64);
    const SlotMap slots = place(shards);
    RC_ASSERT(ranges_of(slots) == counts_of(slots).size());
    std::map<ShardId, std::string> names;
    for (const PlacementShard& shard : shards) names[shard.id] = shard.name;
    for (std::size_t slot = 1; slot < kSlotCount; ++slot)
      RC_ASSERT(names[slots[slot - 1]] <= names[slots[slot]]);
  }));
}

TEST(Placement, MovesTheFewestSlotsThatTheQuotasAllow) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(20);
    const SlotMap before = place(shards);
    const SlotMap after = rebalance(before, changed(shards));
    RC_ASSERT(moved(before, after) == least_moves(counts_of(before), counts_of(after)));
  }));
}

TEST(Placement, MovesTheFewestSlotsOfAllChoicesBetweenTies) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(7);
    const SlotMap before = place(shards);
    const Shards now = changed(shards);
    RC_PRE(now.size() <= 10u);
    RC_ASSERT(moved(before, rebalance(before, now)) == least_moves_of_all_ties(before, now));
  }));
}

TEST(Placement, LeavesAlikeWhatDoesNotChange) {
  EXPECT_TRUE(rc::check([] {
    const Shards shards = some_shards(20);
    const Shards after = changed(shards);
    const SlotMap slots = place(shards);
    RC_ASSERT(rebalance(slots, shards) == slots);
    const SlotMap next = rebalance(slots, after);
    RC_ASSERT(rebalance(next, after) == next);
  }));
}

TEST(Placement, MovesSlotsOnlyToAnAddedShardOrOnlyFromARemovedOneWhenWeightsAreEqual) {
  EXPECT_TRUE(rc::check([] {
    const auto count = *rc::gen::inRange(1u, 65u);
    Shards shards;
    for (std::uint32_t i = 1; i <= count; ++i)
      shards.push_back({ShardId{i}, "shard-" + std::to_string(i), 1});
    const SlotMap before = place(shards);

    const ShardId added{1000};
    Shards more = shards;
    more.push_back({added, *rc::gen::element<std::string>("a-first", "shard-2b", "z-last"), 1});
    const SlotMap with = rebalance(before, more);
    for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
      RC_ASSERT(with[slot] == before[slot] || with[slot] == added);
    }
    RC_ASSERT(is_even(with, more));

    const SlotMap without = rebalance(with, shards);
    for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
      RC_ASSERT(without[slot] == with[slot] || with[slot] == added);
    }
    RC_ASSERT(is_even(without, shards));
  }));
}

TEST(Placement, LeavesTheExtraSlotOfATieWhereItIs) {
  // 16384 = 3 * 5461 + 1: by name the extra slot would go to a, but c has it.
  SlotMap current{};
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    current[slot] = ShardId{slot < 5461 ? 1u : slot < 2 * 5461 ? 2u : 3u};
  }
  const Shards shards{{ShardId{1}, "a", 1}, {ShardId{2}, "b", 1}, {ShardId{3}, "c", 1}};
  EXPECT_EQ(rebalance(current, shards), current);
  EXPECT_NE(place(shards), current);
}

TEST(Placement, GivesNoSlotToAShardWhoseShareIsFarBelowOne) {
  Shards shards;
  for (std::uint32_t i = 1; i <= 40; ++i)
    shards.push_back({ShardId{i}, "big-" + std::to_string(i), kMaxWeight});
  shards.push_back({ShardId{41}, "small", 1});
  const SlotMap slots = place(shards);
  EXPECT_TRUE(is_even(slots, shards));
  EXPECT_EQ(counts_of(slots).count(ShardId{41}), 0u);
}

TEST(PlacementDeathTest, EndsTheProcessOnShardsThatNobodyChecked) {
  EXPECT_DEATH(place({}), "empty");
  EXPECT_DEATH(place({{ShardId{0}, "a", 1}}), "id");
  EXPECT_DEATH(place({{ShardId{1}, "a", 0}}), "weight");
  EXPECT_DEATH(place({{ShardId{1}, "a", 1}, {ShardId{1}, "b", 1}}), "is_new");
  EXPECT_DEATH(place({{ShardId{1}, "a", 1}, {ShardId{2}, "a", 1}}), "name");
}

}  // namespace
}  // namespace dkv
