// What reads may show that are not linearizable: those at replicas, and all of a volatile shard. Each must
// find something that was written at some time, and no reader may go back. (What a replica has as a whole
// is prefix_check.hpp's business; what reads at primaries find is the linearizability checker's.)
#pragma once

#include <map>
#include <set>
#include <string>

#include "messages/operation.hpp"

namespace dkv::sim {

class ReplicaReads {
 public:
  /// From now on `key` may hold `value`.
  void asked_to_put(const std::string& key, const std::string& value) { ever_[key].insert(value); }
  /// An ok or not_found read; `reader` changes when its process does. Empty, or what cannot be true.
  std::string problem_of(const std::string& reader, const std::string& key, const OperationResult& result);

 private:
  std::map<std::string, std::set<std::string>> ever_;
  std::map<std::pair<std::string, std::string>, Position> seen_;
};

}  // namespace dkv::sim
