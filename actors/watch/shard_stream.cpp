#include "actors/watch/shard_stream.hpp"

#include <algorithm>

#include "messages/limits.hpp"
#include "messages/once.hpp"

namespace dkv {

namespace {
// Questions for one shard under way at once. The more, the more often the same part of a log is read.
constexpr std::size_t kMaxCursors = 8;
// A primary answers within a second, whatever happens. Past this, the question or its answer is lost.
constexpr Duration kAnswerTimeout = 2s;
// Who is asked is no primary (yet), or has no room.
constexpr Duration kRefusedPause = 50ms;
// A primary refuses who has seen a later epoch than its own. In this time every node that is not cut off has
// heard of the newest.
constexpr Duration kForeignPatience = 10s;
}  // namespace

void ShardStream::follow(std::uint64_t watch, std::set<std::string> prefixes, Position from) {
  const auto [place, is_new] = followers_.emplace(watch, Follower{watch, std::move(prefixes)});
  DKV_ASSERT(is_new);
  Follower& follower = place->second;
  if (from == Position{}) {
    fresh_.emplace(watch, &follower);
  } else {
    this->place(follower, from);
  }
}

void ShardStream::leave(std::uint64_t watch) {
  const auto found = followers_.find(watch);
  if (found == followers_.end()) return;
  remove_from_place(found->second);
  followers_.erase(found);
}

void ShardStream::add_prefix(std::uint64_t watch, const std::string& prefix) {
  Follower& follower = followers_.at(watch);
  if (!follower.prefixes.insert(prefix).second) return;
  if (follower.state == Follower::State::following) cursors_.at(follower.cursor).index.add(prefix, &follower);
}

void ShardStream::remove_prefix(std::uint64_t watch, const std::string& prefix) {
  Follower& follower = followers_.at(watch);
  if (follower.prefixes.erase(prefix) == 0) return;
  if (follower.state == Follower::State::following)
    cursors_.at(follower.cursor).index.remove(prefix, &follower);
}

void ShardStream::park(std::uint64_t watch) {
  Follower& follower = followers_.at(watch);
  // One that has not begun is told nothing.
  if (follower.state == Follower::State::fresh) return;
  follower.from = position(watch);
  remove_from_place(follower);
  follower.state = Follower::State::parked;
}

void ShardStream::resume(std::uint64_t watch) {
  Follower& follower = followers_.at(watch);
  if (follower.state == Follower::State::parked) place(follower, follower.from);
}

Position ShardStream::position(std::uint64_t watch) const {
  const Follower& follower = followers_.at(watch);
  return follower.state == Follower::State::following ? cursors_.at(follower.cursor).at : follower.from;
}

/// At the cursor that is there, or until one is.
void ShardStream::place(Follower& follower, Position at) {
  for (auto& [number, cursor] : cursors_) {
    if (cursor.at == at) return join(follower, number, cursor);
  }
  follower.state = Follower::State::waiting;
  follower.from = at;
  waiting_.emplace(at, &follower);
}

void ShardStream::join(Follower& follower, std::uint64_t number, Cursor& cursor) {
  follower.state = Follower::State::following;
  follower.cursor = number;
  cursor.followers.emplace(follower.watch, &follower);
  for (const std::string& prefix : follower.prefixes) cursor.index.add(prefix, &follower);
}

void ShardStream::remove_from_place(Follower& follower) {
  switch (follower.state) {
    case Follower::State::fresh:
      fresh_.erase(follower.watch);
      asked_fresh_.erase(follower.watch);
      break;
    case Follower::State::waiting: {
      auto [at, end] = waiting_.equal_range(follower.from);
      waiting_.erase(std::find_if(at, end, [&](const auto& one) { return one.second == &follower; }));
      break;
    }
    case Follower::State::following: {
      const auto cursor = cursors_.find(follower.cursor);
      for (const std::string& prefix : follower.prefixes) cursor->second.index.remove(prefix, &follower);
      cursor->second.followers.erase(follower.watch);
      if (cursor->second.followers.empty()) cursors_.erase(cursor);
      break;
    }
    case Follower::State::parked:
      break;
  }
}

// ---- questions

void ShardStream::ask_anew() {
  fresh_question_ = {};
  for (auto& [number, cursor] : cursors_) cursor.question = {};
}

void ShardStream::give_up_foreign(Epoch newest, TimePoint now) {
  const auto foreign = std::find_if(cursors_.begin(), cursors_.end(), [&](const auto& one) {
    return one.second.at.epoch > newest && one.second.refused_since != kNever &&
           now - one.second.refused_since >= kForeignPatience;
  });
  if (foreign == cursors_.end()) return;
  for (const auto& [watch, follower] : foreign->second.followers) {
    follower->state = Follower::State::fresh;
    follower->from = foreign->second.at;
    follower->is_lost = true;
    fresh_.emplace(watch, follower);
  }
  cursors_.erase(foreign);
}

void ShardStream::ask(NodeId primary, TimePoint now, Effects& out) {
  begin_cursors();
  for (auto& [number, cursor] : cursors_) ask_due(cursor.question, cursor.at, primary, now, out);
  // Who has come while this was asked waits for the next: what it shall not miss may have happened since.
  if (asked_fresh_.empty()) asked_fresh_.swap(fresh_);
  if (!asked_fresh_.empty()) ask_due(fresh_question_, {}, primary, now, out);
}

void ShardStream::ask_due(Question& question, Position from, NodeId primary, TimePoint now, Effects& out) {
  if (now < question.at) return;
  question = {++last_request_, now + kAnswerTimeout};
  out.send({primary, Role::member, shard_},
           peer::ChangesRequest{shard_, process_, question.request, from, kMaxChangesBytes});
}

/// For those who are furthest behind.
void ShardStream::begin_cursors() {
  while (!waiting_.empty() && cursors_.size() < kMaxCursors) {
    const Position at = waiting_.begin()->first;
    const std::uint64_t number = ++last_cursor_;
    Cursor& cursor = cursors_[number];
    cursor.at = at;
    let_join(cursor, number);
  }
}

TimePoint ShardStream::wake_at() const {
  TimePoint wake = kNever;
  for (const auto& [number, cursor] : cursors_) wake = std::min(wake, cursor.question.at);
  if (!asked_fresh_.empty() || !fresh_.empty()) wake = std::min(wake, fresh_question_.at);
  return wake;
}

// ---- answers

ShardStream::News ShardStream::take(peer::ChangesReply reply, TimePoint now) {
  News news;
  if (reply.process != process_ || reply.request == 0) return news;
  if (reply.request == fresh_question_.request) {
    begin_fresh(reply, now, news);
    return news;
  }
  const auto cursor = std::find_if(cursors_.begin(), cursors_.end(), [&](const auto& one) {
    return one.second.question.request == reply.request;
  });
  if (cursor == cursors_.end()) return news;  // late, or of a cursor that is no more
  cursor->second.question = {};
  if (reply.outcome != peer::PullOutcome::refused) cursor->second.refused_since = kNever;
  switch (reply.outcome) {
    case peer::PullOutcome::ok:
      go_through(cursor, std::move(reply.frames), now, news);
      break;
    case peer::PullOutcome::refused:
      cursor->second.question.at = now + kRefusedPause;
      cursor->second.refused_since = std::min(cursor->second.refused_since, now);
      break;
    case peer::PullOutcome::too_old:
    case peer::PullOutcome::diverged:
      skip(cursor, reply, news);
      break;
  }
  for (const Told& told : news.told) followers_.at(told.watch).told = 0;
  return news;
}

void ShardStream::begin_fresh(const peer::ChangesReply& reply, TimePoint now, News& news) {
  fresh_question_ = {};
  if (reply.outcome != peer::PullOutcome::ok) {
    fresh_question_.at = now + kRefusedPause;
    return;
  }
  for (const auto& [watch, follower] : std::exchange(asked_fresh_, {})) {
    place(*follower, reply.upto);
    if (std::exchange(follower->is_lost, false)) {
      news.kind = WatchNews::Kind::diverged;
      news.told.push_back({watch, {}});
    } else {
      news.begun.push_back(watch);
    }
  }
}

/// What lies between is lost for those who are here, and that is what they are told.
void ShardStream::skip(Cursors::iterator cursor, const peer::ChangesReply& reply, News& news) {
  news.kind =
      reply.outcome == peer::PullOutcome::too_old ? WatchNews::Kind::too_old : WatchNews::Kind::diverged;
  for (const auto& [watch, follower] : cursor->second.followers) news.told.push_back({watch, {}});
  cursor->second.at = reply.upto;
  let_join(cursor->second, cursor->first);
  meet(cursor);
}

void ShardStream::go_through(Cursors::iterator cursor, std::string frames, TimePoint now, News& news) {
  news.owner = std::make_shared<const std::string>(std::move(frames));
  std::string_view left = *news.owner;
  while (!left.empty()) {
    const std::size_t size = peek_frame_size(left, shard_);
    const auto frame = decode_frame(left.substr(0, size));
    if (!frame || !go_through(cursor->second, cursor->first, *frame, news)) {
      // No primary says so. Ask again, but not at once.
      cursor->second.question.at = now + kRefusedPause;
      return;
    }
    if (meet(cursor)) return;  // the other one's questions go on from there
    left.remove_prefix(size);
  }
}

/// False when the frame does not follow where the cursor is.
bool ShardStream::go_through(Cursor& cursor, std::uint64_t number, const FrameView& frame, News& news) {
  const bool is_within = frame.prev.seq < cursor.at.seq && frame.epoch == cursor.at.epoch;
  if (frame.prev != cursor.at && !is_within) return false;
  Position at = frame.prev;
  for (const Event& event : frame.events) {
    at = {frame.epoch, Seq{at.seq.value + 1}};
    if (at.seq <= cursor.at.seq) continue;
    cursor.at = at;
    if (!event.key.empty() && !is_reserved(event.key)) {
      cursor.index.visit(event.key, [&](Follower* follower) {
        if (follower->told == 0) {
          news.told.push_back({follower->watch, {}});
          follower->told = news.told.size();
        }
        std::vector<WatchedEvent>& events = news.told[follower->told - 1].events;
        // By another of its prefixes it has it already.
        if (!events.empty() && events.back().position == at) return;
        events.push_back({at, event.type, event.key, event.value});
      });
    }
    if (!waiting_.empty()) let_join(cursor, number);
  }
  return true;
}

/// Those who wait for one to come where it is now.
void ShardStream::let_join(Cursor& cursor, std::uint64_t number) {
  const auto [begin, end] = waiting_.equal_range(cursor.at);
  for (auto one = begin; one != end; ++one) join(*one->second, number, cursor);
  waiting_.erase(begin, end);
}

/// True when it has met another one, and is no more.
bool ShardStream::meet(Cursors::iterator cursor) {
  for (auto other = cursors_.begin(); other != cursors_.end(); ++other) {
    if (other == cursor || other->second.at != cursor->second.at) continue;
    if (other->second.followers.size() >= cursor->second.followers.size()) {
      merge(cursor, other);
      return true;
    }
    merge(other, cursor);
    return false;  // two others are never in one place
  }
  return false;
}

void ShardStream::merge(Cursors::iterator from, Cursors::iterator into) {
  for (const auto& [watch, follower] : from->second.followers) join(*follower, into->first, into->second);
  cursors_.erase(from);
}

}  // namespace dkv
