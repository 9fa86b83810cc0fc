#include "actors/shard/memory_store.hpp"

namespace dkv {

Result<std::optional<StoredRecord>> MemoryStore::get(std::string_view key, std::size_t most_bytes) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(key);
  if (at == records_.end()) return std::optional<StoredRecord>{};
  const auto& [version, value] = at->second;
  const bool fits = value.size() <= most_bytes;
  return std::optional(StoredRecord{version, value.size(), fits ? value : std::string()});
}

Result<std::optional<Position>> MemoryStore::version_of(std::string_view key, Check) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(key);
  return at == records_.end() ? std::nullopt : std::optional(at->second.version);
}

bool MemoryStore::show(const Records::value_type& one, const Chooser& choose, const Visitor& visit) {
  const Step step = choose(one.first);
  if (step != Step::show) return step == Step::skip;
  return visit({one.first, one.second.version, one.second.value});
}

Result<void> MemoryStore::scan(std::string_view from, const Chooser& choose, const Visitor& visit) {
  const std::lock_guard lock(mutex_);
  for (auto at = records_.lower_bound(from); at != records_.end(); ++at) {
    if (!show(*at, choose, visit)) break;
  }
  return {};
}

Result<void> MemoryStore::scan_down(std::string_view before, const Chooser& choose, const Visitor& visit) {
  const std::lock_guard lock(mutex_);
  for (auto at = before.empty() ? records_.end() : records_.lower_bound(before); at != records_.begin();) {
    --at;
    if (!show(*at, choose, visit)) break;
  }
  return {};
}

Position MemoryStore::applied() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

Result<void> MemoryStore::write(const Memtable& memtable, Position applied) {
  const std::lock_guard lock(mutex_);
  for (auto at = memtable.seek(); !at.at_end(); at.next()) {
    std::string key(at.key());
    if (at.record().removed) {
      records_.erase(key);
    } else {
      records_.insert_or_assign(std::move(key), Kept{at.record().version, std::string(at.record().value)});
    }
  }
  applied_ = applied;
  if (import_ && import_->complete(applied_)) import_.reset();
  return {};
}

Result<void> MemoryStore::begin_import(Position at) {
  const std::lock_guard lock(mutex_);
  records_.clear();
  applied_ = at;
  import_ = Import::starting_at(at);
  return {};
}

Result<void> MemoryStore::import(const std::vector<RecordView>& records, std::string_view next_key,
                                 Position at) {
  const std::lock_guard lock(mutex_);
  DKV_ASSERT(import_ && at >= applied_);
  for (const RecordView& record : records) {
    records_.insert_or_assign(std::string(record.key), Kept{record.version, std::string(record.value)});
  }
  import_->add(records, next_key, at);
  if (import_->complete(applied_)) import_.reset();
  return {};
}

std::optional<Import> MemoryStore::importing() const {
  const std::lock_guard lock(mutex_);
  return import_;
}

}  // namespace dkv
