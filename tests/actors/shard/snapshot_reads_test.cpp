// What a primary gives to those who take a copy of it.
#include "messages/records.hpp"
#include "tests/actors/shard/primary_kit.hpp"

namespace dkv::test {
namespace {

class SnapshotGiving : public testing::Test {
 protected:
  SnapshotGiving()
      : primary_(kPrimary, inheritance(), {}, epoch_after({}), {}, made_),
        world_(primary_, std::move(made_)) {
    primary_.set_lease(kNever);
    world_.end_turn();
    make_durable();
    world_.forget();
  }

  void make_durable() {
    while (world_.has_said<AppendFrame>()) world_.tell(Durable{world_.said<AppendFrame>().last});
  }
  void write(rpc::Request request) { world_.tell(ClientRequest{{0, "writer"}, std::move(request)}); }
  peer::SnapshotRequest request_for(const std::string& from_key, std::uint64_t max_bytes = 1 << 20) {
    return {kShard, 9, ++requests_, from_key, max_bytes};
  }
  static std::string show(const peer::SnapshotReply& reply) {
    std::string text;
    const auto records = decode_records(reply.records);
    for (const RecordView& record : *records) {
      text += std::string(record.key) + "=" + std::string(record.value.substr(0, 10)) + " ";
    }
    return text + "| " + reply.next_key;
  }

  Effects made_;
  ShardActor primary_;
  Conversation world_;
  std::uint64_t requests_ = 0;
};

TEST_F(SnapshotGiving, WaitsUntilWhatItReadIsCommitted) {  // R1, R17
  write(put("a", "1"));
  world_.tell(request_for(""), kReplica);
  EXPECT_FALSE(world_.has_said<peer::SnapshotReply>());
  const Position last = world_.said<AppendFrame>().last;
  world_.tell(Durable{last});
  const auto reply = world_.said<peer::SnapshotReply>();
  EXPECT_EQ(world_.last_to(), kReplica);
  EXPECT_EQ(reply.outcome, peer::SnapshotOutcome::ok);
  EXPECT_EQ(reply.at, last);
  EXPECT_EQ(show(reply), "a=1 | ");
}

TEST_F(SnapshotGiving, IsOfATimeThatEndsAFrame) {  // so that the log can go on from there
  world_.deliver(ClientRequest{{0, "writer"}, put("a", "1")});
  world_.deliver(request_for(""), kReplica);
  world_.deliver(ClientRequest{{0, "writer"}, put("b", "2")});
  world_.end_turn();
  const auto frame = world_.said<AppendFrame>();
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  world_.tell(Durable{frame.last});
  const auto reply = world_.said<peer::SnapshotReply>();
  EXPECT_EQ(reply.at, frame.last);
  EXPECT_EQ(show(reply), "a=1 b=2 | ");
}

TEST_F(SnapshotGiving, ComesInChunksThatMeet) {
  for (const char* key : {"d", "a", "c", "b"}) write(put(key, std::string(500, 'x')));
  write(remove("c"));
  make_durable();
  world_.tell(request_for("", 1200), kReplica);
  EXPECT_EQ(show(world_.said<peer::SnapshotReply>()), "a=xxxxxxxxxx b=xxxxxxxxxx | d");
  world_.tell(request_for("d", 1200), kReplica);
  EXPECT_EQ(show(world_.said<peer::SnapshotReply>()), "d=xxxxxxxxxx | ");
  world_.tell(request_for("bb", 1200), kReplica);
  EXPECT_EQ(show(world_.said<peer::SnapshotReply>()), "d=xxxxxxxxxx | ");
}

TEST_F(SnapshotGiving, AValueThatIsLargerThanAChunkIsAChunk) {
  write(put("a", "1"));
  write(put("b", std::string(3 << 20, 'x')));
  write(put("c", "3"));
  make_durable();
  world_.tell(request_for(""), kReplica);
  EXPECT_EQ(show(world_.said<peer::SnapshotReply>()), "a=1 | b");
  world_.tell(request_for("b"), kReplica);
  EXPECT_EQ(show(world_.said<peer::SnapshotReply>()), "b=xxxxxxxxxx | c");
}

TEST_F(SnapshotGiving, ReadsOneChunkInATurn) {
  const auto from = [](std::uint32_t node) { return Address{NodeId{node}, Role::member, kShard}; };
  for (std::uint32_t node = 2; node < 8; ++node) world_.deliver(request_for(""), from(node));
  int refused = 0;
  while (world_.has_said<peer::SnapshotReply>()) {
    EXPECT_EQ(world_.said<peer::SnapshotReply>().outcome, peer::SnapshotOutcome::refused);
    ++refused;
  }
  EXPECT_EQ(refused, 2);  // of six at once
  for (std::uint32_t node = 2; node < 6; ++node) {
    EXPECT_LE(primary_.wake_at(), world_.now());
    world_.end_turn();
    world_.said<peer::SnapshotReply>();
    EXPECT_EQ(world_.last_to(), from(node));
    EXPECT_FALSE(world_.has_said<peer::SnapshotReply>());
  }
  EXPECT_GT(primary_.wake_at(), world_.now());
}

TEST_F(SnapshotGiving, TheSameQuestionAgainIsAnsweredOnce) {
  write(put("a", "1"));
  const auto request = request_for("");
  world_.tell(request, kReplica);
  world_.tell(request, kReplica);
  make_durable();
  world_.said<peer::SnapshotReply>();
  EXPECT_FALSE(world_.has_said<peer::SnapshotReply>());
}

TEST_F(SnapshotGiving, RefusesWhileItDoesNotServe) {
  world_.tell(LogFailed{{Errc::io_error, "the disk is gone"}});
  world_.tell(request_for(""), kReplica);
  EXPECT_EQ(world_.said<peer::SnapshotReply>().outcome, peer::SnapshotOutcome::refused);
}

TEST_F(SnapshotGiving, WhoTakesACopyIsHeardButHasNothing) {
  write(put("a", "1"));
  make_durable();
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, {Epoch{1}, Seq{2}}, Seq{2}}, kReplica);
  world_.tell(StatusQuery{1});
  EXPECT_EQ(world_.said<StatusReport>().status.replicas.at(0).durable, Seq{2});
  world_.tell(request_for(""), kReplica);
  world_.tell(StatusQuery{1});
  const auto status = world_.said<StatusReport>().status;
  EXPECT_TRUE(status.replicas.at(0).heard);
  EXPECT_EQ(status.replicas.at(0).durable, Seq{0});
}

TEST(ShardCopy, ScansMemtablesOverTheStore) {
  const auto store = std::make_shared<MemoryStore>();
  Memtable below;
  for (const char* key : {"a", "b", "c", "d", "e"}) below.set(key, {{Epoch{1}, Seq{1}}, false, "stored"});
  below.seal();
  ASSERT_TRUE(store->write(below, {Epoch{1}, Seq{1}}).has_value());
  CopyOptions options;
  options.freeze_log_bytes = 1;
  ShardCopy copy(kPrimary, store, options);
  std::uint64_t seq = 1;
  const auto apply = [&](EventType type, const char* key, const char* value) {
    copy.apply({type, key, value}, {Epoch{1}, Seq{++seq}});
  };
  apply(EventType::put, "b", "frozen");
  apply(EventType::remove, "c", "");
  apply(EventType::put, "cc", "frozen");
  apply(EventType::put, "d", "frozen");
  apply(EventType::remove, "f", "");
  Effects out;
  copy.end_turn(Seq{0}, {}, out);  // frozen, not yet written
  apply(EventType::put, "bb", "active");
  apply(EventType::put, "c", "active");
  apply(EventType::remove, "cc", "");
  apply(EventType::put, "d", "active");
  apply(EventType::remove, "e", "");
  apply(EventType::put, "z", "active");
  std::string seen;
  const auto visit = [&](const RecordView& record) {
    seen += std::string(record.key) + "=" + std::string(record.value) + " ";
    return record.key != "d";
  };
  ASSERT_TRUE(copy.scan("", visit).has_value());
  EXPECT_EQ(seen, "a=stored b=frozen bb=active c=active d=active ");
  seen.clear();
  ASSERT_TRUE(copy.scan("da", visit).has_value());
  EXPECT_EQ(seen, "z=active ");

  std::string passed;
  const auto pass = [&](std::string_view key) {
    passed += key;
    return true;
  };
  seen.clear();
  ASSERT_TRUE(copy.scan("", ShardCopy::Direction::down, visit, pass).has_value());
  EXPECT_EQ(seen, "z=active d=active ");
  seen.clear();
  ASSERT_TRUE(copy.scan("d", ShardCopy::Direction::down, visit, pass).has_value());
  EXPECT_EQ(seen, "c=active bb=active b=frozen a=stored ");
  EXPECT_EQ(passed, "fecc");
}

}  // namespace
}  // namespace dkv::test
