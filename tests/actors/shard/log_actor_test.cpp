#include "actors/shard/log_actor.hpp"

#include "tests/actors/conversation.hpp"
#include "tests/sim/disk.hpp"

namespace dkv::test {
namespace {

class LogActorTest : public testing::Test {
 protected:
  LogActorTest() { world_.tell(OpenLog{}); }

  static Position at(std::uint64_t seq) { return seq == 0 ? Position{} : Position{Epoch{1}, Seq{seq}}; }
  static AppendFrame frame(std::uint64_t seq) {
    FramePacker packer;
    packer.add({EventType::put, "key-" + std::to_string(seq), std::string(100, 'v')});
    return {packer.finish(kShard, Epoch{1}, at(seq - 1), Seq{0}), at(seq)};
  }
  /// Seqs in the log as a next process finds them.
  std::vector<std::uint64_t> on_disk(Position applied = {}) {
    std::vector<std::uint64_t> seqs;
    Log log(std::make_unique<sim::SimDisk>(platter_, watch_, random_), options_);
    const auto opened = log.open(
        applied, [&](std::string_view, const FrameView& found) { seqs.push_back(found.last().seq.value); });
    EXPECT_TRUE(opened.has_value());
    return seqs;
  }

  const LogOptions options_{kShard, 7, 1000, 0};
  sim::Platter platter_;
  sim::Stopwatch watch_;
  sim::Random random_{1};
  LogActor log_{
      {kPrimaryNode, Role::log, kShard}, std::make_unique<sim::SimDisk>(platter_, watch_, random_), options_};
  Conversation world_{log_};
};

TEST_F(LogActorTest, ATurnSharesOneSync) {
  world_.deliver(frame(1));
  world_.deliver(frame(2));
  EXPECT_FALSE(world_.has_said<Durable>());
  world_.end_turn();
  EXPECT_EQ(world_.said<Durable>().last, at(2));
  EXPECT_FALSE(world_.has_said<Durable>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2}));
}

// Replay must not put the whole log into memory at once, and says how far it is.
TEST_F(LogActorTest, ReadsOnOnlyWhenItsMemberHasTakenWhatItGot) {
  FramePacker packer;
  Position last;
  const std::string value(400'000, 'v');
  for (std::uint64_t i = 1; i <= 20; ++i) {
    packer.add({EventType::put, "key-" + std::to_string(i), value});
    world_.tell(AppendFrame{packer.finish(kShard, Epoch{1}, at(i - 1), Seq{0}), at(i)});
    last = world_.said<Durable>().last;
  }
  LogActor next{
      {kPrimaryNode, Role::log, kShard}, std::make_unique<sim::SimDisk>(platter_, watch_, random_), options_};
  Conversation world{next};
  world.tell(OpenLog{});
  std::uint64_t frames = 0;
  std::uint64_t done = 0;
  int waiting = 0;
  while (world.has_said<LogRecovered>() || !world.has_said<LogOpened>()) {
    for (; world.has_said<LogRecovered>(); ++waiting) {
      const auto chunk = world.said<LogRecovered>();
      EXPECT_LE(chunk.frames.size(), 3U);
      frames += chunk.frames.size();
      EXPECT_GE(chunk.bytes_done, done);
      EXPECT_GE(chunk.bytes_total, 8'000'000U);
      done = chunk.bytes_done;
    }
    ASSERT_GT(waiting, 0) << "it says nothing more";
    ASSERT_LE(waiting, 2) << "it does not wait";
    --waiting;
    world.tell(ContinueRecovery{});
  }
  EXPECT_EQ(frames, 20U);
  EXPECT_EQ(world.said<LogOpened>().head, last);
}

TEST_F(LogActorTest, MustReachAsFarAsTheStore) {
  world_.tell(frame(1));
  world_.said<Durable>();
  LogActor next{
      {kPrimaryNode, Role::log, kShard}, std::make_unique<sim::SimDisk>(platter_, watch_, random_), options_};
  Conversation world{next};
  world.tell(OpenLog{{}, at(2)});
  EXPECT_EQ(world.said<LogFailed>().error.code, Errc::corrupt);
  EXPECT_FALSE(world.has_said<LogOpened>());
}

TEST_F(LogActorTest, KeepsWhatAFullDiskDoesNotTakeAndTriesAgain) {
  world_.tell(frame(1));
  world_.said<Durable>();
  platter_.capacity = platter_.size() + 50;
  world_.tell(frame(2));
  EXPECT_EQ(world_.said<LogBlocked>().error.code, Errc::disk_full);
  EXPECT_FALSE(world_.has_said<Durable>());
  EXPECT_EQ(world_.logged().size(), 1U);
  world_.tell(frame(3));  // waits as well
  world_.pass(600ms);
  world_.pass(600ms);
  EXPECT_FALSE(world_.has_said<Durable>());
  EXPECT_FALSE(world_.has_said<LogBlocked>());  // said once
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1}));
  platter_.capacity = SIZE_MAX;
  world_.pass(600ms);
  EXPECT_EQ(world_.said<Durable>().last, at(3));
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3}));
  world_.tell(frame(4));
  EXPECT_EQ(world_.said<Durable>().last, at(4));
}

TEST_F(LogActorTest, DoesNotTryAFullDiskAtEachTurn) {
  platter_.capacity = 0;
  world_.tell(frame(1));
  const auto steps = platter_.steps;
  for (std::uint64_t seq = 2; seq < 10; ++seq) world_.tell(frame(seq));
  EXPECT_EQ(platter_.steps, steps);
}

TEST_F(LogActorTest, ASegmentThatCannotBeBegunIsTriedAgain) {
  std::uint64_t seq = 1;
  for (; platter_.files.size() < 2; ++seq) {
    platter_.capacity = platter_.size() + 300;  // enough to fill a segment, not for two
    world_.tell(frame(seq));
    world_.said<Durable>();
  }
  platter_.capacity = platter_.size();
  while (!world_.has_said<LogBlocked>()) world_.tell(frame(seq++));
  platter_.capacity = SIZE_MAX;
  world_.pass(600ms);
  EXPECT_EQ(world_.said<Durable>().last, at(seq - 1));
  EXPECT_EQ(on_disk().size(), seq - 1);
}

TEST_F(LogActorTest, AFullDiskTakesTheFollowersShareAndTheSpareFiles) {
  std::uint64_t seq = 1;
  for (; seq <= 40; ++seq) world_.tell(frame(seq));
  world_.tell(TrimLog{Seq{30}});
  ASSERT_TRUE(platter_.files.contains("spare-1"));
  while (world_.has_said<Durable>()) world_.said<Durable>();
  platter_.capacity = platter_.size();
  const std::size_t before = platter_.size();
  while (!world_.has_said<LogBlocked>()) world_.tell(frame(seq++));
  EXPECT_LT(platter_.size(), before);
  EXPECT_FALSE(platter_.files.contains("spare-1"));
  world_.pass(600ms);
  while (world_.has_said<Durable>()) world_.said<Durable>();
  EXPECT_EQ(on_disk(at(30)).size(), seq - 31);
}

TEST_F(LogActorTest, AResetWaitsForRoomToo) {
  world_.tell(frame(1));
  world_.said<Durable>();
  world_.said<LogOpened>();
  platter_.capacity = platter_.size();
  world_.deliver(frame(2));  // of the old history: never written
  world_.tell(ResetLog{at(40)});
  world_.said<LogBlocked>();
  EXPECT_FALSE(world_.has_said<LogOpened>());
  world_.tell(frame(41));
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1}));
  platter_.capacity = SIZE_MAX;
  world_.pass(600ms);
  EXPECT_EQ(world_.said<LogOpened>().head, at(40));
  EXPECT_EQ(world_.said<Durable>().last, at(41));
  EXPECT_EQ(on_disk(at(40)), (std::vector<std::uint64_t>{41}));
}

TEST_F(LogActorTest, CutsAndGoesOn) {
  for (std::uint64_t seq = 1; seq <= 6; ++seq) world_.tell(frame(seq));
  world_.forget();
  world_.deliver(frame(7));  // dropped: nobody hears of it
  world_.deliver(CutLog{at(4)});
  world_.deliver(frame(5));
  world_.end_turn();
  EXPECT_EQ(world_.said<LogOpened>().head, at(4));
  EXPECT_EQ(world_.said<Durable>().last, at(5));
  EXPECT_FALSE(world_.has_said<Durable>());
  world_.tell(ReadLog{1, at(4), 1 << 20});
  EXPECT_EQ(world_.said<LogRead>().frames, *frame(5).bytes);
  world_.tell(ReadLog{2, at(6), 1 << 20});
  EXPECT_EQ(world_.said<LogRead>().reach, LogReach::unknown);
  world_.tell(ReadEpochs{3});
  EXPECT_EQ(world_.said<LogEpochs>().epochs.back(), (EpochRange{Epoch{1}, Seq{1}, Seq{5}}));
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
}

TEST_F(LogActorTest, ACutAmongWhatIsNotWrittenYetKeepsWhatIsBelow) {
  world_.tell(frame(1));
  world_.forget();
  for (std::uint64_t seq = 2; seq <= 5; ++seq) world_.deliver(frame(seq));
  world_.deliver(CutLog{at(3)});
  world_.end_turn();
  EXPECT_EQ(world_.said<Durable>().last, at(3));
  EXPECT_EQ(world_.said<LogOpened>().head, at(3));
  EXPECT_FALSE(world_.has_said<Durable>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(LogActorTest, ACutWaitsForRoomToo) {
  for (std::uint64_t seq = 1; seq <= 4; ++seq) world_.tell(frame(seq));
  world_.forget();
  platter_.capacity = platter_.size();
  world_.tell(CutLog{at(2)});
  world_.said<LogBlocked>();
  EXPECT_FALSE(world_.has_said<LogOpened>());
  world_.tell(frame(3));
  world_.tell(ReadLog{1, at(2), 1 << 20});
  EXPECT_EQ(world_.said<LogReadFailed>().error.code, Errc::unavailable);
  world_.tell(CutLog{at(1)});  // a newer primary has even less
  world_.tell(frame(2));
  world_.pass(600ms);
  EXPECT_FALSE(world_.has_said<LogOpened>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3, 4}));
  platter_.capacity = SIZE_MAX;
  world_.pass(600ms);
  EXPECT_EQ(world_.said<LogOpened>().head, at(2));
  EXPECT_EQ(world_.said<LogOpened>().head, at(1));
  EXPECT_EQ(world_.said<Durable>().last, at(2));
  EXPECT_FALSE(world_.has_said<Durable>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(LogActorTest, AResetTakesThePlaceOfACut) {
  for (std::uint64_t seq = 1; seq <= 4; ++seq) world_.tell(frame(seq));
  world_.forget();
  world_.deliver(CutLog{at(2)});
  world_.deliver(ResetLog{at(40)});
  world_.end_turn();
  EXPECT_EQ(world_.said<LogOpened>().head, at(40));
  EXPECT_FALSE(world_.has_said<LogOpened>());
}

TEST_F(LogActorTest, IsNeverCutBelowWhatTheStoreMayHold) {  // R5
  for (std::uint64_t seq = 1; seq <= 6; ++seq) world_.tell(frame(seq));
  LogActor next{
      {kPrimaryNode, Role::log, kShard}, std::make_unique<sim::SimDisk>(platter_, watch_, random_), options_};
  Conversation world{next};
  world.tell(OpenLog{at(1), at(3)});  // a checkpoint up to 3 was cut short
  EXPECT_EQ(world.said<LogOpened>().head, at(6));
  world.tell(CutLog{at(3)});
  EXPECT_EQ(world.said<LogOpened>().head, at(3));
  world.tell(CutLog{at(2)});
  EXPECT_EQ(world.said<LogFailed>().error.code, Errc::bad_request);
  EXPECT_FALSE(world.has_said<LogOpened>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(LogActorTest, IsNeverCutBelowWhatItWasToldIsInTheStore) {  // R5
  for (std::uint64_t seq = 1; seq <= 6; ++seq) world_.tell(frame(seq));
  world_.tell(TrimLog{Seq{4}});
  world_.forget();
  world_.tell(CutLog{at(4)});
  EXPECT_EQ(world_.said<LogOpened>().head, at(4));
  world_.tell(CutLog{at(3)});
  EXPECT_EQ(world_.said<LogFailed>().error.code, Errc::bad_request);
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST_F(LogActorTest, ACutThatIsNoFramesEndStopsIt) {
  world_.tell(frame(1));
  world_.forget();
  world_.tell(CutLog{{Epoch{7}, Seq{1}}});
  EXPECT_EQ(world_.said<LogFailed>().error.code, Errc::bad_request);
  EXPECT_FALSE(world_.has_said<LogOpened>());
  EXPECT_EQ(on_disk(), (std::vector<std::uint64_t>{1}));
}

TEST_F(LogActorTest, StopsForGoodAfterAnyOtherError) {  // R2
  world_.tell(frame(1));
  world_.said<Durable>();
  platter_.sync_fails = true;
  world_.tell(frame(2));
  EXPECT_EQ(world_.said<LogFailed>().error.code, Errc::io_error);
  platter_.sync_fails = false;
  world_.tell(frame(3));
  world_.pass(10s);
  EXPECT_FALSE(world_.has_said<Durable>());
}

}  // namespace
}  // namespace dkv::test
