#include "tests/sim/register_check.hpp"

#include <algorithm>

namespace dkv::sim {

namespace {

constexpr std::size_t kMaxNoted = 10;

const ShardEdit* edit_of(const TopologyChange& change, ShardId shard) {
  for (const ShardEdit& edit : change.shards) {
    if (edit.next.id == shard) return &edit;
  }
  return nullptr;
}

}  // namespace

void RegisterCheck::violated(const std::string& what) {
  if (violations_.size() < kMaxNoted) violations_.push_back(what);
}

void RegisterCheck::proposed(const TopologyChange& change) { changes_[change.id] = change; }

void RegisterCheck::settled(const std::string& who, const ChangeSettled& settled) {
  if (!outcomes_.emplace(settled.change, settled.outcome).second)
    violated(who + " was answered twice about a change");
  if (settled.topology) chosen(who, settled.topology);
}

std::uint64_t RegisterCheck::count(ChangeOutcome outcome) const {
  return static_cast<std::uint64_t>(std::count_if(outcomes_.begin(), outcomes_.end(),
                                                  [&](const auto& one) { return one.second == outcome; }));
}

void RegisterCheck::chosen(const std::string& who, const TopologyPtr& topology) {
  const auto [at, is_new] = chain_.emplace(topology->version, topology);
  if (!is_new) {
    if (at->second != topology && *at->second != *topology)
      violated(who + " was told of a second version " + std::to_string(topology->version));
    return;
  }
  const auto next = std::next(at);
  if (at != chain_.begin() && std::prev(at)->first + 1 == at->first)
    check_step(*std::prev(at)->second, *topology);
  if (next != chain_.end() && at->first + 1 == next->first) check_step(*topology, *next->second);
}

void RegisterCheck::seen(const std::string& reader, const TopologyPtr& topology, std::uint64_t floor) {
  std::uint64_t& last = seen_[reader];
  if (topology->version < std::max(last, floor)) {
    violated(reader + " saw version " + std::to_string(topology->version) + " after " +
             std::to_string(std::max(last, floor)));
  }
  last = std::max(last, topology->version);
}

void RegisterCheck::check_step(const Topology& from, const Topology& to) {
  const std::string where = "version " + std::to_string(to.version);
  if (from.change == to.change || to.change == 0) violated(where + " was made by no change of its own");
  for (std::size_t i = 0; i < to.shards.size(); ++i)
    check_shard_step(from.shards[i], to.shards[i], to.version);
  for (std::size_t i = 0; i < to.keepers.size(); ++i) {
    const Keeper& a = from.keepers[i];
    const Keeper& b = to.keepers[i];
    const bool replaced = a.node == b.node && a.incarnation != b.incarnation && b.since == to.version;
    if (a != b && !replaced) violated(where + " has a keeper that nothing explains");
  }
  if (from.slots != to.slots || from.nodes != to.nodes || from.id != to.id)
    violated(where + " changed what no change may");
}

void RegisterCheck::check_shard_step(const ShardInfo& from, const ShardInfo& to, std::uint64_t version) {
  if (from == to) return;
  const std::string where = "shard " + from.name + " in version " + std::to_string(version);
  const auto change = changes_.find(to.change);
  const ShardEdit* edit = change == changes_.end() ? nullptr : edit_of(change->second, to.id);
  if (edit == nullptr) return violated(where + " was changed by nobody");
  if (edit->expected != from.change) violated(where + " was changed from another state than expected");
  const bool begins = edit->begins_epoch || from.primary != to.primary;
  if (to.epoch != (begins ? Epoch{version} : from.epoch)) violated(where + " has a wrong epoch");
  if (to.primary != edit->next.primary || to.in_sync != edit->next.in_sync)
    violated(where + " is not what was proposed");
}

/// All changes that made the shard what it is, from the newest back to the file.
std::set<std::uint64_t> RegisterCheck::history_of(const ShardInfo& shard) {
  std::set<std::uint64_t> ids;
  for (std::uint64_t id = shard.change; id != 0;) {
    const auto change = changes_.find(id);
    if (change == changes_.end() || !ids.insert(id).second) {
      violated("shard " + shard.name + " has a history that nobody made");
      break;
    }
    id = edit_of(change->second, shard.id)->expected;
  }
  return ids;
}

void RegisterCheck::check_outcomes() {
  if (chain_.empty()) return violated("nothing was ever chosen");
  std::map<ShardId, std::set<std::uint64_t>> histories;
  for (const ShardInfo& shard : newest()->shards) histories[shard.id] = history_of(shard);
  for (const auto& [id, outcome] : outcomes_) {
    for (const ShardEdit& edit : changes_.at(id).shards) {
      const bool made = histories[edit.next.id].contains(id);
      if (outcome == ChangeOutcome::chosen && !made) violated("an acknowledged change was lost");
      const bool denied = outcome == ChangeOutcome::lost || outcome == ChangeOutcome::refused;
      if (denied && made) violated("a change was made that its proposer was told is lost");
    }
  }
}

}  // namespace dkv::sim
