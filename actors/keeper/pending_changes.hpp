// The changes that local actors have proposed and whose outcome is not known yet, oldest first. See
// topology/change.hpp for what makes a change exact.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "actors/keeper/rules.hpp"
#include "actors/runtime/message.hpp"

namespace dkv {

class PendingChanges {
 public:
  /// Several for each shard that a node could ever have a member of: more than that is a defect somewhere.
  static constexpr std::size_t kMaxPending = 1024;

  using Settled = std::vector<std::pair<Address, ChangeSettled>>;

  explicit PendingChanges(const RegisterRules& rules = {}) : rules_(rules) {}

  bool empty() const { return pending_.empty(); }

  /// Errors: overloaded, bad_request (its id is here already).
  Result<void> add(const Address& asker, TopologyChange change);

  /// Makes, in `next`, the successor of `from`, all changes that fit `from`, but only one for each shard, and
  /// says whether there were any. Those that can never be made are `refused`, and forgotten.
  bool make_in(Topology& next, const Topology& from, Settled& refused);

  /// `newest` was chosen, and not by a round of this process. What is in it is chosen. What does not fit it
  /// and was never proposed is lost; but what was proposed may be on its way to being chosen still (R13).
  Settled learn(const TopologyPtr& newest);
  /// `newest` was chosen by a full round of this process, made from everything that any earlier ballot of its
  /// own could still lead to: every change that does not fit it is decided. Those that fit stay, to be tried
  /// again.
  Settled settle(const TopologyPtr& newest);

 private:
  struct Pending {
    Address asker;
    TopologyChange change;
    bool proposed = false;  // keepers may have accepted it
  };
  Settled decide(const TopologyPtr& newest, bool by_own_round);
  Fit fit(const Topology& topology, const TopologyChange& change) const;

  RegisterRules rules_;
  std::deque<Pending> pending_;
};

}  // namespace dkv
