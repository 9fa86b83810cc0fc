// A store in memory: for a cache shard whose data may go with the process, and for simulation.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "actors/shard/store.hpp"

namespace dkv {

class MemoryStore : public Store {
 public:
  Result<std::optional<StoredRecord>> get(std::string_view key) override;
  Result<std::optional<Position>> version_of(std::string_view key) override;
  Result<void> scan(std::string_view from, const Visitor& visit) override;
  Result<void> scan_down(std::string_view before, const Visitor& visit) override;
  Position applied() const override;
  Position reached() const override { return applied(); }
  Result<void> write(const Memtable& memtable, Position applied) override;
  Result<void> begin_import(Position at) override;
  Result<void> import(const std::vector<RecordView>& records, std::string_view next_key,
                      Position at) override;
  std::optional<Import> importing() const override;

 private:
  mutable std::mutex mutex_;  // the reader and the writer are two threads
  std::map<std::string, StoredRecord, std::less<>> records_;
  Position applied_;
  std::optional<Import> import_;
};

}  // namespace dkv
