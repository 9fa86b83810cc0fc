#include "tests/sim/prefix_check.hpp"

#include "messages/once.hpp"

namespace dkv::sim {

void PrefixCheck::appended(ShardId shard, const FrameBytes& bytes) {
  const auto frame = decode_frame(*bytes);
  DKV_ASSERT(frame.has_value());
  Position prev = frame->prev;
  for (const Event& event : frame->events) {
    const Position position{frame->epoch, Seq{prev.seq.value + 1}};
    histories_[shard][position] = {prev, event.type, std::string(event.key), std::string(event.value)};
    prev = position;
  }
}

std::string PrefixCheck::problem_of(const std::string& name, ShardId shard, ShardCopy& copy) {
  const auto& history = histories_[shard];
  const Position last = copy.last();
  if (last != Position{}) shown_[shard].emplace(last, name);
  Follower& follower = followers_[name];
  // Back to where the copy was last seen, or to the beginning of its history.
  std::vector<std::pair<Position, const Change*>> since;
  for (Position at = last; at != follower.last && at != Position{};) {
    const auto change = history.find(at);
    if (change == history.end()) {
      return name + " is at " + to_string(last) + ", and so at " + to_string(at) +
             ", which no primary ever was";
    }
    since.emplace_back(at, &change->second);
    at = change->second.prev;
  }
  if (follower.last != Position{} && (since.empty() ? last : since.back().second->prev) != follower.last) {
    follower = {};
  }
  for (auto change = since.rbegin(); change != since.rend(); ++change) {
    const auto& [position, what] = *change;
    if (what->type == EventType::put) follower.records[what->key] = {position, what->value};
    if (what->type == EventType::remove) follower.records.erase(what->key);
  }
  follower.last = last;
  Records found;
  const auto scanned = copy.scan("", [&](const RecordView& record) {
    found.emplace(record.key, Record{record.version, std::string(record.value)});
    return true;
  });
  if (!scanned) return name + " cannot be read: " + scanned.error().message;
  if (found == follower.records) return {};
  for (const auto& [key, record] : follower.records) {
    const auto at = found.find(key);
    if (at == found.end()) return name + " at " + to_string(last) + " misses " + key;
    if (at->second != record) return name + " at " + to_string(last) + " has another " + key;
  }
  return name + " at " + to_string(last) + " has a key that was deleted";
}

std::string PrefixCheck::problem_of(const std::string& name, ShardId shard, const std::string& prefix,
                                    Position from, const std::vector<WatchedEvent>& events, Position upto) {
  const auto& history = histories_[shard];
  shown_[shard].emplace(upto, name);
  auto told = events.rbegin();
  for (Position at = upto; at != from;) {
    const auto change = history.find(at);
    if (change == history.end() || at.seq < from.seq)
      return name + " was told of " + to_string(upto) + " after " + to_string(from) +
             ", which it does not follow";
    const Change& what = change->second;
    const bool concerns =
        what.type != EventType::epoch_start && what.key.starts_with(prefix) && !is_reserved(what.key);
    const bool is_told = told != events.rend() && told->position == at;
    if (concerns != is_told)
      return name + (is_told ? " was told of " : " was not told of ") + to_string(at) + " of " + what.key;
    if (is_told && (told->type != what.type || told->key != what.key || told->value != what.value))
      return name + " was told something else of " + to_string(at);
    if (is_told) ++told;
    at = what.prev;
  }
  if (told == events.rend()) return {};
  return name + " was told of " + to_string(told->position) + " once more, or too late";
}

std::string PrefixCheck::undone(ShardId shard, Position last) const {
  const auto shown = shown_.find(shard);
  const auto history = histories_.find(shard);
  if (shown == shown_.end() || history == histories_.end()) return {};
  std::map<Position, std::string> left = shown->second;
  for (Position at = last; at != Position{};) {
    left.erase(at);
    const auto change = history->second.find(at);
    if (change == history->second.end()) break;
    at = change->second.prev;
  }
  if (left.empty()) return {};
  return left.begin()->second + " has shown " + to_string(left.begin()->first) +
         ", which is not in the history up to " + to_string(last);
}

}  // namespace dkv::sim
