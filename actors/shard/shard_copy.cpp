#include "actors/shard/shard_copy.hpp"

#include <algorithm>

#include "messages/limits.hpp"

namespace dkv {

namespace {
constexpr Duration kCheckpointRetry = 1s;
// Of the room beside a frozen memtable: up to this share, writers may take as much as time has passed.
constexpr double kInStep = 3.0 / 4;
// A frame's share of one event: lengths, types, numbers.
constexpr std::uint64_t kEventOverheadBytes = 16;
}  // namespace

ShardCopy::ShardCopy(Address self, std::shared_ptr<Store> store, CopyOptions options)
    : checkpoint_{self.node, Role::checkpoint, self.shard},
      store_(std::move(store)),
      options_(options),
      spare_(std::make_shared<SpareMemory>(options.freeze_bytes)),
      active_(std::make_unique<Memtable>(spare_)),
      store_applied_(store_->applied()),
      store_reached_(store_->reached()),
      last_(store_applied_) {}

void ShardCopy::prefetch(std::span<const HashedKey> keys) const {
  const Memtable* const tables[] = {active_.get(), frozen_.get(), written_.get()};
  for (const Memtable* table : tables) {
    if (table == nullptr) continue;
    for (const HashedKey& key : keys) table->prefetch_slot(key);
  }
  for (const Memtable* table : tables) {
    if (table == nullptr) continue;
    for (const HashedKey& key : keys) table->prefetch_entry(key);
  }
}

const Record* ShardCopy::find(const HashedKey& key) const {
  if (const Record* record = active_->find(key)) return record;
  return frozen_ ? frozen_->find(key) : nullptr;
}

/// The record, a removed one too, where a memtable has it.
const Record* ShardCopy::find_or_recall(const HashedKey& key) const {
  if (const Record* record = find(key)) return record;
  return written_ ? written_->find(key) : nullptr;
}

Result<std::optional<StoredRecord>> ShardCopy::get(std::string_view key, std::size_t most_bytes) {
  const Record* record = find_or_recall(HashedKey(key));
  if (record == nullptr) return store_->get(key, most_bytes);
  if (record->removed) return std::optional<StoredRecord>{};
  return std::optional(
      StoredRecord::of({key, record->version, record->value, record->expires_ms}, most_bytes));
}

Result<ShardCopy::Presence> ShardCopy::look_up(std::string_view key, Store::Check check) {
  if (const Record* record = find_or_recall(HashedKey(key))) {
    return Presence{record->removed ? std::nullopt : std::optional(record->version), record->version.seq,
                    record->expires_ms};
  }
  const auto stored = store_->head_of(key, check);
  if (!stored) return stored.error();
  if (!*stored) return Presence{};
  return Presence{(*stored)->version, {}, (*stored)->expires_ms};
}

OperationResult ShardCopy::read(const Operation& operation, std::size_t& room, TimePoint now, bool* expired) {
  if (operation.code != OpCode::get)
    return OperationResult::failed(Errc::bad_request, "only reads are answered here");
  auto found = get(operation.key, room);
  if (!found) return OperationResult::failed(found.error().code, found.error().message);
  if (!found->has_value()) {
    OperationResult miss = OperationResult::failed(Errc::not_found, "no such key");
    if (const Record* removed = find(HashedKey(operation.key))) miss.version = removed->version;
    return miss;
  }
  if (expired != nullptr && is_over((*found)->expires_ms, now)) {
    *expired = true;
    return {};
  }
  if ((*found)->size > room) return too_large_for_one_reply();
  room -= (*found)->size;
  OperationResult result;
  result.version = (*found)->version;
  result.value = std::move((*found)->value);
  result.ttl_ms = ttl_ms((*found)->expires_ms, now);
  return result;
}

void ShardCopy::apply(const Event& event, Position position) {
  if (position.seq <= store_applied_.seq) return;
  last_ = position;
  log_bytes_ += event.key.size() + event.value.size() + kEventOverheadBytes;
  switch (event.type) {
    case EventType::put: {
      const auto set = active_->set(event.key, {position, false, event.value, event.expires_ms});
      // Else its place in the queue comes early enough: a key that is written again and again has one.
      if (event.expires_ms != 0 && (set.expired_ms == 0 || event.expires_ms < set.expired_ms))
        active_due_.push({event.expires_ms, set.key});
      break;
    }
    case EventType::remove:
      active_->set(event.key, {position, true, {}});
      break;
    case EventType::epoch_start:
      break;
  }
}

void ShardCopy::apply(const FrameView& frame) {
  Seq seq = frame.prev.seq;
  for (const Event& event : frame.events) {
    ++seq.value;
    apply(event, {frame.epoch, seq});
  }
}

namespace {
/// Goes through two memtables as one: of a key that both have, `newer`'s record.
class Overlay {
 public:
  Overlay(Memtable::Cursor newer, Memtable::Cursor older, bool is_up)
      : newer_(std::move(newer)), older_(std::move(older)), is_up_(is_up) {
    choose();
  }
  bool at_end() const { return at_ == nullptr; }
  std::string_view key() const { return at_->key(); }
  const Record& record() const { return at_->record(); }
  void next() {
    if (both_) older_.next();
    at_->next();
    choose();
  }
  /// Its key comes earlier than this one.
  bool is_before(std::string_view key) const {
    return !at_end() && this->key() != key && (this->key() < key) == is_up_;
  }

 private:
  void choose() {
    at_ = newer_.at_end() ? nullptr : &newer_;
    both_ = false;
    if (older_.at_end()) return;
    both_ = at_ != nullptr && newer_.key() == older_.key();
    if (at_ == nullptr || (!both_ && (older_.key() < newer_.key()) == is_up_)) at_ = &older_;
  }

  Memtable::Cursor newer_;
  Memtable::Cursor older_;
  bool is_up_;
  Memtable::Cursor* at_ = nullptr;
  bool both_ = false;
};
}  // namespace

Result<void> ShardCopy::scan(std::string_view from, const Visitor& visit) {
  return scan(from, Direction::up, visit, [](std::string_view) { return true; });
}

Result<void> ShardCopy::scan(std::string_view from, Direction direction, const Visitor& visit,
                             const Passer& pass) {
  const bool is_up = direction == Direction::up;
  Overlay above(is_up ? active_->seek(from) : active_->seek_down(from),
                !frozen_ ? Memtable::Cursor{}
                : is_up  ? frozen_->seek(from)
                         : frozen_->seek_down(from),
                is_up);
  bool wanted = true;
  const auto visit_above = [&] {
    const Record& record = above.record();
    wanted = record.removed ? pass(above.key())
                            : visit({above.key(), record.version, record.value, record.expires_ms});
    above.next();
  };
  const auto choose = [&](std::string_view key) {
    while (wanted && above.is_before(key)) visit_above();
    if (!wanted) return Store::Step::stop;
    if (above.at_end() || above.key() != key) return Store::Step::show;
    visit_above();
    return wanted ? Store::Step::skip : Store::Step::stop;
  };
  const auto visit_stored = [&](const RecordView& record) { return wanted = visit(record); };
  const auto scanned =
      is_up ? store_->scan(from, choose, visit_stored) : store_->scan_down(from, choose, visit_stored);
  if (!scanned) return scanned;
  while (wanted && !above.at_end()) visit_above();
  return {};
}

// ---- expiry

std::uint64_t ShardCopy::wall_ms(TimePoint now) const {
  const auto wall = std::max(now.time_since_epoch() + options_.clock_offset, Duration{});
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
}

std::uint64_t ShardCopy::ttl_ms(std::uint64_t expires_ms, TimePoint now) const {
  if (expires_ms == 0) return 0;
  const std::uint64_t wall = wall_ms(now);
  return expires_ms > wall ? expires_ms - wall : 1;
}

Result<bool> ShardCopy::take_expired(TimePoint now, std::size_t most, const Taker& take) {
  std::size_t left = most;
  take_due(active_due_, *active_, now, left, take);
  if (frozen_) take_due(frozen_due_, *frozen_, now, left, take);
  const std::uint64_t wall = wall_ms(now);
  if (left == 0 || stored_due_ > wall) return left > 0;
  stored_due_ = UINT64_MAX;
  std::vector<std::string> over;
  const auto scanned = store_->scan_expiries(swept_, [&](std::uint64_t at_ms, std::string_view key) {
    stored_due_ = at_ms;
    if (at_ms > wall || left == 0) return false;
    --left;
    swept_.at_ms = at_ms;
    swept_.key = key;
    stored_due_ = UINT64_MAX;
    // What a memtable has is newer, and in its queue if it expires.
    if (find(HashedKey(key)) == nullptr) over.emplace_back(key);
    return true;
  });
  if (!scanned) {
    stored_due_ = 0;
    return scanned.error();
  }
  for (const std::string& key : over) {
    // Nothing is removed by an index, or by a record, that is damaged.
    const auto head = store_->head_of(key, Store::Check::record);
    if (head && *head && is_over((*head)->expires_ms, now)) take(key);
  }
  return left > 0;
}

void ShardCopy::take_due(Queue& queue, const Memtable& table, TimePoint now, std::size_t& left,
                         const Taker& take) {
  const std::uint64_t wall = wall_ms(now);
  for (; left > 0 && !queue.empty() && queue.top().at_ms <= wall; --left) {
    const Due due = queue.top();
    queue.pop();
    const HashedKey key(due.key);
    const Record* record = find(key);
    if (record->removed || record->expires_ms == 0) continue;
    if (record->expires_ms <= wall) {
      take(due.key);
    } else if (table.find(key) == record) {  // else the other's queue has it
      queue.push({record->expires_ms, due.key});
    }
  }
}

TimePoint ShardCopy::next_expiry() const {
  std::uint64_t next = stored_due_;
  for (const Queue* queue : {&active_due_, &frozen_due_}) {
    if (!queue->empty()) next = std::min(next, queue->top().at_ms);
  }
  if (next > kMaxTimeMs) return kNever;
  const auto wall = TimePoint{} + std::chrono::milliseconds(next);
  return wall - options_.clock_offset;
}

void ShardCopy::forget_expiries() {
  active_due_ = {};
  frozen_due_ = {};
  swept_ = {};
  stored_due_ = 0;
}

std::size_t ShardCopy::bytes_of(const Memtable& table, const Queue& queue) {
  return table.bytes() + queue.size() * sizeof(Due);
}

std::size_t ShardCopy::unwritten_bytes() const {
  return bytes_of(*active_, active_due_) + (frozen_ ? bytes_of(*frozen_, frozen_due_) : 0);
}

bool ShardCopy::full() const {
  // A checkpoint that takes long must not let overwrites, which take no memory, make recovery long.
  if (frozen_ && log_bytes_ >= options_.freeze_log_bytes) return true;
  return unwritten_bytes() >= options_.max_bytes;
}

/// 0 when a memtable has just been frozen, 1 when full().
double ShardCopy::room_taken() const {
  const std::size_t frozen = frozen_->bytes();
  const std::size_t room = options_.max_bytes > frozen ? options_.max_bytes - frozen : 1;
  return std::min(1.0,
                  std::max(static_cast<double>(active_->bytes()) / static_cast<double>(room),
                           static_cast<double>(log_bytes_) / static_cast<double>(options_.freeze_log_bytes)));
}

/// Past kInStep each half of what is left is to last for twice as long as the half before it: 7/8 of the room
/// when the checkpoint should be through, 15/16 after half as long again, 31/32 after two and a half times as
/// long. How long it takes is a guess.
TimePoint ShardCopy::answer_at() const {
  if (!frozen_ || frozen_at_ == kNever) return {};
  const double taken = room_taken();
  if (taken >= 1) return kNever;
  const double late = std::max(0.0, taken - kInStep) * (1 - kInStep) / (1 - taken);
  const auto expected = checkpoint_per_byte_ * static_cast<double>(frozen_->bytes());
  return frozen_at_ + std::chrono::duration_cast<Duration>(expected * (std::min(taken, kInStep) + late));
}

void ShardCopy::drop(Effects& out) {
  store_->end_batch();
  frozen_at_ = kNever;
  dropped_ = true;
  writing_ = false;
  retry_at_ = kNever;
  log_bytes_ = 0;
  for (auto* memtable : {&frozen_, &written_}) {
    if (*memtable) out.send(checkpoint_, DiscardMemtable{std::move(*memtable)});
    memtable->reset();
  }
  out.send(checkpoint_, DiscardMemtable{std::exchange(active_, std::make_unique<Memtable>(spare_))});
  forget_expiries();
}

void ShardCopy::restart(Position at) {
  store_->end_batch();
  dropped_ = false;
  store_applied_ = store_reached_ = last_ = at;
  problem_.clear();
}

void ShardCopy::end_turn(Seq commit, TimePoint now, Effects& out, bool now_please) {
  store_->end_batch();
  if (dropped_) return;
  if (!frozen_ && frozen_at_ != kNever) {  // its checkpoint has come through in this turn
    checkpoint_per_byte_ = (now - frozen_at_) / std::max(1.0, static_cast<double>(written_->bytes()));
    frozen_at_ = kNever;
  }
  const bool time_to_freeze = bytes_of(*active_, active_due_) >= options_.freeze_bytes ||
                              log_bytes_ >= options_.freeze_log_bytes ||
                              (now_please && last_ > store_applied_);
  if (!frozen_ && time_to_freeze) {
    active_->seal();
    frozen_ = std::move(active_);
    frozen_last_ = last_;
    frozen_at_ = now;
    active_ = std::make_unique<Memtable>(spare_);
    frozen_due_ = std::exchange(active_due_, {});
    log_bytes_ = 0;
  }
  if (frozen_ && !writing_ && commit >= frozen_last_.seq && (retry_at_ == kNever || now >= retry_at_)) {
    writing_ = true;
    if (retry_at_ != kNever) frozen_at_ = now;
    retry_at_ = kNever;
    out.send(checkpoint_, WriteCheckpoint{frozen_, frozen_last_});
  }
}

void ShardCopy::handle(const CheckpointWritten& message, Effects& out) {
  if (dropped_) return;  // of what has been forgotten since
  writing_ = false;
  problem_.clear();
  disk_is_full_ = false;
  store_applied_ = message.applied;
  // A snapshot from before the checkpoint must not answer for what only the frozen memtable had.
  store_->end_batch();
  // Freeing it takes a while: not on this thread.
  if (written_) out.send(checkpoint_, DiscardMemtable{std::move(written_)});
  written_ = std::move(frozen_);
  // What it had that expires is among the store's now, also what nobody has come to yet.
  if (!frozen_due_.empty() && frozen_due_.top().at_ms <= swept_.at_ms) swept_ = {frozen_due_.top().at_ms, {}};
  frozen_due_ = {};
  stored_due_ = 0;
}

void ShardCopy::handle(const CheckpointFailed& message, TimePoint now) {
  if (dropped_) return;
  writing_ = false;
  problem_ = message.error.message;
  disk_is_full_ = message.error.code == Errc::disk_full;
  frozen_at_ = kNever;
  retry_at_ = now + kCheckpointRetry;
}

}  // namespace dkv
