// A store in memory: for a cache shard whose data may go with the process, and for simulation.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "actors/shard/store.hpp"

namespace dkv {

class MemoryStore : public Store {
 public:
  Result<std::optional<StoredRecord>> get(std::string_view key, std::size_t most_bytes = SIZE_MAX) override;
  Result<std::optional<RecordHead>> head_of(std::string_view key, Check check) override;
  using Store::scan;
  Result<void> scan(std::string_view from, const Chooser& choose, const Visitor& visit) override;
  Result<void> scan_down(std::string_view before, const Chooser& choose, const Visitor& visit) override;
  Result<void> scan_expiries(const Expiry& after, const ExpiryVisitor& visit) override;
  Position applied() const override;
  Position reached() const override { return applied(); }
  Result<void> write(const Memtable& memtable, Position applied) override;
  Result<void> begin_import(Position at) override;
  Result<void> import(const std::vector<RecordView>& records, std::string_view next_key,
                      Position at) override;
  std::optional<Import> importing() const override;

 private:
  struct Kept {
    Position version;
    std::string value;
    std::uint64_t expires_ms = 0;
  };
  using Records = std::map<std::string, Kept, std::less<>>;
  /// False: no further.
  static bool show(const Records::value_type& one, const Chooser& choose, const Visitor& visit);

  void put(const RecordView& record);
  void remove(std::string_view key);

  mutable std::mutex mutex_;  // the reader and the writer are two threads
  Records records_;
  std::set<Expiry> expiries_;
  Position applied_;
  std::optional<Import> import_;
};

}  // namespace dkv
