#include "actors/shard/memtable.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <xxhash.h>

namespace dkv {

namespace {

// Not below the allocator's threshold for memory that is given back: see distrikvd's main.
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kFirstSlots = 256;
// Sorting this many keys takes about a millisecond.
constexpr std::size_t kRunKeys = 8192;

}  // namespace

char* Arena::allocate(std::size_t bytes) {
  bytes = (bytes + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
  bytes_ += bytes;
  if (bytes > left_) {
    const std::size_t block = std::max(bytes, kBlockBytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
    // A large value has a block to itself, and the one before it is gone on with.
    if (block > kBlockBytes) return blocks_.back().get();
    next_ = blocks_.back().get();
    left_ = block;
  }
  left_ -= bytes;
  return std::exchange(next_, next_ + bytes);
}

Memtable::Memtable()
    : slots_(kFirstSlots),
      shift_(64 - std::countr_zero(kFirstSlots)),
      seed_(reinterpret_cast<std::uintptr_t>(slots_.data())) {}

std::uint64_t Memtable::hash_of(std::string_view key) const {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed_);
}

/// Where the key is, or where it would go.
std::size_t Memtable::slot_of(std::uint64_t hash, std::string_view key) const {
  std::size_t at = hash >> shift_;
  while (slots_[at].entry != nullptr && (slots_[at].hash != hash || slots_[at].entry->key != key)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

void Memtable::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  --shift_;
  for (const Slot& slot : old) {
    if (slot.entry != nullptr) slots_[slot_of(slot.hash, slot.entry->key)] = slot;
  }
}

void Memtable::set(std::string_view key, const Record& record) {
  const std::uint64_t hash = hash_of(key);
  std::size_t at = slot_of(hash, key);
  const std::string_view value = record.value;
  if (slots_[at].entry == nullptr) {
    if ((size_ + 1) * 4 > slots_.size() * 3) {
      grow();
      at = slot_of(hash, key);
    }
    char* const place = arena_.allocate(sizeof(Entry) + key.size() + value.size());
    char* const bytes = place + sizeof(Entry);
    std::copy(key.begin(), key.end(), bytes);
    slots_[at] = {hash,
                  new (place) Entry{{{}, false, {bytes + key.size(), 0}}, {bytes, key.size()}, value.size()}};
    ++size_;
    if (runs_.empty() || runs_.back().size() == kRunKeys) {
      sort_last_run();
      runs_.emplace_back().reserve(kRunKeys);
    }
    runs_.back().push_back(slots_[at].entry);
    last_run_sorted_ = false;
  }
  Entry& entry = *slots_[at].entry;
  char* target = const_cast<char*>(entry.record.value.data());  // our own arena's
  if (value.size() > entry.capacity) {
    target = arena_.allocate(value.size());
    entry.capacity = value.size();
  }
  std::copy(value.begin(), value.end(), target);
  entry.record = {record.version, record.removed, {target, value.size()}};
}

const Record* Memtable::find(std::string_view key) const {
  const Entry* entry = slots_[slot_of(hash_of(key), key)].entry;
  return entry == nullptr ? nullptr : &entry->record;
}

void Memtable::sort_last_run() {
  if (last_run_sorted_) return;
  std::sort(runs_.back().begin(), runs_.back().end(),
            [](const Entry* a, const Entry* b) { return a->key < b->key; });
  last_run_sorted_ = true;
}

void Memtable::seal() { sort_last_run(); }

bool Memtable::Cursor::later(const Place& a, const Place& b) { return (*a.next)->key > (*b.next)->key; }

Memtable::Cursor Memtable::seek(std::string_view from) const {
  Cursor cursor;
  for (const Run& run : runs_) {
    const auto first =
        std::lower_bound(run.begin(), run.end(), from,
                         [](const Entry* entry, std::string_view key) { return entry->key < key; });
    if (first != run.end()) cursor.heap_.push_back({first, run.end()});
  }
  std::make_heap(cursor.heap_.begin(), cursor.heap_.end(), Cursor::later);
  return cursor;
}

Memtable::Cursor Memtable::seek(std::string_view from) {
  sort_last_run();
  return std::as_const(*this).seek(from);
}

void Memtable::Cursor::next() {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  if (++heap_.back().next == heap_.back().end) {
    heap_.pop_back();
  } else {
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
}

}  // namespace dkv
