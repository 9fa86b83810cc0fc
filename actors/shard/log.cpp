#include "actors/shard/log.hpp"

#include <algorithm>
#include <limits>
#include <xxhash.h>

namespace dkv {

namespace {
// Between two entries of a segment's index: what a read skips over at most, beside one frame.
constexpr std::uint64_t kIndexStrideBytes = std::uint64_t{64} << 10;
// A file that is no segment yet, or none any more: "spare-new", or with the number that the segment had.
constexpr std::string_view kSparePrefix = "spare-";
// As many segments as fill up between two checkpoints; each takes disk for nothing meanwhile.
constexpr std::size_t kMaxSpares = 2;
// With a turn of this size a file does not grow in advance: it gains nothing from that.
constexpr std::uint64_t kLargeTurnBytes = std::uint64_t{64} << 10;

/// Of one life of a file: segment numbers are used once.
std::uint64_t life_salt(std::uint64_t salt, std::uint64_t number) {
  return XXH3_64bits_withSeed(&number, sizeof number, salt);
}

std::string spare_name(const std::string& what) { return std::string(kSparePrefix) + what; }

Error at_offset(Errc code, const std::string& file, std::uint64_t offset, const std::string& what) {
  return {code, "log: " + file + " at offset " + std::to_string(offset) + ": " + what};
}

Error not_in_the_log(Position at) {
  return {Errc::bad_request, "log: no frame of it ends at " + to_string(at)};
}

/// Says where; an io_error names its file already.
Error at_offset(const Error& error, const std::string& file, std::uint64_t offset) {
  return error.code == Errc::io_error ? error : at_offset(error.code, file, offset, error.message);
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

/// Where to begin to read a segment for the frame that follows `from`: there, or at some frame before.
std::uint64_t Log::start_before(const Segment& segment, Seq from) {
  const auto after = std::upper_bound(segment.index.begin(), segment.index.end(), from,
                                      [](Seq seq, const auto& entry) { return seq < entry.first.seq; });
  return after == segment.index.begin() ? kSegmentHeaderBytes : std::prev(after)->second;
}

/// Where a segment ends that `next`, if any, follows, if that can be known before it is read.
Seq Log::end_before(const Segment* next) {
  const bool was_cut = next != nullptr && next->header.begins == SegmentBegins::cut;
  return was_cut ? next->header.prev.seq : Seq{std::numeric_limits<std::uint64_t>::max()};
}

Result<Log::Names> Log::list() {
  auto files = disk_->list();
  if (!files) return files.error();
  Names names;
  for (std::string& name : *files) {
    if (name.starts_with(kSparePrefix))
      names.spares.push_back(std::move(name));
    else if (const std::uint64_t number = segment_number(name); number != 0)
      names.segments.push_back(number);
  }
  if (!names.segments.empty()) next_number_ = names.segments.back() + 1;
  return names;
}

/// Of whichever shard. Errors: io_error; corrupt, without the file's name.
Result<Log::Segment> Log::open_segment(std::uint64_t number) const {
  Segment segment;
  segment.number = number;
  segment.name = segment_name(number);
  auto file = disk_->open(segment.name, false);
  if (!file) return file.error();
  segment.file = std::move(*file);
  auto bytes = segment.file->read(0, kSegmentHeaderBytes);
  if (!bytes) return bytes.error();
  auto header = decode_segment_header(*bytes);
  if (!header) return header.error();
  segment.header = *header;
  segment.end = segment.file->size();  // until it is scanned
  return segment;
}

/// Whether a segment that is older than all in segments_ holds only what a cut has forgotten.
bool Log::is_cut_off(const Segment& older) const {
  if (segments_.empty() || segments_.front().header.begins != SegmentBegins::cut) return false;
  return older.header.prev.seq >= segments_.front().header.prev.seq;
}

Result<void> Log::open_segments() {
  auto names = list();
  if (!names) return names.error();
  spares_ = std::move(names->spares);
  std::vector<std::uint64_t> left_over;
  // From the newest back to where the log begins.
  while (!names->segments.empty()) {
    auto segment = open_segment(names->segments.back());
    if (!segment) return at_offset(segment.error(), segment_name(names->segments.back()), 0);
    if (segment->header.shard != options_.shard) {
      return at_offset(Errc::in_use, segment->name, 0,
                       "it belongs to shard number " + std::to_string(segment->header.shard.value));
    }
    names->segments.pop_back();
    if (is_cut_off(*segment)) {
      left_over.push_back(segment->number);
      continue;
    }
    segments_.insert(segments_.begin(), std::move(*segment));
    if (segments_.front().header.begins == SegmentBegins::anew) break;
  }
  left_over.insert(left_over.end(), names->segments.begin(), names->segments.end());  // by a reset
  for (const std::uint64_t number : left_over) {
    if (auto removed = disk_->remove(segment_name(number)); !removed) return removed;
  }
  return remove_spares(kMaxSpares);
}

Result<void> Log::remove_spares(std::size_t kept) {
  while (spares_.size() > kept) {
    if (auto removed = disk_->remove(spares_.back()); !removed) return removed;
    spares_.pop_back();
  }
  return {};
}

Result<void> Log::open(Position applied) {
  segments_.clear();
  spares_.clear();
  if (auto opened = open_segments(); !opened) return opened;
  replaying_.emplace().applied = applied;
  head_ = {};
  epochs_ = EpochHistory();
  if (segments_.empty()) return {};
  if (auto reaches = check_begin(applied); !reaches) {
    return at_offset(reaches.error(), segments_.front().name, 0);
  }
  replaying_->first = replaying_->at = segment_after(applied);
  learn_epochs(replaying_->first);
  head_ = segments_[replaying_->at].header.prev;
  return {};
}

/// What epochs are in the first `segments`, which replay() passes over. Those that begin and end in the same
/// epoch need not be read. One that cannot be read keeps no log from opening: the history then begins after
/// it.
void Log::learn_epochs(std::size_t segments) {
  epochs_ = EpochHistory(segments_.front().header.prev);
  for (std::size_t i = 0; i < segments; ++i) {
    const Position end = segments_[i + 1].header.prev;
    if (end.epoch == segments_[i].header.prev.epoch)
      epochs_.extend(end);
    else if (!read_epochs(segments_[i], end))
      epochs_ = EpochHistory(end);
  }
}

/// False when the segment does not read back up to `end`.
bool Log::read_epochs(const Segment& segment, Position end) {
  SegmentReader reader(*segment.file, segment.header, kSegmentHeaderBytes, segment.end);
  Position at = segment.header.prev;
  while (at.seq < end.seq) {
    const auto found = reader.next();
    if (!found || *found != SegmentReader::Found::frame || reader.frame().prev != at) return false;
    at = reader.frame().last();
    epochs_.extend(at);
  }
  return at == end;
}

Result<void> Log::open(Position applied, const Take& take) {
  if (auto opened = open(applied); !opened) return opened;
  const auto replayed = replay(std::numeric_limits<std::uint64_t>::max(), take);
  if (!replayed) return replayed.error();
  return {};
}

Result<bool> Log::replay(std::uint64_t max_bytes, const Take& take) {
  DKV_ASSERT(replaying_.has_value());
  Replaying& replaying = *replaying_;
  std::uint64_t bytes = 0;
  while (replaying.at < segments_.size()) {
    if (bytes >= max_bytes) return true;
    Segment& segment = segments_[replaying.at];
    const Segment* const next = replaying.at + 1 < segments_.size() ? &segments_[replaying.at + 1] : nullptr;
    if (!replaying.reader) {
      replaying.reader = std::make_unique<SegmentReader>(*segment.file, segment.header, kSegmentHeaderBytes,
                                                         kSegmentHeaderBytes);
      segment.end = kSegmentHeaderBytes;
    }
    SegmentReader& reader = *replaying.reader;
    const std::uint64_t start = reader.end();
    const auto replayed = read_turn(segment, reader, end_before(next),
                                    [&](std::string_view frame_bytes, const FrameView& frame) {
                                      epochs_.extend(frame.last());
                                      if (frame.last().seq <= replaying.applied.seq) return;
                                      bytes += frame_bytes.size();
                                      take(frame_bytes, frame);
                                    });
    if (!replayed) return at_offset(replayed.error(), segment.name, reader.offset());
    if (*replayed) {
      replaying.last_turn = start;
      continue;
    }
    if (auto ended = check_end(next, reader); !ended) {
      return at_offset(ended.error(), segment.name, reader.end());
    }
    if (next != nullptr) replaying.last_turn = kSegmentHeaderBytes;
    replaying.reader.reset();
    ++replaying.at;
  }
  if (auto finished = finish_replay(); !finished) return finished.error();
  return false;
}

/// Calls `take` with the frames of the reader's next turn, which must follow head_, and moves that and the
/// segment's end past them. False when no whole one follows, or the segment was cut at `upto`. Errors:
/// io_error; corrupt, without the place, which is the reader's offset().
Result<bool> Log::read_turn(Segment& segment, SegmentReader& reader, Seq upto, const Take& take) {
  if (head_.seq >= upto) return false;
  auto extended = reader.extend();
  if (!extended || !*extended) return extended;
  for (;;) {
    if (head_.seq >= upto) return true;
    auto found = reader.next();
    if (!found) return found.error();
    if (*found == SegmentReader::Found::end) return true;
    if (*found == SegmentReader::Found::bad || reader.frame().prev != head_) {
      return Error{Errc::corrupt, "what stands here was synced, but does not follow " + to_string(head_)};
    }
    note(segment, head_, reader.offset());
    head_ = reader.frame().last();
    segment.end = reader.offset() + reader.frame_bytes().size();
    take(reader.frame_bytes(), reader.frame());
  }
}

Result<void> Log::finish_replay() {
  const Position applied = replaying_->applied;
  if (!segments_.empty()) {
    Segment& last = segments_.back();
    if (auto wiped = wipe_torn_marker(last); !wiped) return wiped;
    if (auto written = write_again(last, replaying_->last_turn); !written) return written;
    // From here on it counts as durable.
    if (auto synced = last.file->sync(); !synced) return synced;
  }
  if (auto reaches = check_reach(applied); !reaches) {
    return Error{reaches.error().code, "log: " + reaches.error().message};
  }
  replaying_.reset();
  return {};
}

/// What stands from `offset` on, the last turn, may be in the page cache only: after a kill, or after a sync
/// that failed, when the kernel calls it clean and would not write it at the next one (R2).
Result<void> Log::write_again(Segment& segment, std::uint64_t offset) {
  const auto turn = segment.file->read(offset, static_cast<std::size_t>(segment.end - offset));
  if (!turn) return turn.error();
  return segment.file->write(offset, {*turn});
}

/// Whether the log begins where the checkpoint ends, or before.
Result<void> Log::check_begin(Position applied) const {
  if (segments_.front().header.prev.seq <= applied.seq) return {};
  return Error{Errc::corrupt, "the log begins after " + to_string(segments_.front().header.prev) +
                                  ", but the checkpoint ends at " + to_string(applied) +
                                  ": log files are missing"};
}

/// Whether it ends there, or later.
Result<void> Log::check_reach(Position applied) const {
  if (head_.seq >= applied.seq) return {};
  return Error{Errc::corrupt, "it ends at " + to_string(head_) + ", before the checkpoint at " +
                                  to_string(applied) + ": log files are missing"};
}

Log::Progress Log::progress() const {
  Progress progress;
  if (!replaying_) return progress;
  for (std::size_t i = replaying_->first; i < segments_.size(); ++i) {
    progress.bytes_total += segments_[i].file->size();
    if (i < replaying_->at) progress.bytes_done += segments_[i].file->size();
  }
  if (replaying_->reader) progress.bytes_done += replaying_->reader->end();
  return progress;
}

/// A torn turn may lack little. The next one is written over it, and when that is torn too, the rest of the
/// first must not become whole: its marker goes.
Result<void> Log::wipe_torn_marker(Segment& segment) {
  const auto left = segment.file->read(segment.end, kMarkerBytes);
  if (!left) return left.error();
  if (left->find_first_not_of('\0') == std::string::npos) return {};
  return segment.file->write(segment.end, {std::string(left->size(), '\0')});
}

/// Whether a segment's turns end here, before `next`, because nothing more was synced. Errors as read_turn();
/// the place is the reader's end().
Result<void> Log::check_end(const Segment* next, SegmentReader& reader) const {
  auto lost = next == nullptr ? reader.marker_follows() : Result<bool>(next->header.prev != head_);
  if (!lost) return lost.error();
  if (!*lost) return {};
  return Error{Errc::corrupt,
               next == nullptr
                   ? "what had been synced does not read back; the disk may be failing. Restore this "
                     "copy from a replica"
                   : "what was synced up to " + to_string(next->header.prev) +
                         " does not read back, or a file is missing; the disk may be failing. "
                         "Restore this copy from a replica"};
}

Result<Log::Segment> Log::begin_segment(Position prev, SegmentBegins begins) {
  if (spares_.empty()) spares_.push_back(spare_name("new"));
  Segment segment;
  segment.number = next_number_;
  segment.name = segment_name(segment.number);
  segment.header = {options_.shard, life_salt(options_.salt, segment.number), prev, begins};
  auto file = disk_->open(spares_.back(), true);
  if (!file) return file.error();
  segment.file = std::move(*file);
  const std::string header = encode_segment_header(segment.header);
  if (auto written = segment.file->write(0, {header}); !written) return written.error();
  if (auto synced = segment.file->sync(); !synced) return synced.error();
  if (auto renamed = disk_->rename(spares_.back(), segment.name); !renamed) return renamed.error();
  spares_.pop_back();
  ++next_number_;
  return segment;
}

Result<void> Log::reset(Position at) {
  auto names = list();
  if (!names) return names.error();
  spares_ = std::move(names->spares);
  auto begun = begin_segment(at, SegmentBegins::anew);
  if (!begun) return begun.error();
  segments_.clear();
  segments_.push_back(std::move(*begun));
  head_ = at;
  epochs_ = EpochHistory(at);
  for (const std::uint64_t number : names->segments) {
    if (auto removed = disk_->remove(segment_name(number)); !removed) return removed;
  }
  return {};
}

/// Where the frame that ends at `at` does, in a segment that begins before. Errors: as cut().
Result<std::uint64_t> Log::find_end(Segment& segment, Position at) {
  SegmentReader reader(*segment.file, segment.header, start_before(segment, Seq{at.seq.value - 1}),
                       segment.end);
  for (;;) {
    const auto found = reader.next();
    if (!found) return found.error();
    if (*found != SegmentReader::Found::frame) {
      return at_offset(Errc::corrupt, segment.name, reader.offset(), "a frame does not read back");
    }
    const Position last = reader.frame().last();
    if (last == at) return reader.offset() + reader.frame_bytes().size();
    if (last.seq >= at.seq) return not_in_the_log(at);
  }
}

Result<void> Log::cut(Position at) {
  DKV_ASSERT(!replaying_);
  if (at == head_) return {};
  if (at == begin()) return reset(at);
  if (at.seq <= begin().seq || at.seq >= head_.seq) return not_in_the_log(at);
  const std::size_t last = segment_after({at.epoch, Seq{at.seq.value - 1}});
  const auto end = find_end(segments_[last], at);
  if (!end) return end.error();
  auto begun = begin_segment(at, SegmentBegins::cut);
  if (!begun) return begun.error();
  // It is done: what is above belongs to the log no more, whoever opens it.
  std::erase_if(segments_[last].index, [&](const auto& entry) { return entry.second >= *end; });
  segments_[last].end = *end;
  std::vector<std::string> left_over;
  while (segments_.size() > last + 1) {
    left_over.push_back(std::move(segments_.back().name));
    segments_.pop_back();
  }
  segments_.push_back(std::move(*begun));
  head_ = at;
  epochs_.cut(at);
  for (const std::string& name : left_over) {
    if (auto removed = disk_->remove(name); !removed) return removed;
  }
  return {};
}

Result<void> Log::append(const std::vector<FrameBytes>& frames, Position last) {
  if (segments_.empty() || segments_.back().end >= options_.segment_bytes) {
    auto begun = begin_segment(head_, segments_.empty() ? SegmentBegins::anew : SegmentBegins::next);
    if (!begun) return begun.error();
    segments_.push_back(std::move(*begun));
  }
  Segment& segment = segments_.back();
  const std::string marker = encode_marker(segment.end, segment.header.salt, frames);
  std::vector<std::string_view> parts;
  parts.reserve(frames.size() + 2);
  parts.push_back(marker);
  std::uint64_t bytes = marker.size();
  for (const FrameBytes& frame : frames) {
    parts.push_back(*frame);
    bytes += frame->size();
  }
  const bool grows = bytes < kLargeTurnBytes && segment.end + bytes > segment.file->size();
  if (grows) parts.push_back(zeros_);
  auto written = segment.file->write(segment.end, parts);
  if (!written && written.error().code == Errc::disk_full && grows) {
    parts.pop_back();
    written = segment.file->write(segment.end, parts);
  }
  if (!written) return written;
  if (auto synced = segment.file->sync(); !synced) return synced;
  note(segment, head_, segment.end);
  segment.end += bytes;
  extend_epochs(frames, last);
  head_ = last;
  return {};
}

/// Before head_ moves. Only frames among which a new epoch begins are looked at.
void Log::extend_epochs(const std::vector<FrameBytes>& frames, Position last) {
  if (last.epoch != head_.epoch && frames.size() > 1) {
    for (const FrameBytes& bytes : frames) {
      if (const auto frame = decode_frame(*bytes)) epochs_.extend(frame->last());
    }
  }
  epochs_.extend(last);
}

Result<void> Log::trim(Seq upto, bool make_room) {
  // The segments that nobody must have, and what they take.
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  while (count + 1 < segments_.size() && segments_[count + 1].header.prev.seq <= upto) {
    bytes += segments_[count++].end;
  }
  // One at a time, each durably: a crash in between leaves a log without a gap.
  const std::uint64_t retained = make_room ? 0 : options_.retain_bytes;
  for (; count > 0 && bytes - segments_.front().end >= retained; --count) {
    bytes -= segments_.front().end;
    if (auto freed = free_segment(segments_.front(), make_room); !freed) return freed;
    segments_.erase(segments_.begin());
    epochs_.trim(begin());
  }
  return remove_spares(make_room ? 0 : kMaxSpares);
}

Result<void> Log::free_segment(const Segment& segment, bool make_room) {
  const bool fits = segment.file->size() < 2 * options_.segment_bytes;
  if (make_room || !fits || spares_.size() >= kMaxSpares) return disk_->remove(segment.name);
  std::string spare = spare_name(std::to_string(segment.number));
  if (auto renamed = disk_->rename(segment.name, spare); !renamed) {
    // Whichever name it has, this one must not stay in the way of the segments behind it.
    if (renamed.error().code != Errc::disk_full) return disk_->remove(segment.name);
    return renamed;
  }
  spares_.push_back(std::move(spare));
  return {};
}

Result<Log::ReadResult> Log::read_after(Position from, std::uint64_t max_bytes, From kind) {
  ReadResult result;
  if (from.seq < begin().seq) {
    result.reach = LogReach::too_old;
  } else if (from == head_) {
    result.reach = LogReach::found;
  }
  if (from.seq < begin().seq || from.seq >= head_.seq) return result;
  for (std::size_t i = segment_after(from); i < segments_.size(); ++i) {
    const Seq last = i + 1 < segments_.size() ? segments_[i + 1].header.prev.seq : head_.seq;
    if (auto read = read_segment(segments_[i], last, from, max_bytes, kind, result); !read)
      return read.error();
    if (result.reach != LogReach::found || result.frames.size() >= max_bytes) break;
  }
  return result;
}

/// Collects the frames that follow `from` of a segment whose last event is `last`, and moves `from` past
/// them.
Result<void> Log::read_segment(Segment& segment, Seq last, Position& from, std::uint64_t max_bytes, From kind,
                               ReadResult& result) {
  SegmentReader reader(*segment.file, segment.header, start_before(segment, from.seq), segment.end);
  while (from.seq < last && result.frames.size() < max_bytes) {
    auto found = reader.next();
    if (!found) return found.error();
    if (*found == SegmentReader::Found::end) break;
    if (*found == SegmentReader::Found::bad) {
      return at_offset(Errc::corrupt, segment.name, reader.offset(), "a frame does not read back");
    }
    const FrameView& frame = reader.frame();
    note(segment, frame.prev, reader.offset());
    if (frame.last().seq <= from.seq) continue;
    // A position within this frame is of its history if it is of its epoch, for one primary makes an epoch.
    const bool is_within = kind == From::event && frame.prev.seq < from.seq && frame.epoch == from.epoch;
    if (frame.prev != from && !is_within) return {};  // another history
    result.reach = LogReach::found;
    result.frames.append(reader.frame_bytes());
    from = frame.last();
  }
  return {};
}

}  // namespace dkv
