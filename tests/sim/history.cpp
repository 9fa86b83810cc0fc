#include "tests/sim/history.hpp"

namespace dkv::sim {

namespace {
constexpr std::size_t kMaxViolations = 20;

std::string show(const History::Value& value) { return value ? "'" + *value + "'" : "(missing)"; }

History::Value value_of(const OperationResult& result) {
  return result.code == Errc::ok ? History::Value{result.value} : History::Value{};
}
}  // namespace

void History::violated(std::string what) {
  if (violations_.size() < kMaxViolations) violations_.push_back(std::move(what));
}

void History::wrote(const std::string& key, const Value& value, const OperationResult& result) {
  Key& known = keys_[key];
  const bool was_missing = known.possible == std::set<Value>{Value{}};
  const bool was_present = !known.possible.contains(Value{});
  if (result.code == Errc::not_found) {
    if (was_present) violated("delete of " + key + " said not_found, but an acknowledged value was there");
  } else {
    if (result.version <= known.version) {
      violated("a write of " + key + " got version " + to_string(result.version) + ", not above " +
               to_string(known.version));
    }
    known.version = result.version;
    if (value && result.created && was_present) violated("put of " + key + " said created, but it was there");
    if (value && !result.created && was_missing)
      violated("put of " + key + " said not created, but it was missing");
  }
  known.possible = {value};
  known.ever.insert(value);
}

void History::wrote_perhaps(const std::string& key, const Value& value) {
  keys_[key].possible.insert(value);
  keys_[key].ever.insert(value);
}

void History::read(const std::string& key, const OperationResult& result) {
  Key& known = keys_[key];
  const Value value = value_of(result);
  if (!known.possible.contains(value)) {
    std::string expected;
    for (const Value& one : known.possible) expected += (expected.empty() ? "" : " or ") + show(one);
    violated("read of " + key + " gave " + show(value) + " instead of " + expected);
  }
  // What had been unknown has happened or never will: later requests are handled after it.
  known.possible = {value};
}

void History::read_at_replica(const std::string& reader, const std::string& key,
                              const OperationResult& result) {
  const Value value = value_of(result);
  if (!keys_[key].ever.contains(value)) violated("replica " + reader + " has " + key + " = " + show(value));
  if (result.code != Errc::ok) return;
  Position& seen = seen_at_replica_[{reader, key}];
  if (result.version < seen) {
    violated("replica " + reader + " went back in " + key + " from " + to_string(seen) + " to " +
             to_string(result.version));
  }
  seen = result.version;
}

std::vector<std::string> History::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, known] : keys_) all.push_back(key);
  return all;
}

}  // namespace dkv::sim
