#include "actors/shard/log.hpp"

#include <gtest/gtest.h>

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

  Log make_log(std::uint64_t segment_bytes = 1 << 20) {
    return Log(std::make_unique<sim::SimDisk>(platter_, watch_, random_), {kShard, kSalt, segment_bytes});
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

  sim::Platter platter_;
  sim::Stopwatch watch_;
  sim::Random random_{1};
};

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
    synced = only_file().size();
    ASSERT_TRUE(log.append({frame(4), frame(5), frame(6)}, at(6)).has_value());
  }
  const std::string whole = only_file();
  for (std::size_t size = synced; size <= whole.size(); ++size) {
    only_file() = whole.substr(0, size);
    Log log = make_log();
    const auto found = open(log);
    ASSERT_TRUE(found.has_value()) << "cut at " << size << ": " << found.error().message;
    ASSERT_GE(found->size(), 3U);
    ASSERT_EQ(*found, upto(found->size()));
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
    synced = only_file().size();
    ASSERT_TRUE(log.append({frame(4), frame(5), frame(6)}, at(6)).has_value());
  }
  const std::string whole = only_file();
  for (std::size_t hole = synced; hole < whole.size(); ++hole) {
    only_file() = whole;
    for (std::size_t i = hole; i < std::min(hole + 16, whole.size()); ++i) only_file()[i] = '\0';
    Log log = make_log();
    const auto found = open(log);
    ASSERT_TRUE(found.has_value()) << "hole at " << hole << ": " << found.error().message;
    ASSERT_GE(found->size(), 3U);
    ASSERT_EQ(*found, upto(found->size()));
  }
}

TEST_F(LogTest, ReportsEveryBadByteInWhatWasSynced) {
  std::size_t synced = 0;
  {
    Log log = make_log();
    (void)open(log);
    fill(log, 1, 3);
    synced = only_file().size();
    fill(log, 4, 4);
  }
  const std::string whole = only_file();
  for (std::size_t at_byte = 0; at_byte < synced; ++at_byte) {
    only_file() = whole;
    only_file()[at_byte] = static_cast<char>(only_file()[at_byte] ^ 0x40);
    Log log = make_log();
    const auto found = open(log);
    // A marker's reserved bytes aside, nothing may pass unnoticed, and never with fewer frames.
    if (found.has_value()) {
      ASSERT_EQ(*found, upto(4)) << "byte " << at_byte;
      continue;
    }
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
    for (std::uint64_t offset = 0; offset < 400; ++offset) bait += encode_marker(offset, kSalt + 1);
    ASSERT_TRUE(log.append({frame(2, bait)}, at(2)).has_value());
  }
  only_file().pop_back();
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

TEST_F(LogTest, ASegmentWhoseHeaderWasNeverSyncedIsBegunAnew) {
  {
    Log log = make_log(200);
    (void)open(log);
    fill(log, 1, 3);
  }
  // A crash while the next segment began: its file is there, its header is not, or not whole.
  const std::uint64_t last = 3;
  for (std::size_t size = 0; size <= kSegmentHeaderBytes; size += 12) {
    const auto before = platter_;
    Log log = make_log(1);
    (void)open(log);
    platter_.files[segment_name(at(last))].content = std::string(size, '\0');
    Log after = make_log(1);
    ASSERT_EQ(*open(after), upto(last));
    fill(after, last + 1, last + 2);
    Log again = make_log(1);
    ASSERT_EQ(*open(again), upto(last + 2));
    platter_ = before;
  }
}

TEST_F(LogTest, ReadsAfterAnyPosition) {
  Log log = make_log(300);
  (void)open(log);
  fill(log, 1, 30);
  for (std::uint64_t from = 0; from <= 30; ++from) {
    const auto read = log.read_after(at(from), 1 << 20);
    ASSERT_TRUE(read.has_value());
    ASSERT_TRUE(read->from_found) << from;
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
    ASSERT_TRUE(read.has_value() && read->from_found) << from;
  }
}

TEST_F(LogTest, APositionThatIsNotInTheLogIsAnAnswer) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 5);
  EXPECT_FALSE(log.read_after(at(6), 100)->from_found);
  EXPECT_FALSE(log.read_after({Epoch{9}, Seq{3}}, 100)->from_found);
  EXPECT_FALSE(log.read_after({Epoch{9}, Seq{5}}, 100)->from_found);
  EXPECT_FALSE(log.read_after({Epoch{1}, Seq{0}}, 100)->from_found);
}

TEST_F(LogTest, AnotherShardsLogIsRefused) {
  Log log = make_log();
  (void)open(log);
  fill(log, 1, 2);
  Log other(std::make_unique<sim::SimDisk>(platter_, watch_, random_), {ShardId{4}, kSalt, 1 << 20});
  EXPECT_EQ(open(other).error().code, Errc::in_use);
}

}  // namespace
}  // namespace dkv
