#include "tests/sim/prefix_check.hpp"

#include <algorithm>

#include "messages/once.hpp"

namespace dkv::sim {

void PrefixCheck::appended(ShardId shard, const FrameBytes& bytes) {
  const auto frame = decode_frame(*bytes);
  DKV_ASSERT(frame.has_value());
  auto& history = histories_[shard];
  Position prev = frame->prev;
  const auto first = history.find(prev);
  const Step* before = first == history.end() ? nullptr : &*first;
  for (const Event& event : frame->events) {
    const Position position{frame->epoch, Seq{prev.seq.value + 1}};
    const auto at = history.insert_or_assign(
        position, Change{prev, event.type, std::string(event.key), std::string(event.value), before});
    if (event.type == EventType::put && !is_reserved(event.key)) keys_[shard].emplace(event.key);
    before = &*at.first;
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

std::string PrefixCheck::problem_of(const std::string& name, ShardId shard, const KeyRange& range,
                                    const std::vector<rpc::ScanItem>& page, bool may_lose) {
  const auto& history = histories_[shard];
  std::map<std::string_view, Position> found;
  Position newest;
  for (const rpc::ScanItem& item : page) {
    const auto at = history.find(item.version);
    if (at == history.end() || at->second.type != EventType::put || at->second.key != item.key ||
        at->second.value != item.value)
      return name + " has " + item.key + " = '" + item.value + "' of " + to_string(item.version) +
             ", which was never written";
    found.emplace(item.key, item.version);
    newest = std::max(newest, item.version);
  }
  if (page.empty()) return {};  // a shard begins empty
  if (!may_lose) shown_[shard].emplace(newest, name);
  const std::string problem = problem_of_moment(shard, range, found, newest, may_lose);
  return problem.empty() ? problem : name + " " + problem;
}

namespace {
/// The first key in which a page is not what it should be.
std::string difference_of(const std::map<std::string_view, Position>& page,
                          const std::map<std::string_view, Position>& state) {
  for (const auto& [key, version] : state) {
    const auto found = page.find(key);
    if (found == page.end()) return std::string(key) + " was there";
    if (found->second != version) return std::string(key) + " was of " + to_string(version);
  }
  for (const auto& [key, version] : page) {
    if (!state.contains(key)) return std::string(key) + " was not there";
  }
  return {};
}
}  // namespace

/// Back from the newest event until it is known what each key of the range was at `newest`; and forward
/// again, for what is missing may have been removed since.
std::string PrefixCheck::problem_of_moment(ShardId shard, const KeyRange& range,
                                           const std::map<std::string_view, Position>& page, Position newest,
                                           bool may_lose) const {
  std::set<std::string_view> unknown;
  const auto& keys = keys_.at(shard);
  for (auto key = keys.lower_bound(range.low); key != keys.end() && holds(range, *key); ++key)
    unknown.insert(*key);
  std::vector<const Step*> steps;  // that concern the range
  bool is_in_history = false;
  const auto& history = histories_.at(shard);
  for (const Step* at = &*history.rbegin(); at != nullptr && !unknown.empty(); at = at->second.before) {
    const auto& [position, change] = *at;
    is_in_history = is_in_history || position == newest;
    if (change.type == EventType::epoch_start || is_reserved(change.key) || !holds(range, change.key))
      continue;
    steps.push_back(at);
    if (position <= newest) unknown.erase(change.key);
  }
  if (!is_in_history)
    return may_lose ? "" : "has something of " + to_string(newest) + ", which is not in the history";
  std::map<std::string_view, Position> state;
  std::string difference;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto& [position, change] = **step;
    if (change.type == EventType::put) state[change.key] = position;
    if (change.type == EventType::remove) state.erase(change.key);
    if (position < newest) continue;
    if (state == page) return {};
    if (difference.empty()) difference = difference_of(page, state);
  }
  return "is of no moment: at " + to_string(newest) + " " + difference;
}

void PrefixCheck::add_values(ShardId shard, std::vector<rpc::ScanItem>& page) const {
  const auto history = histories_.find(shard);
  if (history == histories_.end()) return;
  for (rpc::ScanItem& item : page) {
    const auto at = history->second.find(item.version);
    if (at != history->second.end()) item.value = at->second.value;
  }
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
