#include "actors/keeper/round.hpp"

#include <algorithm>

#include "topology/codec.hpp"

namespace dkv {

namespace {

using Folders = std::map<NodeId, peer::KeeperIdentity>;

std::size_t count(const Topology& topology, const Folders& folders, const RegisterRules& rules) {
  return static_cast<std::size_t>(std::count_if(folders.begin(), folders.end(), [&](const auto& one) {
    return counts(topology, one.first, one.second, rules);
  }));
}

}  // namespace

Result<TopologyPtr> topology_of(const Ballot& ballot, const std::string& bytes, const Balloted& known,
                                std::uint64_t cluster) {
  if (bytes.empty() && ballot == known.ballot) return known.topology;
  auto topology = decode_topology(bytes);
  if (!topology) return topology.error();
  if (topology->id != cluster) return Error{Errc::bad_request, "a topology of another cluster"};
  return std::make_shared<const Topology>(std::move(*topology));
}

Result<void> Round::take(NodeId keeper, const peer::RegisterPromise& promise) {
  if (promise.ballot != ballot_ || accepting() || find_keeper(*file_, keeper) == nullptr) return {};
  if (promise.accepted > newest_.ballot) {
    const auto topology = topology_of(promise.accepted, promise.topology, known_, file_->id);
    if (!topology) return topology.error();
    newest_ = {promise.accepted, *topology};
  }
  folders_[keeper] = promise.keeper;
  return {};
}

void Round::take(NodeId keeper, const peer::RegisterAccepted& accepted) {
  if (accepted.ballot == ballot_ && accepting()) accepted_[keeper] = accepted.keeper;
}

void Round::take(NodeId keeper, const peer::RegisterNack& nack) {
  if (nack.ballot == ballot_) refused_.insert(keeper);
}

bool Round::may_propose() const {
  if (accepting()) return false;
  if (!newest_.topology) return folders_.size() == keepers();
  return count(*newest_.topology, folders_, rules_) >= majority_of(keepers(), rules_);
}

void Round::propose(TopologyPtr next) {
  bytes_ = encode(*next);
  proposed_ = std::move(next);
  refused_.clear();
}

bool Round::is_chosen() const {
  return accepting() && count(electorate(), accepted_, rules_) >= majority_of(keepers(), rules_);
}

bool Round::is_lost() const {
  const bool needs_all = !accepting() && !newest_.topology;
  return refused_.size() > (needs_all ? 0 : keepers() - majority_of(keepers(), rules_));
}

std::vector<NodeId> Round::silent() const {
  std::vector<NodeId> nodes;
  const Folders& answered = accepting() ? accepted_ : folders_;
  for (const Keeper& keeper : file_->keepers) {
    if (!answered.contains(keeper.node) && !refused_.contains(keeper.node)) nodes.push_back(keeper.node);
  }
  return nodes;
}

}  // namespace dkv
