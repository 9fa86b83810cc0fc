// What clients asked of keys and what they were told, with the times at which they asked and were told: what
// check.hpp judges. Whoever runs clients, simulated or real, writes one of these.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "messages/operation.hpp"

namespace dkv::linear {

/// Since an origin that all operations of a history share: virtual time, or a steady clock's.
using Time = std::chrono::nanoseconds;

enum class Outcome : std::uint8_t {
  unknown,           // a write that may have happened, may yet, or never will; a read that told nothing
  ok,                // a write that was done; a read that found `found`
  not_found,         // a read or a remove of a missing key
  condition_failed,  // a put or remove that was not done, for the record that is there is of `version`
  not_a_counter,     // an increment that was not done: of what is no number, or beyond 64 bits
  failed,            // certainly without effect, and tells nothing
};

/// Whether what was told says something about the key at some moment between call and answer.
bool is_known(Outcome outcome);

/// One operation of one client. The client may have others under way at the same time.
///
/// A new kind is a new OpCode or field here, with what it was told, and its case in model.cpp.
struct Operation {
  std::uint32_t client = 0;  // for people
  OpCode code = OpCode::get;
  std::string key;
  std::string value;        // put only: what is to be stored
  Condition condition{};    // put and remove
  std::int64_t amount = 0;  // increment: what is to be added
  Time invoked{};

  Outcome outcome = Outcome::unknown;
  std::string found;            // an ok get: the value; an ok increment: the new number
  std::optional<bool> created;  // an ok put, if told: the key was missing before
  /// ok, if told: of the record read or written. condition_failed, always: of the record that is there; zero:
  /// none is.
  std::optional<Position> version;
  std::optional<Time> returned;  // none: no answer came. Of an unknown outcome it means nothing
};

using History = std::vector<Operation>;

/// An operation that is sent now. Until it is answered its outcome is unknown.
Operation asked(std::uint32_t client, OpCode code, std::string key, std::string value, Time now);
/// The same of any kind, with its condition and amount.
Operation asked(std::uint32_t client, const dkv::Operation& operation, Time now);

/// What a node, or the client library, answered. `asked_created`: a put's result says whether it created.
/// A write's error counts as failed only where messages/README.md promises that nothing was done.
void answered(Operation& operation, const OperationResult& result, bool asked_created, Time now);

}  // namespace dkv::linear
