// What the nodes of a cluster say of themselves, put beside the topology: `status`, `failover` and `promote`
// look at a cluster through this.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/client/client.hpp"

namespace dkv::cli {

/// A node of the topology and what it answered.
struct Answer {
  const NodeInfo* node;
  Result<NodeStatus> status;
};

struct ClusterView {
  TopologyPtr topology;         // the newest that any of them knows
  std::vector<Answer> answers;  // one for each of its nodes, in their order

  /// nullptr where it does not answer, or has no such copy.
  const MemberStatus* member(NodeId node, ShardId shard) const;
  bool answers_at(NodeId node) const;
  /// By whom the shard is served; nullptr: by nobody.
  const NodeInfo* server_of(ShardId shard) const;
  const std::string& name_of(NodeId node) const { return topology->find_node(node)->name; }
};

/// Asks every node, all at once. Errors: unavailable when none tells a topology.
Result<ClusterView> look_at_cluster(Client& client);

/// What is wrong with the whole, in words, and what to do about it; empty when nothing is.
std::vector<std::string> problems_of(const ClusterView& view);

}  // namespace dkv::cli
