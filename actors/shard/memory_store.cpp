#include "actors/shard/memory_store.hpp"

namespace dkv {

Result<std::optional<StoredRecord>> MemoryStore::get(std::string_view key, std::size_t most_bytes) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(key);
  if (at == records_.end()) return std::optional<StoredRecord>{};
  const auto& [version, value, expires_ms] = at->second;
  return std::optional(StoredRecord::of({key, version, value, expires_ms}, most_bytes));
}

Result<std::optional<RecordHead>> MemoryStore::head_of(std::string_view key, Check) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(key);
  if (at == records_.end()) return std::optional<RecordHead>{};
  return std::optional(RecordHead{at->second.version, at->second.expires_ms});
}

bool MemoryStore::show(const Records::value_type& one, const Chooser& choose, const Visitor& visit) {
  const Step step = choose(one.first);
  if (step != Step::show) return step == Step::skip;
  return visit({one.first, one.second.version, one.second.value, one.second.expires_ms});
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

Result<void> MemoryStore::scan_expiries(const Expiry& after, const ExpiryVisitor& visit) {
  const std::lock_guard lock(mutex_);
  for (auto at = expiries_.upper_bound(after); at != expiries_.end(); ++at) {
    if (!visit(at->at_ms, at->key)) break;
  }
  return {};
}

void MemoryStore::put(const RecordView& record) {
  remove(record.key);
  std::string key(record.key);
  if (record.expires_ms != 0) expiries_.insert({record.expires_ms, key});
  records_.insert_or_assign(std::move(key),
                            Kept{record.version, std::string(record.value), record.expires_ms});
}

void MemoryStore::remove(std::string_view key) {
  const auto at = records_.find(key);
  if (at == records_.end()) return;
  if (at->second.expires_ms != 0) expiries_.erase({at->second.expires_ms, at->first});
  records_.erase(at);
}

Position MemoryStore::applied() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

Result<void> MemoryStore::write(const Memtable& memtable, Position applied) {
  const std::lock_guard lock(mutex_);
  for (auto at = memtable.seek(); !at.at_end(); at.next()) {
    const Record& record = at.record();
    if (record.removed) {
      remove(at.key());
    } else {
      put({at.key(), record.version, record.value, record.expires_ms});
    }
  }
  applied_ = applied;
  if (import_ && import_->complete(applied_)) import_.reset();
  return {};
}

Result<void> MemoryStore::begin_import(Position at) {
  const std::lock_guard lock(mutex_);
  records_.clear();
  expiries_.clear();
  applied_ = at;
  import_ = Import::starting_at(at);
  return {};
}

Result<void> MemoryStore::import(const std::vector<RecordView>& records, std::string_view next_key,
                                 Position at) {
  const std::lock_guard lock(mutex_);
  DKV_ASSERT(import_ && at >= applied_);
  for (const RecordView& record : records) put(record);
  import_->add(records, next_key, at);
  if (import_->complete(applied_)) import_.reset();
  return {};
}

std::optional<Import> MemoryStore::importing() const {
  const std::lock_guard lock(mutex_);
  return import_;
}

}  // namespace dkv
