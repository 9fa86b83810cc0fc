#include "actors/shard/change_feed.hpp"

#include <algorithm>

#include "messages/limits.hpp"

namespace dkv {

namespace {
// How long a question waits for something to tell.
constexpr Duration kHold = 1s;
// Who has not asked for so long has gone: nothing more is kept in memory for it.
constexpr Duration kAsksAgain = 5s;
// Some from every node of the largest cluster.
constexpr std::size_t kMaxQuestions = 4096;

std::uint64_t most_bytes(const peer::ChangesRequest& request) {
  return std::clamp<std::uint64_t>(request.max_bytes, 1, kMaxChangesBytes);
}

/// The last event of these frames that is at or below `committed`, and the length of what leads up to it.
std::pair<Position, std::size_t> committed_part(std::string_view frames, ShardId shard, Seq committed) {
  Position last;
  std::size_t size = 0;
  while (size < frames.size()) {
    const std::size_t length = peek_frame_size(frames.substr(size), shard);
    const auto frame = decode_frame(frames.substr(size, length));
    DKV_ASSERT(frame.has_value());  // the log checks what it reads
    if (frame->last().seq > committed) break;
    last = frame->last();
    size += length;
  }
  return {last, size};
}
}  // namespace

peer::ChangesReply ChangeFeed::answer_to(const peer::ChangesRequest& request, peer::PullOutcome outcome) {
  peer::ChangesReply reply;
  reply.shard = request.shard;
  reply.process = request.process;
  reply.request = request.request;
  reply.outcome = outcome;
  return reply;
}

void ChangeFeed::ask(const Address& from, peer::ChangesRequest request, TimePoint now, Effects& out) {
  // Who asks again has given the first one up: a slow log must not have to read for both.
  const auto is_again = [&](Question& one) {
    const bool is_same =
        one.from == from && one.request.process == request.process && one.request.from == request.from;
    if (is_same) one.request.request = request.request;
    return is_same;
  };
  if (std::any_of(waiting_.begin(), waiting_.end(), is_again)) return;
  if (std::any_of(reading_.begin(), reading_.end(), [&](auto& one) { return is_again(one.second); })) return;
  if (waiting_.size() + reading_.size() >= kMaxQuestions)
    return out.send(from, answer_to(request, peer::PullOutcome::refused));
  wanted_ = true;
  wanted_until_ = now + kAsksAgain;
  waiting_.push_back({from, std::move(request), now + kHold});
}

void ChangeFeed::committed(const FrameBytes& frame, Position last) {
  const Position prev = std::exchange(recent_end_, last);
  if (!wanted_) return;
  recent_.push_back({prev, last, frame});
  recent_bytes_ += frame->size();
  while (recent_bytes_ > max_recent_bytes_ && recent_.size() > 1) {
    recent_bytes_ -= recent_.front().bytes->size();
    recent_.pop_front();
  }
}

void ChangeFeed::answer(Position at, TimePoint now, std::uint64_t& next_token, Effects& out) {
  if (!wanted_) return;
  std::erase_if(waiting_, [&](Question& question) {
    if (answer_now(question, at, now, out)) return true;
    if (question.request.from == at) return false;
    const std::uint64_t token = next_token++;
    out.send({self_.node, Role::log, self_.shard},
             ReadLog{token, question.request.from, most_bytes(question.request), true});
    reading_.emplace(token, std::move(question));
    return true;
  });
  if (now < wanted_until_ || !waiting_.empty() || !reading_.empty()) return;
  wanted_ = false;
  recent_.clear();
  recent_bytes_ = 0;
}

/// False: not yet, or only by the log.
bool ChangeFeed::answer_now(const Question& question, Position at, TimePoint now, Effects& out) const {
  const peer::ChangesRequest& request = question.request;
  peer::ChangesReply reply = answer_to(request, peer::PullOutcome::ok);
  reply.upto = at;
  if (request.from == at && now < question.until) return false;
  if (request.from != at && request.from != Position{}) {
    std::size_t i = find_recent(request.from);
    if (i == recent_.size()) return false;
    for (; i < recent_.size() && (reply.frames.empty() || reply.frames.size() < most_bytes(request)); ++i) {
      reply.frames += *recent_[i].bytes;
      reply.upto = recent_[i].last;
    }
  }
  out.send(question.from, std::move(reply));
  return true;
}

/// The frame in which, or before which, `from` is. The size: in or before none of them.
std::size_t ChangeFeed::find_recent(Position from) const {
  const auto after = std::upper_bound(recent_.begin(), recent_.end(), from.seq,
                                      [](Seq seq, const Recent& one) { return seq < one.last.seq; });
  if (after == recent_.end()) return recent_.size();
  // Within a frame it is of the same history if it is of its epoch, for one primary makes an epoch.
  const bool is_within = after->prev.seq < from.seq && after->last.epoch == from.epoch;
  if (after->prev != from && !is_within) return recent_.size();
  return static_cast<std::size_t>(after - recent_.begin());
}

bool ChangeFeed::take(LogRead& message, Position committed, Effects& out) {
  const auto found = reading_.find(message.token);
  if (found == reading_.end()) return false;
  constexpr peer::PullOutcome kOutcomes[] = {peer::PullOutcome::ok, peer::PullOutcome::too_old,
                                             peer::PullOutcome::diverged};
  peer::ChangesReply reply =
      answer_to(found->second.request, kOutcomes[static_cast<std::size_t>(message.reach)]);
  reply.upto = committed;
  if (message.reach == LogReach::found) {
    const auto [last, size] = committed_part(message.frames, self_.shard, committed.seq);
    if (size == 0) reply.outcome = peer::PullOutcome::refused;  // `from` was never committed here
    reply.upto = last;
    message.frames.resize(size);
    reply.frames = std::move(message.frames);
  }
  out.send(found->second.from, std::move(reply));
  reading_.erase(found);
  return true;
}

bool ChangeFeed::take(const LogReadFailed& message, Position committed, Effects& out) {
  const auto found = reading_.find(message.token);
  if (found == reading_.end()) return false;
  // What is damaged will not be read later either: it is gone, and that is told as a gap.
  const bool is_gone = message.error.code == Errc::corrupt;
  peer::ChangesReply reply =
      answer_to(found->second.request, is_gone ? peer::PullOutcome::too_old : peer::PullOutcome::refused);
  reply.upto = committed;
  out.send(found->second.from, std::move(reply));
  reading_.erase(found);
  return true;
}

void ChangeFeed::refuse_all(Effects& out) {
  for (const Question& one : waiting_) out.send(one.from, answer_to(one.request, peer::PullOutcome::refused));
  for (const auto& [token, one] : reading_)
    out.send(one.from, answer_to(one.request, peer::PullOutcome::refused));
  waiting_.clear();
  reading_.clear();
}

TimePoint ChangeFeed::wake_at() const {
  TimePoint wake = kNever;
  for (const Question& one : waiting_) wake = std::min(wake, one.until);
  return wake;
}

}  // namespace dkv
