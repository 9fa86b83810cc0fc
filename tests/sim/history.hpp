// What clients were told, and whether it can be true. Each key is written by one client, one operation at
// a time, so the values that a read may return are known: the last acknowledged one, or one of the writes
// since whose outcome is unknown. That is linearizability per key, for such histories.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "messages/operation.hpp"

namespace dkv::sim {

class History {
 public:
  using Value = std::optional<std::string>;  // nothing: the key is missing

  void wrote(const std::string& key, const Value& value, const OperationResult& result);
  void wrote_perhaps(const std::string& key, const Value& value);
  /// Of a read at the primary, which must be linearizable.
  void read(const std::string& key, const OperationResult& result);
  /// Of a read at a replica: `reader` changes when its process does.
  void read_at_replica(const std::string& reader, const std::string& key, const OperationResult& result);

  void violated(std::string what);
  const std::vector<std::string>& violations() const { return violations_; }
  const std::set<Value>& possible(const std::string& key) { return keys_[key].possible; }
  std::vector<std::string> keys() const;

 private:
  struct Key {
    std::set<Value> possible{Value{}};
    std::set<Value> ever{Value{}};
    Position version;  // of the last acknowledged write
  };
  std::map<std::string, Key> keys_;
  std::map<std::pair<std::string, std::string>, Position> seen_at_replica_;
  std::vector<std::string> violations_;
};

}  // namespace dkv::sim
