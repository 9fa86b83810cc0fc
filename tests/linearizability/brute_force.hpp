// The definition of linearizability, word for word and without a thought for speed: is there any order?
// Up to 7 operations or so, of one key. Shares nothing with the search that it is an oracle for.
#pragma once

#include <algorithm>
#include <limits>
#include <regex>

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

class BruteForce {
 public:
  explicit BruteForce(const History& history) : history_(history), used_(history.size()) {}

  bool has_order() { return extend(std::nullopt, {}, std::nullopt); }

 private:
  using Value = std::optional<std::string>;

  static bool must_happen(const Operation& one) {
    return one.outcome != Outcome::unknown && one.outcome != Outcome::failed;
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
      if (one.code == OpCode::put || one.code == OpCode::increment) return false;
      if (one.condition.kind != Condition::Kind::none) return false;
      return !holds && extend(holds, newest, version);
    }
    if (one.outcome == Outcome::condition_failed) return refuses(one, holds, newest, version);
    if (one.code == OpCode::increment) return counts(one, holds, newest, version);
    if (one.outcome == Outcome::not_a_counter) return false;
    if (one.code == OpCode::get) {
      if (one.outcome == Outcome::unknown) return extend(holds, newest, version);
      if (holds != one.found) return false;
      if (!one.version) return extend(holds, newest, version);
      return sees(*one.version, holds, newest, version);
    }
    if (one.condition.kind == Condition::Kind::missing && holds) return false;
    if (one.condition.kind == Condition::Kind::exists && !holds) return false;
    if (one.condition.kind == Condition::Kind::version) {
      const Position& expected = one.condition.version;
      if (!holds || (version ? *version != expected : expected <= newest)) return false;
      newest = expected;
    }
    if (one.outcome == Outcome::ok && one.code == OpCode::remove && !holds) return false;
    const bool tells_created = one.outcome == Outcome::ok && one.code == OpCode::put && one.created;
    if (tells_created && *one.created != !holds) return false;
    return writes(one, one.code == OpCode::put ? Value(one.value) : Value(), newest);
  }

  bool writes(const Operation& one, const Value& next, Position newest) {
    if (one.outcome == Outcome::unknown || !one.version) return extend(next, newest, std::nullopt);
    return *one.version > newest && extend(next, *one.version, one.version);
  }

  /// Somebody is told `seen` of what the key holds.
  bool sees(Position seen, const Value& holds, Position newest, std::optional<Position> version) {
    if (version) return *version == seen && extend(holds, newest, version);
    return seen > newest && extend(holds, seen, seen);
  }

  bool refuses(const Operation& one, const Value& holds, Position newest, std::optional<Position> version) {
    if (one.code == OpCode::get || one.code == OpCode::increment) return false;
    const Condition& condition = one.condition;
    const bool finds_none = *one.version == Position{};
    if (finds_none != !holds) return false;
    const bool was_met =
        condition.kind == Condition::Kind::none ||
        (condition.kind == Condition::Kind::missing && finds_none) ||
        (condition.kind == Condition::Kind::exists && !finds_none) ||
        (condition.kind == Condition::Kind::version && !finds_none && condition.version == *one.version);
    if (was_met) return false;
    return finds_none ? extend(holds, newest, version) : sees(*one.version, holds, newest, version);
  }

  bool counts(const Operation& one, const Value& holds, Position newest, std::optional<Position> version) {
    static const std::regex number("0|-?[1-9][0-9]{0,18}");
    using Int64 = std::numeric_limits<std::int64_t>;
    // long double has 64 bits of mantissa, and one number of 19 digits may be too large for an int64.
    const bool is_number = !holds || std::regex_match(*holds, number);
    const long double sum =
        is_number ? std::stold(holds.value_or("0")) + static_cast<long double>(one.amount) : 0;
    const auto fits = [](long double n) {
      return n >= static_cast<long double>(Int64::min()) && n <= static_cast<long double>(Int64::max());
    };
    const bool can = is_number && fits(std::stold(holds.value_or("0"))) && fits(sum);
    if (one.outcome == Outcome::not_a_counter) return !can && extend(holds, newest, version);
    if (!can) return false;
    const std::string next = std::to_string(static_cast<std::int64_t>(sum));
    return (one.outcome == Outcome::unknown || one.found == next) && writes(one, next, newest);
  }

  const History& history_;
  std::vector<bool> used_;
};

}  // namespace dkv::linear
