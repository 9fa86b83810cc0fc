#include "actors/shard/log.hpp"

#include <algorithm>

namespace dkv {

namespace {
// Between two entries of a segment's index: what a read skips over at most, beside one frame.
constexpr std::uint64_t kIndexStrideBytes = std::uint64_t{64} << 10;
// A segment that is being begun: it gets its name when its header is durable.
const std::string kUnnamedSegment = "log.new";

Error at_offset(Errc code, const std::string& file, std::uint64_t offset, const std::string& what) {
  return {code, "log: " + file + " at offset " + std::to_string(offset) + ": " + what};
}
}  // namespace

void Log::note(Segment& segment, Position prev, std::uint64_t offset) {
  if (segment.index.empty() || offset >= segment.index.back().second + kIndexStrideBytes) {
    segment.index.emplace_back(prev, offset);
  }
}

/// The last segment that begins at or before what follows `from`.
std::size_t Log::segment_after(Position from) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), from.seq,
                       [](Seq seq, const Segment& segment) { return seq < segment.header.prev.seq; });
  return after == segments_.begin() ? 0 : static_cast<std::size_t>(after - segments_.begin()) - 1;
}

/// The numbers of all segments in the folder, in order.
Result<std::vector<std::uint64_t>> Log::list_segments() {
  auto names = disk_->list();
  if (!names) return names.error();
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : *names) {
    const std::uint64_t number = segment_number(name);
    if (number == 0) continue;
    numbers.push_back(number);
    next_number_ = number + 1;
  }
  return numbers;
}

Result<Log::Segment> Log::open_segment(std::uint64_t number) {
  Segment segment;
  segment.number = number;
  segment.name = segment_name(number);
  auto file = disk_->open(segment.name, false);
  if (!file) return file.error();
  segment.file = std::move(*file);
  auto bytes = segment.file->read(0, kSegmentHeaderBytes);
  if (!bytes) return bytes.error();
  auto header = decode_segment_header(*bytes);
  if (!header) return at_offset(Errc::corrupt, segment.name, 0, header.error().message);
  if (header->shard != options_.shard) {
    return at_offset(Errc::in_use, segment.name, 0,
                     "it belongs to shard number " + std::to_string(header->shard.value));
  }
  segment.header = *header;
  return segment;
}

Result<void> Log::open_segments() {
  auto numbers = list_segments();
  if (!numbers) return numbers.error();
  // From the newest back to where the log begins.
  while (!numbers->empty()) {
    auto segment = open_segment(numbers->back());
    if (!segment) return segment.error();
    numbers->pop_back();
    segments_.insert(segments_.begin(), std::move(*segment));
    if (segments_.front().header.anew) break;
  }
  return remove_segments(*numbers);  // a crash after a reset had left them
}

Result<void> Log::remove_segments(const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t number : numbers) {
    if (auto removed = disk_->remove(segment_name(number)); !removed) return removed;
  }
  return {};
}

Result<void> Log::open(Position applied, const Replay& replay) {
  if (auto opened = open_segments(); !opened) return opened;
  if (segments_.empty()) {
    head_ = {};
  } else {
    if (segments_.front().header.prev.seq > applied.seq) {
      return at_offset(Errc::corrupt, segments_.front().name, 0,
                       "the log begins after " + to_string(segments_.front().header.prev) +
                           ", but the checkpoint ends at " + to_string(applied) + ": log files are missing");
    }
    const std::size_t first = segment_after(applied);
    head_ = segments_[first].header.prev;
    for (std::size_t i = first; i < segments_.size(); ++i) {
      if (auto scanned = scan(i, applied, replay); !scanned) return scanned;
    }
    // After a kill the tail may be in the page cache only; from here on it counts as durable.
    if (auto synced = segments_.back().file->sync(); !synced) return synced;
  }
  if (head_.seq < applied.seq) {
    return Error{Errc::corrupt, "log: it ends at " + to_string(head_) + ", before the checkpoint at " +
                                    to_string(applied) + ": log files are missing"};
  }
  return {};
}

Result<void> Log::scan(std::size_t at, Position applied, const Replay& replay) {
  Segment& segment = segments_[at];
  if (segment.header.prev != head_) {
    return at_offset(Errc::corrupt, segment.name, 0,
                     "it follows " + to_string(segment.header.prev) + ", but the log before it ends at " +
                         to_string(head_) + ": a file is missing or misplaced");
  }
  SegmentReader reader(*segment.file, segment.header, kSegmentHeaderBytes);
  for (;;) {
    auto found = reader.next();
    if (!found) return found.error();
    if (*found == SegmentReader::Found::end) break;
    if (*found == SegmentReader::Found::bad || reader.frame().prev != head_) {
      if (auto cut = cut_or_report(segment, reader, at + 1 == segments_.size()); !cut) return cut;
      break;
    }
    note(segment, head_, reader.offset());
    head_ = reader.frame().last();
    if (head_.seq > applied.seq) replay(reader.frame_bytes(), reader.frame());
  }
  return {};
}

Result<void> Log::cut_or_report(Segment& segment, SegmentReader& reader, bool is_last) {
  auto marker = reader.marker_follows();
  if (!marker) return marker.error();
  if (*marker || !is_last) {
    return at_offset(Errc::corrupt, segment.name, reader.offset(),
                     "a frame that had been synced does not read back; the disk may be failing. "
                     "Restore this copy from a replica");
  }
  return segment.file->truncate(reader.offset());
}

Result<void> Log::begin_segment(bool anew) {
  Segment segment;
  segment.header = {options_.shard, options_.salt, head_, anew};
  segment.number = next_number_++;
  segment.name = segment_name(segment.number);
  auto file = disk_->open(kUnnamedSegment, true);
  if (!file) return file.error();
  segment.file = std::move(*file);
  if (auto emptied = segment.file->truncate(0); !emptied) return emptied;
  const std::string header = encode_segment_header(segment.header);
  if (auto written = segment.file->append({header}); !written) return written;
  if (auto synced = segment.file->sync(); !synced) return synced;
  if (auto renamed = disk_->rename(kUnnamedSegment, segment.name); !renamed) return renamed;
  segments_.push_back(std::move(segment));
  return {};
}

Result<void> Log::reset(Position at) {
  auto old = list_segments();
  if (!old) return old.error();
  segments_.clear();
  head_ = at;
  if (auto begun = begin_segment(true); !begun) return begun;
  return remove_segments(*old);
}

Result<void> Log::append(const std::vector<FrameBytes>& frames, Position last) {
  if (segments_.empty() || segments_.back().file->size() >= options_.segment_bytes) {
    if (auto begun = begin_segment(segments_.empty()); !begun) return begun;
  }
  Segment& segment = segments_.back();
  const std::uint64_t offset = segment.file->size();
  const std::string marker = encode_marker(offset, segment.header.salt);
  std::vector<std::string_view> parts;
  parts.reserve(frames.size() + 1);
  parts.push_back(marker);
  for (const FrameBytes& frame : frames) parts.push_back(*frame);
  if (auto written = segment.file->append(parts); !written) return written;
  if (auto synced = segment.file->sync(); !synced) return synced;
  note(segment, head_, offset);
  head_ = last;
  return {};
}

Result<void> Log::trim(Seq upto) {
  // The segments that nobody must have, and what they take.
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  while (count + 1 < segments_.size() && segments_[count + 1].header.prev.seq <= upto) {
    bytes += segments_[count++].file->size();
  }
  // One at a time, each durably: a crash in between leaves a log without a gap.
  for (; count > 0 && bytes - segments_.front().file->size() >= options_.retain_bytes; --count) {
    bytes -= segments_.front().file->size();
    if (auto removed = disk_->remove(segments_.front().name); !removed) return removed;
    segments_.erase(segments_.begin());
  }
  return {};
}

Result<Log::ReadResult> Log::read_after(Position from, std::uint64_t max_bytes) {
  ReadResult result;
  const Position begin = segments_.empty() ? head_ : segments_.front().header.prev;
  if (from.seq < begin.seq) {
    result.reach = LogReach::too_old;
  } else if (from == head_) {
    result.reach = LogReach::found;
  }
  if (from.seq < begin.seq || from.seq >= head_.seq) return result;
  for (std::size_t i = segment_after(from); i < segments_.size(); ++i) {
    if (auto read = read_segment(segments_[i], from, max_bytes, result); !read) return read.error();
    if (result.reach != LogReach::found || result.frames.size() >= max_bytes) break;
  }
  return result;
}

/// Collects the frames of one segment that follow `from`, and moves `from` past them.
Result<void> Log::read_segment(Segment& segment, Position& from, std::uint64_t max_bytes,
                               ReadResult& result) {
  const auto after = std::upper_bound(segment.index.begin(), segment.index.end(), from.seq,
                                      [](Seq seq, const auto& entry) { return seq < entry.first.seq; });
  const std::uint64_t start = after == segment.index.begin() ? kSegmentHeaderBytes : std::prev(after)->second;
  SegmentReader reader(*segment.file, segment.header, start);
  while (result.frames.size() < max_bytes) {
    auto found = reader.next();
    if (!found) return found.error();
    if (*found == SegmentReader::Found::end) break;
    if (*found == SegmentReader::Found::bad) {
      return at_offset(Errc::corrupt, segment.name, reader.offset(), "a frame does not read back");
    }
    const FrameView& frame = reader.frame();
    note(segment, frame.prev, reader.offset());
    if (frame.prev.seq < from.seq) continue;
    if (frame.prev != from) return {};  // another history
    result.reach = LogReach::found;
    result.frames.append(reader.frame_bytes());
    from = frame.last();
  }
  return {};
}

}  // namespace dkv
