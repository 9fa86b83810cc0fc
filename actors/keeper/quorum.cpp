#include "actors/keeper/quorum.hpp"

#include <algorithm>

namespace dkv {

const Keeper* find_keeper(const Topology& topology, NodeId node) {
  const auto at = std::find_if(topology.keepers.begin(), topology.keepers.end(),
                               [&](const Keeper& keeper) { return keeper.node == node; });
  return at == topology.keepers.end() ? nullptr : &*at;
}

bool counts(const Topology& topology, NodeId node, const peer::KeeperIdentity& keeper,
            const RegisterRules& rules) {
  const Keeper* named = find_keeper(topology, node);
  if (named == nullptr || !rules.tell_folders_apart) return named != nullptr;
  return named->incarnation == keeper.incarnation && named->since == keeper.since;
}

std::size_t majority_of(std::size_t keepers, const RegisterRules& rules) {
  const std::size_t majority = keepers / 2 + 1;
  return rules.need_majority || majority == 1 ? majority : majority - 1;
}

}  // namespace dkv
