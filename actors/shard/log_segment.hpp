// One file of a shard's log, as bytes.
//
//   segment := header turn* rest     header := "dkvlog2\n" shard u32, begins u32, salt u64,
//   turn    := marker frame+                   prev epoch u64, prev seq u64, XXH3-64 of all before it
//   marker  := "dkvt" length u32, XXH3-64(the frames, seed salt) u64,
//              XXH3-64(offset u64, length u32, the checksum before u64, seed salt)   frame:
//              messages/README.md
//
// All little-endian. How a segment begins says what of the earlier ones belongs to the log: SegmentBegins. A
// segment gets its name once its header is durable. Its file may have had an earlier life as another segment:
// the rest is zeros or whatever that life left. The salt is different in every life, and unknown to clients,
// so neither what is left nor a value looks like a turn.
//
// A turn is what was written and synced at once, and counts as a whole. It is written only after the one
// before it has been synced. So where a turn should begin and none is whole, a marker of this life further on
// proves that something durable was there: that is corruption. Without one, the log ends: what may be there
// was never synced, and nobody was told of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/runtime/disk.hpp"
#include "messages/frame.hpp"
#include "messages/ids.hpp"

namespace dkv {

inline constexpr std::size_t kSegmentHeaderBytes = 48;
inline constexpr std::size_t kMarkerBytes = 24;

/// What of the earlier segments belongs to a log that has this one. On disk: never renumbered.
enum class SegmentBegins : std::uint32_t {
  next = 0,  // all: they end at its prev
  anew = 1,  // nothing
  cut = 2,   // what is at or below its prev, which may be in the middle of a turn
};

struct SegmentHeader {
  ShardId shard;
  std::uint64_t salt = 0;
  Position prev;  // of the event before this segment's first
  SegmentBegins begins = SegmentBegins::next;
};

std::string encode_segment_header(const SegmentHeader& header);
/// Nothing when the bytes are no valid header.
Result<SegmentHeader> decode_segment_header(std::string_view bytes);
/// The marker of a turn that stands at `offset`; `frames` are at most 4 GiB.
std::string encode_marker(std::uint64_t offset, std::uint64_t salt, const std::vector<FrameBytes>& frames);

/// Segments are numbered in the order in which they began, whatever positions they hold.
std::string segment_name(std::uint64_t number);
/// The number in a segment's name, or 0 when it is none.
std::uint64_t segment_number(std::string_view name);

/// Reads the turns of a segment in order, frame by frame.
class SegmentReader {
 public:
  /// Of the turns between `offset`, where a turn or a frame begins, and `end`, which are known to be whole.
  SegmentReader(const File& file, const SegmentHeader& header, std::uint64_t offset, std::uint64_t end)
      : file_(file), header_(header), offset_(offset), end_(end) {}

  /// Takes in the turn that begins at end(), too, if one does and is whole. Errors: io_error.
  Result<bool> extend();
  std::uint64_t end() const { return end_; }
  /// The length of the turn that a marker at end() begins, whole or not, with it; 0: none stands there.
  /// Errors: io_error.
  Result<std::uint64_t> begun_bytes();
  /// Whether a marker of this segment's life stands anywhere behind end(). Errors: io_error.
  Result<bool> marker_follows();

  enum class Found { frame, end, bad };
  /// Moves to the next frame, over markers. `bad`: what starts at offset() is neither, or its checksum
  /// does not hold. Errors: io_error.
  Result<Found> next();

  /// Of the frame found: its bytes, valid until the next call.
  std::string_view frame_bytes() const { return frame_bytes_; }
  const FrameView& frame() const { return frame_; }
  /// Where what next() looked at starts.
  std::uint64_t offset() const { return at_; }

 private:
  Result<std::string_view> window(std::uint64_t offset, std::size_t bytes);

  const File& file_;
  SegmentHeader header_;
  std::uint64_t offset_;  // of the next item
  std::uint64_t end_;
  std::uint64_t at_ = 0;
  std::string buffer_;  // file bytes from buffer_offset_ on
  std::uint64_t buffer_offset_ = 0;
  std::string_view frame_bytes_;
  FrameView frame_;
};

}  // namespace dkv
