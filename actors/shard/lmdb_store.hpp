// The default store: LMDB in a folder of its own, named databases "records", "expiry" and "meta", full sync.
// What LMDB does when nobody looks, and what this does about it:
// - no checksums: every record carries one, checked whenever its value is read;
// - growing the map under a reader is SIGBUS: 1 TiB of address space is reserved once (sparse);
// - an open reader keeps pages from reuse: one cached read transaction, reset after each batch;
// - a second open in one process breaks its locks: the data folder's exclusive lock is the node's duty.
// Format: store_format.hpp.
#pragma once

#include <memory>
#include <string>

#include "actors/shard/store.hpp"

namespace dkv {

struct LmdbOptions {
  /// A transaction keeps the pages that it changes in memory, so a checkpoint is written in several: each
  /// ends when its records may have dirtied this much.
  std::size_t transaction_bytes = std::size_t{64} << 20;
};

class LmdbStore : public Store {
 public:
  /// Opens or makes the store of `shard` in the existing folder `path`. Errors: io_error, disk_full,
  /// wrong_version (a format from another version), in_use (it belongs to another shard).
  static Result<std::unique_ptr<LmdbStore>> open(const std::string& path, ShardId shard,
                                                 LmdbOptions options = {});
  ~LmdbStore() override;

  Result<std::optional<StoredRecord>> get(std::string_view key, std::size_t most_bytes = SIZE_MAX) override;
  Result<std::optional<RecordHead>> head_of(std::string_view key, Check check) override;
  void end_batch() override;
  using Store::scan;
  Result<void> scan(std::string_view from, const Chooser& choose, const Visitor& visit) override;
  Result<void> scan_down(std::string_view before, const Chooser& choose, const Visitor& visit) override;
  Result<void> scan_expiries(const Expiry& after, const ExpiryVisitor& visit) override;
  Position applied() const override;
  Position reached() const override;
  Result<void> write(const Memtable& memtable, Position applied) override;
  Result<void> begin_import(Position at) override;
  Result<void> import(const std::vector<RecordView>& records, std::string_view next_key,
                      Position at) override;
  std::optional<Import> importing() const override;

 private:
  struct Environment;
  class RecordWriter;
  LmdbStore(std::unique_ptr<Environment> environment, LmdbOptions options);

  /// As it is stored, unchecked; of `data` null where there is none. Until end_batch().
  Result<std::string_view> find(std::string_view key);
  Result<void> scan(std::string_view from, int first, int next, const Chooser& choose, const Visitor& visit);

  std::unique_ptr<Environment> environment_;
  LmdbOptions options_;
};

}  // namespace dkv
