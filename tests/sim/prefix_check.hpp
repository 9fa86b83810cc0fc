// Whether a copy is what it must be: the shard after the first n events of its history, record for record.
// Told every frame that primaries hand to their logs, it knows each shard's histories (a primary that dies
// may leave an end that is nobody's; a volatile shard may begin anew), and follows each copy through its own.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "actors/runtime/message.hpp"
#include "actors/shard/shard_copy.hpp"
#include "messages/rpc.hpp"
#include "messages/scan.hpp"

namespace dkv::sim {

inline bool holds(const KeyRange& range, std::string_view key) {
  return key >= range.low && (range.high.empty() || key < range.high);
}

class PrefixCheck {
 public:
  /// A frame that a primary appends.
  void appended(ShardId shard, const FrameBytes& bytes);
  /// Empty, or how the copy that `name` names differs from the history up to its last event.
  std::string problem_of(const std::string& name, ShardId shard, ShardCopy& copy);
  /// The position before this event.
  Position before(ShardId shard, Position position) { return histories_[shard].at(position).prev; }
  /// Empty, or how what a watch of keys that begin with `prefix` was told of, in this order and up to `upto`,
  /// differs from what happened after `from`. It may not be undone either.
  std::string problem_of(const std::string& name, ShardId shard, const std::string& prefix, Position from,
                         const std::vector<WatchedEvent>& events, Position upto);
  /// Empty, or why a page of a scan, which says all of this range, is not the shard as it was after one of
  /// the events that are in the history by now. It may not be undone either. `may_lose`: a page of what is no
  /// longer in the history need only have been written.
  std::string problem_of(const std::string& name, ShardId shard, const KeyRange& range,
                         const std::vector<rpc::ScanItem>& page, bool may_lose);
  /// To items of a page of keys only, as they were written.
  void add_values(ShardId shard, std::vector<rpc::ScanItem>& page) const;
  /// Empty, or what a copy has shown that is not in the history which ends at `last`: it was not committed.
  std::string undone(ShardId shard, Position last) const;

 private:
  struct Change;
  using Step = std::pair<const Position, Change>;
  struct Change {
    Position prev;
    EventType type;
    std::string key;
    std::string value;
    const Step* before = nullptr;  // at `prev`; none before the first
  };
  struct Record {
    Position version;
    std::string value;
    bool operator==(const Record&) const = default;
  };
  using Records = std::map<std::string, Record>;
  struct Follower {
    Position last;
    Records records;
  };

  std::string problem_of_moment(ShardId shard, const KeyRange& range,
                                const std::map<std::string_view, Position>& page, Position newest,
                                bool may_lose) const;

  std::map<ShardId, std::map<Position, Change>> histories_;
  std::map<ShardId, std::set<std::string>> keys_;  // that were ever written
  std::map<std::string, Follower> followers_;
  std::map<ShardId, std::map<Position, std::string>> shown_;  // by whom
};

}  // namespace dkv::sim
