// One attempt of a proposer, at one ballot: ask all keepers to promise, find the newest topology that was
// accepted, propose one made from it, ask all keepers to accept that. A value that only counts; sending and
// waiting are RegisterActor's.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/keeper/quorum.hpp"

namespace dkv {

/// A topology, and a ballot at which it was accepted or chosen.
struct Balloted {
  Ballot ballot;
  TopologyPtr topology;  // nullptr: none
};

class Round {
 public:
  /// `known` is what its prepare names. `file` has the same keepers' nodes as every topology of the register.
  Round(const Ballot& ballot, Balloted known, TopologyPtr file, const RegisterRules& rules)
      : ballot_(ballot), known_(std::move(known)), file_(std::move(file)), rules_(rules) {}

  const Ballot& ballot() const { return ballot_; }
  /// What the answers may leave out.
  const Ballot& known() const { return known_.ballot; }
  bool accepting() const { return !bytes_.empty(); }

  /// Anything that is no answer to this round, or came before, is ignored. Errors: bad_request, a keeper gave
  /// what is no topology of this cluster; its answer does not count.
  Result<void> take(NodeId keeper, const peer::RegisterPromise& promise);
  void take(NodeId keeper, const peer::RegisterAccepted& accepted);
  void take(NodeId keeper, const peer::RegisterNack& nack);

  /// Enough has been promised for a proposal that is made from newest(). With nothing accepted anywhere,
  /// which is the register's beginning, every keeper must have promised: a single one that is away may hold
  /// it all.
  bool may_propose() const;
  /// The newest accepted topology; nullptr at the register's beginning.
  const TopologyPtr& newest() const { return newest_.topology; }
  /// The keepers' folders, as they say now.
  const std::map<NodeId, peer::KeeperIdentity>& folders() const { return folders_; }

  /// Begins the second phase.
  void propose(TopologyPtr next);
  const TopologyPtr& proposed() const { return proposed_; }
  const std::string& proposed_bytes() const { return bytes_; }
  /// It was accepted by a majority of the keepers of the topology that it was made from: for good.
  bool is_chosen() const;

  /// So many have refused that no majority is left.
  bool is_lost() const;
  /// Who has not answered in this phase.
  std::vector<NodeId> silent() const;

 private:
  /// Whose keepers decide: those of the topology that the proposal is made from.
  const Topology& electorate() const { return newest_.topology ? *newest_.topology : *proposed_; }
  std::size_t keepers() const { return file_->keepers.size(); }

  Ballot ballot_;
  Balloted known_;
  TopologyPtr file_;
  RegisterRules rules_;
  Balloted newest_;
  std::map<NodeId, peer::KeeperIdentity> folders_;   // that promised
  std::map<NodeId, peer::KeeperIdentity> accepted_;  // that accepted
  std::set<NodeId> refused_;
  TopologyPtr proposed_;
  std::string bytes_;
};

/// The topology in a keeper's answer: what was accepted at `ballot`, its bytes left out where that is
/// `known`. Errors: bad_request, wrong_version.
Result<TopologyPtr> topology_of(const Ballot& ballot, const std::string& bytes, const Balloted& known,
                                std::uint64_t cluster);

}  // namespace dkv
