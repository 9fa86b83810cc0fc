// The mutation table: for each safety rule R1 to R18, ways to break just that rule, and by which seed of the
// random lives, or which scenario, that is noticed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/failover_run.hpp"

namespace dkv::sim {

struct Mutation {
  const char* rule;
  const char* what;
  void (*breaks)(NodeOptions& options);
  std::uint64_t seed = 0;  // of a random life that notices it, when it was last looked for; 0: too rare there
  const char* scenario = nullptr;  // then: that notices it
  bool repeats = false;            // with clients who send writes again
};

const std::vector<Mutation>& mutations();

struct Noticed {
  std::string how;   // "seed 7", or a scenario's name
  std::string what;  // the first violation
};
/// The known seed is tried first, and then others, up to `most_seeds` of them.
std::optional<Noticed> notice(const Mutation& mutation, std::uint64_t most_seeds);

}  // namespace dkv::sim
