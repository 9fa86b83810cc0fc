// The newest records above the store, ordered by key (scans merge it with the store). Written by one
// actor until it is frozen; from then on immutable, so that the checkpoint actor may read it from its
// own thread while the member goes on reading it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "messages/ids.hpp"

namespace dkv {

struct Record {
  Position version;
  bool removed = false;  // a delete that still has to reach the store
  std::string value;
};

class Memtable {
 public:
  using Records = std::map<std::string, Record, std::less<>>;

  void set(std::string_view key, Record record) {
    const std::size_t added = record.value.size();
    auto at = records_.lower_bound(key);
    if (at == records_.end() || at->first != key) {
      at = records_.emplace_hint(at, std::string(key), Record{});
      bytes_ += key.size() + kEntryBytes;
    }
    bytes_ = bytes_ + added - at->second.value.size();
    at->second = std::move(record);
  }

  /// nullptr when the key is not in here; a removed record is. Valid until the next set().
  const Record* find(std::string_view key) const {
    const auto at = records_.find(key);
    return at == records_.end() ? nullptr : &at->second;
  }

  const Records& records() const { return records_; }
  bool empty() const { return records_.empty(); }
  /// About what this takes in memory.
  std::size_t bytes() const { return bytes_; }

 private:
  // A map node: three pointers and a colour, a key string and a Record, rounded as malloc does.
  static constexpr std::size_t kEntryBytes = 144;

  Records records_;
  std::size_t bytes_ = 0;
};

}  // namespace dkv
