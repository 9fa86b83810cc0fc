// Log::verify(): what open() looks at, and the rest, without ending at the first thing that is wrong.
#include <algorithm>

#include "actors/shard/log.hpp"

namespace dkv {

/// Opens the segments from the newest back to where the log begins, those that can be. How many do not belong
/// to it any more.
std::size_t Log::open_readable(std::vector<std::uint64_t> numbers, LogSurvey& survey) {
  std::size_t cut_off = 0;
  while (!numbers.empty()) {
    auto segment = open_segment(numbers.back());
    const std::string name = segment_name(numbers.back());
    numbers.pop_back();
    if (!segment) {
      survey.problems.add({name, 0, segment.error().message});
      continue;
    }
    if (!survey.shard) survey.shard = segment->header.shard;
    if (segment->header.shard != *survey.shard) {
      survey.problems.add(
          {name, 0, "it belongs to shard number " + std::to_string(segment->header.shard.value)});
      continue;
    }
    if (is_cut_off(*segment)) {
      ++cut_off;
      continue;
    }
    segments_.insert(segments_.begin(), std::move(*segment));
    if (segments_.front().header.begins == SegmentBegins::anew) break;
  }
  return numbers.size() + cut_off;
}

/// The segment that follows, when there is no other in between, or none but those that it cut off.
const Log::Segment* Log::next_of(std::size_t at) const {
  if (at + 1 == segments_.size()) return nullptr;
  const Segment& next = segments_[at + 1];
  const bool follows = next.number == segments_[at].number + 1 || next.header.begins == SegmentBegins::cut;
  return follows ? &next : nullptr;
}

void Log::verify_segment(std::size_t at, const Take& take, const CheckProgress& progress, LogSurvey& survey) {
  Segment& segment = segments_[at];
  SegmentReader reader(*segment.file, segment.header, kSegmentHeaderBytes, kSegmentHeaderBytes);
  const auto add = [&](const Error& error, std::uint64_t offset) {
    survey.problems.add({segment.name, offset, error.message});
  };
  // Whether it follows the one before is said there.
  head_ = segment.header.prev;
  segment.end = kSegmentHeaderBytes;
  survey.bytes += kSegmentHeaderBytes;
  for (;;) {
    const std::uint64_t begin = reader.end();
    const auto turn = read_turn(segment, reader, end_before(next_of(at)), take);
    if (!turn) return add(turn.error(), reader.offset());
    if (!*turn) break;
    survey.bytes += reader.end() - begin;
    progress(reader.end() - begin);
  }
  if (auto ended = check_end(next_of(at), reader); !ended) return add(ended.error(), reader.end());
}

Result<LogSurvey> Log::verify(const std::optional<StoreReach>& store, const CheckProgress& progress) {
  LogSurvey survey;
  auto names = list();
  if (!names) return names.error();
  survey.spares = names->spares.size();
  survey.left_over = open_readable(names->segments, survey);
  survey.segments = segments_.size();
  bool same_history = true;
  for (std::size_t at = 0; at < segments_.size(); ++at) {
    const auto take = [&](std::string_view, const FrameView& frame) {
      ++survey.frames;
      survey.events += frame.events.size();
      if (!store) return;
      const Position applied = store->applied;
      const bool holds_it = frame.prev.seq < applied.seq && applied.seq <= frame.last().seq;
      if (holds_it) same_history = frame.epoch == applied.epoch;
    };
    verify_segment(at, take, progress, survey);
  }
  survey.begin = segments_.empty() ? Position{} : segments_.front().header.prev;
  survey.end = head_;
  // Of a log with holes nobody can say where it should begin and end.
  if (survey.problems.count > 0) return survey;

  for (std::size_t at = 0; at + 1 < segments_.size(); ++at) {
    if (next_of(at) != nullptr) continue;
    survey.problems.add({segment_name(segments_[at].number + 1), std::nullopt, "this file is missing"});
  }
  if (store) check_fit(*store, same_history, survey);
  if (segments_.empty()) return survey;
  const Segment& last = segments_.back();
  SegmentReader reader(*last.file, last.header, last.end, last.end);
  const auto begun = reader.begun_bytes();
  if (!begun) return begun.error();
  survey.unfinished_bytes = *begun;
  return survey;
}

/// Whether the store's checkpoint is a place in this log.
void Log::check_fit(const StoreReach& store, bool same_history, LogSurvey& survey) const {
  const Position applied = store.applied;
  if (!segments_.empty()) {
    const std::string& first = segments_.front().name;
    if (auto begins = check_begin(applied); !begins) survey.problems.add({first, 0, begins.error().message});
    if (survey.begin.seq == applied.seq) same_history = survey.begin == applied;
  }
  const std::string last = segments_.empty() ? "" : segments_.back().name;
  if (auto reaches = check_reach(std::max(applied, store.reached)); !reaches) {
    survey.problems.add({last, std::nullopt, "the log: " + reaches.error().message});
  } else if (!same_history) {
    survey.problems.add({last, std::nullopt,
                         "the checkpoint ends at " + to_string(applied) +
                             ", but in the log that event is of another epoch: they do not belong together"});
  }
}

}  // namespace dkv
