#include "tests/sim/prefix_check.hpp"

namespace dkv::sim {

void PrefixCheck::appended(ShardId shard, const FrameBytes& bytes) {
  const auto frame = decode_frame(*bytes);
  DKV_ASSERT(frame.has_value());
  auto& history = histories_[shard];
  DKV_ASSERT(frame->prev.seq.value <= history.size());
  history.resize(frame->prev.seq.value);
  for (const Event& event : frame->events) {
    history.push_back({{frame->epoch, Seq{history.size() + 1}},
                       event.type,
                       std::string(event.key),
                       std::string(event.value)});
  }
}

std::string PrefixCheck::problem_of(const std::string& name, ShardId shard, ShardCopy& copy) {
  const auto& history = histories_[shard];
  const Position last = copy.last();
  if (last.seq.value > history.size() ||
      (last != Position{} && history[last.seq.value - 1].position != last)) {
    return name + " is at " + to_string(last) + ", which its primary never was";
  }
  Follower& follower = followers_[name];
  const bool same_history = follower.events == 0 || (follower.events <= last.seq.value &&
                                                     history[follower.events - 1].position == follower.last);
  if (!same_history) follower = {};
  for (; follower.events < last.seq.value; ++follower.events) {
    const Change& change = history[follower.events];
    if (change.type == EventType::put) follower.records[change.key] = {change.position, change.value};
    if (change.type == EventType::remove) follower.records.erase(change.key);
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

}  // namespace dkv::sim
