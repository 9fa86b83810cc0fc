#include "actors/keeper/pending_changes.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace dkv {

Result<void> PendingChanges::add(const Address& asker, TopologyChange change) {
  if (pending_.size() >= kMaxPending) return Error{Errc::overloaded, "too many topology changes wait"};
  const bool known = std::any_of(pending_.begin(), pending_.end(),
                                 [&](const Pending& one) { return one.change.id == change.id; });
  if (known) return Error{Errc::bad_request, "a topology change of this id waits already"};
  pending_.push_back({asker, std::move(change)});
  return {};
}

bool PendingChanges::make_in(Topology& next, const Topology& from, Settled& refused) {
  bool any = false;
  std::set<ShardId> touched;
  std::deque<Pending> kept;
  for (Pending& one : pending_) {
    const auto& shards = one.change.shards;
    const bool is_free = std::none_of(shards.begin(), shards.end(),
                                      [&](const ShardEdit& edit) { return touched.contains(edit.next.id); });
    if (is_free && fit(from, one.change) == Fit::fits) {
      const auto made = make_change(next, one.change);
      if (!made && !one.proposed) {
        refused.push_back({one.asker, {one.change.id, ChangeOutcome::refused, nullptr, made.error()}});
        continue;
      }
      if (made) {
        for (const ShardEdit& edit : shards) touched.insert(edit.next.id);
        any = one.proposed = true;
      }
    }
    kept.push_back(std::move(one));
  }
  pending_ = std::move(kept);
  return any;
}

Fit PendingChanges::fit(const Topology& topology, const TopologyChange& change) const {
  const Fit fit = fit_of(topology, change);
  return fit == Fit::overtaken && !rules_.exact_change ? Fit::fits : fit;
}

PendingChanges::Settled PendingChanges::learn(const TopologyPtr& newest) { return decide(newest, false); }
PendingChanges::Settled PendingChanges::settle(const TopologyPtr& newest) { return decide(newest, true); }

PendingChanges::Settled PendingChanges::decide(const TopologyPtr& newest, bool by_own_round) {
  const auto outcome_of = [&](const Pending& one) -> std::optional<ChangeOutcome> {
    const Fit how = fit(*newest, one.change);
    if (how == Fit::made) return ChangeOutcome::chosen;
    if (how == Fit::fits) return std::nullopt;
    if (!one.proposed) return ChangeOutcome::lost;
    if (!by_own_round) return std::nullopt;
    return ChangeOutcome::overtaken;
  };
  Settled settled;
  std::erase_if(pending_, [&](const Pending& one) {
    const auto outcome = outcome_of(one);
    if (outcome) settled.push_back({one.asker, {one.change.id, *outcome, newest, {}}});
    return outcome.has_value();
  });
  return settled;
}

}  // namespace dkv
