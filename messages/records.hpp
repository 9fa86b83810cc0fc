// Records in a row, as a snapshot carries them from one copy of a shard to another: packed while they are
// read, checked as a whole, unpacked by whoever writes them. The format is specified in messages/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv {

/// A record: views into the bytes that hold it.
struct RecordView {
  std::string_view key;
  Position version;
  std::string_view value;
  std::uint64_t expires_ms = 0;  // since 1970; 0: never
};

class RecordPacker {
 public:
  void add(const RecordView& record);
  std::size_t count() const { return count_; }
  /// The bytes of the records so far.
  std::size_t size() const { return records_.size(); }
  /// All records added since the last finish(); begins anew.
  std::string finish();

 private:
  std::string records_;
  std::size_t count_ = 0;
};

/// Records in ascending order of key, each key once. Views into `bytes`. Errors: corrupt (the checksum does
/// not hold), bad_request (a checksum that holds over nonsense).
Result<std::vector<RecordView>> decode_records(std::string_view bytes);

}  // namespace dkv
