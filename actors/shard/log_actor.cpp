#include "actors/shard/log_actor.hpp"

namespace dkv {

namespace {
// What one LogRecovered message carries, so that replay does not hold the whole tail twice in memory.
constexpr std::size_t kRecoveryChunkBytes = std::size_t{1} << 20;
}  // namespace

LogActor::LogActor(Address self, std::unique_ptr<Disk> disk, LogOptions options)
    : member_{self.node, Role::member, self.shard}, log_(std::move(disk), options) {}

void LogActor::on_message(Envelope envelope, TimePoint, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), out); }, envelope.message);
}

void LogActor::handle(OpenLog message, Effects& out) {
  DKV_ASSERT(!opened_);
  LogRecovered chunk;
  std::size_t chunk_bytes = 0;
  const auto flush = [&] {
    if (chunk.frames.empty()) return;
    out.send(member_, std::exchange(chunk, {}));
    chunk_bytes = 0;
  };
  const auto opened = log_.open(message.applied, [&](std::string_view bytes, const FrameView&) {
    chunk.frames.push_back(std::make_shared<const std::string>(bytes));
    chunk_bytes += bytes.size();
    if (chunk_bytes >= kRecoveryChunkBytes) flush();
  });
  if (!opened) return fail(opened.error(), out);
  flush();
  opened_ = true;
  out.send(member_, LogOpened{log_.head()});
}

void LogActor::handle(ResetLog message, Effects& out) {
  if (failed_) return;
  batch_.clear();
  if (auto reset = log_.reset(message.at); !reset) return fail(reset.error(), out);
  opened_ = true;
  out.send(member_, LogOpened{log_.head()});
}

void LogActor::handle(AppendFrame message, Effects&) {
  if (failed_) return;
  DKV_ASSERT(opened_);
  batch_.push_back(std::move(message.bytes));
  batch_last_ = message.last;
}

void LogActor::handle(TrimLog message, Effects& out) {
  if (failed_ || !opened_) return;
  if (auto trimmed = log_.trim(message.upto); !trimmed) out.log(LogLevel::warning, trimmed.error().message);
}

void LogActor::handle(ReadLog message, Effects& out) {
  if (failed_ || !opened_) return;
  auto read = log_.read_after(message.from, message.max_bytes);
  if (!read) return out.send(member_, LogReadFailed{message.token, read.error()});
  out.send(member_, LogRead{message.token, read->reach, log_.head(), std::move(read->frames)});
}

void LogActor::on_turn_end(TimePoint, Effects& out) {
  if (failed_ || batch_.empty()) return;
  const auto appended = log_.append(batch_, batch_last_);
  batch_.clear();
  if (!appended) return fail(appended.error(), out);
  out.send(member_, Durable{batch_last_});
}

void LogActor::fail(const Error& error, Effects& out) {
  // R2: no retry. After a failed fdatasync the kernel may have dropped the dirty pages and report success.
  failed_ = true;
  batch_.clear();
  out.log(LogLevel::error, error.message);
  out.send(member_, LogFailed{error});
}

}  // namespace dkv
