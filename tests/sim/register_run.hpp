// One simulated life of a register: nodes that propose changes and read while they crash, freeze, lose their
// keepers' folders and are cut off; then everything heals, and what must hold is checked. Everything follows
// from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/keeper/rules.hpp"
#include "actors/runtime/time.hpp"

namespace dkv::sim {

struct RegisterRunOptions {
  std::uint64_t seed = 1;
  Duration length = 15s;
  RegisterRules rules;  // what is broken, to see that it would be noticed
  /// More of what finds a broken rule: keepers that crash, and a network that is slow and partitioned.
  bool is_rough = false;
};

struct RegisterRunResult {
  std::uint64_t trace_hash = 0;
  std::uint64_t versions = 0;
  std::uint64_t chosen = 0;  // changes, as their proposers were told
  std::uint64_t lost = 0;
  std::uint64_t overtaken = 0;
  std::uint64_t reads = 0;
  std::uint64_t rounds = 0;  // of those registrars that lived to the end
  std::uint64_t faults = 0;
  std::uint64_t wiped = 0;     // folders of keepers
  std::uint64_t restarts = 0;  // of all nodes at once
  std::vector<std::string> violations;
};

RegisterRunResult run_register(const RegisterRunOptions& options);

/// How long it takes until each of `nodes` nodes, which start at once, has one change of a shard of its own
/// chosen, on a network without faults.
Duration time_to_settle(std::uint64_t seed, std::size_t nodes, std::size_t keepers);

}  // namespace dkv::sim
