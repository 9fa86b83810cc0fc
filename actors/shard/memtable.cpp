#include "actors/shard/memtable.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <utility>
#include <xxhash.h>

#include "messages/limits.hpp"

namespace dkv {

namespace {

constexpr std::size_t kFirstSlots = 256;
// Sorting this many keys takes about a millisecond.
constexpr std::size_t kRunKeys = 8192;
// Another in every process, so that nobody can choose keys that meet in one slot.
const std::uint64_t kSeed = std::random_device()() | std::uint64_t{std::random_device()()} << 32;

}  // namespace

SpareMemory::Block SpareMemory::take_block() {
  const std::lock_guard lock(mutex_);
  if (blocks_.empty()) return nullptr;
  Block block = std::move(blocks_.back());
  blocks_.pop_back();
  return block;
}

SpareMemory::Slots SpareMemory::take_slots() {
  const std::lock_guard lock(mutex_);
  return std::exchange(slots_, {});
}

void SpareMemory::keep(std::vector<Block> blocks) {
  const std::lock_guard lock(mutex_);
  for (; !blocks.empty() && blocks_.size() < most_blocks_; blocks.pop_back()) {
    blocks_.push_back(std::move(blocks.back()));
  }
}

void SpareMemory::keep(Slots slots) {
  std::fill(slots.begin(), slots.end(), Slot{});
  const std::lock_guard lock(mutex_);
  slots_ = std::move(slots);
}

Arena::~Arena() {
  if (spare_) spare_->keep(std::move(blocks_));
}

char* Arena::allocate(std::size_t bytes) {
  bytes = (bytes + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
  bytes_ += bytes;
  if (bytes > SpareMemory::kBlockBytes) {
    // A large value has a block to itself, and the one before it is gone on with.
    return large_.emplace_back(std::make_unique_for_overwrite<char[]>(bytes)).get();
  }
  if (bytes > left_) {
    SpareMemory::Block block = spare_ ? spare_->take_block() : nullptr;
    if (!block) block = std::make_unique_for_overwrite<char[]>(SpareMemory::kBlockBytes);
    next_ = blocks_.emplace_back(std::move(block)).get();
    left_ = SpareMemory::kBlockBytes;
  }
  left_ -= bytes;
  return std::exchange(next_, next_ + bytes);
}

HashedKey::HashedKey(std::string_view of)
    : key(of), hash(XXH3_64bits_withSeed(of.data(), of.size(), kSeed)) {}

/// Begins with the table of one that came before: it needs that many slots again, most likely.
Memtable::Memtable(std::shared_ptr<SpareMemory> spare)
    : spare_(spare), arena_(std::move(spare)), slots_(spare_ ? spare_->take_slots() : std::vector<Slot>{}) {
  if (slots_.empty()) slots_.resize(kFirstSlots);
  shift_ = 64 - std::countr_zero(slots_.size());
}

Memtable::~Memtable() {
  if (spare_ && slots_.size() > kFirstSlots) spare_->keep(std::move(slots_));
}

/// Where the key is, or where it would go.
std::size_t Memtable::slot_of(const HashedKey& key) const {
  std::size_t at = key.hash >> shift_;
  while (slots_[at].entry != nullptr &&
         (slots_[at].hash != key.hash || entry_of(slots_[at])->key != key.key)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

void Memtable::prefetch_slot(const HashedKey& key) const { __builtin_prefetch(&slots_[key.hash >> shift_]); }

void Memtable::prefetch_entry(const HashedKey& key) const {
  const Entry* entry = entry_of(slots_[key.hash >> shift_]);
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

Memtable::Set Memtable::set(const HashedKey& key, const Record& record) {
  std::size_t at = slot_of(key);
  if (slots_[at].entry == nullptr) {
    if ((size_ + 1) * 4 > slots_.size() * 3) {
      grow();
      at = slot_of(key);
    }
    slots_[at] = {key.hash, add(key.key, record.value.size())};
  }
  Entry& entry = *entry_of(slots_[at]);
  const std::string_view value = record.value;
  char* target = const_cast<char*>(entry.record.value.data());  // our own arena's
  if (value.size() > entry.capacity) {
    target = arena_.allocate(value.size());
    entry.capacity = value.size();
  }
  std::copy(value.begin(), value.end(), target);
  const Set done{entry.key, entry.record.expires_ms};
  entry.record = Record(record.version, record.removed, {target, value.size()}, record.expires_ms);
  return done;
}

/// Entry, key and room for the value lie together.
Memtable::Entry* Memtable::add(std::string_view key, std::size_t capacity) {
  char* const place = arena_.allocate(sizeof(Entry) + key.size() + capacity);
  char* const bytes = place + sizeof(Entry);
  std::copy(key.begin(), key.end(), bytes);
  auto* entry = new (place) Entry{Record({}, false, {bytes + key.size(), 0}), {bytes, key.size()}, capacity};
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
  const Entry* entry = entry_of(slots_[slot_of(key)]);
  return entry == nullptr ? nullptr : &entry->record;
}

namespace {

std::size_t common_prefix(std::string_view a, std::string_view b, std::size_t most) {
  const std::size_t length = std::min({a.size(), b.size(), most});
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + length, b.begin()).first - a.begin());
}

/// The eight bytes of a key that follow its first `skip` as a number that is ordered as they are; a key that
/// ends before is filled with zeros. Where two differ they decide, and a comparison is one of numbers.
std::uint64_t abbreviation(std::string_view key, std::size_t skip) {
  std::uint64_t bytes = 0;
  if (key.size() >= skip + sizeof bytes) {
    std::memcpy(&bytes, key.data() + skip, sizeof bytes);
  } else {
    std::memcpy(&bytes, key.data() + skip, key.size() - skip);
  }
  if constexpr (std::endian::native == std::endian::little) bytes = __builtin_bswap64(bytes);
  return bytes;
}

}  // namespace

/// By numbers where they decide: keys themselves are all over the memory.
void Memtable::sort(Run& run) {
  struct Abbreviated {
    std::uint64_t number;
    const Entry* entry;
  };
  std::size_t common = kMaxKeyBytes;
  for (const Entry* entry : run) common = common_prefix(run.front()->key, entry->key, common);
  std::vector<Abbreviated> order;
  order.reserve(run.size());
  for (const Entry* entry : run) order.push_back({abbreviation(entry->key, common), entry});
  std::sort(order.begin(), order.end(), [](const Abbreviated& a, const Abbreviated& b) {
    return a.number != b.number ? a.number < b.number : a.entry->key < b.entry->key;
  });
  std::transform(order.begin(), order.end(), run.begin(), [](const Abbreviated& one) { return one.entry; });
}

void Memtable::sort_last_run() {
  if (last_run_sorted_) return;
  sort(runs_.back());
  last_run_sorted_ = true;
}

void Memtable::seal() { sort_last_run(); }

Memtable::Cursor Memtable::seek(std::string_view from) const {
  Cursor cursor;
  for (const Run& run : runs_) {
    const std::size_t first = lower_bound(run, from);
    if (first < run.size()) cursor.places_.push_back({run.data() + first, run.size() - first});
  }
  cursor.begin();
  return cursor;
}

Memtable::Cursor Memtable::seek_down(std::string_view before) const {
  Cursor cursor;
  cursor.step_ = -1;
  for (const Run& run : runs_) {
    const std::size_t left = before.empty() ? run.size() : lower_bound(run, before);
    if (left > 0) cursor.places_.push_back({run.data() + left - 1, left});
  }
  cursor.begin();
  return cursor;
}

Memtable::Cursor Memtable::seek_down(std::string_view before) {
  sort_last_run();
  return std::as_const(*this).seek_down(before);
}

/// How many of a sorted run are less.
std::size_t Memtable::lower_bound(const Run& run, std::string_view key) {
  const auto first =
      std::lower_bound(run.begin(), run.end(), key,
                       [](const Entry* entry, std::string_view wanted) { return entry->key < wanted; });
  return static_cast<std::size_t>(first - run.begin());
}

Memtable::Cursor Memtable::seek(std::string_view from) {
  sort_last_run();
  return std::as_const(*this).seek(from);
}

void Memtable::Cursor::begin() {
  if (places_.empty()) return;
  // A run is sorted: what its first and its last key begin with, all between them do.
  const std::string_view any = places_.front().entry()->key;
  common_ = any.size();
  for (const Place& place : places_) {
    common_ = common_prefix(any, place.entry()->key, common_);
    const auto last = static_cast<std::ptrdiff_t>(place.left - 1) * step_;
    common_ = common_prefix(any, place.at[last]->key, common_);
  }
  for (Place& place : places_) abbreviate(place);
  losers_.resize(places_.size());
  winner_ = play(1);
}

void Memtable::Cursor::abbreviate(Place& place) const {
  place.abbreviated = abbreviation(place.entry()->key, common_);
}

bool Memtable::Cursor::before(std::uint32_t a, std::uint32_t b) const {
  const Place& left = places_[a];
  const Place& right = places_[b];
  if (left.at_end() || right.at_end()) return !left.at_end();
  const bool is_up = step_ > 0;
  if (left.abbreviated != right.abbreviated) return (left.abbreviated < right.abbreviated) == is_up;
  return (left.entry()->key < right.entry()->key) == is_up;
}

/// The place that wins below a node, whose losers are filled in.
std::uint32_t Memtable::Cursor::play(std::uint32_t node) {
  const auto leaves = static_cast<std::uint32_t>(places_.size());
  if (node >= leaves) return node - leaves;
  const std::uint32_t left = play(2 * node);
  const std::uint32_t right = play(2 * node + 1);
  const bool left_wins = before(left, right);
  losers_[node] = left_wins ? right : left;
  return left_wins ? left : right;
}

void Memtable::Cursor::next() {
  Place& place = places_[winner_];
  if (--place.left > 0) {
    place.at += step_;
    abbreviate(place);
    // By the time that this run's turn comes again, its next entry is here.
    if (place.left > 1) __builtin_prefetch(place.at[step_]);
  }
  const auto leaves = static_cast<std::uint32_t>(places_.size());
  for (std::uint32_t node = (winner_ + leaves) / 2; node > 0; node /= 2) {
    if (before(losers_[node], winner_)) std::swap(losers_[node], winner_);
  }
}

}  // namespace dkv
