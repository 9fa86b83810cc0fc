#include "actors/keeper/poll.hpp"

#include <algorithm>

namespace dkv {

Result<void> Poll::take(NodeId keeper, const peer::RegisterState& state, std::uint64_t cluster) {
  if (state.request != request_) return {};
  if (state.accepted != Ballot{} && !accepted_.contains(state.accepted)) {
    const auto topology = topology_of(state.accepted, state.topology, known_, cluster);
    if (!topology) return topology.error();
    accepted_[state.accepted] = *topology;
  }
  answers_[keeper] = {state.keeper, state.accepted};
  return {};
}

std::optional<Balloted> Poll::chosen(const RegisterRules& rules) const {
  for (auto at = accepted_.rbegin(); at != accepted_.rend(); ++at) {
    const auto& [ballot, topology] = *at;
    const auto votes = std::count_if(answers_.begin(), answers_.end(), [&](const auto& answer) {
      return answer.second.accepted == at->first &&
             counts(*at->second, answer.first, answer.second.keeper, rules);
    });
    if (static_cast<std::size_t>(votes) >= majority_of(topology->keepers.size(), rules))
      return Balloted{ballot, topology};
  }
  return std::nullopt;
}

std::vector<NodeId> Poll::strangers(const Topology& topology) const {
  std::vector<NodeId> nodes;
  for (const auto& [node, answer] : answers_) {
    const Keeper* named = find_keeper(topology, node);
    if (named != nullptr && named->incarnation != answer.keeper.incarnation) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace dkv
