#include "actors/shard/memtable.hpp"

#include <algorithm>
#include <bit>
#include <random>
#include <utility>
#include <xxhash.h>

namespace dkv {

namespace {

// Not below the allocator's threshold for memory that is given back: see distrikvd's main.
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kFirstSlots = 256;
// Sorting this many keys takes about a millisecond.
constexpr std::size_t kRunKeys = 8192;
// Another in every process, so that nobody can choose keys that meet in one slot.
const std::uint64_t kSeed = std::random_device()() | std::uint64_t{std::random_device()()} << 32;

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

HashedKey::HashedKey(std::string_view of)
    : key(of), hash(XXH3_64bits_withSeed(of.data(), of.size(), kSeed)) {}

Memtable::Memtable() : slots_(kFirstSlots), shift_(64 - std::countr_zero(kFirstSlots)) {}

/// Where the key is, or where it would go.
std::size_t Memtable::slot_of(const HashedKey& key) const {
  std::size_t at = key.hash >> shift_;
  while (slots_[at].entry != nullptr && (slots_[at].hash != key.hash || slots_[at].entry->key != key.key)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

void Memtable::prefetch_slot(const HashedKey& key) const { __builtin_prefetch(&slots_[key.hash >> shift_]); }

void Memtable::prefetch_entry(const HashedKey& key) const {
  const Entry* entry = slots_[key.hash >> shift_].entry;
  if (entry == nullptr) return;
  __builtin_prefetch(entry);
  __builtin_prefetch(entry + 1);  // its key
}

void Memtable::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  --shift_;
  for (const Slot& slot : old) {
    if (slot.entry == nullptr) continue;
    std::size_t at = slot.hash >> shift_;
    while (slots_[at].entry != nullptr) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

void Memtable::set(const HashedKey& key, const Record& record) {
  std::size_t at = slot_of(key);
  if (slots_[at].entry == nullptr) {
    if ((size_ + 1) * 4 > slots_.size() * 3) {
      grow();
      at = slot_of(key);
    }
    slots_[at] = {key.hash, add(key.key, record.value.size())};
  }
  Entry& entry = *slots_[at].entry;
  const std::string_view value = record.value;
  char* target = const_cast<char*>(entry.record.value.data());  // our own arena's
  if (value.size() > entry.capacity) {
    target = arena_.allocate(value.size());
    entry.capacity = value.size();
  }
  std::copy(value.begin(), value.end(), target);
  entry.record = {record.version, record.removed, {target, value.size()}};
}

/// Entry, key and room for the value lie together.
Memtable::Entry* Memtable::add(std::string_view key, std::size_t capacity) {
  char* const place = arena_.allocate(sizeof(Entry) + key.size() + capacity);
  char* const bytes = place + sizeof(Entry);
  std::copy(key.begin(), key.end(), bytes);
  auto* entry = new (place) Entry{{{}, false, {bytes + key.size(), 0}}, {bytes, key.size()}, capacity};
  if (runs_.empty() || runs_.back().size() == kRunKeys) {
    sort_last_run();
    runs_.emplace_back().reserve(kRunKeys);
  }
  runs_.back().push_back(entry);
  last_run_sorted_ = false;
  ++size_;
  return entry;
}

const Record* Memtable::find(const HashedKey& key) const {
  const Entry* entry = slots_[slot_of(key)].entry;
  return entry == nullptr ? nullptr : &entry->record;
}

void Memtable::sort_last_run() {
  if (last_run_sorted_) return;
  std::sort(runs_.back().begin(), runs_.back().end(),
            [](const Entry* a, const Entry* b) { return a->key < b->key; });
  last_run_sorted_ = true;
}

void Memtable::seal() { sort_last_run(); }

bool Memtable::Cursor::later(const Place& a, const Place& b) { return a.key > b.key; }

Memtable::Cursor Memtable::seek(std::string_view from) const {
  Cursor cursor;
  for (const Run& run : runs_) {
    const auto first =
        std::lower_bound(run.begin(), run.end(), from,
                         [](const Entry* entry, std::string_view key) { return entry->key < key; });
    if (first != run.end()) cursor.heap_.push_back({(*first)->key, first, run.end()});
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
    Place& place = heap_.back();
    place.key = (*place.next)->key;
    // By the time that this run's turn comes again, its next entry is here.
    if (place.next + 1 != place.end) __builtin_prefetch(*(place.next + 1));
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
}

}  // namespace dkv
