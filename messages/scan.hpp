// What of a cluster's keys is to be read, in order, and a page of it: the same for HTTP, C++ and the command
// line.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "messages/operation.hpp"
#include "messages/rpc.hpp"

namespace dkv {

struct ScanOptions {
  std::string prefix;       ///< only keys that begin with it
  std::string start;        ///< only keys from this one on
  std::string end;          ///< only keys before this one; empty: no end
  bool reverse = false;     ///< from the last one down
  bool keys_only = false;   ///< leaves the values out
  std::size_t limit = 100;  ///< records in the page, 1 to kMaxScanItems
  ReadMode read = ReadMode::linearizable;
  std::string cursor;  ///< of the page before; empty: the first page
  /// What replicas must have come to before they answer; goes up to what the page shows.
  std::shared_ptr<Session> session{};
};

struct ScanResult {
  std::vector<rpc::ScanItem> items;
  std::string cursor;  ///< for the next page, with the same options; empty: this was the last
};

/// Keys from `low` to before `high`, which has no end where it is empty.
struct KeyRange {
  std::string low;
  std::string high;
  bool empty() const { return !high.empty() && low >= high; }
  bool operator==(const KeyRange&) const = default;
};

/// What is left to be read, by all that the options say.
KeyRange range_of(const ScanOptions& options);

/// Puts the shards' pages of a range together: as many records as they have in common, at most `most`, go to
/// `items`, and out of the range, which is empty when all has been read.
void merge_pages(std::vector<rpc::ScanReply> pages, bool down, std::size_t most, KeyRange& range,
                 std::vector<rpc::ScanItem>& items);

}  // namespace dkv
