// Histories of a register that is linearizable because it is one: each operation happens at one moment
// between its call and its answer. Everything follows from the seed.
#pragma once

#include <algorithm>
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
    const std::uint64_t die = random_.below(10);
    return die < 5 ? OpCode::get : die < 9 ? OpCode::put : OpCode::remove;
  }

  /// Unless its outcome is to be unknown, it is told the truth.
  void happen(Operation& operation) {
    std::optional<Record>& record = records_[operation.key];
    const bool is_told = operation.outcome == Outcome::ok;
    if (is_told && operation.code != OpCode::put && !record) {
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
    record = Record{operation.value, version_};
    if (operation.code == OpCode::remove) record.reset();
  }

  void forget_some(Operation& operation) {
    if (!random_.chance(shape_.version_per_million)) operation.version.reset();
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
  switch (random.below(7)) {
    case 0:
      one.outcome = one.outcome == Outcome::ok ? Outcome::not_found : Outcome::ok;
      break;
    case 1:
      one.found = "v" + std::to_string(random.below(4));
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
  if (!one.returned || *one.returned < one.invoked) one.returned = one.invoked + Time(random.below(12));
}

}  // namespace dkv::linear
