#include "tests/linearizability/model.hpp"

namespace dkv::linear {

namespace {

Obstacle get(const Step& step, State& state) {
  if (step.outcome == Outcome::not_found)
    return state.value == kMissing ? Obstacle::none : Obstacle::is_present;
  if (state.value == kMissing) return Obstacle::is_missing;
  if (state.value != step.value) return Obstacle::other_value;
  if (!step.version) return Obstacle::none;
  if (state.is_exact) return *step.version == state.newest ? Obstacle::none : Obstacle::other_version;
  if (*step.version <= state.newest) return Obstacle::version_passed;
  state.newest = *step.version;
  state.is_exact = true;
  return Obstacle::none;
}

/// The key now holds `value`.
Obstacle write(const Step& step, ValueId value, State& state) {
  if (step.version && *step.version <= state.newest) return Obstacle::version_passed;
  state.newest = step.version.value_or(state.newest);
  state.value = value;
  state.is_exact = step.version.has_value() && value != kMissing;
  return Obstacle::none;
}

Obstacle put(const Step& step, State& state) {
  if (step.outcome == Outcome::not_found) return Obstacle::impossible_told;
  const bool creates = state.value == kMissing;
  if (step.created && *step.created != creates) return creates ? Obstacle::is_missing : Obstacle::is_present;
  return write(step, step.value, state);
}

Obstacle remove(const Step& step, State& state) {
  const bool is_there = state.value != kMissing;
  if (step.outcome == Outcome::ok && !is_there) return Obstacle::is_missing;
  if (step.outcome == Outcome::not_found) return is_there ? Obstacle::is_present : Obstacle::none;
  return write(step, kMissing, state);
}

}  // namespace

Obstacle apply(const Step& step, State& state) {
  switch (step.code) {
    case OpCode::get:
      return get(step, state);
    case OpCode::put:
      return put(step, state);
    case OpCode::remove:
      return remove(step, state);
    case OpCode::increment:
      break;
  }
  return Obstacle::impossible_told;
}

}  // namespace dkv::linear
