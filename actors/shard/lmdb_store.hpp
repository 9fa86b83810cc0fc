// The default store: LMDB in a folder of its own, two named databases ("records", "meta"), full sync.
// What LMDB does when nobody looks, and what this does about it:
// - no checksums: every value carries one, checked at every read;
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

  Result<std::optional<StoredRecord>> get(std::string_view key) override;
  Result<std::optional<Position>> version_of(std::string_view key) override;
  void end_batch() override;
  Result<void> scan(std::string_view from, const Visitor& visit) override;
  Result<void> scan_down(std::string_view before, const Visitor& visit) override;
  Position applied() const override;
  Position reached() const override;
  Result<void> write(const Memtable& memtable, Position applied) override;
  Result<void> begin_import(Position at) override;
  Result<void> import(const std::vector<RecordView>& records, std::string_view next_key,
                      Position at) override;
  std::optional<Import> importing() const override;

 private:
  struct Environment;
  LmdbStore(std::unique_ptr<Environment> environment, LmdbOptions options);

  Result<std::optional<RecordView>> find(std::string_view key);
  Result<void> scan(std::string_view from, int first, int next, const Visitor& visit);

  std::unique_ptr<Environment> environment_;
  LmdbOptions options_;
};

}  // namespace dkv
