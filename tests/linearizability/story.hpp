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

inline Operation added(std::int64_t amount, std::string found, int from, int to) {
  Operation operation = told(OpCode::increment, Outcome::ok, from, to);
  operation.amount = amount;
  operation.found = std::move(found);
  return operation;
}
inline Operation perhaps_added(std::int64_t amount, int from) {
  Operation operation = asked(0, OpCode::increment, "k", "", std::chrono::milliseconds(from));
  operation.amount = amount;
  return operation;
}
inline Operation could_not_add(std::int64_t amount, int from, int to) {
  Operation operation = told(OpCode::increment, Outcome::not_a_counter, from, to);
  operation.amount = amount;
  return operation;
}

inline Operation only_if(Condition::Kind kind, Operation operation) {
  operation.condition.kind = kind;
  return operation;
}
inline Operation if_missing(Operation operation) { return only_if(Condition::Kind::missing, operation); }
inline Operation if_exists(Operation operation) { return only_if(Condition::Kind::exists, operation); }
inline Operation if_version(std::uint64_t epoch, std::uint64_t seq, Operation operation) {
  operation.condition.version = Position{Epoch{epoch}, Seq{seq}};
  return only_if(Condition::Kind::version, operation);
}
/// Its condition failed because of this version; 0-0: because the key was missing.
inline Operation failed_at(std::uint64_t epoch, std::uint64_t seq, Operation operation) {
  operation.outcome = Outcome::condition_failed;
  operation.version = Position{Epoch{epoch}, Seq{seq}};
  return operation;
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
