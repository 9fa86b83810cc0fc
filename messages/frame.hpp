// Write events in frames. A frame's bytes are the same in the primary's log, on PUB and in the replica's
// log: packed once. The format is specified in messages/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv {

/// A frame's encoded bytes, shared by everyone who still has to write or send them.
using FrameBytes = std::shared_ptr<const std::string>;

/// topic (8) + body length (4) + XXH3-64 of the body (8)
inline constexpr std::size_t kTopicBytes = 8;
inline constexpr std::size_t kFrameHeaderBytes = 20;

enum class EventType : std::uint8_t {
  put = 1,
  remove = 2,
  epoch_start = 3,  ///< the first event of every epoch: no key; it commits what came before
};

struct Event {
  EventType type = EventType::put;
  std::string_view key;
  std::string_view value;
  std::uint64_t expires_ms = 0;  // put only: when it is over, in milliseconds since 1970; 0: never
};

/// A decoded frame: views into the frame's bytes.
struct FrameView {
  ShardId shard;
  Epoch epoch;                // of all its events
  Position prev;              // of the event before the first of these
  Seq commit;                 // what the primary knew committed when it packed this
  std::vector<Event> events;  // numbered prev.seq + 1 onward; none in a heartbeat

  /// The position of the last event; a heartbeat's is the primary's head.
  Position last() const {
    return events.empty() ? prev : Position{epoch, Seq{prev.seq.value + events.size()}};
  }
};

/// The topic that a shard's frames start with: a subscription to it matches no other shard's.
std::string topic_of(ShardId shard);

/// Decodes one frame that must span all of `bytes`; checks length, checksum and every field.
/// Errors: too_large, corrupt (wrong checksum or length), bad_request (a checksum that holds over nonsense).
Result<FrameView> decode_frame(std::string_view bytes);

/// The length of the frame that starts `bytes` by its own header, or 0 when too few bytes are there or
/// they do not start with a frame of `shard`. Says nothing about the checksum.
std::size_t peek_frame_size(std::string_view bytes, ShardId shard);

/// Packs the events of one turn as they arrive.
class FramePacker {
 public:
  void add(const Event& event);
  std::size_t count() const { return count_; }
  /// The bytes of the events so far; a frame adds some 60.
  std::size_t size() const { return events_.size(); }
  /// The frame of all events added since the last finish(); begins anew. Without events: a heartbeat.
  FrameBytes finish(ShardId shard, Epoch epoch, Position prev, Seq commit);

 private:
  std::string events_;
  std::size_t count_ = 0;
};

}  // namespace dkv
