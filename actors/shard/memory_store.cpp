#include "actors/shard/memory_store.hpp"

namespace dkv {

Result<std::optional<StoredRecord>> MemoryStore::get(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(key);
  if (at == records_.end()) return std::optional<StoredRecord>{};
  return std::optional<StoredRecord>{at->second};
}

Result<bool> MemoryStore::contains(std::string_view key) {
  const std::lock_guard lock(mutex_);
  return records_.contains(key);
}

Result<void> MemoryStore::scan(std::string_view from, const Visitor& visit) {
  const std::lock_guard lock(mutex_);
  for (auto at = records_.lower_bound(from); at != records_.end(); ++at) {
    if (!visit(at->first, at->second)) break;
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
      records_.insert_or_assign(std::move(key),
                                StoredRecord{at.record().version, std::string(at.record().value)});
    }
  }
  applied_ = applied;
  return {};
}

}  // namespace dkv
