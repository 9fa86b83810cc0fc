// The number of one attempt to change the register (Paxos's ballot, or proposal number).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "messages/ids.hpp"

namespace dkv {

/// Totally ordered. No two attempts share one: `process` is drawn anew in every run of a node, which counts
/// upward within it. Zero: none.
struct Ballot {
  std::uint64_t counter = 0;
  NodeId node;
  std::uint64_t process = 0;
  auto operator<=>(const Ballot&) const = default;
};

/// For people, "<counter>.<node>".
inline std::string to_string(const Ballot& ballot) {
  return std::to_string(ballot.counter) + "." + std::to_string(ballot.node.value);
}

}  // namespace dkv
