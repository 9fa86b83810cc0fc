// Scripted lives of a cluster, each about one rule or one thing that an operator does: what is too rare to
// wait for in random ones. Each holds with all rules, and is noticed without the one that it is about.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/failover_cluster.hpp"

namespace dkv::sim {

struct Scenario {
  const char* name;
  void (*script)(FailoverCluster& cluster);
  std::size_t members = 2;  // of the one shard, on nodes 1 to this; the keepers are the last three
  StoreKind store = StoreKind::lmdb;
};

const std::vector<Scenario>& scenarios();
/// nullptr when there is none of that name.
const Scenario* find_scenario(const std::string& name);

FailoverResult run_scenario(const Scenario& scenario, const std::function<void(NodeOptions&)>& breaks = {});

}  // namespace dkv::sim
