// What one key does with operations, one at a time: the sequential register that a history is held against.
//
// Versions are checked beside values: those of writes only grow, and a read tells the version of the write
// whose value it found. Where no version was told, any that fits is assumed.
#pragma once

#include <string>

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

/// Values are numbered, so that states are small and quickly compared.
using ValueId = std::uint32_t;
inline constexpr ValueId kMissing = 0;
/// All values that no read found are one: nothing can tell them apart.
inline constexpr ValueId kNeverRead = 1;

/// An operation as the model needs it.
struct Step {
  OpCode code = OpCode::get;
  Outcome outcome = Outcome::unknown;
  ValueId value = kMissing;  // put: what it stores; an ok get: what it found
  std::optional<bool> created;
  std::optional<Position> version;
};

/// What a key holds after some operations.
struct State {
  ValueId value = kMissing;
  Position newest;        // the newest version told by any of them
  bool is_exact = false;  // and it is that of the value
  bool operator==(const State&) const = default;
};

/// Why an operation cannot have been the next.
enum class Obstacle : std::uint8_t {
  none,
  is_missing,       // it found a record
  is_present,       // it found none
  other_value,      // it found another value
  other_version,    // it found the value in another version
  version_passed,   // its version is not above all before it
  impossible_told,  // no such operation is ever told such a thing
};

/// Lets `step` happen: it changes `state` when there is no obstacle. One of unknown outcome never has any.
Obstacle apply(const Step& step, State& state);

}  // namespace dkv::linear
