#include "actors/shard/log_actor.hpp"

#include <algorithm>

namespace dkv {

namespace {
// What one LogRecovered message carries, and how many are on their way: one is read while the other is taken.
constexpr std::size_t kRecoveryChunkBytes = std::size_t{1} << 20;
constexpr int kRecoveryWindow = 2;
// How soon room on a full disk is noticed.
constexpr Duration kRetryInterval = 500ms;

Error being_changed() { return {Errc::unavailable, "log: it begins anew, or is being cut"}; }
}  // namespace

LogActor::LogActor(Address self, std::unique_ptr<Disk> disk, LogOptions options)
    : member_{self.node, Role::member, self.shard}, log_(std::move(disk), options) {}

void LogActor::on_message(Envelope envelope, TimePoint, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), out); }, envelope.message);
}

void LogActor::handle(OpenLog message, Effects& out) {
  if (failed_) return;
  // Again, by a member that was primary: what has not got to disk is of no use any more.
  drop_batches();
  reset_at_.reset();
  retry_at_ = kNever;
  opened_ = false;
  must_reach_ = message.reached;
  store_reach_ = std::max(message.applied.seq, message.reached.seq);
  if (auto opened = log_.open(message.applied); !opened) return fail(opened.error(), out);
  for (int i = 0; i < kRecoveryWindow && !opened_ && !failed_; ++i) recover(out);
}

void LogActor::handle(ContinueRecovery, Effects& out) {
  if (!opened_ && !failed_) recover(out);
}

void LogActor::recover(Effects& out) {
  LogRecovered chunk;
  chunk.bytes_total = log_.progress().bytes_total;
  const auto more = log_.replay(kRecoveryChunkBytes, [&](std::string_view bytes, const FrameView&) {
    chunk.frames.push_back(std::make_shared<const std::string>(bytes));
  });
  if (!more) return fail(more.error(), out);
  chunk.bytes_done = *more ? log_.progress().bytes_done : chunk.bytes_total;
  if (*more || !chunk.frames.empty()) out.send(member_, std::move(chunk));
  if (*more) return;
  if (log_.head() < must_reach_) {
    return fail(
        {Errc::corrupt, "log: it ends at " + to_string(log_.head()) + ", but the store has events up to " +
                            to_string(must_reach_) + ": log files are missing"},
        out);
  }
  opened_ = true;
  out.send(member_, LogOpened{log_.head()});
}

void LogActor::handle(ResetLog message, Effects&) {
  if (failed_) return;
  drop_batches();
  reset_at_ = message.at;
  opened_ = true;
}

void LogActor::handle(CutLog message, Effects&) {
  if (failed_) return;
  DKV_ASSERT(opened_);
  // Nobody was told of these.
  Batch& before = batches_.back();
  while (!before.ends.empty() && before.ends.back().seq > message.at.seq) {
    before.frames.pop_back();
    before.ends.pop_back();
  }
  batches_.emplace_back().cut_at = message.at;
}

void LogActor::handle(AppendFrame message, Effects&) {
  if (failed_) return;
  DKV_ASSERT(opened_);
  batches_.back().frames.push_back(std::move(message.bytes));
  batches_.back().ends.push_back(message.last);
}

void LogActor::handle(TrimLog message, Effects& out) {
  if (failed_ || !opened_ || reset_at_) return;
  const bool make_room = message.disk_is_full || retry_at_ != kNever;
  if (auto trimmed = log_.trim(message.upto, make_room); !trimmed) {
    out.log(LogLevel::warning, trimmed.error().message);
  }
  trimmed_upto_ = message.upto;
  store_reach_ = std::max(store_reach_, message.upto);
}

void LogActor::handle(ReadLog message, Effects& out) {
  if (failed_ || !opened_) return;
  if (is_changing()) return out.send(member_, LogReadFailed{message.token, being_changed()});
  auto read = log_.read_after(message.from, message.max_bytes,
                              message.within_frames ? Log::From::event : Log::From::frame_end);
  if (!read) return out.send(member_, LogReadFailed{message.token, read.error()});
  LogRead answer{message.token, read->reach, log_.head(), std::move(read->frames), {}};
  if (read->reach == LogReach::unknown) answer.epochs = log_.epochs();
  out.send(member_, std::move(answer));
}

void LogActor::handle(ReadEpochs message, Effects& out) {
  if (failed_ || !opened_) return;
  if (is_changing()) return out.send(member_, LogReadFailed{message.token, being_changed()});
  out.send(member_, LogEpochs{message.token, log_.epochs()});
}

void LogActor::on_turn_end(TimePoint now, Effects& out) {
  if (failed_ || (retry_at_ != kNever && now < retry_at_)) return;
  if (reset_at_ && !reset_log(now, out)) return;
  for (;;) {
    Batch& batch = batches_.front();
    if (batch.cut_at && !cut_log(batch, now, out)) return;
    if (!batch.frames.empty() && !write_batch(batch, now, out)) return;
    if (batches_.size() == 1) return;
    batches_.pop_front();
  }
}

bool LogActor::reset_log(TimePoint now, Effects& out) {
  if (auto reset = log_.reset(*reset_at_); !reset) {
    stop_or_retry(reset.error(), now, out);
    return false;
  }
  store_reach_ = reset_at_->seq;
  reset_at_.reset();
  trimmed_upto_ = {};
  go_on(out);
  out.send(member_, LogOpened{log_.head()});
  return true;
}

bool LogActor::cut_log(Batch& batch, TimePoint now, Effects& out) {
  const Position at = *batch.cut_at;
  // R5: what is in the store is committed, and could not be taken out of it.
  const Error below_store{Errc::bad_request, "log: it is not cut at " + to_string(at) +
                                                 ", for the store may " + "have events up to " +
                                                 std::to_string(store_reach_.value)};
  const auto cut = at.seq < store_reach_ ? Result<void>(below_store) : log_.cut(at);
  if (!cut) {
    stop_or_retry(cut.error(), now, out);
    return false;
  }
  batch.cut_at.reset();
  go_on(out);
  out.send(member_, LogOpened{log_.head()});
  return true;
}

bool LogActor::write_batch(Batch& batch, TimePoint now, Effects& out) {
  const Position last = batch.ends.back();
  if (auto appended = log_.append(batch.frames, last); !appended) {
    stop_or_retry(appended.error(), now, out);
    return false;
  }
  batch.frames.clear();
  batch.ends.clear();
  go_on(out);
  out.send(member_, Durable{last});
  return true;
}

void LogActor::stop_or_retry(const Error& error, TimePoint now, Effects& out) {
  if (error.code != Errc::disk_full) return fail(error, out);
  if (retry_at_ == kNever) {
    if (auto trimmed = log_.trim(trimmed_upto_, true); !trimmed) {
      out.log(LogLevel::warning, trimmed.error().message);
    }
    out.log(LogLevel::error, "the disk is full: " + error.message);
    out.send(member_, LogBlocked{error});
  }
  retry_at_ = now + kRetryInterval;
}

void LogActor::go_on(Effects& out) {
  if (retry_at_ == kNever) return;
  retry_at_ = kNever;
  out.log(LogLevel::info, "the disk has room again: writing goes on");
}

void LogActor::fail(const Error& error, Effects& out) {
  // R2: no retry. After a failed fdatasync the kernel may have dropped the dirty pages and report success.
  failed_ = true;
  retry_at_ = kNever;
  reset_at_.reset();
  drop_batches();
  out.log(LogLevel::error, error.message);
  out.send(member_, LogFailed{error});
}

}  // namespace dkv
