// What a primary tells watchers.
#include "actors/shard/shard_actor.hpp"
#include "messages/limits.hpp"
#include "tests/actors/shard/primary_kit.hpp"

namespace dkv::test {
namespace {

constexpr Address kWatcher{kReplicaNode, Role::watcher, {}};

class Changes : public testing::Test {
 protected:
  explicit Changes(ShardOptions options = {})
      : shard_(kPrimary, inheritance(), options, Epoch{1}, {}, made_), world_(shard_, std::move(made_)) {
    shard_.set_lease(kNever);
    shard_.count({kReplicaNode});
    world_.end_turn();
    commit(world_.said<AppendFrame>());
    world_.forget();
  }

  void commit(const AppendFrame& frame) {
    world_.tell(Durable{frame.last});
    world_.tell(peer::ReplicaAck{kShard, Epoch{1}, frame.last, {}, 1}, kReplica);
  }
  AppendFrame write(std::vector<std::string> keys) {
    for (std::string& key : keys) world_.deliver(ClientRequest{{0, "caller"}, put(std::move(key), "v")});
    world_.end_turn();
    return world_.said<AppendFrame>();
  }
  void ask(Position from, std::uint64_t request = 1) {
    world_.tell(peer::ChangesRequest{kShard, 7, request, from, kMaxChangesBytes}, kWatcher);
  }
  bool is_answered() const { return world_.has_said<peer::ChangesReply>(); }
  peer::ChangesReply answer() { return world_.said<peer::ChangesReply>(); }
  static Position at(std::uint64_t seq) { return {Epoch{1}, Seq{seq}}; }

  Effects made_;
  ShardActor shard_;
  Conversation world_;
};

TEST_F(Changes, AreToldOnceTheyAreCommitted) {  // R17
  ask(at(1));
  const AppendFrame frame = write({"a", "b"});
  EXPECT_FALSE(is_answered());
  world_.tell(Durable{frame.last});
  EXPECT_FALSE(is_answered());
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, frame.last, {}, 1}, kReplica);
  const auto told = answer();
  EXPECT_EQ(world_.last_to(), kWatcher);
  EXPECT_EQ(told.outcome, peer::PullOutcome::ok);
  EXPECT_EQ(told.process, 7U);
  EXPECT_EQ(told.request, 1U);
  EXPECT_EQ(told.upto, at(3));
  EXPECT_EQ(told.frames, *frame.bytes);
}

TEST_F(Changes, AQuestionIsHeldForASecond) {
  ask(at(1));
  world_.pass(900ms);
  EXPECT_FALSE(is_answered());
  world_.pass(200ms);
  EXPECT_EQ(answer().upto, at(1));
}

TEST_F(Changes, WhoAsksWhereTheHistoryIsIsToldAtOnceWhatIsCommitted) {
  commit(write({"a"}));
  write({"b"});
  ask({});
  const auto told = answer();
  EXPECT_EQ(told.upto, at(2));
  EXPECT_EQ(told.frames, "");
}

TEST_F(Changes, AreToldFromWithinAFrameOn) {
  ask(at(1));
  const AppendFrame frame = write({"a", "b", "c"});
  commit(frame);
  answer();
  ask(at(3), 2);
  EXPECT_EQ(answer().frames, *frame.bytes);
}

TEST_F(Changes, ComeFromTheLogWhenNobodyHasAskedLately) {
  const AppendFrame first = write({"a"});
  commit(first);
  const AppendFrame second = write({"b"});  // in the log, and not committed
  world_.tell(Durable{second.last});
  ask(at(1));
  EXPECT_FALSE(is_answered());
  const auto read = world_.said<ReadLog>();
  EXPECT_EQ(read.from, at(1));
  EXPECT_TRUE(read.within_frames);
  world_.tell(LogRead{read.token, LogReach::found, at(3), *first.bytes + *second.bytes});
  const auto told = answer();
  EXPECT_EQ(told.upto, at(2));
  EXPECT_EQ(told.frames, *first.bytes);
}

TEST_F(Changes, WhatTheLogNoLongerHasIsToldAsAGap) {
  commit(write({"a"}));
  for (const auto& [reach, outcome] : {std::pair{LogReach::too_old, peer::PullOutcome::too_old},
                                       {LogReach::unknown, peer::PullOutcome::diverged}}) {
    ask(at(1));
    world_.tell(LogRead{world_.said<ReadLog>().token, reach, at(2), {}});
    const auto told = answer();
    EXPECT_EQ(told.outcome, outcome);
    EXPECT_EQ(told.upto, at(2));
  }
}

TEST_F(Changes, APositionOfAnotherHistoryIsAskedOfTheLog) {
  ask(at(1));
  commit(write({"a", "b"}));
  answer();
  ask({Epoch{0}, Seq{2}}, 2);
  EXPECT_EQ(world_.said<ReadLog>().from, (Position{Epoch{0}, Seq{2}}));
}

// Found by simulation (seed 109): asked by a node whose topology was old, a deposed primary said that what
// its successor had committed was not in the history.
TEST_F(Changes, APrimarySaysNothingOfEpochsAfterItsOwn) {
  ask({Epoch{2}, Seq{1}});
  EXPECT_EQ(answer().outcome, peer::PullOutcome::refused);
}

TEST_F(Changes, AQuestionThatCannotBeAnsweredIsRefused) {
  commit(write({"a"}));
  ask(at(1));
  world_.tell(LogReadFailed{world_.said<ReadLog>().token, {Errc::io_error, "being cut"}});
  EXPECT_EQ(answer().outcome, peer::PullOutcome::refused);
  ask(at(2), 2);
  Effects out;
  shard_.step_down("another leads", out);
  ASSERT_FALSE(out.sends.empty());
  EXPECT_EQ(std::get<peer::ChangesReply>(out.sends[0].second).outcome, peer::PullOutcome::refused);
  ask(at(2), 3);
  EXPECT_EQ(answer().outcome, peer::PullOutcome::refused);
}

TEST_F(Changes, TheSameQuestionTwiceIsAnsweredOnce) {
  ask(at(1));
  ask(at(1));
  commit(write({"a"}));
  answer();
  EXPECT_FALSE(is_answered());
}

TEST_F(Changes, WhoAsksAgainByAnotherNumberHasTheLogReadOnce) {
  commit(write({"a"}));
  ask(at(1), 1);
  ask(at(1), 2);
  const auto read = world_.said<ReadLog>();
  EXPECT_FALSE(world_.has_said<ReadLog>());
  world_.tell(LogRead{read.token, LogReach::too_old, at(2), {}});
  EXPECT_EQ(answer().request, 2U);
  EXPECT_FALSE(is_answered());
}

TEST_F(Changes, WhatIsDamagedIsToldAsAGap) {
  commit(write({"a"}));
  ask(at(1));
  world_.tell(LogReadFailed{world_.said<ReadLog>().token, {Errc::corrupt, "log-1 at offset 9"}});
  const auto told = answer();
  EXPECT_EQ(told.outcome, peer::PullOutcome::too_old);
  EXPECT_EQ(told.upto, at(2));
  EXPECT_EQ(world_.logged().size(), 1U);
}

class FewRecent : public Changes {
 protected:
  static ShardOptions options() {
    ShardOptions options;
    options.max_recent_bytes = 1;
    return options;
  }
  FewRecent() : Changes(options()) {}
};

TEST_F(FewRecent, OnlyTheNewestFramesAreInMemory) {
  ask(at(1));
  commit(write({"a"}));
  answer();
  commit(write({"b"}));
  ask(at(2), 2);
  EXPECT_EQ(answer().upto, at(3));
  ask(at(1), 3);
  EXPECT_EQ(world_.said<ReadLog>().from, at(1));
}

}  // namespace
}  // namespace dkv::test
