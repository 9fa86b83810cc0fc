// Histories of a register that is linearizable because it is one: each operation happens at one moment
// between its call and its answer. Everything follows from the seed.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

#include "tests/linearizability/history.hpp"
#include "tests/sim/random.hpp"

namespace dkv::linear {

struct Shape {
  std::size_t operations = 7;
  std::size_t clients = 3;
  std::size_t keys = 1;
  std::uint64_t values = 3;  // to choose from; 0: every put has one of its own
  std::uint64_t unknown_per_million = 50'000;
  std::uint64_t version_per_million = 500'000;  // told
  std::uint64_t condition_per_million = 0;      // of puts and removes
  std::uint64_t increment_per_million = 0;      // of all; then some of what is put are numbers
  bool only_counts = false;                     // puts and removes are gets instead
  std::int64_t most_added = 3;
  bool goes_to_the_end = true;  // of 64 bits, now and then
};

class RandomHistory {
 public:
  RandomHistory(std::uint64_t seed, Shape shape) : random_(seed), shape_(shape) {}

  History make() {
    ask_all();
    std::sort(happenings_.begin(), happenings_.end());
    for (const auto& [when, i] : happenings_) happen(history_[i]);
    for (Operation& operation : history_) forget_some(operation);
    return history_;
  }

 private:
  struct Record {
    std::string value;
    Position version;
  };

  /// Every client asks one thing after the other; what they ask in unison overlaps.
  void ask_all() {
    std::vector<Time> free(shape_.clients, Time{});
    for (std::size_t i = 0; i < shape_.operations; ++i) {
      const std::size_t client = random_.below(shape_.clients);
      const Time invoked = free[client] + Time(random_.below(6));
      const Time happens = invoked + Time(random_.below(6));
      const Time returned = happens + Time(random_.below(6));
      free[client] = returned + Time(1);
      Operation operation = asked(static_cast<std::uint32_t>(client), code(),
                                  "key-" + std::to_string(random_.below(shape_.keys)), "", invoked);
      if (operation.code == OpCode::put)
        operation.value = "v" + std::to_string(shape_.values == 0 ? i : random_.below(shape_.values));
      make_special(operation);
      operation.returned = returned;
      if (operation.code == OpCode::get || !random_.chance(shape_.unknown_per_million)) {
        operation.outcome = Outcome::ok;
        happenings_.emplace_back(happens, i);
      } else if (!random_.chance(300'000)) {  // it happens, at some time
        happenings_.emplace_back(invoked + Time(random_.below(40)), i);
      }
      history_.push_back(std::move(operation));
    }
  }

  OpCode code() {
    if (shape_.increment_per_million > 0 && random_.chance(shape_.increment_per_million))
      return OpCode::increment;
    const std::uint64_t die = random_.below(10);
    if (shape_.only_counts) return OpCode::get;
    return die < 5 ? OpCode::get : die < 9 ? OpCode::put : OpCode::remove;
  }

  void make_special(Operation& operation) {
    if (operation.code == OpCode::increment) {
      const auto most = static_cast<std::uint64_t>(shape_.most_added);
      operation.amount = static_cast<std::int64_t>(random_.below(2 * most + 1)) - shape_.most_added;
      if (shape_.only_counts) operation.amount = 1 + static_cast<std::int64_t>(random_.below(most));
      if (!shape_.only_counts && shape_.goes_to_the_end && random_.chance(30'000))
        operation.amount = INT64_MAX - 1;
      return;
    }
    if (operation.code == OpCode::put && shape_.increment_per_million > 0 && random_.chance(700'000))
      operation.value = a_number();
    if (operation.code == OpCode::get || shape_.condition_per_million == 0 ||
        !random_.chance(shape_.condition_per_million))
      return;
    using Kind = Condition::Kind;
    const std::uint64_t die = random_.below(4);
    operation.condition.kind = die < 2 ? Kind::version : die == 2 ? Kind::exists : Kind::missing;
    if (operation.code == OpCode::remove && operation.condition.kind == Kind::missing)
      operation.condition.kind = Kind::exists;
    if (operation.condition.kind == Kind::version)
      operation.condition.version = Position{Epoch{1}, Seq{1 + random_.below(shape_.operations)}};
  }

  std::string a_number() {
    const std::uint64_t die = random_.below(40);
    if (die == 0) return "07";
    if (!shape_.goes_to_the_end) return std::to_string(die);
    if (die == 1) return std::to_string(INT64_MAX - 1);
    if (die == 2) return std::to_string(INT64_MIN + 1);
    return std::to_string(static_cast<int>(die % 8) - 3);
  }

  /// Half of the conditions on a version are of the one that is there, as if the client had known.
  void guess_version(Condition& condition, const std::optional<Record>& record) {
    if (condition.kind == Condition::Kind::version && record && random_.chance(500'000))
      condition.version = record->version;
  }

  static bool is_met(const Condition& condition, const std::optional<Record>& record) {
    switch (condition.kind) {
      case Condition::Kind::none:
        return true;
      case Condition::Kind::version:
        return record && record->version == condition.version;
      case Condition::Kind::exists:
        return record.has_value();
      case Condition::Kind::missing:
        return !record;
    }
    return false;
  }

  static std::optional<std::int64_t> number_in(const std::optional<Record>& record) {
    if (!record) return 0;
    char* end = nullptr;
    errno = 0;
    const std::int64_t number = std::strtoll(record->value.c_str(), &end, 10);
    if (errno != 0 || std::to_string(number) != record->value) return std::nullopt;
    return number;
  }

  /// What it would be told if nothing is done.
  static Outcome refusal(const Operation& operation, const std::optional<Record>& record) {
    if (!is_met(operation.condition, record)) return Outcome::condition_failed;
    if (operation.code != OpCode::increment) return Outcome::ok;
    const std::optional<std::int64_t> number = number_in(record);
    std::int64_t sum = 0;
    const bool counts = number && !__builtin_add_overflow(*number, operation.amount, &sum);
    return counts ? Outcome::ok : Outcome::not_a_counter;
  }

  /// Unless its outcome is to be unknown, it is told the truth.
  void happen(Operation& operation) {
    std::optional<Record>& record = records_[operation.key];
    const bool is_told = operation.outcome == Outcome::ok;
    guess_version(operation.condition, record);
    if (const Outcome refused = refusal(operation, record); refused != Outcome::ok) {
      if (!is_told) return;
      operation.outcome = refused;
      if (refused == Outcome::condition_failed) operation.version = record ? record->version : Position{};
      return;
    }
    const bool needs_record = operation.code == OpCode::get || operation.code == OpCode::remove;
    if (is_told && needs_record && !record) {
      operation.outcome = Outcome::not_found;
      return;
    }
    if (operation.code == OpCode::get) {
      operation.found = record->value;
      operation.version = record->version;
      return;
    }
    ++version_.seq.value;
    if (random_.chance(100'000)) ++version_.epoch.value;
    if (is_told) operation.version = version_;
    if (is_told && operation.code == OpCode::put) operation.created = !record;
    std::string value = operation.value;
    if (operation.code == OpCode::increment) value = std::to_string(*number_in(record) + operation.amount);
    if (is_told && operation.code == OpCode::increment) operation.found = value;
    record = Record{std::move(value), version_};
    if (operation.code == OpCode::remove) record.reset();
  }

  void forget_some(Operation& operation) {
    if (!random_.chance(shape_.version_per_million) && operation.outcome != Outcome::condition_failed)
      operation.version.reset();
    if (random_.chance(500'000)) operation.created.reset();
    if (operation.outcome == Outcome::unknown) operation.returned.reset();
  }

  sim::Random random_;
  Shape shape_;
  History history_;
  std::vector<std::pair<Time, std::size_t>> happenings_;
  std::map<std::string, std::optional<Record>> records_;
  Position version_{Epoch{1}, Seq{0}};
};

/// Changes one thing that was told, or when: that may make it wrong, or may not.
inline void mutate(History& history, sim::Random& random) {
  Operation& one = history[random.below(history.size())];
  const bool is_old_kind = one.condition.kind == Condition::Kind::none && one.code != OpCode::increment;
  switch (random.below(is_old_kind ? 7 : 9)) {
    case 0:
      one.outcome = one.outcome == Outcome::ok ? Outcome::not_found : Outcome::ok;
      break;
    case 1:
      one.found = one.code == OpCode::increment ? std::to_string(random.below(8))
                                                : "v" + std::to_string(random.below(4));
      break;
    case 7:
      one.outcome = one.code == OpCode::increment ? Outcome::not_a_counter : Outcome::condition_failed;
      break;
    case 8:
      one.amount = static_cast<std::int64_t>(random.below(4));
      one.condition.version = Position{Epoch{1}, Seq{1 + random.below(8)}};
      break;
    case 2:
      one.version = Position{Epoch{1}, Seq{1 + random.below(8)}};
      break;
    case 3:
      one.created = random.chance(500'000);
      break;
    case 4:
      one.outcome = Outcome::failed;
      break;
    case 5:
      one.outcome = Outcome::unknown;
      break;
    default:
      one.invoked = Time(random.below(40));
      break;
  }
  if (one.outcome == Outcome::not_found) one.version.reset();
  if (one.outcome == Outcome::condition_failed) {
    if (!one.version || random.chance(300'000)) one.version = Position{};
  } else if (one.version == Position{}) {
    one.version.reset();
  }
  if (!one.returned || *one.returned < one.invoked) one.returned = one.invoked + Time(random.below(12));
}

}  // namespace dkv::linear
