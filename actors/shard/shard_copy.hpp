// One local copy of a shard's records: a memtable over a frozen memtable over the store, of which the last
// checkpoint's memtable is kept as a cache. The shard actor
// keeps its newest state in one, the replica actor what is committed. Also decides when a memtable is
// frozen and checkpointed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>

#include "actors/runtime/actor.hpp"
#include "actors/shard/memtable.hpp"
#include "actors/shard/store.hpp"

namespace dkv {

struct CopyOptions {
  /// The memtable is frozen at this size, …
  std::size_t freeze_bytes = std::size_t{128} << 20;
  /// … or after this much log, so that one hot key does not make recovery long.
  std::uint64_t freeze_log_bytes = std::uint64_t{512} << 20;
  /// Past this in both memtables nothing more is accepted until a checkpoint is through. In all, a copy
  /// takes this and freeze_bytes more: the last checkpoint's memtable is kept as a cache, and when it is
  /// dropped, its memory for the next one.
  std::size_t max_bytes = std::size_t{256} << 20;
  /// Wall time (since 1970) less the world's: when records expire.
  Duration clock_offset{};
};

class ShardCopy {
 public:
  ShardCopy(Address self, std::shared_ptr<Store> store, CopyOptions options);

  /// Fetches the memory that look-ups of these keys will need, all at once. Changes nothing else.
  void prefetch(std::span<const HashedKey> keys) const;

  /// The newest record of a key, without a value of more than `most_bytes`. Errors: corrupt, io_error.
  Result<std::optional<StoredRecord>> get(std::string_view key, std::size_t most_bytes = SIZE_MAX);
  struct Presence {
    std::optional<Position> version;  // of the record, where there is one
    /// The event that made it so, when that is still in a memtable; else zero: it is in the store, and
    /// so committed.
    Seq changed;
    std::uint64_t expires_ms = 0;
  };
  Result<Presence> look_up(std::string_view key, Store::Check check);
  /// A get as a client sees it; `version` is set for a removed key too, while its removal is in a
  /// memtable. `room`: the bytes that values of this reply may still take; reduced. A record whose time is
  /// over is answered like any other, or, where `expired` is given, that is set instead: its primary removes
  /// it.
  OperationResult read(const Operation& operation, std::size_t& room, TimePoint now, bool* expired = nullptr);
  /// Takes one event; those at or below store_applied() are skipped.
  void apply(const Event& event, Position position);
  /// Takes all events of a frame.
  void apply(const FrameView& frame);

  /// Calls `visit` with every record from `from` on, in key order, until it returns false: the newest state.
  /// Errors as get(); `visit` may have been called before.
  using Visitor = Store::Visitor;
  Result<void> scan(std::string_view from, const Visitor& visit);
  /// The same, up from `from`, or down from before it (from the end when it is empty), and with the keys too
  /// that are passed over because they have been removed, of which there may be any number: until `pass`
  /// returns false.
  enum class Direction : std::uint8_t { up, down };
  using Passer = std::function<bool(std::string_view key)>;
  Result<void> scan(std::string_view from, Direction direction, const Visitor& visit, const Passer& pass);

  /// Wall time in milliseconds since 1970, by the clock that expiry goes by.
  std::uint64_t wall_ms(TimePoint now) const;
  bool is_over(std::uint64_t expires_ms, TimePoint now) const {
    return expires_ms != 0 && expires_ms <= wall_ms(now);
  }
  /// What is left of it in milliseconds; 0: for ever.
  std::uint64_t ttl_ms(std::uint64_t expires_ms, TimePoint now) const;
  /// Calls `take` with each key whose newest record's time is over, which it removes; looks at `most` at
  /// most, and returns whether that were all. Errors as get().
  using Taker = std::function<void(std::string_view key)>;
  Result<bool> take_expired(TimePoint now, std::size_t most, const Taker& take);
  /// When that may find something, at the earliest.
  TimePoint next_expiry() const;

  /// What the memtables take that are not in the store yet.
  std::size_t unwritten_bytes() const;
  /// No room for more before a checkpoint is through.
  bool full() const;
  /// When a write that has just been applied is to be answered: at once (in the past), or, while a checkpoint
  /// is under way, so much later that writers who wait for their answers leave room until it is through.
  TimePoint answer_at() const;
  /// What the store held when it was opened, or after the last checkpoint.
  Position store_applied() const { return store_applied_; }
  /// Of the store as it was opened: events up to this one may be in it, and so have been committed, whatever
  /// the log knows of commit. Nothing may be read before they all are in this copy.
  Position store_reached() const { return store_reached_; }
  /// The last event taken.
  Position last() const { return last_; }
  /// The last checkpoint failed because the disk is full.
  bool disk_is_full() const { return disk_is_full_; }
  /// Empty, or why checkpoints fail.
  const std::string& problem() const { return problem_; }

  /// Forgets what is in memory: the store is being emptied. Until restart() nothing is written to it.
  void drop(Effects& out);
  /// The store's records are those of another copy, or none yet; its events follow `at`.
  void restart(Position at);
  /// A memtable waits for its checkpoint, or for that to come through.
  bool is_frozen() const { return frozen_ != nullptr; }
  /// The store is being written.
  bool is_writing() const { return writing_; }
  /// What the store will hold once the checkpoint that is under way is through.
  Position store_will_have() const { return writing_ ? frozen_last_ : store_applied_; }

  /// At the end of a turn: freezes and checkpoints when it is time, or when `now_please`. Only committed
  /// records may go to the store: a frozen memtable waits until `commit` covers it.
  void end_turn(Seq commit, TimePoint now, Effects& out, bool now_please = false);
  TimePoint wake_at() const { return retry_at_; }
  void handle(const CheckpointWritten& message, Effects& out);
  void handle(const CheckpointFailed& message, TimePoint now);

  Store& store() { return *store_; }

 private:
  struct Due {
    std::uint64_t at_ms;
    std::string_view key;                                                   // in a memtable
    bool operator<(const Due& other) const { return at_ms > other.at_ms; }  // the earliest is on top
  };
  /// Of one memtable: each of its records that expires is in here, for when it does or before.
  using Queue = std::priority_queue<Due>;
  void take_due(Queue& queue, const Memtable& table, TimePoint now, std::size_t& left, const Taker& take);
  void forget_expiries();
  static std::size_t bytes_of(const Memtable& table, const Queue& queue);

  double room_taken() const;
  const Record* find(const HashedKey& key) const;
  const Record* find_or_recall(const HashedKey& key) const;

  Address checkpoint_;
  std::shared_ptr<Store> store_;
  CopyOptions options_;
  std::shared_ptr<SpareMemory> spare_;
  std::unique_ptr<Memtable> active_;
  std::shared_ptr<const Memtable> frozen_;
  // The last one that went to the store. It holds nothing that the store has not, and answers faster.
  std::shared_ptr<const Memtable> written_;
  Queue active_due_;
  Queue frozen_due_;
  Expiry swept_;                  // of the store's expiries, those up to here have been seen to
  std::uint64_t stored_due_ = 0;  // the next one behind them, or before: 0 when it is not known
  Position frozen_last_;
  TimePoint frozen_at_ = kNever;                         // when its checkpoint could begin, last
  std::chrono::duration<double> checkpoint_per_byte_{};  // what the last one took
  bool writing_ = false;
  bool dropped_ = false;
  TimePoint retry_at_ = kNever;  // after a failure
  std::uint64_t log_bytes_ = 0;  // since the last freeze
  Position store_applied_;
  Position store_reached_;
  Position last_;
  std::string problem_;
  bool disk_is_full_ = false;
};

}  // namespace dkv
