// A replica that the primary's log does not reach back to: what it says, and when it trusts its store.
#include "actors/replica/replica_actor.hpp"
#include "actors/shard/memory_store.hpp"
#include "tests/actors/conversation.hpp"

namespace dkv::test {
namespace {

Position at(std::uint64_t seq) { return {Epoch{4}, Seq{seq}}; }

FrameBytes frame_of(Position prev, Seq commit, const std::vector<Event>& events) {
  FramePacker packer;
  for (const Event& event : events) packer.add(event);
  return packer.finish(kShard, Epoch{4}, prev, commit);
}

std::string records_of(const std::vector<RecordView>& records) {
  RecordPacker packer;
  for (const RecordView& record : records) packer.add(record);
  return packer.finish();
}

constexpr std::uint64_t kFolder = 20;

/// In epoch 4, in which the replica's folder counts.
TopologyPtr epoch_4() {
  auto topology = std::make_shared<Topology>(*one_shard());
  topology->shards[0].epoch = Epoch{4};
  topology->shards[0].folders = {{kReplicaNode, kFolder}};
  return topology;
}

/// A replica with a store, whose checkpoint actor is played by the test.
class SnapshotTaking : public testing::Test {
 protected:
  SnapshotTaking() {
    Memtable old;
    old.set("old", {{Epoch{1}, Seq{5}}, false, "gone"});
    old.seal();
    EXPECT_TRUE(store_->write(old, {Epoch{1}, Seq{5}}).has_value());
    start_process();
  }

  void start_process() {
    replica_ = std::make_unique<ReplicaActor>(Address{kReplicaNode, Role::member, kShard}, store_,
                                              CopyOptions{},
                                              ReplicaOptions{++process_, {}, kSnapshotChunkBytes, kFolder});
    world_ = std::make_unique<Conversation>(*replica_);
    world_->tell(TopologyChanged{epoch_4()});
  }

  /// The log holds nothing above the store; the primary's begins later.
  void be_too_old() {
    world_->tell(LogOpened{world_->said<OpenLog>().applied});
    const auto pull = world_->said<peer::PullRequest>();
    peer::PullReply reply{kShard,   pull.process, pull.request, peer::PullOutcome::too_old,
                          Epoch{4}, at(90),       Seq{90},      {}};
    world_->tell(std::move(reply));
  }

  peer::SnapshotReply chunk_for(const peer::SnapshotRequest& request, Position read_at, std::string next,
                                const std::vector<RecordView>& records) {
    return {kShard,   request.process, request.request, peer::SnapshotOutcome::ok,
            Epoch{4}, read_at,         std::move(next), records_of(records)};
  }

  /// Does what the checkpoint actor would.
  void empty_store() {
    const Position first = world_->said<BeginImport>().at;
    ASSERT_TRUE(store_->begin_import(first).has_value());
    world_->tell(ImportBegun{first});
  }
  void import() {
    const auto chunk = world_->said<ImportRecords>();
    ASSERT_TRUE(store_->import(*decode_records(chunk.records), chunk.next_key, chunk.at).has_value());
    world_->tell(RecordsImported{store_->importing()});
  }
  void checkpoint() {
    const auto write = world_->said<WriteCheckpoint>();
    ASSERT_TRUE(store_->write(*write.memtable, write.applied).has_value());
    world_->tell(CheckpointWritten{write.applied});
  }
  void reset_log() { world_->tell(LogOpened{world_->said<ResetLog>().at}); }

  void answer_pull(const std::string& frames = {}, Position head = at(90)) {
    world_->pass(60ms);  // no sooner after the one before
    const auto pull = world_->said<peer::PullRequest>();
    peer::PullReply reply{kShard,   pull.process, pull.request, peer::PullOutcome::ok,
                          Epoch{4}, head,         head.seq,     frames};
    world_->tell(std::move(reply));
  }

  ClientReply read(const std::string& key) {
    rpc::Request request = get(key);
    request.read = ReadMode::replica;
    world_->tell(ClientRequest{{0, "reader"}, std::move(request)});
    return world_->said<ClientReply>();
  }
  MemberStatus status() {
    world_->tell(StatusQuery{1});
    return world_->said<StatusReport>().status;
  }

  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  std::uint64_t process_ = 70;
  std::unique_ptr<ReplicaActor> replica_;
  std::unique_ptr<Conversation> world_;
};

TEST_F(SnapshotTaking, KeepsWhatItHasUntilTheFirstChunkHasCome) {
  be_too_old();
  const auto request = world_->said<peer::SnapshotRequest>();
  EXPECT_EQ(request.from_key, "");
  EXPECT_FALSE(world_->has_said<BeginImport>());
  EXPECT_EQ(result_of(read("old")).value, "gone");  // a prefix of the history still
  EXPECT_EQ(status().state, "copying");
  EXPECT_FALSE(status().ready);
  world_->tell(chunk_for(request, at(90), "m", {{"a", at(3), "1"}}));
  EXPECT_TRUE(world_->has_said<BeginImport>());
  EXPECT_EQ(error_of(read("old")), Errc::unavailable);
}

TEST_F(SnapshotTaking, RepeatsItsQuestionAndTakesNoAnswerToAnother) {  // R5
  be_too_old();
  const auto request = world_->said<peer::SnapshotRequest>();
  world_->pass(1100ms);
  EXPECT_EQ(world_->said<peer::SnapshotRequest>(), request);
  auto other = request;
  other.process = 1;
  world_->tell(chunk_for(other, at(90), "", {}));
  other = request;
  ++other.request;
  world_->tell(chunk_for(other, at(90), "", {}));
  EXPECT_FALSE(world_->has_said<BeginImport>());
  world_->tell(chunk_for(request, at(90), "", {}));
  EXPECT_TRUE(world_->has_said<BeginImport>());
}

// Another's history may be another one, or its log may still reach back to ours.
TEST_F(SnapshotTaking, EmptiesItsStoreOnlyForThePrimaryWhoseLogItWasTooOldFor) {
  be_too_old();
  const auto request = world_->said<peer::SnapshotRequest>();
  auto other = chunk_for(request, {Epoch{9}, Seq{7}}, "", {});
  other.epoch = Epoch{9};
  world_->tell(std::move(other));
  EXPECT_FALSE(world_->has_said<BeginImport>());
  EXPECT_EQ(result_of(read("old")).value, "gone");
  const Position ours{Epoch{1}, Seq{5}};
  const auto pull = world_->said<peer::PullRequest>();
  EXPECT_EQ(pull.from, ours);
  FramePacker packer;
  packer.add({EventType::put, "next", "6"});
  const FrameBytes next = packer.finish(kShard, Epoch{9}, ours, Seq{5});
  world_->tell(peer::PullReply{
      kShard, pull.process, pull.request, peer::PullOutcome::ok, Epoch{9}, {Epoch{9}, Seq{6}}, Seq{5}, *next});
  EXPECT_EQ(world_->said<AppendFrame>().last, (Position{Epoch{9}, Seq{6}}));
  world_->pass(5s);
  EXPECT_FALSE(world_->has_said<BeginImport>());
}

TEST_F(SnapshotTaking, ANewPrimaryWhoseLogIsTooNewAsWellIsTakenACopyOf) {
  be_too_old();
  world_->said<peer::SnapshotRequest>();
  FramePacker packer;
  world_->tell(EventFrame{packer.finish(kShard, Epoch{5}, at(95), Seq{95})});
  const auto pull = world_->said<peer::PullRequest>();
  world_->tell(peer::PullReply{
      kShard, pull.process, pull.request, peer::PullOutcome::too_old, Epoch{5}, at(95), Seq{95}, {}});
  auto chunk = chunk_for(world_->said<peer::SnapshotRequest>(), at(95), "", {{"a", at(3), "1"}});
  chunk.epoch = Epoch{5};
  world_->tell(std::move(chunk));
  EXPECT_TRUE(world_->has_said<BeginImport>());
}

TEST_F(SnapshotTaking, FollowsTheEventsWhileItTakesTheChunks) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  EXPECT_FALSE(world_->has_said<ResetLog>());  // the store first: it says that the log must be reset
  empty_store();
  reset_log();
  // From the first chunk on it is a replica whose last event is that chunk's time.
  answer_pull();
  world_->tell(EventFrame{frame_of(at(90), Seq{90}, {{EventType::put, "b", "2"}})});
  EXPECT_EQ(world_->said<AppendFrame>().last, at(91));
}

TEST_F(SnapshotTaking, AnswersNothingBeforeItHasReachedTheLatestChunk) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  empty_store();
  reset_log();
  answer_pull();
  import();
  EXPECT_EQ(status().copied_records, 1U);
  EXPECT_EQ(status().copied_bytes, 2U);
  const auto request = world_->said<peer::SnapshotRequest>();
  EXPECT_EQ(request.from_key, "m");
  world_->tell(chunk_for(request, at(92), "", {{"x", at(92), "new"}}));
  import();
  world_->pass(200ms);
  // All chunks are in, but 91 and 92 are not: "a" may have changed since.
  EXPECT_EQ(error_of(read("a")), Errc::unavailable);
  EXPECT_FALSE(world_->has_said<peer::ReplicaAck>());
  EXPECT_FALSE(world_->has_said<WriteCheckpoint>());
  world_->tell(
      EventFrame{frame_of(at(90), Seq{92}, {{EventType::remove, "a", ""}, {EventType::put, "x", "new"}})});
  world_->tell(Durable{world_->said<AppendFrame>().last});
  // It is whole when the store is: a restart must not find chunks that are newer than what follows them.
  EXPECT_EQ(error_of(read("a")), Errc::unavailable);
  EXPECT_FALSE(world_->has_said<peer::ReplicaAck>());
  checkpoint();
  world_->pass(200ms);
  EXPECT_EQ(result_of(read("a")).code, Errc::not_found);
  EXPECT_EQ(result_of(read("x")).value, "new");
  EXPECT_EQ(result_of(read("old")).code, Errc::not_found);
  EXPECT_EQ(world_->said<peer::ReplicaAck>().durable, at(92));
  EXPECT_FALSE(store_->importing());
}

TEST_F(SnapshotTaking, AsksAgainForAChunkThatIsOlderThanWhatHasBeenWritten) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  empty_store();
  reset_log();
  answer_pull();
  import();
  const auto request = world_->said<peer::SnapshotRequest>();
  // Much is written meanwhile, with a delete in it; a checkpoint is under way.
  world_->tell(EventFrame{frame_of(at(90), Seq{91}, {{EventType::remove, "x", ""}})});
  world_->tell(Durable{world_->said<AppendFrame>().last});
  const std::string megabyte(1 << 20, 'v');
  Position prev = at(91);
  for (int i = 0; !world_->has_said<WriteCheckpoint>(); ++i) {
    ASSERT_LT(i, 1000);
    const Seq commit{prev.seq.value + 1};
    world_->tell(EventFrame{frame_of(prev, commit, {{EventType::put, "y" + std::to_string(i), megabyte}})});
    prev.seq = commit;
    world_->tell(Durable{prev});
  }
  world_->tell(chunk_for(request, at(90), "", {{"x", at(50), "deleted since"}}));
  EXPECT_FALSE(world_->has_said<ImportRecords>());
  const auto again = world_->said<peer::SnapshotRequest>();
  EXPECT_EQ(again.from_key, "m");
  EXPECT_NE(again.request, request.request);
  world_->tell(chunk_for(again, prev, "", {}));
  EXPECT_TRUE(world_->has_said<ImportRecords>());
}

TEST_F(SnapshotTaking, GoesOnAfterACrashWhereItHadCome) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  empty_store();
  reset_log();
  import();
  start_process();
  EXPECT_EQ(world_->said<OpenLog>().applied, at(90));
  world_->tell(LogOpened{at(90)});
  EXPECT_EQ(error_of(read("a")), Errc::unavailable);
  EXPECT_EQ(world_->said<peer::SnapshotRequest>().from_key, "m");
  EXPECT_EQ(world_->said<peer::PullRequest>().from, at(90));
}

TEST_F(SnapshotTaking, ResetsTheLogAfterACrashThatCameBetweenStoreAndLog) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  empty_store();
  start_process();
  EXPECT_FALSE(world_->has_said<OpenLog>());
  EXPECT_EQ(world_->said<ResetLog>().at, at(90));
  world_->tell(LogOpened{at(90)});
  EXPECT_EQ(world_->said<peer::SnapshotRequest>().from_key, "");
  EXPECT_FALSE(world_->has_said<BeginImport>());
}

TEST_F(SnapshotTaking, BeginsAnewWhenItIsTooOldAgainAndAnswersNothingMeanwhile) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  empty_store();
  reset_log();
  import();
  start_process();
  be_too_old();
  EXPECT_EQ(error_of(read("a")), Errc::unavailable);
  world_->said<peer::SnapshotRequest>();  // where it had been
  world_->forget();
  world_->pass(10s);
  const auto request = world_->said<peer::SnapshotRequest>();
  EXPECT_EQ(request.from_key, "");
  world_->tell(chunk_for(request, at(500), "", {}));
  EXPECT_EQ(world_->said<BeginImport>().at, at(500));
}

TEST_F(SnapshotTaking, WaitsForRoomOnItsDisk) {
  be_too_old();
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(90), "m", {{"a", at(3), "1"}}));
  world_->said<BeginImport>();
  world_->tell(ImportFailed{{Errc::disk_full, "no room"}});
  EXPECT_EQ(status().problem, "no room");
  EXPECT_FALSE(world_->has_said<peer::SnapshotRequest>());
  world_->pass(1s);
  world_->tell(chunk_for(world_->said<peer::SnapshotRequest>(), at(91), "", {}));
  empty_store();
  reset_log();
  import();
  EXPECT_EQ(status().problem, "");
}

}  // namespace
}  // namespace dkv::test
