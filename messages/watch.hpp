// What a watch is told, and what it is asked for: the same for every door. See actors/watch/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "messages/frame.hpp"
#include "messages/ids.hpp"
#include "messages/session.hpp"

namespace dkv {

/// door -> watcher: from now on, until CloseWatch, tell `watch` of all that happens to keys that begin with
/// `prefix`: after `from`, and in shards that are not in there from now on.
struct OpenWatch {
  std::uint64_t watch = 0;  // the door's, never used twice
  std::string prefix;
  ShardPositions from;
};

/// door -> watcher.
struct CloseWatch {
  std::uint64_t watch = 0;
};

/// door -> watcher: so much of what WatchNews counted for it has left. Not for each of them.
struct WatchTaken {
  std::uint64_t watch = 0;
  std::uint64_t bytes = 0;
};

/// door -> watcher: a first subscriber of the `watch` port wants keys with this prefix, or the last one has
/// gone.
struct WatchSubscription {
  std::string prefix;
  bool wanted = true;
};

/// A committed event of a key: views into what owns them.
struct WatchedEvent {
  Position position;
  EventType type = EventType::put;
  std::string_view key;
  std::string_view value;
};

/// What a door tells the watcher.
using WatchCommand = std::variant<OpenWatch, CloseWatch, WatchTaken>;

/// watcher -> door.
struct WatchNews {
  enum class Kind : std::uint8_t {
    opened,    // it has begun in every shard, at `positions`
    events,    // of `shard`, in its order, without any left out
    too_old,   // events of `shard` were left out: its log no longer reaches back. It goes on after `upto`
    diverged,  // likewise: what was seen is not in the shard's history (any more)
    progress,  // every now and then: nothing was left out up to `positions`
  };
  std::uint64_t watch = 0;
  Kind kind = Kind::events;
  ShardId shard;
  std::string shard_name;   // of a gap
  Position upto;            // of `shard`: nothing else has happened up to there
  std::uint64_t bytes = 0;  // what this counts for WatchTaken
  ShardPositions positions;
  std::vector<WatchedEvent> events;
  std::shared_ptr<const std::string> owner;  // of the events' bytes
};

/// watcher -> the `watch` port: events of keys that somebody there subscribes to, of `shard`, in its order.
struct WatchBroadcast {
  ShardId shard;
  std::vector<WatchedEvent> events;
  std::shared_ptr<const std::string> owner;
};

// On the `watch` port: two parts, a topic and one of these. See messages/README.md.

inline constexpr char kWatchTopic = 'k';
/// Of a key; and what who watches a prefix subscribes to.
inline std::string watch_topic(std::string_view key) { return kWatchTopic + std::string(key); }
/// For each length of a prefix: how many events there have been of keys that begin as this one does.
using WatchCounts = std::vector<std::pair<std::size_t, std::uint64_t>>;
std::string encode_watch_event(ShardId shard, const WatchedEvent& event, const WatchCounts& counts);
/// The counts alone, of no event.
std::string encode_watch_counts(const WatchCounts& counts);

}  // namespace dkv
