// One file of a shard's log, as bytes.
//
//   segment := header item*          header := "dkvlog1\n" shard u32, flags u32, salt u64,
//   item    := marker | frame                  prev epoch u64, prev seq u64, XXH3-64 of all before it
//   marker  := "dkvt" zero u32, XXH3-64(offset u64, seed salt)       frame: see messages/README.md
//
// All little-endian. Flags: 1 anew: the log begins with this segment, and those before it are to be
// forgotten. A segment gets its name once its header is durable. A marker begins what was written and synced
// in one turn, and a turn is written only after the one before it has been synced. So when something does not
// read as it should, a marker further on proves that the bad bytes had once been durable: that is corruption.
// Without one they were never synced, and nobody was told of them: a torn tail, to be cut. The salt keeps
// values from looking like markers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "actors/runtime/disk.hpp"
#include "messages/frame.hpp"
#include "messages/ids.hpp"

namespace dkv {

inline constexpr std::size_t kSegmentHeaderBytes = 48;
inline constexpr std::size_t kMarkerBytes = 16;

struct SegmentHeader {
  ShardId shard;
  std::uint64_t salt = 0;
  Position prev;      // of the event before this segment's first
  bool anew = false;  // what stands in earlier segments does not belong to this log any more
};

std::string encode_segment_header(const SegmentHeader& header);
/// Nothing when the bytes are no valid header.
Result<SegmentHeader> decode_segment_header(std::string_view bytes);
std::string encode_marker(std::uint64_t offset, std::uint64_t salt);

/// Segments are numbered in the order in which they began, whatever positions they hold.
std::string segment_name(std::uint64_t number);
/// The number in a segment's name, or 0 when it is none.
std::uint64_t segment_number(std::string_view name);

/// Reads the items of a segment in order.
class SegmentReader {
 public:
  SegmentReader(const File& file, const SegmentHeader& header, std::uint64_t offset)
      : file_(file), header_(header), offset_(offset) {}

  enum class Found { frame, end, bad };
  /// Moves to the next frame, over markers. `bad`: what starts at offset() is neither, or its checksum
  /// does not hold. Errors: io_error.
  Result<Found> next();

  /// Of the frame found: its bytes, valid until the next call.
  std::string_view frame_bytes() const { return frame_bytes_; }
  const FrameView& frame() const { return frame_; }
  /// Where the frame found starts; after `end` or `bad`, where the good part ends.
  std::uint64_t offset() const { return at_; }

  /// After `bad`: whether a marker stands anywhere behind.
  Result<bool> marker_follows();

 private:
  Result<std::string_view> window(std::uint64_t offset, std::size_t bytes);
  bool is_marker(std::string_view bytes, std::uint64_t offset) const;

  const File& file_;
  SegmentHeader header_;
  std::uint64_t offset_;  // of the next item
  std::uint64_t at_ = 0;
  std::string buffer_;  // file bytes from buffer_offset_ on
  std::uint64_t buffer_offset_ = 0;
  std::string_view frame_bytes_;
  FrameView frame_;
};

}  // namespace dkv
