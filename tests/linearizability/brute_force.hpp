// The definition of linearizability, word for word and without a thought for speed: is there any order?
// Up to 7 operations or so, of one key. Shares nothing with the search that it is an oracle for.
#pragma once

#include <algorithm>

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

class BruteForce {
 public:
  explicit BruteForce(const History& history) : history_(history), used_(history.size()) {}

  bool has_order() { return extend(std::nullopt, {}, std::nullopt); }

 private:
  using Value = std::optional<std::string>;

  static bool must_happen(const Operation& one) {
    return one.outcome == Outcome::ok || one.outcome == Outcome::not_found;
  }

  /// Every way to go on from what is placed: `holds` and, where it was told, in which version; `newest` was
  /// told.
  bool extend(const Value& holds, Position newest, std::optional<Position> version) {
    bool all = true;
    for (std::size_t i = 0; i < history_.size(); ++i) all = all && (used_[i] || !must_happen(history_[i]));
    if (all) return true;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (used_[i] || history_[i].outcome == Outcome::failed || comes_too_early(history_[i])) continue;
      used_[i] = true;
      const bool found = happens(history_[i], holds, newest, version);
      used_[i] = false;
      if (found) return true;
    }
    return false;
  }

  /// Something that is not placed yet was answered before it was asked.
  bool comes_too_early(const Operation& next) const {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!used_[i] && must_happen(history_[i]) && *history_[i].returned < next.invoked) return true;
    }
    return false;
  }

  bool happens(const Operation& one, const Value& holds, Position newest, std::optional<Position> version) {
    if (one.outcome == Outcome::not_found) {
      if (one.code == OpCode::put) return false;
      return !holds && extend(holds, newest, version);
    }
    if (one.code == OpCode::get) {
      if (one.outcome == Outcome::unknown) return extend(holds, newest, version);
      if (holds != one.found) return false;
      if (!one.version) return extend(holds, newest, version);
      if (version) return *version == *one.version && extend(holds, newest, version);
      return *one.version > newest && extend(holds, *one.version, one.version);
    }
    const Value next = one.code == OpCode::put ? Value(one.value) : Value();
    if (one.outcome == Outcome::unknown) return extend(next, newest, std::nullopt);
    if (one.code == OpCode::remove && !holds) return false;
    if (one.code == OpCode::put && one.created && *one.created != !holds) return false;
    if (!one.version) return extend(next, newest, std::nullopt);
    return *one.version > newest && extend(next, *one.version, one.version);
  }

  const History& history_;
  std::vector<bool> used_;
};

}  // namespace dkv::linear
