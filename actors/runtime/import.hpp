// How far a copy has come that a store takes from elsewhere, chunk by chunk. Kept in the store, so that it
// goes on after a crash.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "messages/records.hpp"

namespace dkv {

struct Import {
  Position until;        // the latest that any chunk was read at
  bool begun = false;    // a chunk is in
  bool ended = false;    // all are
  std::string next_key;  // where the next chunk begins
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Import&) const = default;

  static Import starting_at(Position at) {
    Import import;
    import.until = at;
    return import;
  }
  /// Chunks are of different times: the store is a state of the shard once it has reached the latest.
  bool complete(Position applied) const { return ended && applied >= until; }
  /// Takes note of a chunk.
  void add(const std::vector<RecordView>& chunk, std::string_view next, Position at) {
    until = std::max(until, at);
    begun = true;
    ended = next.empty();
    next_key = next;
    records += chunk.size();
    for (const RecordView& record : chunk) bytes += record.key.size() + record.value.size();
  }
};

}  // namespace dkv
