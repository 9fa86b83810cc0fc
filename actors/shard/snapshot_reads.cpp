#include "actors/shard/snapshot_reads.hpp"

#include <algorithm>

#include "messages/limits.hpp"

namespace dkv {

namespace {
// Chunks asked for, or waiting for commit, at once: one for each taker is enough, and each may be as large
// as the largest value.
constexpr std::size_t kMaxChunks = 4;
// What a record takes in a chunk beside key and value, about.
constexpr std::size_t kRecordBytes = 24;

bool is_same(const peer::SnapshotRequest& request, std::uint64_t process, std::uint64_t number) {
  return request.process == process && request.request == number;
}
}  // namespace

peer::SnapshotReply SnapshotReads::answer_to(const peer::SnapshotRequest& request,
                                             peer::SnapshotOutcome outcome) {
  peer::SnapshotReply reply;
  reply.shard = request.shard;
  reply.process = request.process;
  reply.request = request.request;
  reply.outcome = outcome;
  return reply;
}

void SnapshotReads::ask(const Address& from, peer::SnapshotRequest request, Effects& out) {
  for (const Waiting& one : waiting_) {
    if (one.to == from && is_same(request, one.reply.process, one.reply.request)) return;
  }
  for (Asked& one : asked_) {
    if (one.from != from) continue;
    one.request = std::move(request);
    return;
  }
  if (asked_.size() + waiting_.size() >= kMaxChunks) {
    return out.send(from, answer_to(request, peer::SnapshotOutcome::refused));
  }
  asked_.push_back({from, std::move(request)});
}

void SnapshotReads::read(ShardCopy& copy, Position at, Epoch epoch, Effects& out) {
  if (asked_.empty()) return;
  const Asked asked = std::move(asked_.front());
  asked_.pop_front();
  const std::size_t limit = std::min<std::size_t>(asked.request.max_bytes, kSnapshotChunkBytes);
  Waiting chunk{asked.from, answer_to(asked.request, peer::SnapshotOutcome::ok)};
  chunk.reply.epoch = epoch;
  chunk.reply.at = at;
  RecordPacker packer;
  const auto read = copy.scan(asked.request.from_key, [&](const RecordView& record) {
    const std::size_t bytes = record.key.size() + record.value.size() + kRecordBytes;
    if (packer.count() > 0 && packer.size() + bytes > limit) {
      chunk.reply.next_key = record.key;
      return false;
    }
    packer.add(record);
    return true;
  });
  if (!read) {
    out.log(LogLevel::error, "a snapshot cannot be read: " + read.error().message);
    return out.send(asked.from, answer_to(asked.request, peer::SnapshotOutcome::refused));
  }
  chunk.reply.records = packer.finish();
  bytes_ += chunk.reply.records.size();
  waiting_.push_back(std::move(chunk));
}

void SnapshotReads::release(Seq commit, Effects& out) {
  std::erase_if(waiting_, [&](Waiting& chunk) {
    if (chunk.reply.at.seq > commit) return false;
    bytes_ -= chunk.reply.records.size();
    out.send(chunk.to, std::move(chunk.reply));
    return true;
  });
}

void SnapshotReads::refuse_all(Effects& out) {
  for (const Asked& one : asked_) {
    out.send(one.from, answer_to(one.request, peer::SnapshotOutcome::refused));
  }
  asked_.clear();
  waiting_.clear();
  bytes_ = 0;
}

}  // namespace dkv
