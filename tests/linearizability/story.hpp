// Histories for tests, told in few words. Times are in milliseconds.
#pragma once

#include "tests/linearizability/history.hpp"

namespace dkv::linear {

inline Operation told(OpCode code, Outcome outcome, int from, int to) {
  Operation operation = asked(0, code, "k", "", std::chrono::milliseconds(from));
  operation.outcome = outcome;
  operation.returned = std::chrono::milliseconds(to);
  return operation;
}

inline Operation put(std::string value, int from, int to) {
  Operation operation = told(OpCode::put, Outcome::ok, from, to);
  operation.value = std::move(value);
  return operation;
}

inline Operation got(std::string value, int from, int to) {
  Operation operation = told(OpCode::get, Outcome::ok, from, to);
  operation.found = std::move(value);
  return operation;
}

inline Operation missed(int from, int to) { return told(OpCode::get, Outcome::not_found, from, to); }
inline Operation removed(int from, int to) { return told(OpCode::remove, Outcome::ok, from, to); }
inline Operation removed_nothing(int from, int to) {
  return told(OpCode::remove, Outcome::not_found, from, to);
}

inline Operation perhaps_put(std::string value, int from) {
  return asked(0, OpCode::put, "k", std::move(value), std::chrono::milliseconds(from));
}
inline Operation perhaps_removed(int from) {
  return asked(0, OpCode::remove, "k", "", std::chrono::milliseconds(from));
}

/// Certainly without effect.
inline Operation refused(Operation operation) {
  operation.outcome = Outcome::failed;
  return operation;
}
inline Operation creating(Operation operation, bool created) {
  operation.created = created;
  return operation;
}
inline Operation at_version(Operation operation, std::uint64_t epoch, std::uint64_t seq) {
  operation.version = Position{Epoch{epoch}, Seq{seq}};
  return operation;
}
inline Operation of_key(std::string key, Operation operation) {
  operation.key = std::move(key);
  return operation;
}

}  // namespace dkv::linear
