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
  if (code == OpCode::get || nothing_was_done(answer)) return Outcome::failed;
  return Outcome::unknown;
}

}  // namespace

Operation asked(std::uint32_t client, OpCode code, std::string key, std::string value, Time now) {
  Operation operation;
  operation.client = client;
  operation.code = code;
  operation.key = std::move(key);
  operation.value = std::move(value);
  operation.invoked = now;
  return operation;
}

void answered(Operation& operation, const OperationResult& result, bool asked_created, Time now) {
  operation.outcome = outcome_of(operation.code, result.code);
  operation.returned = now;
  if (operation.outcome != Outcome::ok) return;
  operation.version = result.version;
  if (operation.code == OpCode::get) operation.found = result.value;
  if (operation.code == OpCode::put && asked_created) operation.created = result.created;
}

}  // namespace dkv::linear
