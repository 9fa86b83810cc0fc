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
  unknown,    // a write that may have happened, may yet, or never will; a read that told nothing
  ok,         // a write that was done; a read that found `found`
  not_found,  // a read or a remove of a missing key
  failed,     // certainly without effect
};

/// One operation of one client. The client may have others under way at the same time.
///
/// A new kind (an increment, a put with a condition) is a new OpCode or field here, with what it was told,
/// and its case in model.cpp.
struct Operation {
  std::uint32_t client = 0;  // for people
  OpCode code = OpCode::get;
  std::string key;
  std::string value;  // put only: what is to be stored
  Time invoked{};

  Outcome outcome = Outcome::unknown;
  std::string found;                // an ok get: the value
  std::optional<bool> created;      // an ok put, if told: the key was missing before
  std::optional<Position> version;  // ok, if told: of the record read or written
  std::optional<Time> returned;     // none: no answer came. Of an unknown outcome it means nothing
};

using History = std::vector<Operation>;

/// An operation that is sent now. Until it is answered its outcome is unknown.
Operation asked(std::uint32_t client, OpCode code, std::string key, std::string value, Time now);

/// What a node, or the client library, answered. `asked_created`: a put's result says whether it created.
/// A write's error counts as failed only where messages/README.md promises that nothing was done.
void answered(Operation& operation, const OperationResult& result, bool asked_created, Time now);

}  // namespace dkv::linear
