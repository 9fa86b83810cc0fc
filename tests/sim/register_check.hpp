// What must hold of a register, whatever happens: everything that anybody was ever told was chosen is on one
// chain, each version made from the one before by changes that somebody proposed; what was answered about a
// change is true of that chain; and nobody is taken back in time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/runtime/message.hpp"
#include "topology/topology.hpp"

namespace dkv::sim {

class RegisterCheck {
 public:
  /// Who says it, for messages.
  void proposed(const TopologyChange& change);
  void settled(const std::string& who, const ChangeSettled& settled);
  /// Somebody was told that this was chosen.
  void chosen(const std::string& who, const TopologyPtr& topology);
  /// A reader that never sees an older version than `floor`, nor than it has seen before.
  void seen(const std::string& reader, const TopologyPtr& topology, std::uint64_t floor);

  /// The newest version that anybody was told of.
  std::uint64_t newest_version() const { return chain_.empty() ? 0 : chain_.rbegin()->first; }
  TopologyPtr newest() const { return chain_.empty() ? nullptr : chain_.rbegin()->second; }

  /// Once all is settled: whether what was answered is true.
  void check_outcomes();
  void violated(const std::string& what);
  const std::vector<std::string>& violations() const { return violations_; }
  std::uint64_t count(ChangeOutcome outcome) const;

 private:
  void check_step(const Topology& from, const Topology& to);
  void check_shard_step(const ShardInfo& from, const ShardInfo& to, std::uint64_t version);
  std::set<std::uint64_t> history_of(const ShardInfo& shard);

  std::map<std::uint64_t, TopologyPtr> chain_;  // by version
  std::map<std::uint64_t, TopologyChange> changes_;
  std::map<std::uint64_t, ChangeOutcome> outcomes_;
  std::map<std::string, std::uint64_t> seen_;
  std::vector<std::string> violations_;
};

}  // namespace dkv::sim
