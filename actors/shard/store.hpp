// The store behind a shard: its records as of the last checkpoint. Pluggable; LmdbStore is the default,
// MemoryStore keeps nothing over a restart. One thread reads (the member's), one writes (the checkpoint
// actor's), at the same time.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/runtime/import.hpp"
#include "actors/shard/memtable.hpp"
#include "messages/ids.hpp"
#include "messages/records.hpp"
#include "messages/result.hpp"

namespace dkv {

struct StoredRecord {
  Position version;
  std::size_t size = 0;  // of the value
  std::string value;     // empty where it is larger than was asked for
  std::uint64_t expires_ms = 0;

  static StoredRecord of(const RecordView& record, std::size_t most_bytes) {
    const bool fits = record.value.size() <= most_bytes;
    return {record.version, record.value.size(), std::string(fits ? record.value : ""), record.expires_ms};
  }
};

/// All of a record but its key and value.
struct RecordHead {
  Position version;
  std::uint64_t expires_ms = 0;
  bool operator==(const RecordHead&) const = default;
};

/// When a key's record expires, in milliseconds since 1970. In the order of that.
struct Expiry {
  std::uint64_t at_ms = 0;
  std::string key;
  auto operator<=>(const Expiry&) const = default;
};

class Store {
 public:
  virtual ~Store() = default;

  /// The record, or nothing; a value of more than `most_bytes` is left out, and costs nothing. Errors:
  /// corrupt (its checksum does not hold: never served), io_error.
  virtual Result<std::optional<StoredRecord>> get(std::string_view key,
                                                  std::size_t most_bytes = SIZE_MAX) = 0;
  /// `header`: reads no value, and takes a damaged record for one: good enough to know that there is one.
  enum class Check : std::uint8_t { record, header };
  /// Of the key's record, or nothing. Errors as get().
  virtual Result<std::optional<RecordHead>> head_of(std::string_view key, Check check) = 0;
  /// The reader has finished a batch: give up the snapshot that its reads shared, so that its pages can
  /// be used again.
  virtual void end_batch() {}
  enum class Step : std::uint8_t { show, skip, stop };
  /// What is to be done with a key's record: one that is skipped is not read.
  using Chooser = std::function<Step(std::string_view key)>;
  using Visitor = std::function<bool(const RecordView&)>;
  /// Goes through the records from `from` on, in key order, until `choose` says so or `visit` returns false.
  /// On a snapshot of its own. Errors as get().
  virtual Result<void> scan(std::string_view from, const Chooser& choose, const Visitor& visit) = 0;
  /// The same downwards, of the records before `before`, or of all when that is empty.
  virtual Result<void> scan_down(std::string_view before, const Chooser& choose, const Visitor& visit) = 0;
  /// Shows all.
  Result<void> scan(std::string_view from, const Visitor& visit) {
    return scan(
        from, [](std::string_view) { return Step::show; }, visit);
  }

  /// Calls `visit` with the expiry of every record that has one, from behind `after` on, in their order,
  /// until it returns false. Errors: io_error.
  using ExpiryVisitor = std::function<bool(std::uint64_t at_ms, std::string_view key)>;
  virtual Result<void> scan_expiries(const Expiry& after, const ExpiryVisitor& visit) = 0;

  /// The last event that the store contains; it contains all before it too.
  virtual Position applied() const = 0;
  /// It may contain events up to this one: applied(), or further when the last write() was cut short. As it
  /// was when the store was opened or last written; any thread, but not while the writer is at work.
  virtual Position reached() const = 0;
  /// Writes all of a memtable, and at its end `applied`; durable on return. The writer's thread only. A
  /// failure (disk_full, io_error) or a crash may leave some of its records written, in key order, and
  /// `applied` as it was: whoever reads has them all in a memtable above, or in the log, which is replayed
  /// from `applied` on.
  virtual Result<void> write(const Memtable& memtable, Position applied) = 0;

  // ---- a copy from elsewhere. The writer's thread only; each call is one atomic, durable step. Errors:
  // disk_full, io_error; then nothing was written.

  /// Removes every record: from now on the store is being filled, and its events follow `at`.
  virtual Result<void> begin_import(Position at) = 0;
  /// Adds a chunk, all records of its range as of `at`, which must not be below applied(): else a delete
  /// that has been written would be undone. `next_key`: where the next one begins; empty: this was the last.
  virtual Result<void> import(const std::vector<RecordView>& records, std::string_view next_key,
                              Position at) = 0;
  /// Nothing when the store is whole. Any thread, but not while the writer is at work.
  virtual std::optional<Import> importing() const = 0;
};

}  // namespace dkv
