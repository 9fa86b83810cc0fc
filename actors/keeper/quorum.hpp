// Who counts. A topology names its keepers by node, folder (incarnation) and since when; an answer counts
// under that topology only if it comes from exactly such a one. Why `since`: a folder that was dropped and
// admitted again must not count by what it answered before.
#pragma once

#include <map>

#include "actors/keeper/rules.hpp"
#include "messages/peer.hpp"
#include "topology/topology.hpp"

namespace dkv {

/// nullptr when `node` is no keeper's.
const Keeper* find_keeper(const Topology& topology, NodeId node);

/// Whether the answer of the keeper at `node` counts under `topology`.
bool counts(const Topology& topology, NodeId node, const peer::KeeperIdentity& keeper,
            const RegisterRules& rules);

/// How many of `keepers` make a majority.
std::size_t majority_of(std::size_t keepers, const RegisterRules& rules);

}  // namespace dkv
