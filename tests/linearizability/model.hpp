// What one key does with operations, one at a time: the sequential register that a history is held against.
//
// Versions are checked beside values: those of writes only grow, and a read tells the version of the write
// whose value it found. Where no version was told, any that fits is assumed.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

/// Values are numbered, so that states are small and quickly compared.
using ValueId = std::uint32_t;
inline constexpr ValueId kMissing = 0;
/// All values that no read found are one: nothing can tell them apart.
inline constexpr ValueId kNeverRead = 1;

/// What an increment can count on: a decimal integer of signed 64 bits, in canonical form.
std::optional<std::int64_t> number_in(std::string_view text);

/// The values that are numbers, of a key that has increments: they arise while the model runs.
class Numbers {
 public:
  /// From `first` on its values are numbered.
  explicit Numbers(ValueId first = kNeverRead + 1) : first_(first) {}

  ValueId value_of(std::int64_t number);
  /// What an increment would find; a missing key counts as 0. None: it is no number.
  std::optional<std::int64_t> number_of(ValueId value) const;
  /// No value has this id yet, nor any above.
  ValueId end() const { return first_ + static_cast<ValueId>(numbers_.size()); }

 private:
  ValueId first_;
  std::vector<std::int64_t> numbers_;
  std::unordered_map<std::int64_t, ValueId> values_;
};

/// An operation as the model needs it.
struct Step {
  OpCode code = OpCode::get;
  Outcome outcome = Outcome::unknown;
  ValueId value = kMissing;  // put: what it stores; an ok increment: the new number
  /// What the key must have held, where that follows from what was told. An ok get has it; and it is all that
  /// makes a failed condition one that found no record.
  std::optional<ValueId> finds;
  Condition condition;
  std::int64_t amount = 0;
  std::optional<bool> created;
  std::optional<Position> version;  // never zero
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
  not_a_number,     // it counted, and there is nothing to count on
  is_a_number,      // it could have counted
  impossible_told,  // no such operation is ever told such a thing
};

/// Lets `step` happen: it changes `state` when there is no obstacle. One of unknown outcome has one only if
/// it depends on what it finds, and then it would do nothing.
Obstacle apply(const Step& step, State& state, Numbers& numbers);

}  // namespace dkv::linear
