// What the keepers say they have accepted, asked for without changing anything: how a node learns what others
// have chosen, whether it reaches a majority, and which keeper has lost its folder.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "actors/keeper/round.hpp"

namespace dkv {

class Poll {
 public:
  Poll() = default;
  Poll(std::uint64_t request, Balloted known) : request_(request), known_(std::move(known)) {}

  std::uint64_t request() const { return request_; }
  const Ballot& known() const { return known_.ballot; }

  /// An answer to another poll is ignored. Errors: as Round's.
  Result<void> take(NodeId keeper, const peer::RegisterState& state, std::uint64_t cluster);

  /// What a majority of its own keepers has accepted at one ballot was chosen. Not always the newest: another
  /// may be on its way.
  std::optional<Balloted> chosen(const RegisterRules& rules) const;
  /// Of those who answered: the ones whose folder `topology` does not name.
  std::vector<NodeId> strangers(const Topology& topology) const;
  std::size_t answers() const { return answers_.size(); }

 private:
  struct Answer {
    peer::KeeperIdentity keeper;
    Ballot accepted;
  };
  std::uint64_t request_ = 0;
  Balloted known_;
  std::map<NodeId, Answer> answers_;
  std::map<Ballot, TopologyPtr> accepted_;
};

}  // namespace dkv
