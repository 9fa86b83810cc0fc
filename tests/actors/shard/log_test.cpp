#include "actors/shard/log.hpp"

#include <gtest/gtest.h>
#include <map>
#include <set>

#include "tests/sim/disk.hpp"

namespace dkv {
namespace {

constexpr ShardId kShard{3};
constexpr std::uint64_t kSalt = 0x5a17;

class LogTest : public testing::Test {
 protected:
  static FrameBytes frame(std::uint64_t seq, const std::string& value = "value", std::uint64_t epoch = 1,
                          std::uint64_t prev_epoch = 1) {
    FramePacker packer;
    packer.add({EventType::put, "key-" + std::to_string(seq), value});
    const Epoch before = seq == 1 ? Epoch{0} : Epoch{prev_epoch};
    return packer.finish(kShard, Epoch{epoch}, {before, Seq{seq - 1}}, Seq{0});
  }
  static Position at(std::uint64_t seq) { return seq == 0 ? Position{} : Position{Epoch{1}, Seq{seq}}; }

  Log make_log(std::uint64_t segment_bytes = 4096, std::uint64_t retain_bytes = 1 << 20) {
    return Log(std::make_unique<sim::SimDisk>(platter_, watch_, random_),
               {kShard, kSalt, segment_bytes, retain_bytes});
  }
  /// Seqs replayed, or the error.
  static Result<std::vector<std::uint64_t>> open(Log& log, Position applied = {}) {
    std::vector<std::uint64_t> seqs;
    auto opened = log.open(
        applied, [&](std::string_view, const FrameView& found) { seqs.push_back(found.last().seq.value); });
    if (!opened) return opened.error();
    return seqs;
  }
  static std::vector<std::uint64_t> upto(std::uint64_t last, std::uint64_t first = 1) {
    std::vector<std::uint64_t> seqs;
    for (std::uint64_t seq = first; seq <= last; ++seq) seqs.push_back(seq);
    return seqs;
  }
  /// Appends one frame a turn.
  void fill(Log& log, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t seq = first; seq <= last; ++seq) {
      ASSERT_TRUE(log.append({frame(seq)}, at(seq)).has_value());
    }
  }
  std::string& only_file() { return platter_.files.begin()->second.content; }
  /// Where its turns end: what follows are zeros.
  std::size_t turns_end() { return only_file().find_last_not_of('\0') + 1; }

  sim::Platter platter_;
  sim::Stopwatch watch_;
  sim::Random random_{1};
};

// R2: after a failed sync the kernel still shows what it did not write, and would never write it.
TEST_F(LogTest, WhatAFailedSyncLeftInTheCacheIsMadeDurableAtTheNextStart) {
  {
    Log log = make_log();
    ASSERT_TRUE(open(log).has_value());
    fill(log, 1, 2);
    platter_.sync_fails = true;
    EXPECT_EQ(log.append({frame(3)}, at(3)).error().code, Errc::io_error);
    platter_.sync_fails = false;
  }
  {
    Log log = make_log();  // the process was started again, the machine was not
    EXPECT_EQ(*open(log), upto(3));
    fill(log, 4, 4);
  }
  watch_.now += 1s;
  platter_.crash(watch_.now, 512, [](std::size_t, std::size_t) { return false; });
  Log log = make_log();
  const auto found = open(log);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(*found, upto(4));
}

TEST_F(LogTest, ReplaysWhatWasAppended) {
  {
    Log log = make_log();
    EXPECT_TRUE(open(log)->empty());
    fill(log, 1, 5);
    EXPECT_EQ(log.head(), at(5));
  }
  Log log = make_log();
  EXPECT_EQ(*open(log), upto(5));
  EXPECT_EQ(log.head(), at(5));
  fill(log, 6, 7);
  Log again = make_log();
  EXPECT_EQ(*open(again), upto(7));
}

TEST_F(LogTest, ReplaysOnlyWhatIsAboveTheCheckpoint) {
  Log log = make_log(200);
  (void)open(log);
  fill(log, 1, 20);
  EXPECT_GT(platter_.files.size(), 3U);
  for (std::uint64_t applied = 0; applied <= 20; ++applied) {
    Log again = make_log(200);
    EXPECT_EQ(*open(again, at(applied)), upto(20, applied + 1)) << applied;
  }
}

TEST_F(LogTest, ALogThatEndsBeforeTheCheckpointIsReported) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 3);
  Log again = make_log();
  EXPECT_EQ(open(again, at(4)).error().code, Errc::corrupt);
}

TEST_F(LogTest, CutsATailTornAtAnyByte) {
  std::size_t synced = 0;
  {
    Log log = make_log();
    (void)open(log);
    fill(log, 1, 3);
    synced = turns_end();
    ASSERT_TRUE(log.append({frame(4), frame(5), frame(6)}, at(6)).has_value());
  }
  const std::string whole = only_file();
  const std::size_t end = turns_end();
  for (std::size_t size = synced; size <= whole.size(); ++size) {
    only_file() = whole.substr(0, size);
    Log log = make_log();
    const auto found = open(log);
    ASSERT_TRUE(found.has_value()) << "cut at " << size << ": " << found.error().message;
    // A turn counts as a whole.
    ASSERT_EQ(*found, upto(size >= end ? 6 : 3)) << "cut at " << size;
    // And the log goes on from there.
    fill(log, found->size() + 1, found->size() + 2);
    Log again = make_log();
    ASSERT_EQ(*open(again), upto(found->size() + 2)) << "cut at " << size;
  }
}

TEST_F(LogTest, CutsATailThatHasHolesAnywhere) {
  std::size_t synced = 0;
  {
    Log log = make_log();
    (void)open(log);
    fill(log, 1, 3);
    synced = turns_end();
    ASSERT_TRUE(log.append({frame(4), frame(5), frame(6)}, at(6)).has_value());
  }
  const std::string whole = only_file();
  const std::size_t end = turns_end();
  for (std::size_t hole = synced; hole < end; ++hole) {
    only_file() = whole;
    for (std::size_t i = hole; i < std::min(hole + 16, whole.size()); ++i) only_file()[i] = '\0';
    Log log = make_log();
    const auto found = open(log);
    ASSERT_TRUE(found.has_value()) << "hole at " << hole << ": " << found.error().message;
    ASSERT_EQ(*found, upto(3)) << "hole at " << hole;
    fill(log, 4, 5);
    Log again = make_log();
    ASSERT_EQ(*open(again), upto(5)) << "hole at " << hole;
  }
}

TEST_F(LogTest, ReportsEveryBadByteInWhatWasSynced) {
  std::size_t synced = 0;
  {
    Log log = make_log();
    (void)open(log);
    fill(log, 1, 3);
    synced = turns_end();
    fill(log, 4, 4);
  }
  const std::string whole = only_file();
  for (std::size_t at_byte = 0; at_byte < synced; ++at_byte) {
    only_file() = whole;
    only_file()[at_byte] = static_cast<char>(only_file()[at_byte] ^ 0x40);
    Log log = make_log();
    const auto found = open(log);
    ASSERT_FALSE(found.has_value()) << "byte " << at_byte;
    ASSERT_EQ(found.error().code, Errc::corrupt) << "byte " << at_byte;
    ASSERT_NE(found.error().message.find("offset"), std::string::npos);
    ASSERT_NE(found.error().message.find("log-"), std::string::npos);
    ASSERT_EQ(only_file().size(), whole.size()) << "a corrupt log was cut";
  }
}

TEST_F(LogTest, AValueThatLooksLikeAMarkerIsNone) {
  {
    Log log = make_log();
    (void)open(log);
    ASSERT_TRUE(log.append({frame(1)}, at(1)).has_value());
    // Somebody who knows the format, but not the salt.
    std::string bait;
    for (std::uint64_t offset = 0; offset < 400; ++offset)
      bait += encode_marker(offset, kSalt + 1, {frame(3)});
    ASSERT_TRUE(log.append({frame(2, bait)}, at(2)).has_value());
  }
  only_file()[turns_end() - 1] = '?';
  Log log = make_log();
  EXPECT_EQ(*open(log), upto(1));
}

TEST_F(LogTest, AMissingSegmentIsReported) {
  Log log = make_log(200);
  (void)open(log);
  fill(log, 1, 20);
  ASSERT_GT(platter_.files.size(), 3U);
  platter_.files.erase(std::next(platter_.files.begin(), 2));
  Log again = make_log(200);
  EXPECT_EQ(open(again).error().code, Errc::corrupt);
}

TEST_F(LogTest, APositionBeforeItsBeginningIsTooOld) {
  Log log = make_log();
  ASSERT_TRUE(log.reset(at(10)).has_value());
  EXPECT_EQ(log.read_after(at(10), 100)->reach, LogReach::found);
  fill(log, 11, 15);
  EXPECT_EQ(log.read_after(at(9), 100)->reach, LogReach::too_old);
  EXPECT_EQ(log.read_after({}, 100)->reach, LogReach::too_old);
  EXPECT_EQ(log.read_after({Epoch{9}, Seq{10}}, 100)->reach, LogReach::unknown);
  EXPECT_EQ(log.read_after(at(16), 100)->reach, LogReach::unknown);
  const auto read = log.read_after(at(10), 1);
  EXPECT_EQ(read->reach, LogReach::found);
  EXPECT_EQ(read->frames, *frame(11));
}

/// Whoever has an event in the middle of this log's frame has another one. That is an answer also where the
/// frame is the last of a segment that was opened without being read, behind which zeros stand.
TEST_F(LogTest, APositionWithinAFrameIsUnknown) {
  {
    Log log = make_log(200);
    (void)open(log);
    fill(log, 1, 2);
    FramePacker packer;
    for (const char* key : {"a", "b"}) packer.add({EventType::put, key, std::string(200, 'v')});
    const Position last{Epoch{2}, Seq{4}};
    ASSERT_TRUE(log.append({packer.finish(kShard, Epoch{2}, at(2), Seq{0})}, last).has_value());
    ASSERT_TRUE(log.append({frame(5, "value", 2, 2)}, {Epoch{2}, Seq{5}}).has_value());
    EXPECT_EQ(log.read_after(at(3), 1000)->reach, LogReach::unknown);
  }
  Log log = make_log(200);
  ASSERT_TRUE(log.open({Epoch{2}, Seq{5}}, [](std::string_view, const FrameView&) {}).has_value());
  const auto read = log.read_after(at(3), 1000);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->reach, LogReach::unknown);
  EXPECT_EQ(log.read_after(at(2), 1000)->reach, LogReach::found);
}

TEST_F(LogTest, WhoReadsEventsMayBeginWithinAFrameOfTheSameEpoch) {
  Log log = make_log(200);
  (void)open(log);
  fill(log, 1, 2);
  FramePacker packer;
  for (const char* key : {"a", "b", "c"}) packer.add({EventType::put, key, std::string(200, 'v')});
  const FrameBytes three = packer.finish(kShard, Epoch{2}, at(2), Seq{0});
  ASSERT_TRUE(log.append({three}, {Epoch{2}, Seq{5}}).has_value());
  ASSERT_TRUE(log.append({frame(6, "value", 2, 2)}, {Epoch{2}, Seq{6}}).has_value());
  const auto read = [&](std::uint64_t epoch, std::uint64_t seq) {
    return *log.read_after({Epoch{epoch}, Seq{seq}}, 1, Log::From::event);
  };
  for (const std::uint64_t seq : {3U, 4U}) {
    EXPECT_EQ(read(2, seq).reach, LogReach::found) << seq;
    EXPECT_EQ(read(2, seq).frames, *three) << seq;
    EXPECT_EQ(read(1, seq).reach, LogReach::unknown) << seq;
  }
  EXPECT_EQ(read(1, 2).frames, *three);
  EXPECT_EQ(read(2, 5).frames, *frame(6, "value", 2, 2));
  EXPECT_EQ(read(2, 2).reach, LogReach::unknown);
  EXPECT_EQ(read(2, 6).reach, LogReach::found);
}

TEST_F(LogTest, AResetLogBeginsAnewWhereverItsOldOneEnded) {
  for (const std::uint64_t begin : {0U, 3U, 10U, 15U, 30U}) {
    platter_ = {};
    {
      Log log = make_log(200);
      (void)open(log);
      fill(log, 1, 15);
      ASSERT_TRUE(log.reset(at(begin)).has_value());
      EXPECT_EQ(log.head(), at(begin));
      fill(log, begin + 1, begin + 5);
    }
    Log again = make_log(200);
    EXPECT_EQ(*open(again, at(begin)), upto(begin + 5, begin + 1));
    fill(again, begin + 6, begin + 20);
    Log last = make_log(200);
    EXPECT_EQ(*open(last, at(begin)), upto(begin + 20, begin + 1));
  }
}

TEST_F(LogTest, ResetNeedsNothingOfTheOldLogToBeReadable) {
  {
    Log log = make_log(200);
    (void)open(log);
    fill(log, 1, 15);
  }
  for (auto& [name, file] : platter_.files) file.content[3] = '?';
  Log log = make_log(200);
  ASSERT_TRUE(log.reset(at(20)).has_value());
  fill(log, 21, 22);
  Log again = make_log(200);
  EXPECT_EQ(*open(again, at(20)), upto(22, 21));
}

TEST_F(LogTest, ACrashAtAnyStepOfAResetLeavesTheOldLogOrTheNew) {
  Log old = make_log(200);
  (void)open(old);
  fill(old, 1, 15);
  const sim::Platter before = platter_;
  bool done = false;
  std::set<std::uint64_t> ends;
  for (std::uint64_t step = 0; !done; ++step) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      platter_ = before;
      random_ = sim::Random(seed);
      platter_.fails_at_step = platter_.steps + step;
      try {
        Log log = make_log(200);
        ASSERT_TRUE(log.reset(at(40)).has_value());
        done = true;
      } catch (const sim::PowerLoss&) {
      }
      platter_.fails_at_step = UINT64_MAX;
      platter_.crash(watch_.now + watch_.spent, random_);
      Log old_one = make_log(200);
      const auto as_old = open(old_one);
      Log new_one = make_log(200);
      const auto as_new = open(new_one, at(40));
      ASSERT_NE(as_old.has_value(), as_new.has_value()) << "step " << step;
      ASSERT_EQ(as_old ? *as_old : *as_new, as_old ? upto(15) : upto(0)) << "step " << step;
      ends.insert(as_new ? 40 : 15);
      ASSERT_FALSE(done && as_old);
      Log& log = as_old ? old_one : new_one;
      fill(log, as_new ? 41 : 16, as_new ? 45 : 20);
      Log again = make_log(200);
      ASSERT_EQ(open(again, at(as_new ? 40 : 0))->size(), as_new ? 5U : 20U) << "step " << step;
    }
  }
  EXPECT_EQ(ends, (std::set<std::uint64_t>{15, 40}));
}

/// Turns of three, in segments of two turns or so.
class LogCut : public LogTest {
 protected:
  static constexpr std::uint64_t kEvents = 18;
  void fill_by_three(Log& log) {
    for (std::uint64_t seq = 1; seq <= kEvents; seq += 3) {
      ASSERT_TRUE(log.append({frame(seq), frame(seq + 1), frame(seq + 2)}, at(seq + 2)).has_value());
    }
  }
  static Position later(std::uint64_t seq) { return {Epoch{2}, Seq{seq}}; }
  /// Two turns of the next epoch, after `seq`.
  static void go_on_after(Log& log, std::uint64_t seq) {
    ASSERT_TRUE(log.append({frame(seq + 1, "other", 2, 1)}, later(seq + 1)).has_value());
    ASSERT_TRUE(log.append({frame(seq + 2, "other", 2, 2)}, later(seq + 2)).has_value());
  }
  /// The log ends at `seq`, with two more of the next epoch.
  void expect_cut_at(Log& log, std::uint64_t seq) {
    EXPECT_EQ(log.head(), later(seq + 2));
    const auto read = log.read_after({}, 1 << 20);
    ASSERT_TRUE(read.has_value());
    std::string expected;
    for (std::uint64_t i = 1; i <= seq; ++i) expected += *frame(i);
    expected += *frame(seq + 1, "other", 2, 1) + *frame(seq + 2, "other", 2, 2);
    EXPECT_EQ(read->frames, expected);
    EXPECT_EQ(log.read_after(at(seq), 1)->reach, LogReach::found);
    EXPECT_EQ(log.read_after(at(seq + 1), 1)->reach, LogReach::unknown);
    EXPECT_EQ(log.read_after(at(kEvents + 1), 1)->reach, LogReach::unknown);
    EXPECT_EQ(log.read_after(later(seq + 1), 1)->reach, LogReach::found);
  }
};

TEST_F(LogCut, ForgetsWhatIsAboveAnyFrameAndGoesOn) {
  for (const std::uint64_t segment_bytes : {4096U, 700U, 200U}) {
    for (std::uint64_t seq = 0; seq < kEvents; ++seq) {
      SCOPED_TRACE(std::to_string(segment_bytes) + " bytes, cut at " + std::to_string(seq));
      platter_ = {};
      {
        Log log = make_log(segment_bytes);
        (void)open(log);
        fill_by_three(log);
        ASSERT_TRUE(log.cut(at(seq)).has_value());
        EXPECT_EQ(log.head(), at(seq));
        EXPECT_EQ(log.read_after({}, 1 << 20)->frames.empty(), seq == 0);
        if (seq > 0) go_on_after(log, seq), expect_cut_at(log, seq);
      }
      Log again = make_log(segment_bytes);
      ASSERT_EQ(*open(again), upto(seq == 0 ? 0 : seq + 2));
      if (seq > 0) expect_cut_at(again, seq);
      EXPECT_EQ(make_log(segment_bytes).verify(std::nullopt, [](std::uint64_t) {})->problems.count, 0U);
    }
  }
}

TEST_F(LogCut, WorksInALogOpenedLate) {
  for (std::uint64_t seq = 1; seq < kEvents; ++seq) {
    platter_ = {};
    {
      Log log = make_log(200);
      (void)open(log);
      fill_by_three(log);
    }
    Log log = make_log(200);
    (void)open(log, at(kEvents));  // the earlier segments have not been scanned
    ASSERT_TRUE(log.cut(at(seq)).has_value());
    go_on_after(log, seq);
    expect_cut_at(log, seq);
    Log late = make_log(200);
    ASSERT_EQ(*open(late, later(seq + 1)), upto(seq + 2, seq + 2));
    expect_cut_at(late, seq);
  }
}

TEST_F(LogCut, ACutOfACutLogIsOneToo) {
  for (std::uint64_t first = 1; first < kEvents; ++first) {
    for (std::uint64_t second = 1; second <= first + 1; ++second) {
      platter_ = {};
      Log log = make_log(400);
      (void)open(log);
      fill_by_three(log);
      ASSERT_TRUE(log.cut(at(first)).has_value());
      go_on_after(log, first);
      ASSERT_TRUE(log.cut(second <= first ? at(second) : later(second)).has_value());
      Log again = make_log(400);
      ASSERT_EQ(*open(again), upto(second)) << "first at " << first;
      ASSERT_EQ(again.head(), second <= first ? at(second) : later(second));
      ASSERT_EQ(make_log(400).verify(std::nullopt, [](std::uint64_t) {})->problems.count, 0U);
      if (second > first) continue;
      go_on_after(again, second);
      expect_cut_at(again, second);
    }
  }
}

TEST_F(LogCut, AtTheHeadItChangesNothing) {
  Log log = make_log();
  (void)open(log);
  EXPECT_TRUE(log.cut({}).has_value());
  fill_by_three(log);
  const auto steps = platter_.steps;
  EXPECT_TRUE(log.cut(at(kEvents)).has_value());
  EXPECT_EQ(platter_.steps, steps);
}

TEST_F(LogCut, RefusesAPositionThatIsNoFramesEnd) {
  Log log = make_log(200);
  (void)open(log);
  FramePacker packer;
  for (int i = 0; i < 4; ++i) packer.add({EventType::put, "key", "value"});
  fill(log, 1, 8);
  ASSERT_TRUE(log.append({packer.finish(kShard, Epoch{1}, at(8), Seq{0})}, at(12)).has_value());
  fill(log, 13, 20);
  ASSERT_TRUE(log.trim(Seq{5}, true).has_value());
  ASSERT_EQ(log.read_after(at(1), 1)->reach, LogReach::too_old);
  const auto steps = platter_.steps;
  for (const Position where : {Position{}, at(1), at(9), at(10), at(11), at(21), later(7), later(20),
                               later(21), Position{Epoch{0}, Seq{15}}}) {
    EXPECT_EQ(log.cut(where).error().code, Errc::bad_request) << to_string(where);
  }
  EXPECT_EQ(platter_.steps, steps);
  fill(log, 21, 21);
  Log again = make_log(200);
  EXPECT_EQ(*open(again, at(12)), upto(21, 13));
}

TEST_F(LogCut, WhereATrimmedLogBeginsNothingIsLeft) {
  Log log = make_log(200, 0);
  (void)open(log);
  fill(log, 1, 20);
  ASSERT_TRUE(log.trim(Seq{10}).has_value());
  std::uint64_t begin = 10;
  while (log.read_after(at(begin - 1), 1)->reach == LogReach::found) --begin;
  ASSERT_TRUE(log.cut(at(begin)).has_value());
  EXPECT_EQ(log.read_after(at(begin), 1)->reach, LogReach::found);
  EXPECT_EQ(log.read_after(at(begin - 1), 1)->reach, LogReach::too_old);
  fill(log, begin + 1, begin + 3);
  Log again = make_log(200, 0);
  EXPECT_EQ(*open(again, at(begin)), upto(begin + 3, begin + 1));
}

TEST_F(LogCut, ACutLogIsTrimmedAndWrittenOverAgain) {
  Log log = make_log(200, 0);
  (void)open(log);
  std::uint64_t head = 0;
  for (int round = 0; round < 30; ++round) {
    fill(log, head + 1, head + 12);
    const std::uint64_t cut = head + 5 + static_cast<std::uint64_t>(round) % 6;
    ASSERT_TRUE(log.cut(at(cut)).has_value());
    fill(log, cut + 1, cut + 3);
    ASSERT_TRUE(log.trim(Seq{cut + 1}).has_value());
    head = cut + 3;
    EXPECT_LT(platter_.files.size(), 6U);
    Log again = make_log(200, 0);
    ASSERT_EQ(*open(again, at(cut + 1)), upto(head, cut + 2));
    ASSERT_EQ(
        make_log(200).verify(Log::StoreReach{at(cut + 1), at(head)}, [](std::uint64_t) {})->problems.count,
        0U);
  }
}

TEST_F(LogCut, AFullDiskChangesNothing) {
  Log log = make_log(400);
  (void)open(log);
  fill_by_three(log);
  const std::size_t size = platter_.size();
  for (std::size_t room = 0; room < kSegmentHeaderBytes; ++room) {
    platter_.capacity = size + room;
    EXPECT_EQ(log.cut(at(4)).error().code, Errc::disk_full);
    EXPECT_EQ(log.head(), at(kEvents));
  }
  Log as_it_was = make_log(400);
  platter_.capacity = SIZE_MAX;
  EXPECT_EQ(*open(as_it_was), upto(kEvents));
  ASSERT_TRUE(log.cut(at(4)).has_value());
  go_on_after(log, 4);
  expect_cut_at(log, 4);
}

TEST_F(LogCut, WhatDoesNotReadBackIsReported) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 8);
  only_file()[kSegmentHeaderBytes + 2 * kMarkerBytes + 2 * frame(1)->size() - 1] ^= 1;  // of the second
  EXPECT_EQ(log.cut(at(4)).error().code, Errc::corrupt);
  EXPECT_EQ(log.head(), at(8));
}

TEST_F(LogCut, ALogThatEndsBeforeItsCutIsReported) {
  {
    Log log = make_log();
    (void)open(log);
    fill(log, 1, 8);
    ASSERT_TRUE(log.cut(at(4)).has_value());
  }
  const auto whole = only_file();
  only_file()[kSegmentHeaderBytes + 3 * (kMarkerBytes + frame(1)->size()) + 1] ^= 1;  // the fourth's marker
  Log log = make_log();
  EXPECT_EQ(open(log).error().code, Errc::corrupt);
  EXPECT_EQ(make_log().verify(std::nullopt, [](std::uint64_t) {})->problems.count, 1U);
  only_file() = whole;
  only_file()[kSegmentHeaderBytes + 4 * (kMarkerBytes + frame(1)->size()) + 1] ^= 1;  // of what is forgotten
  Log sound = make_log();
  EXPECT_EQ(*open(sound), upto(4));
}

TEST_F(LogCut, ACrashAtAnyStepLeavesTheLogAsItWasOrCut) {
  std::set<std::uint64_t> ends;
  std::size_t most_left_over = 0;
  for (const std::uint64_t cut : {0U, 4U, 6U, 17U}) {
    platter_ = {};
    {
      Log old = make_log(200);
      (void)open(old);
      fill_by_three(old);
    }
    const sim::Platter before = platter_;
    bool done = false;
    for (std::uint64_t step = 0; !done; ++step) {
      platter_ = before;
      Log log = make_log(200);
      (void)open(log);
      platter_.fails_at_step = platter_.steps + step;
      try {
        ASSERT_TRUE(log.cut(at(cut)).has_value());
        done = true;
      } catch (const sim::PowerLoss&) {
      }
      platter_.fails_at_step = UINT64_MAX;
      platter_.crash(watch_.now + watch_.spent, random_);
      const auto survey = make_log(200).verify(std::nullopt, [](std::uint64_t) {});
      ASSERT_EQ(survey->problems.count, 0U) << "step " << step;
      most_left_over = std::max<std::size_t>(most_left_over, survey->left_over);
      Log again = make_log(200);
      const auto found = open(again);
      ASSERT_TRUE(found.has_value()) << "step " << step << ": " << found.error().message;
      ASSERT_TRUE(again.head() == at(cut) || (!done && again.head() == at(kEvents))) << "step " << step;
      ASSERT_EQ(*found, upto(again.head().seq.value)) << "step " << step;
      ASSERT_EQ(survey->end, again.head());
      ends.insert(again.head().seq.value);
      if (cut == 0) continue;
      ASSERT_TRUE(again.cut(at(cut)).has_value());
      go_on_after(again, cut);
      expect_cut_at(again, cut);
    }
  }
  EXPECT_EQ(ends, (std::set<std::uint64_t>{0, 4, 6, 17, 18}));
  EXPECT_GT(most_left_over, 2U);
}

using Ranges = std::vector<EpochRange>;
EpochRange range(std::uint64_t epoch, std::uint64_t first, std::uint64_t last) {
  return {Epoch{epoch}, Seq{first}, Seq{last}};
}

TEST_F(LogCut, TheEpochsAreThoseOfWhatIsLeft) {
  const Ranges whole = {range(0, 0, 0), range(1, 1, 7), range(2, 8, 9)};
  for (const std::uint64_t segment_bytes : {4096U, 200U}) {
    platter_ = {};
    Log log = make_log(segment_bytes, 0);
    (void)open(log);
    EXPECT_EQ(log.epochs(), Ranges{range(0, 0, 0)});
    fill_by_three(log);
    EXPECT_EQ(log.epochs(), (Ranges{range(0, 0, 0), range(1, 1, kEvents)}));
    ASSERT_TRUE(log.cut(at(7)).has_value());
    EXPECT_EQ(log.epochs(), (Ranges{range(0, 0, 0), range(1, 1, 7)}));
    go_on_after(log, 7);
    EXPECT_EQ(log.epochs(), whole);
    for (const Position applied : {Position{}, at(4), at(7), later(8), later(9)}) {
      Log again = make_log(segment_bytes, 0);
      (void)open(again, applied);
      EXPECT_EQ(again.epochs(), whole) << "opened above " << to_string(applied);
    }
    ASSERT_TRUE(log.trim(Seq{8}).has_value());
    Log again = make_log(segment_bytes, 0);
    (void)open(again, later(8));
    EXPECT_EQ(again.epochs(), log.epochs());
    EXPECT_EQ(log.epochs(), (Ranges{range(1, 7, 7), range(2, 8, 9)}));
    ASSERT_TRUE(log.reset(later(30)).has_value());
    EXPECT_EQ(log.epochs(), Ranges{range(2, 30, 30)});
  }
}

TEST_F(LogTest, ATurnMayHoldSeveralEpochs) {
  {
    Log log = make_log();
    (void)open(log);
    ASSERT_TRUE(log.append({frame(1), frame(2, "v", 3, 1), frame(3, "v", 3, 3), frame(4, "v", 5, 3)},
                           {Epoch{5}, Seq{4}})
                    .has_value());
    EXPECT_EQ(log.epochs(), (Ranges{range(0, 0, 0), range(1, 1, 1), range(3, 2, 3), range(5, 4, 4)}));
  }
  Log log = make_log();
  (void)open(log);
  EXPECT_EQ(log.epochs(), (Ranges{range(0, 0, 0), range(1, 1, 1), range(3, 2, 3), range(5, 4, 4)}));
}

TEST_F(LogTest, EpochsThatCannotBeReadAreNotKnown) {
  {
    Log log = make_log(200);
    (void)open(log);
    fill(log, 1, 6);
    ASSERT_TRUE(log.append({frame(7, "v", 2, 1)}, {Epoch{2}, Seq{7}}).has_value());
    for (std::uint64_t seq = 8; seq <= 20; ++seq) {
      ASSERT_TRUE(log.append({frame(seq, "v", 2, 2)}, {Epoch{2}, Seq{seq}}).has_value());
    }
  }
  Log whole = make_log(200);
  (void)open(whole, {Epoch{2}, Seq{19}});
  EXPECT_EQ(whole.epochs(), (Ranges{range(0, 0, 0), range(1, 1, 6), range(2, 7, 20)}));
  for (auto& [name, file] : platter_.files) {
    if (segment_number(name) <= 4) file.content[kSegmentHeaderBytes + kMarkerBytes + 30] ^= 1;
  }
  Log damaged = make_log(200);
  ASSERT_TRUE(open(damaged, {Epoch{2}, Seq{19}}).has_value());
  ASSERT_EQ(damaged.epochs().size(), 1U);
  EXPECT_EQ(damaged.epochs().back().last, Seq{20});
  EXPECT_GT(damaged.epochs().back().first, Seq{6});
}

TEST_F(LogTest, TrimRemovesTheOldestSegmentsThatNobodyNeeds) {
  for (std::uint64_t upto_seq = 0; upto_seq <= 30; ++upto_seq) {
    platter_ = {};
    Log log = make_log(200, 0);
    (void)open(log);
    fill(log, 1, 30);
    ASSERT_TRUE(log.trim(Seq{upto_seq}).has_value());
    // What is above is still there, and not much more: at most the segment that it begins in.
    EXPECT_EQ(log.read_after(at(upto_seq), 1 << 20)->reach, LogReach::found) << upto_seq;
    const bool has_gone = upto_seq >= 5;
    EXPECT_EQ(log.read_after(at(has_gone ? upto_seq - 5 : upto_seq), 100)->reach,
              has_gone ? LogReach::too_old : LogReach::found);
    fill(log, 31, 33);
    Log again = make_log(200, 0);
    ASSERT_EQ(*open(again, at(upto_seq)), upto(33, upto_seq + 1));
    ASSERT_EQ(again.read_after(at(upto_seq), 1 << 20)->reach, LogReach::found);
  }
}

TEST_F(LogTest, TrimLeavesABoundedAmountForFollowers) {
  Log log = make_log(200, 1000);
  (void)open(log);
  fill(log, 1, 100);
  const auto bytes = [&] {
    std::size_t sum = 0;
    for (const auto& [name, file] : platter_.files)
      sum += segment_number(name) != 0 ? file.content.size() : 0;
    return sum;
  };
  const std::size_t before = bytes();
  ASSERT_TRUE(log.trim(Seq{2}).has_value());
  EXPECT_EQ(bytes(), before);  // less than the budget
  ASSERT_TRUE(log.trim(Seq{100}).has_value());
  EXPECT_GT(bytes(), 1000U);
  EXPECT_LT(bytes(), 1700U);
  // The budget counts what nobody must have: what somebody must is kept beside it.
  fill(log, 101, 200);
  ASSERT_TRUE(log.trim(Seq{100}).has_value());
  EXPECT_EQ(log.read_after(at(95), 100)->reach, LogReach::found);
  EXPECT_EQ(log.read_after(at(50), 100)->reach, LogReach::too_old);
}

TEST_F(LogTest, ACrashAtAnyStepOfATrimLeavesALogWithoutAGap) {
  Log full = make_log(200, 0);
  (void)open(full);
  fill(full, 1, 30);
  const sim::Platter before = platter_;
  std::set<std::size_t> sizes;
  bool done = false;
  for (std::uint64_t step = 0; !done; ++step) {
    platter_ = before;
    platter_.fails_at_step = platter_.steps + step;
    Log log = make_log(200, 0);
    try {
      (void)open(log, at(25));
      ASSERT_TRUE(log.trim(Seq{25}).has_value());
      done = true;
    } catch (const sim::PowerLoss&) {
    }
    sizes.insert(platter_.files.size());
    platter_.fails_at_step = UINT64_MAX;
    platter_.crash(watch_.now + watch_.spent, random_);
    Log again = make_log(200, 0);
    ASSERT_EQ(*open(again, at(25)), upto(30, 26));
    fill(again, 31, 32);
  }
  EXPECT_GT(sizes.size(), 3U);
}

TEST_F(LogTest, FreedSegmentsAreWrittenOverAgain) {
  Log log = make_log(200, 0);
  (void)open(log);
  std::size_t most_files = 0;
  for (std::uint64_t seq = 1; seq <= 200; ++seq) {
    fill(log, seq, seq);
    const std::uint64_t freed = seq - seq % 5;
    if (seq == freed) {
      ASSERT_TRUE(log.trim(Seq{seq - 2}).has_value());
    }
    most_files = std::max(most_files, platter_.files.size());
    Log again = make_log(200, 0);
    const std::uint64_t applied = freed == 0 ? 0 : freed - 2;
    ASSERT_EQ(*open(again, at(applied)), upto(seq, applied + 1));
    ASSERT_EQ(again.read_after(at(applied), 1 << 20)->frames, log.read_after(at(applied), 1 << 20)->frames);
    ASSERT_EQ(again.read_after(at(applied), 1 << 20)->reach, LogReach::found);
  }
  EXPECT_LT(most_files, 8U);
}

TEST_F(LogTest, WhatAnEarlierLifeLeftIsNeverTakenForMore) {
  // The worst that can be left: turns that would follow, of the same length, at the same place.
  std::string later;
  {
    Log log = make_log();
    ASSERT_TRUE(log.reset(at(2)).has_value());
    fill(log, 3, 6);
    later = only_file().substr(kSegmentHeaderBytes);
    platter_ = {};
  }
  Log log = make_log();
  ASSERT_TRUE(log.reset(at(1)).has_value());
  platter_.files["spare-7"].content = std::string(kSegmentHeaderBytes, '?') + later + later;
  platter_.files["spare-7"].durable = platter_.files["spare-7"].content;
  ASSERT_TRUE(log.reset(at(2)).has_value());
  fill(log, 3, 3);
  EXPECT_GT(only_file().size(), later.size());
  Log again = make_log();
  EXPECT_EQ(*open(again, at(2)), upto(3, 3));
}

TEST_F(LogTest, ALogThatBeginsAfterTheCheckpointIsReported) {
  Log log = make_log(200);
  (void)open(log);
  fill(log, 1, 20);
  platter_.files.erase(platter_.files.begin());
  Log again = make_log(200);
  EXPECT_EQ(open(again).error().code, Errc::corrupt);
}

TEST_F(LogTest, ReadsAfterAnyPosition) {
  Log log = make_log(300);
  (void)open(log);
  fill(log, 1, 30);
  for (std::uint64_t from = 0; from <= 30; ++from) {
    const auto read = log.read_after(at(from), 1 << 20);
    ASSERT_TRUE(read.has_value());
    ASSERT_EQ(read->reach, LogReach::found) << from;
    std::string expected;
    for (std::uint64_t seq = from + 1; seq <= 30; ++seq) expected += *frame(seq);
    ASSERT_EQ(read->frames, expected) << from;
  }
  const auto little = log.read_after(at(5), 1);
  EXPECT_EQ(little->frames, *frame(6));
}

TEST_F(LogTest, ReadsAfterAnyPositionInALogOpenedLate) {
  {
    Log log = make_log(300);
    (void)open(log);
    fill(log, 1, 30);
  }
  Log log = make_log(300);
  (void)open(log, at(29));  // the earlier segments have not been scanned
  for (std::uint64_t from = 0; from <= 30; ++from) {
    const auto read = log.read_after(at(from), 1 << 20);
    ASSERT_TRUE(read.has_value() && read->reach == LogReach::found) << from;
  }
}

TEST_F(LogTest, APositionThatIsNotInTheLogIsAnAnswer) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 5);
  EXPECT_EQ(log.read_after(at(6), 100)->reach, LogReach::unknown);
  EXPECT_EQ(log.read_after({Epoch{9}, Seq{3}}, 100)->reach, LogReach::unknown);
  EXPECT_EQ(log.read_after({Epoch{9}, Seq{5}}, 100)->reach, LogReach::unknown);
  EXPECT_EQ(log.read_after({Epoch{1}, Seq{0}}, 100)->reach, LogReach::unknown);
}

TEST_F(LogTest, AnotherShardsLogIsRefused) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 2);
  Log other(std::make_unique<sim::SimDisk>(platter_, watch_, random_), {ShardId{4}, kSalt, 1 << 20, 1 << 20});
  EXPECT_EQ(open(other).error().code, Errc::in_use);
}

class LogVerify : public LogTest {
 protected:
  LogSurvey verify(std::optional<Position> applied = Position{}, Position reached = {}) {
    const auto before = contents();
    const std::uint64_t steps = platter_.steps;
    std::optional<Log::StoreReach> store;
    if (applied) store = {*applied, std::max(*applied, reached)};
    auto survey = make_log(200).verify(store, [](std::uint64_t) {});
    EXPECT_TRUE(survey.has_value());
    EXPECT_EQ(contents(), before);
    EXPECT_EQ(platter_.steps, steps) << "it changed something";
    return std::move(*survey);
  }
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> contents;
    for (const auto& [name, file] : platter_.files) contents[name] = file.content;
    return contents;
  }
  /// Five or more segments.
  void make_segments() {
    Log log = make_log(200);
    (void)open(log);
    fill(log, 1, 20);
    ASSERT_GE(platter_.files.size(), 5U);
  }
  std::string& file_at(std::size_t index) {
    return std::next(platter_.files.begin(), static_cast<std::ptrdiff_t>(index))->second.content;
  }
  std::string name_at(std::size_t index) {
    return std::next(platter_.files.begin(), static_cast<std::ptrdiff_t>(index))->first;
  }
};

TEST_F(LogVerify, CountsWhatASoundLogHolds) {
  EXPECT_EQ(verify().segments, 0U);
  make_segments();
  const auto survey = verify(at(7));
  EXPECT_EQ(survey.problems.count, 0U) << survey.problems.first[0].what;
  EXPECT_EQ(survey.shard, kShard);
  EXPECT_EQ(survey.segments, platter_.files.size());
  EXPECT_EQ(survey.frames, 20U);
  EXPECT_EQ(survey.events, 20U);
  EXPECT_EQ(survey.begin, at(0));
  EXPECT_EQ(survey.end, at(20));
  EXPECT_GT(survey.bytes, 20 * frame(1)->size());
  EXPECT_EQ(survey.unfinished_bytes, 0U);
}

TEST_F(LogVerify, GoesOnPastWhatIsDamagedAndNamesEachPlace) {
  make_segments();
  file_at(1)[kSegmentHeaderBytes + kMarkerBytes + 30] ^= 1;
  file_at(3)[3] ^= 1;
  const auto survey = verify();
  ASSERT_EQ(survey.problems.count, 2U);
  EXPECT_EQ(survey.problems.first[0].file, name_at(3));
  EXPECT_EQ(survey.problems.first[0].offset, 0U);
  EXPECT_EQ(survey.problems.first[1].file, name_at(1));
  EXPECT_EQ(survey.problems.first[1].offset, kSegmentHeaderBytes);
  EXPECT_EQ(survey.end, at(20));
}

TEST_F(LogVerify, FindsDamageThatAStartPassesOver) {
  make_segments();
  file_at(0)[kSegmentHeaderBytes + kMarkerBytes + 30] ^= 1;
  Log log = make_log(200);
  EXPECT_TRUE(open(log, at(19)).has_value());
  EXPECT_EQ(verify(at(19)).problems.count, 1U);
}

TEST_F(LogVerify, AnUnfinishedLastTurnIsNormal) {
  make_segments();
  std::string& last = file_at(platter_.files.size() - 1);
  last.resize(last.find_last_not_of('\0') - 3);
  const auto survey = verify();
  EXPECT_EQ(survey.problems.count, 0U);
  EXPECT_EQ(survey.end, at(19));
  EXPECT_EQ(survey.unfinished_bytes, kMarkerBytes + frame(20)->size());
}

TEST_F(LogVerify, AMissingFileIsNamed) {
  make_segments();
  const std::string middle = name_at(2);
  platter_.files.erase(middle);
  auto survey = verify();
  ASSERT_EQ(survey.problems.count, 1U);
  EXPECT_EQ(survey.problems.first[0].file, middle);
}

TEST_F(LogVerify, TheLogMustReachTheCheckpoint) {
  make_segments();
  EXPECT_EQ(verify(at(20)).problems.count, 0U);
  EXPECT_EQ(verify(at(21)).problems.count, 1U);
  EXPECT_EQ(verify(at(7), at(20)).problems.count, 0U);
  EXPECT_EQ(verify(at(7), at(21)).problems.count, 1U) << "a checkpoint that was cut short";
  EXPECT_EQ(verify(std::nullopt).problems.count, 0U);
  EXPECT_EQ(verify(Position{Epoch{2}, Seq{7}}).problems.count, 1U) << "another history";
  platter_.files.erase(name_at(0));
  const auto survey = verify(at(0));
  ASSERT_EQ(survey.problems.count, 1U);
  EXPECT_NE(survey.problems.first[0].what.find("log files are missing"), std::string::npos);
  EXPECT_EQ(verify(at(20)).problems.count, 0U);
}

TEST_F(LogVerify, LeavesWhatAStartWouldRemove) {
  make_segments();
  const auto old = platter_.files;
  {
    Log log = make_log(200);
    (void)open(log);
    ASSERT_TRUE(log.reset(at(50)).has_value());
    ASSERT_TRUE(log.append({frame(51)}, at(51)).has_value());
  }
  platter_.files.insert(old.begin(), old.end());
  for (int i = 0; i < 4; ++i) platter_.files["spare-" + std::to_string(i)] = {};
  const auto survey = verify(at(50));
  EXPECT_EQ(survey.problems.count, 0U);
  EXPECT_EQ(survey.begin, at(50));
  EXPECT_EQ(survey.end, at(51));
  EXPECT_EQ(survey.left_over, old.size());
  EXPECT_EQ(survey.spares, 4U);
}

}  // namespace
}  // namespace dkv
