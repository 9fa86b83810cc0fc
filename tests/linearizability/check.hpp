// Is a history linearizable (Herlihy and Wing, 1990)? That is: can its operations be put into one order in
// which each happened between its call and its answer, and was told what a plain map would have told it?
//
// Each key is judged for itself, which is enough (linearizability is compositional). The search is Wing and
// Gong's (1993) with Lowe's memory of configurations ("Testing for linearizability", 2017), as in
// Porcupine. A write of unknown outcome may happen at any time after its call, or never. Two operations
// of which one was called when the other was answered, by the clock, count as concurrent.
//
// It is exponential in what is under way at once on one key, in the worst case. So it has a limit, beyond
// which it says `undecided`: then it has shown nothing, and the test that made the history asks too much.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

enum class Verdict : std::uint8_t { linearizable, violated, undecided };

struct Limits {
  /// Configurations remembered per key, of about 100 bytes; a history without faults needs one per operation.
  std::uint64_t configurations = 1'000'000;
};

struct Problem {
  std::string key;
  Verdict verdict = Verdict::violated;  // or undecided
  /// For people: the shortest beginning of the key's history that has no order, and what is in the way.
  std::string explanation;
};

struct Judgement {
  std::vector<Problem> problems;     // one per key that is not linearizable, or undecided
  std::uint64_t configurations = 0;  // that were looked at

  /// Every key is known to be linearizable.
  bool ok() const { return problems.empty(); }
  /// All explanations, one after the other.
  std::string text() const;
};

/// Every key is missing in the beginning. REQUIRES: nothing was answered before it was asked, and a condition
/// that failed was told the version.
Judgement check(std::span<const Operation> history, Limits limits = {});

}  // namespace dkv::linear
