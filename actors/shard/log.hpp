// A shard's write-ahead log: segments of frames in a folder. The truth about what this copy holds.
//
// At open a torn turn is left out, to be written over, and a bad spot with synced bytes behind it is reported
// as corruption. (A disk that damages the very last turn, after having synced it, cannot be told from a torn
// one: other copies are for that.) reset() forgets it all in one step: a segment that says that the log
// begins anew with it. cut() forgets its end likewise: a segment that says where what is before it ends.
// Segments that trim() frees are written over again, which costs a third less than a file that grows.
// Blocking; used by the log actor alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/runtime/disk.hpp"
#include "actors/runtime/message.hpp"
#include "actors/shard/epoch_history.hpp"
#include "actors/shard/log_segment.hpp"
#include "actors/shard/survey.hpp"
#include "messages/frame.hpp"

namespace dkv {

struct LogOptions {
  ShardId shard;
  std::uint64_t salt = 0;                                 // any number that clients cannot know
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;  // a new segment begins past this
  std::uint64_t retain_bytes = std::uint64_t{256} << 20;  // trim() leaves this much for followers
};

/// What verify() found.
struct LogSurvey {
  std::optional<ShardId> shard;  // nothing: no segment is readable
  Position begin;                // the event before its first
  Position end;                  // its last event
  std::uint64_t segments = 0;
  std::uint64_t frames = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;  // of the segments' headers and turns
  std::uint64_t unfinished_bytes =
      0;                        // of a last turn that was not written to its end: nobody was told of it
  std::uint64_t left_over = 0;  // files that a reset or a cut forgot: the next start removes them
  std::uint64_t spares = 0;     // files to be written over
  Problems problems;
};

class Log {
 public:
  /// What a read of the log found.
  struct ReadResult {
    LogReach reach = LogReach::unknown;
    std::string frames;
  };

  Log(std::unique_ptr<Disk> disk, LogOptions options)
      : disk_(std::move(disk)),
        options_(options),
        zeros_(static_cast<std::size_t>(options.segment_bytes / kGrowthsOfASegment), '\0') {}

  /// Opens the log; replay() must follow. Before all else, and again at any time later. Errors: corrupt (with
  /// file and offset), io_error.
  Result<void> open(Position applied);
  /// Calls `take` with each frame that has events above `applied`, in order: with about `max_bytes` of them
  /// at each call. False when those were the last; then all of them are durable. Errors: as open(), and
  /// disk_full.
  using Take = std::function<void(std::string_view frame_bytes, const FrameView& frame)>;
  Result<bool> replay(std::uint64_t max_bytes, const Take& take);
  /// Both in one.
  Result<void> open(Position applied, const Take& take);
  struct Progress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
  };
  /// Of replay().
  Progress progress() const;

  /// What a store says that its shard's log must reach.
  struct StoreReach {
    Position applied;
    Position reached;
  };
  /// Reads the whole log, wherever it begins, and changes nothing. Instead of open(), and for that only: it
  /// is not open then. A log of whichever shard its newest segment is of, whatever the options say. Without
  /// `store` it is not looked at whether they fit. Errors: io_error, the folder cannot be listed.
  Result<LogSurvey> verify(const std::optional<StoreReach>& store, const CheckProgress& progress);

  /// Durably forgets everything; the next append follows `at`. Instead of open() or any time later; needs
  /// nothing of the old log to be readable. A crash leaves the old log or the new one. Errors: as append();
  /// after disk_full it is still the old log.
  Result<void> reset(Position at);

  /// Durably forgets every event above `at`; the next append follows it. After replay(). A crash leaves the
  /// log as it was or ending at `at`. Errors: bad_request, no frame of this log ends at `at`, nor does it
  /// begin there: nothing was changed; corrupt, what is there does not read back; else as append(): after
  /// disk_full nothing was changed.
  Result<void> cut(Position at);

  /// Writes frames, the first of which follows head(), and syncs once. Errors: disk_full, nothing was
  /// appended, and one may try again; io_error, the log must not be written again: what is on disk is not
  /// known.
  Result<void> append(const std::vector<FrameBytes>& frames, Position last);

  /// Removes segments, oldest first, all of whose events are at or below `upto`: as many as leave
  /// retain_bytes of such segments, and never the last segment. To `make_room` nothing is left for followers
  /// nor to be written over. Errors: io_error; the log goes on.
  Result<void> trim(Seq upto, bool make_room = false);

  /// Where a position may be that is in the log: behind a frame; or within one too, which then is the first
  /// of those read.
  enum class From : std::uint8_t { frame_end, event };
  /// Frames after `from`, of about `max_bytes` and at least one when there is one. A `from` that this log
  /// does not reach is an answer, not an error. Errors: corrupt, io_error.
  Result<ReadResult> read_after(Position from, std::uint64_t max_bytes, From kind = From::frame_end);

  /// The last durable event.
  Position head() const { return head_; }

  /// The epochs of what the log holds, from where it begins to head(), see EpochHistory; after replay(). The
  /// oldest are not known when what they are in is damaged.
  std::vector<EpochRange> epochs() const { return epochs_.ranges(); }

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::string name;
    SegmentHeader header;
    std::unique_ptr<File> file;
    // Of its turns, or of its last frame before a cut; behind it, anything may stand. Until it is scanned: of
    // its file.
    std::uint64_t end = kSegmentHeaderBytes;
    // Some frames' starts, in order: (position before the frame, offset).
    std::vector<std::pair<Position, std::uint64_t>> index;
  };

  /// Between open() and the end of replay().
  struct Replaying {
    Position applied;
    std::size_t first = 0;                          // of segments_
    std::size_t at = 0;                             // the one that is being read
    std::unique_ptr<SegmentReader> reader;          // of that one
    std::uint64_t last_turn = kSegmentHeaderBytes;  // where it begins, in that one
  };

  struct Names {
    std::vector<std::uint64_t> segments;  // by number, in order
    std::vector<std::string> spares;
  };
  Result<Names> list();
  Result<Segment> open_segment(std::uint64_t number) const;
  bool is_cut_off(const Segment& older) const;
  Result<void> open_segments();
  Result<void> wipe_torn_marker(Segment& segment);
  Result<bool> read_turn(Segment& segment, SegmentReader& reader, Seq upto, const Take& take);
  Result<void> check_end(const Segment* next, SegmentReader& reader) const;
  Result<void> check_begin(Position applied) const;
  Result<void> check_reach(Position applied) const;
  Position begin() const { return segments_.empty() ? head_ : segments_.front().header.prev; }
  Result<std::uint64_t> find_end(Segment& segment, Position at);
  Result<Segment> begin_segment(Position prev, SegmentBegins begins);
  Result<void> free_segment(const Segment& segment, bool make_room);
  Result<void> remove_spares(std::size_t kept);
  Result<void> finish_replay();
  Result<void> write_again(Segment& segment, std::uint64_t offset);
  Result<void> read_segment(Segment& segment, Seq last, Position& from, std::uint64_t max_bytes, From kind,
                            ReadResult& result);
  void learn_epochs(std::size_t segments);
  bool read_epochs(const Segment& segment, Position end);
  void extend_epochs(const std::vector<FrameBytes>& frames, Position last);
  std::size_t open_readable(std::vector<std::uint64_t> numbers, LogSurvey& survey);
  const Segment* next_of(std::size_t at) const;
  void verify_segment(std::size_t at, const Take& take, const CheckProgress& progress, LogSurvey& survey);
  void check_fit(const StoreReach& store, bool same_history, LogSurvey& survey) const;
  void note(Segment& segment, Position prev, std::uint64_t offset);
  static std::uint64_t start_before(const Segment& segment, Seq from);
  static Seq end_before(const Segment* next);
  std::size_t segment_after(Position from) const;

  // A file grows in advance, in steps of this part of a segment: most syncs then need not write its new
  // length too, which is what makes them slow.
  static constexpr std::uint64_t kGrowthsOfASegment = 64;

  std::unique_ptr<Disk> disk_;
  LogOptions options_;
  std::string zeros_;  // one such step
  std::vector<Segment> segments_;
  std::vector<std::string> spares_;  // files to be written over, as the next segments
  std::uint64_t next_number_ = 1;
  Position head_;
  EpochHistory epochs_;  // up to head_
  std::optional<Replaying> replaying_;
};

}  // namespace dkv
