#include "actors/shard/snapshot_taker.hpp"

#include <algorithm>

namespace dkv {

namespace {
// An unanswered question is asked again after four times what the last answer took, within these, and then
// after twice as long: a chunk may be one large value on a slow network, and asking sooner would only send it
// twice. The question stays the same, so that a late answer counts.
constexpr Duration kLeastPatience = 1s;
constexpr Duration kMostPatience = 8s;
// After a refusal, or when the store could not be written.
constexpr Duration kRefusedPause = 100ms;
constexpr Duration kFailedPause = 1s;
}  // namespace

SnapshotTaker::SnapshotTaker(Address self, std::uint64_t process, std::uint64_t chunk_bytes,
                             const std::optional<Import>& unfinished)
    : self_(self),
      checkpoint_{self.node, Role::checkpoint, self.shard},
      process_(process),
      chunk_bytes_(chunk_bytes),
      patience_(kLeastPatience) {
  if (!unfinished) return;
  partial_ = true;
  progress_ = *unfinished;
  step_ = progress_.ended ? Step::tail : Step::chunk;
}

void SnapshotTaker::begin(TimePoint now) {
  step_ = Step::first_chunk;
  progress_ = {};
  chunk_ = {};
  ask_at(now);
}

void SnapshotTaker::give_up() {
  DKV_ASSERT(waits_for_first() && !partial_);
  request_ = 0;
  end();
}

void SnapshotTaker::ask_at(TimePoint when) {
  request_ = 0;
  due_at_ = when;
}

TimePoint SnapshotTaker::wake_at() const { return asking() ? due_at_ : kNever; }

void SnapshotTaker::end_turn(const Address& source, TimePoint now, Effects& out) {
  if (!asking() || now < due_at_) return;
  if (request_ == 0) {
    request_ = next_request_++;
    asked_at_ = now;
    repeated_ = false;
  } else {
    repeated_ = true;
    patience_ = std::min<Duration>(2 * patience_, kMostPatience);
  }
  due_at_ = now + patience_;
  peer::SnapshotRequest request;
  request.shard = self_.shard;
  request.process = process_;
  request.request = request_;
  request.from_key = progress_.next_key;
  request.max_bytes = chunk_bytes_;
  out.send(source, std::move(request));
}

bool SnapshotTaker::take(peer::SnapshotReply message, Position oldest, TimePoint now, Effects& out) {
  // R5, as for a pull: only an answer to what this process has asked last.
  if (!asking() || request_ == 0 || message.process != process_ || message.request != request_) {
    return false;
  }
  if (message.outcome != peer::SnapshotOutcome::ok) {
    ask_at(now + kRefusedPause);
    return false;
  }
  if (!repeated_) patience_ = std::clamp<Duration>(4 * (now - asked_at_), kLeastPatience, kMostPatience);
  const bool is_first = step_ == Step::first_chunk;
  const bool goes_on = message.next_key.empty() || message.next_key > progress_.next_key;
  if (!goes_on || (!is_first && message.at < oldest)) {
    ask_at(now);
    return false;
  }
  ask_at(now);
  chunk_ = std::move(message);
  if (is_first) {
    step_ = Step::emptying;
    partial_ = true;
    out.send(checkpoint_, BeginImport{chunk_.at});
    return true;
  }
  hand_over(out);
  return false;
}

bool SnapshotTaker::emptied(const ImportBegun& message) const {
  return step_ == Step::emptying && message.at == chunk_.at;
}

void SnapshotTaker::log_was_reset(Effects& out) {
  if (step_ == Step::emptying) hand_over(out);
}

void SnapshotTaker::hand_over(Effects& out) {
  step_ = Step::importing;
  out.send(checkpoint_, ImportRecords{std::move(chunk_.records), std::move(chunk_.next_key), chunk_.at});
  chunk_ = {};
}

void SnapshotTaker::handle(const RecordsImported& message, TimePoint now) {
  if (step_ != Step::importing) return;
  problem_.clear();
  if (!message.progress) return end();
  progress_ = *message.progress;
  step_ = progress_.ended ? Step::tail : Step::chunk;
  ask_at(now);
}

void SnapshotTaker::handle(const ImportFailed& message, TimePoint now) {
  problem_ = message.error.message;
  // What had come is asked for again: when it comes, more may have been written over it.
  if (step_ == Step::emptying) step_ = Step::first_chunk;
  if (step_ == Step::importing) step_ = Step::chunk;
  ask_at(now + kFailedPause);
}

bool SnapshotTaker::checkpointed(Position applied) {
  if (step_ != Step::tail || applied < progress_.until) return false;
  end();
  return true;
}

/// The store is whole.
void SnapshotTaker::end() {
  step_ = Step::none;
  partial_ = false;
}

}  // namespace dkv
