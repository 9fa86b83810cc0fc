#include "tests/linearizability/history.hpp"

namespace dkv::linear {

namespace {

bool nothing_was_done(Errc code) {
  switch (code) {
    case Errc::moved:
    case Errc::bad_request:
    case Errc::too_large:
    case Errc::wrong_version:
    case Errc::overloaded:
    case Errc::unavailable:
    case Errc::disk_full:
      return true;
    default:
      return false;
  }
}

Outcome outcome_of(OpCode code, Errc answer) {
  if (answer == Errc::ok) return Outcome::ok;
  if (answer == Errc::not_found) return Outcome::not_found;
  if (answer == Errc::condition_failed) return Outcome::condition_failed;
  if (answer == Errc::not_a_counter) return Outcome::not_a_counter;
  if (code == OpCode::get || nothing_was_done(answer)) return Outcome::failed;
  return Outcome::unknown;
}

}  // namespace

bool is_known(Outcome outcome) { return outcome != Outcome::unknown && outcome != Outcome::failed; }

Operation asked(std::uint32_t client, OpCode code, std::string key, std::string value, Time now) {
  Operation operation;
  operation.client = client;
  operation.code = code;
  operation.key = std::move(key);
  operation.value = std::move(value);
  operation.invoked = now;
  return operation;
}

Operation asked(std::uint32_t client, const dkv::Operation& operation, Time now) {
  Operation sent =
      asked(client, operation.code, std::string(operation.key), std::string(operation.value), now);
  sent.condition = operation.condition;
  sent.amount = operation.amount;
  return sent;
}

void answered(Operation& operation, const OperationResult& result, bool asked_created, Time now) {
  operation.outcome = outcome_of(operation.code, result.code);
  operation.returned = now;
  if (operation.outcome == Outcome::condition_failed) operation.version = result.version;
  if (operation.outcome != Outcome::ok) return;
  operation.version = result.version;
  if (operation.code == OpCode::get || operation.code == OpCode::increment) operation.found = result.value;
  if (operation.code == OpCode::put && asked_created) operation.created = result.created;
}

}  // namespace dkv::linear
