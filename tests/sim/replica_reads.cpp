#include "tests/sim/replica_reads.hpp"

namespace dkv::sim {

std::string ReplicaReads::problem_of(const std::string& reader, const std::string& key,
                                     const OperationResult& result) {
  if (result.code == Errc::not_found) return {};  // all keys were missing in the beginning
  if (!ever_[key].contains(result.value)) return reader + " has " + key + " = '" + result.value + "'";
  Position& seen = seen_[{reader, key}];
  if (result.version < seen) {
    return reader + " went back in " + key + " from " + to_string(seen) + " to " + to_string(result.version);
  }
  seen = result.version;
  return {};
}

}  // namespace dkv::sim
