#include "actors/replica/replica_actor.hpp"

#include "actors/shard/memory_store.hpp"
#include "tests/actors/conversation.hpp"

namespace dkv::test {
namespace {

constexpr std::uint64_t kProcess = 77;

class Replica : public testing::Test {
 protected:
  Replica()
      : replica_({kReplicaNode, Role::member, kShard}, std::make_shared<MemoryStore>(), {}, {kProcess, {}}),
        world_(replica_) {}

  static FrameBytes frame_of(Epoch epoch, Position prev, Seq commit,
                             std::vector<std::pair<std::string, std::string>> puts) {
    FramePacker packer;
    for (const auto& [key, value] : puts) packer.add({EventType::put, key, value});
    return packer.finish(kShard, epoch, prev, commit);
  }

  /// Up to its first pull.
  peer::PullRequest start(Position log_head = {}) {
    world_.tell(TopologyChanged{one_shard()});
    world_.said<OpenLog>();
    world_.tell(LogOpened{log_head});
    return world_.said<peer::PullRequest>();
  }

  peer::PullReply answer_to(const peer::PullRequest& request, Epoch epoch, Position head, Seq commit,
                            const std::string& frames = {}) {
    return {kShard, request.process, request.request, peer::PullOutcome::ok, epoch, head, commit, frames};
  }

  /// Aligned in epoch 1 with nothing in the log yet.
  void align() { world_.tell(answer_to(start(), Epoch{1}, {}, Seq{})); }

  Errc read(const std::string& key) {
    rpc::Request request = get(key);
    request.read = ReadMode::replica;
    world_.tell(ClientRequest{{0, "reader"}, std::move(request)});
    return result_of(world_.said<ClientReply>()).code;
  }

  ReplicaActor replica_;
  Conversation world_;
};

TEST_F(Replica, SubscribesBeforeItAsks) {
  start();
  EXPECT_EQ(world_.subscribed(), std::vector<NodeId>{kPrimaryNode});
}

TEST_F(Replica, AppendsNothingBeforeItIsAligned) {  // R3
  const auto pull = start();
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{1}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_FALSE(world_.has_said<peer::ReplicaAck>());
  world_.tell(answer_to(pull, Epoch{1}, {}, Seq{}));
  EXPECT_EQ(world_.said<AppendFrame>().last, (Position{Epoch{1}, Seq{1}}));  // it had been kept
}

TEST_F(Replica, AppliesOnlyWhatIsCommittedAndOnItsDisk) {  // R17
  align();
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}})});
  const auto append = world_.said<AppendFrame>();
  world_.tell(Durable{append.last});
  EXPECT_EQ(read("k"), Errc::not_found);
  world_.tell(EventFrame{frame_of(Epoch{1}, append.last, Seq{1}, {})});  // a heartbeat commits it
  EXPECT_EQ(read("k"), Errc::ok);
}

/// As a crash in the middle of a checkpoint up to event 2 leaves it: with "a" written, "b" not.
class CutShort : public MemoryStore {
 public:
  CutShort() {
    Memtable written;
    written.set("a", {{Epoch{1}, Seq{1}}, false, "new"});
    written.seal();
    EXPECT_TRUE(write(written, {}).has_value());
  }
  Position reached() const override { return {Epoch{1}, Seq{2}}; }
};

// What has been checkpointed was committed, whatever the log knows: without its other half a reader would see
// a state that never was.
TEST(ReplicaStart, ShowsAllOfACheckpointThatWasCutShort) {  // R17
  ReplicaActor replica({kReplicaNode, Role::member, kShard}, std::make_shared<CutShort>(), {},
                       {kProcess, {}});
  Conversation world(replica);
  world.tell(TopologyChanged{one_shard()});
  const auto open = world.said<OpenLog>();
  EXPECT_EQ(open.applied, Position{});
  EXPECT_EQ(open.reached, (Position{Epoch{1}, Seq{2}}));
  FramePacker packer;
  packer.add({EventType::put, "a", "new"});
  packer.add({EventType::put, "b", "new"});
  world.tell(LogRecovered{{packer.finish(kShard, Epoch{1}, {}, Seq{0})}});
  world.tell(LogOpened{open.reached});
  for (const char* key : {"a", "b"}) {
    rpc::Request request = get(key);
    request.read = ReadMode::replica;
    world.tell(ClientRequest{{0, "reader"}, std::move(request)});
    EXPECT_EQ(result_of(world.said<ClientReply>()).value, "new") << key;
  }
}

TEST_F(Replica, AcknowledgesOnlyWhatIsOnItsDisk) {  // R2
  align();
  world_.forget();
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<peer::ReplicaAck>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  const auto ack = world_.said<peer::ReplicaAck>();
  EXPECT_EQ(ack.durable, (Position{Epoch{1}, Seq{1}}));
  EXPECT_EQ(ack.epoch, Epoch{1});
}

TEST_F(Replica, PullsWhatWasLost) {
  align();
  world_.pass(60ms);
  const auto one = frame_of(Epoch{1}, {}, Seq{0}, {{"a", "1"}});
  const auto two = frame_of(Epoch{1}, {Epoch{1}, Seq{1}}, Seq{1}, {{"b", "2"}});
  world_.tell(EventFrame{two});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  const auto pull = world_.said<peer::PullRequest>();
  EXPECT_EQ(pull.from, Position{});
  world_.tell(answer_to(pull, Epoch{1}, {Epoch{1}, Seq{1}}, Seq{1}, *one));
  EXPECT_EQ(world_.said<AppendFrame>().last.seq, Seq{1});
  EXPECT_EQ(world_.said<AppendFrame>().last.seq, Seq{2});  // the live one that had waited
}

TEST_F(Replica, NoticesTheLossOfTheLastEvent) {
  align();
  world_.pass(60ms);
  world_.forget();
  world_.tell(EventFrame{frame_of(Epoch{1}, {Epoch{1}, Seq{5}}, Seq{5}, {})});
  EXPECT_TRUE(world_.has_said<peer::PullRequest>());
}

TEST_F(Replica, RepeatsItsQuestionUntilThereIsAnAnswerHoweverLate) {
  const auto first = start();
  world_.pass(350ms);
  EXPECT_EQ(world_.said<peer::PullRequest>(), first);
  world_.pass(500ms);
  EXPECT_FALSE(world_.has_said<peer::PullRequest>());  // it backs off
  world_.pass(200ms);
  EXPECT_EQ(world_.said<peer::PullRequest>(), first);
  world_.tell(answer_to(first, Epoch{1}, {}, Seq{}, *frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}})));
  EXPECT_TRUE(world_.has_said<AppendFrame>());
}

TEST_F(Replica, AnAnswerToAnEarlierQuestionDoesNotCount) {  // R5
  align();
  world_.pass(60ms);
  const auto one = frame_of(Epoch{1}, {}, Seq{0}, {{"a", "1"}});
  world_.tell(EventFrame{frame_of(Epoch{1}, {Epoch{1}, Seq{2}}, Seq{0}, {{"c", "3"}})});
  const auto first = world_.said<peer::PullRequest>();
  world_.tell(EventFrame{one});  // it had only been late
  world_.said<AppendFrame>();
  world_.pass(350ms);
  const auto second = world_.said<peer::PullRequest>();
  EXPECT_NE(second.request, first.request);
  world_.tell(
      answer_to(first, Epoch{1}, {}, Seq{}, *frame_of(Epoch{1}, {Epoch{1}, Seq{1}}, Seq{0}, {{"b", "2"}})));
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Replica, AlignsOnlyByTheHeadThatItAskedAbout) {  // R3
  align();
  world_.pass(60ms);
  world_.tell(EventFrame{frame_of(Epoch{1}, {Epoch{1}, Seq{4}}, Seq{0}, {{"e", "5"}})});
  const auto pull = world_.said<peer::PullRequest>();
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{0}, {{"a", "1"}})});  // the head moves
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.forget();
  world_.tell(answer_to(pull, Epoch{2}, {}, Seq{}));
  world_.pass(100ms);
  EXPECT_FALSE(world_.has_said<peer::ReplicaAck>());
  EXPECT_EQ(world_.said<peer::PullRequest>().from, (Position{Epoch{1}, Seq{1}}));
}

TEST_F(Replica, TakesNoMoreThanItsDiskCanFollow) {
  align();
  const std::string megabyte(1 << 20, 'x');
  Position prev;
  int taken = 0;
  for (int i = 0; i < 100; ++i) {
    world_.tell(EventFrame{frame_of(Epoch{1}, prev, Seq{0}, {{"k", megabyte}})});
    if (!world_.has_said<AppendFrame>()) break;
    prev = world_.said<AppendFrame>().last;
    ++taken;
  }
  EXPECT_EQ(taken, 64);
  world_.forget();
  world_.pass(10s);
  EXPECT_FALSE(world_.has_said<peer::PullRequest>());  // nor does it ask for what it could not take
  EXPECT_EQ(replica_.wake_at() > world_.now(), true);  // nor spin
  world_.tell(EventFrame{frame_of(Epoch{1}, prev, prev.seq, {})});
  world_.tell(Durable{prev});
  world_.tell(EventFrame{frame_of(Epoch{1}, {Epoch{1}, Seq{100}}, Seq{100}, {})});
  world_.pass(60ms);
  EXPECT_EQ(world_.said<peer::PullRequest>().from, prev);
}

TEST_F(Replica, AnAnswerToAnEarlierProcessDoesNotCount) {  // R5
  auto pull = start();
  pull.process = kProcess - 1;
  world_.tell(answer_to(pull, Epoch{1}, {}, Seq{}, *frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}})));
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Replica, DropsFramesOfAnEarlierEpoch) {  // R4
  world_.tell(answer_to(start(), Epoch{3}, {}, Seq{}));
  world_.tell(EventFrame{frame_of(Epoch{2}, {}, Seq{0}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Replica, ANewEpochIsAlignedAnew) {
  align();
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}})});
  const auto append = world_.said<AppendFrame>();
  world_.pass(60ms);
  world_.tell(EventFrame{frame_of(Epoch{2}, append.last, Seq{1}, {{"k", "w"}})});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  const auto pull = world_.said<peer::PullRequest>();
  EXPECT_EQ(pull.from, append.last);
  world_.tell(answer_to(pull, Epoch{2}, append.last, Seq{1}));
  EXPECT_EQ(world_.said<AppendFrame>().last, (Position{Epoch{2}, Seq{2}}));
}

TEST_F(Replica, DropsDuplicates) {
  align();
  const auto frame = frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}});
  world_.tell(EventFrame{frame});
  world_.said<AppendFrame>();
  world_.tell(EventFrame{frame});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Replica, IgnoresGarbage) {
  align();
  world_.forget();
  std::string broken = *frame_of(Epoch{1}, {}, Seq{0}, {{"k", "v"}});
  broken.back() = static_cast<char>(broken.back() ^ 1);
  world_.tell(EventFrame{std::make_shared<const std::string>(broken)});
  world_.tell(EventFrame{std::make_shared<const std::string>("garbage")});
  world_.tell(EventFrame{std::make_shared<const std::string>()});
  FramePacker packer;
  packer.add({EventType::put, "k", "v"});
  world_.tell(EventFrame{packer.finish(ShardId{9}, Epoch{1}, {}, Seq{1})});  // another shard's
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

/// With two events of epoch 3 on its disk, of which it knows the first one to be committed. The primary of
/// epoch 4 does not have the second.
class DivergedReplica : public Replica {
 protected:
  static constexpr Epoch kOld{3};
  static constexpr Epoch kNew{4};

  void SetUp() override {
    world_.tell(answer_to(start(), kOld, {}, Seq{}));
    world_.tell(EventFrame{frame_of(kOld, {}, Seq{0}, {{"a", "1"}})});
    world_.tell(EventFrame{frame_of(kOld, {kOld, Seq{1}}, Seq{1}, {{"b", "2"}})});
    world_.tell(Durable{{kOld, Seq{2}}});
    world_.tell(EventFrame{frame_of(kNew, {kNew, Seq{9}}, Seq{9}, {})});
    world_.forget();
  }
  /// Its primary says which epochs its events are of.
  void compare_with(std::vector<EpochRange> theirs) {
    world_.pass(1s);
    auto answer = answer_to(world_.said<peer::PullRequest>(), kNew, {kNew, Seq{9}}, Seq{9});
    answer.outcome = peer::PullOutcome::diverged;
    answer.epochs = std::move(theirs);
    world_.tell(answer);
    world_.tell(LogEpochs{world_.said<ReadEpochs>().token, {{{}, {}, {}}, {kOld, Seq{1}, Seq{2}}}});
  }
  void compare_with_another_history() { compare_with({{{}, {}, {}}, {kNew, Seq{1}, Seq{9}}}); }
};

TEST_F(DivergedReplica, CutsWhatItsNewPrimaryDoesNotHave) {  // R5
  compare_with({{{}, {}, {}}, {kOld, Seq{1}, Seq{1}}, {kNew, Seq{2}, Seq{9}}});
  const Position common = world_.said<CutLog>().at;
  EXPECT_EQ(common, (Position{kOld, Seq{1}}));
  world_.tell(EventFrame{frame_of(kNew, {kOld, Seq{2}}, Seq{2}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_FALSE(world_.has_said<peer::ReplicaAck>());
  world_.tell(LogOpened{common});
  world_.pass(60ms);
  const auto pull = world_.said<peer::PullRequest>();
  EXPECT_EQ(pull.from, common);
  world_.tell(
      answer_to(pull, kNew, {kNew, Seq{2}}, Seq{2}, *frame_of(kNew, common, Seq{2}, {{"b", "other"}})));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  EXPECT_EQ(world_.said<peer::ReplicaAck>().epoch, kNew);
  EXPECT_EQ(read("a"), Errc::ok);
}

/// The primary's frames may come before the topology that says whether this copy's folder was left out.
TEST_F(DivergedReplica, DecidesNothingBeforeItKnowsWhatBeganTheEpoch) {
  compare_with_another_history();
  EXPECT_FALSE(world_.has_said<CutLog>());
  EXPECT_FALSE(world_.has_said<peer::SnapshotRequest>());
  EXPECT_EQ(world_.logged().size(), 0U);
  world_.tell(ClientRequest{{0, "reader"}, get("a")});  // of what may be another history
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  auto forced = std::make_shared<Topology>(*one_shard());
  forced->shards[0].epoch = kNew;
  world_.tell(TopologyChanged{forced});
  compare_with_another_history();
  EXPECT_EQ(world_.said<peer::SnapshotRequest>().from_key, "");
}

TEST_F(DivergedReplica, StopsRatherThanCutWhatIsCommitted) {  // R5
  auto topology = std::make_shared<Topology>(*one_shard());
  topology->shards[0].epoch = kNew;
  topology->shards[0].folders = {{kReplicaNode, 0}};
  world_.tell(TopologyChanged{topology});
  compare_with_another_history();
  EXPECT_FALSE(world_.has_said<CutLog>());
  compare_with_another_history();  // it keeps asking
  ASSERT_EQ(world_.logged().size(), 1U);
  world_.tell(StatusQuery{5});
  const auto report = world_.said<StatusReport>();
  EXPECT_EQ(report.status.state, "diverged");
  EXPECT_FALSE(report.status.ready);
  EXPECT_FALSE(report.status.problem.empty());
  world_.tell(ClientRequest{{0, "reader"}, get("a")});  // this copy is no prefix of the history
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  world_.tell(EventFrame{frame_of(kNew, {kOld, Seq{2}}, Seq{2}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(DivergedReplica, GivesItsHistoryUpWhenTheChangeThatBeganTheEpochLeftItsFolderOut) {
  auto forced = std::make_shared<Topology>(*one_shard());
  forced->shards[0].epoch = kNew;
  forced->shards[0].folders = {{kPrimaryNode, 1}};
  world_.tell(TopologyChanged{forced});
  compare_with_another_history();
  EXPECT_EQ(world_.said<peer::SnapshotRequest>().from_key, "");
  world_.tell(ClientRequest{{0, "reader"}, get("a")});
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
}

TEST_F(Replica, IsReadyOnceLevelWithItsPrimaryAndWhileItHearsIt) {
  const auto ready = [&] {
    world_.tell(StatusQuery{1});
    return world_.said<StatusReport>().status.ready;
  };
  const auto pull = start();
  EXPECT_FALSE(ready());
  const auto frame = frame_of(Epoch{1}, {}, Seq{1}, {{"k", "v"}});
  world_.tell(answer_to(pull, Epoch{1}, {Epoch{1}, Seq{2}}, Seq{2}, *frame));
  EXPECT_FALSE(ready());
  const auto next = frame_of(Epoch{1}, {Epoch{1}, Seq{1}}, Seq{1}, {{"k", "w"}});
  world_.tell(answer_to(world_.said<peer::PullRequest>(), Epoch{1}, {Epoch{1}, Seq{2}}, Seq{2}, *next));
  EXPECT_TRUE(ready());
  world_.pass(2s);
  EXPECT_FALSE(ready());
}

rpc::Request in_session(const std::string& key, Position seen, std::uint64_t topology_version = 0) {
  rpc::Request request = get(key);
  request.read = ReadMode::replica;
  request.session = std::make_shared<const Session>(Session{topology_version, {{kShard, seen}}});
  return request;
}

TEST_F(Replica, ASessionWaitsForWhatItHasSeen) {
  align();
  world_.tell(ClientRequest{{0, "reader"}, in_session("k", {Epoch{1}, Seq{1}})});
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(EventFrame{frame_of(Epoch{1}, {}, Seq{1}, {{"k", "v"}})});
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply).value, "v");
  ASSERT_NE(reply.reply.session, nullptr);
  EXPECT_EQ(reply.reply.session->of(kShard), (Position{Epoch{1}, Seq{1}}));
  // What has been seen in an earlier epoch is older than anything of this one.
  world_.tell(ClientRequest{{0, "reader"}, in_session("k", {Epoch{0}, Seq{9}})});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "v");
}

TEST_F(Replica, ASessionIsSentToThePrimaryWhenItHasWaitedForLong) {
  align();
  for (const auto& [seen, version] : {std::pair{Position{Epoch{1}, Seq{1}}, 0}, std::pair{Position{}, 9}}) {
    world_.tell(ClientRequest{{0, "reader"}, in_session("k", seen, static_cast<std::uint64_t>(version))});
    world_.pass(199ms);
    EXPECT_FALSE(world_.has_said<ClientReply>());
    world_.pass(1ms);
    const auto result = result_of(world_.said<ClientReply>());
    ASSERT_EQ(result.code, Errc::moved);
    EXPECT_EQ(result.moved->node_name, "alpha");
  }
}

TEST_F(Replica, NoMoreSessionsWaitThanItHasRoomFor) {
  align();
  for (int i = 0; i < 1'024; ++i)
    world_.tell(ClientRequest{{0, "reader"}, in_session("k", {Epoch{1}, Seq{1}})});
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(ClientRequest{{0, "reader"}, in_session("k", {Epoch{1}, Seq{1}})});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::moved);
}

TEST_F(Replica, ASessionsScanWaitsToo) {
  align();
  rpc::Request request = in_session("k", {Epoch{1}, Seq{1}});
  request.type = rpc::Type::scan;
  request.operations.clear();
  request.scan = std::make_shared<rpc::Scan>(rpc::Scan{kShard, "", "", false, false, 10});
  world_.tell(ClientRequest{{0, "reader"}, request});
  world_.pass(200ms);
  EXPECT_NE(std::get<rpc::ScanReply>(world_.said<ClientReply>().reply.body).moved, nullptr);
}

TEST_F(Replica, SessionsThatWaitAreToldWhenItBecomesPrimary) {
  align();
  world_.tell(ClientRequest{{0, "reader"}, in_session("k", {Epoch{1}, Seq{1}})});
  Effects said;
  replica_.hand_over(said);
  ASSERT_EQ(said.sends.size(), 1U);
  EXPECT_EQ(error_of(std::get<ClientReply>(said.sends[0].second)), Errc::unavailable);
}

TEST_F(Replica, AnswersReadsOnly) {
  align();
  world_.tell(ClientRequest{{0, "writer"}, put("k", "v")});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::bad_request);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

}  // namespace
}  // namespace dkv::test
