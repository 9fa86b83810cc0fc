#include "tests/linearizability/model.hpp"

#include <charconv>

namespace dkv::linear {

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || std::to_string(number) != text) return std::nullopt;
  return number;
}

ValueId Numbers::value_of(std::int64_t number) {
  const auto [at, is_new] = values_.try_emplace(number, end());
  if (is_new) numbers_.push_back(number);
  return at->second;
}

std::optional<std::int64_t> Numbers::number_of(ValueId value) const {
  if (value == kMissing) return 0;
  if (value < first_ || value >= end()) return std::nullopt;
  return numbers_[value - first_];
}

namespace {

/// Can the record that is there be of this version? Then it is known to be, from now on.
Obstacle learn(const Position& version, State& state) {
  if (state.value == kMissing) return Obstacle::is_missing;
  if (state.is_exact) return version == state.newest ? Obstacle::none : Obstacle::other_version;
  if (version <= state.newest) return Obstacle::version_passed;
  state.newest = version;
  state.is_exact = true;
  return Obstacle::none;
}

Obstacle get(const Step& step, State& state) {
  if (step.outcome == Outcome::not_found)
    return state.value == kMissing ? Obstacle::none : Obstacle::is_present;
  if (step.outcome != Outcome::ok) return Obstacle::impossible_told;
  if (state.value == kMissing) return Obstacle::is_missing;
  if (state.value != step.finds) return Obstacle::other_value;
  return step.version ? learn(*step.version, state) : Obstacle::none;
}

/// The condition holds.
Obstacle meet(const Condition& condition, State& state) {
  const bool is_there = state.value != kMissing;
  switch (condition.kind) {
    case Condition::Kind::none:
      return Obstacle::none;
    case Condition::Kind::version:
      return learn(condition.version, state);
    case Condition::Kind::exists:
      return is_there ? Obstacle::none : Obstacle::is_missing;
    case Condition::Kind::missing:
      return is_there ? Obstacle::is_present : Obstacle::none;
  }
  return Obstacle::impossible_told;
}

/// The condition does not hold, and what is there has the version that was told.
Obstacle fail(const Step& step, State& state) {
  const Condition& condition = step.condition;
  if (condition.kind == Condition::Kind::none) return Obstacle::impossible_told;
  if (!step.version) {
    if (condition.kind == Condition::Kind::missing) return Obstacle::impossible_told;
    return state.value == kMissing ? Obstacle::none : Obstacle::is_present;
  }
  if (condition.kind == Condition::Kind::exists) return Obstacle::impossible_told;
  if (condition.kind == Condition::Kind::version && condition.version == *step.version)
    return Obstacle::impossible_told;
  if (state.value != kMissing && step.finds && state.value != *step.finds) return Obstacle::other_value;
  return learn(*step.version, state);
}

/// The key now holds `value`.
Obstacle write(const Step& step, ValueId value, State& state) {
  if (step.version && *step.version <= state.newest) return Obstacle::version_passed;
  state.newest = step.version.value_or(state.newest);
  state.value = value;
  state.is_exact = step.version.has_value() && value != kMissing;
  return Obstacle::none;
}

bool may_write(const Step& step) { return step.outcome == Outcome::ok || step.outcome == Outcome::unknown; }

Obstacle put(const Step& step, State& state) {
  if (step.outcome == Outcome::condition_failed) return fail(step, state);
  if (!may_write(step)) return Obstacle::impossible_told;
  if (const Obstacle obstacle = meet(step.condition, state); obstacle != Obstacle::none) return obstacle;
  const bool creates = state.value == kMissing;
  if (step.created && *step.created != creates) return creates ? Obstacle::is_missing : Obstacle::is_present;
  return write(step, step.value, state);
}

Obstacle remove(const Step& step, State& state) {
  const bool is_there = state.value != kMissing;
  if (step.outcome == Outcome::condition_failed) return fail(step, state);
  if (step.outcome == Outcome::not_found && step.condition.kind == Condition::Kind::none)
    return is_there ? Obstacle::is_present : Obstacle::none;
  if (!may_write(step)) return Obstacle::impossible_told;
  if (step.outcome == Outcome::ok && !is_there) return Obstacle::is_missing;
  if (const Obstacle obstacle = meet(step.condition, state); obstacle != Obstacle::none) return obstacle;
  return write(step, kMissing, state);
}

Obstacle increment(const Step& step, State& state, Numbers& numbers) {
  const std::optional<std::int64_t> number = numbers.number_of(state.value);
  std::int64_t sum = 0;
  const bool counts = number && !__builtin_add_overflow(*number, step.amount, &sum);
  if (step.outcome == Outcome::not_a_counter) return counts ? Obstacle::is_a_number : Obstacle::none;
  if (!may_write(step)) return Obstacle::impossible_told;
  if (step.outcome == Outcome::ok && (step.value == kMissing || !numbers.number_of(step.value)))
    return Obstacle::impossible_told;
  if (!counts) return Obstacle::not_a_number;
  const ValueId value = numbers.value_of(sum);
  if (step.outcome == Outcome::ok && value != step.value)
    return state.value == kMissing ? Obstacle::is_missing : Obstacle::other_value;
  return write(step, value, state);
}

}  // namespace

Obstacle apply(const Step& step, State& state, Numbers& numbers) {
  switch (step.code) {
    case OpCode::get:
      return get(step, state);
    case OpCode::put:
      return put(step, state);
    case OpCode::remove:
      return remove(step, state);
    case OpCode::increment:
      return increment(step, state, numbers);
    case OpCode::touch:  // no history has any
      break;
  }
  return Obstacle::impossible_told;
}

}  // namespace dkv::linear
