#include "actors/shard/shard_actor.hpp"

#include "tests/actors/shard/primary_kit.hpp"

namespace dkv::test {
namespace {

/// With a log of earlier epochs.
class OldShard : public Shard {
 protected:
  static constexpr Position kHead{Epoch{4}, Seq{17}};
  OldShard() : Shard({}, {}, kHead) {}
};

TEST_F(OldShard, AnswersNothingBeforeItsEpochHasBegun) {  // R6
  ask(get("k"));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  const auto first = world_.said<AppendFrame>();
  EXPECT_EQ(first.last, (Position{Epoch{5}, Seq{18}}));
  const auto frame = decode_frame(*first.bytes);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->prev, kHead);
  ASSERT_EQ(frame->events.size(), 1U);
  EXPECT_EQ(frame->events[0].type, EventType::epoch_start);
  for (const FrameBytes& published : world_.published()) EXPECT_NE(published, first.bytes);
  world_.tell(Durable{first.last});
  ask(get("k"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST(ShardOfAnotherCluster, StopsWhenItsLogKnowsTheEpochThatItWasGiven) {  // R6
  Effects made;
  ShardActor shard(kPrimary, inheritance({Epoch{4}, Seq{17}}), {}, Epoch{4}, {}, made);
  Conversation world(shard, std::move(made));
  EXPECT_TRUE(shard.has_failed());
  ASSERT_EQ(world.logged().size(), 1U);
  world.tell(ClientRequest{{0, "caller"}, put("k", "v")});
  EXPECT_EQ(error_of(world.said<ClientReply>()), Errc::unavailable);
  EXPECT_FALSE(world.has_said<AppendFrame>());
}

TEST_F(Shard, AcknowledgesAWriteOnlyWhenItIsOnDisk) {  // R2
  serve();
  ask(put("k", "v"));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  EXPECT_TRUE(world_.published().empty());  // nor do replicas hear of it
  const auto append = world_.said<AppendFrame>();
  world_.tell(Durable{append.last});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply).code, Errc::ok);
  EXPECT_EQ(result_of(reply).version, append.last);
  ASSERT_FALSE(world_.published().empty());
  EXPECT_EQ(world_.published()[0], append.bytes);  // the same bytes
}

TEST_F(Shard, SaysWhetherAPutCreatedItsKeyWhenAsked) {
  serve();
  const auto created = [&](bool report_created) {
    rpc::Request request = put("k", "v");
    request.operations[0].report_created = report_created;
    ask(std::move(request));
    world_.tell(Durable{world_.said<AppendFrame>().last});
    return result_of(world_.said<ClientReply>()).created;
  };
  EXPECT_TRUE(created(true));
  EXPECT_FALSE(created(true));
  ask(remove("k"));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  EXPECT_FALSE(created(false));
  EXPECT_FALSE(created(true));
}

Operation conditional(OpCode code, Condition condition) {
  Operation operation{code, "k", code == OpCode::put ? "v" : ""};
  operation.condition = condition;
  return operation;
}
Operation increment(std::int64_t amount) {
  Operation operation{OpCode::increment, "n", ""};
  operation.amount = amount;
  return operation;
}
rpc::Request request_for(Operation operation) {
  rpc::Request request;
  request.operations = {operation};
  return request;
}

TEST_F(Shard, AConditionDecidesWhetherAWriteIsDone) {
  serve();
  const auto answer = [&](OpCode code, Condition condition) {
    ask(request_for(conditional(code, condition)));
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{world_.said<AppendFrame>().last});
    return result_of(world_.said<ClientReply>());
  };
  using Kind = Condition::Kind;
  const Condition exists{Kind::exists}, missing{Kind::missing};
  EXPECT_EQ(answer(OpCode::put, exists).code, Errc::condition_failed);
  EXPECT_EQ(answer(OpCode::put, exists).version, Position{});
  EXPECT_EQ(answer(OpCode::remove, exists).code, Errc::condition_failed);
  EXPECT_EQ(answer(OpCode::put, {Kind::version, {Epoch{1}, Seq{1}}}).code, Errc::condition_failed);
  const OperationResult created = answer(OpCode::put, missing);
  EXPECT_EQ(created.code, Errc::ok);
  const OperationResult refused = answer(OpCode::put, missing);
  EXPECT_EQ(refused.code, Errc::condition_failed);
  EXPECT_EQ(refused.version, created.version);
  const OperationResult replaced = answer(OpCode::put, {Kind::version, created.version});
  EXPECT_EQ(replaced.code, Errc::ok);
  EXPECT_GT(replaced.version, created.version);
  EXPECT_EQ(answer(OpCode::put, {Kind::version, created.version}).version, replaced.version);
  EXPECT_EQ(answer(OpCode::put, exists).code, Errc::ok);
  EXPECT_EQ(answer(OpCode::remove, {Kind::version, replaced.version}).code, Errc::condition_failed);
  EXPECT_EQ(answer(OpCode::remove, exists).code, Errc::ok);
  EXPECT_EQ(answer(OpCode::remove, exists).code, Errc::condition_failed);
  EXPECT_EQ(answer(OpCode::remove, missing).code, Errc::bad_request);
}

TEST_F(Shard, AFailedConditionWaitsForTheCommitOfWhatItSaw) {
  serve();
  ask(put("k", "v"));
  for (const AckMode ack : {AckMode::committed, AckMode::local}) {
    rpc::Request request = request_for(conditional(OpCode::put, {Condition::Kind::missing}));
    request.ack = ack;
    ask(std::move(request));
  }
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::condition_failed);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::condition_failed);
}

/// All of its records fail their checksums.
class DamagedStore : public MemoryStore {
 public:
  Result<std::optional<StoredRecord>> get(std::string_view, std::size_t most) override {
    if (most == SIZE_MAX) return damaged();
    return std::optional(StoredRecord{{Epoch{1}, Seq{1}}, 20'000'000, {}, 1});  // too large to be looked at
  }
  Result<std::optional<RecordHead>> head_of(std::string_view, Check check) override {
    if (check == Check::record) return damaged();
    return std::optional(RecordHead{{Epoch{1}, Seq{1}}, 1});  // over, or so it seems
  }

 private:
  static Error damaged() { return {Errc::corrupt, "wrong checksum"}; }
};
class DamagedShard : public Shard {
 protected:
  DamagedShard() : Shard({}, {}, {}, std::make_shared<DamagedStore>()) {}
  Errc code_of(rpc::Request request) {
    serve();
    ask(std::move(request));
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{appended().last});
    return result_of(world_.said<ClientReply>()).code;
  }
};

TEST_F(DamagedShard, ReplacesARecordThatItCannotRead) { EXPECT_EQ(code_of(put("k", "v")), Errc::ok); }
TEST_F(DamagedShard, RemovesARecordThatItCannotRead) { EXPECT_EQ(code_of(remove("k")), Errc::ok); }
TEST_F(DamagedShard, DecidesNoConditionByARecordThatItCannotRead) {
  Operation operation{OpCode::put, "k", "v"};
  operation.condition = {Condition::Kind::version, {Epoch{1}, Seq{1}}};
  EXPECT_EQ(code_of(request_for(operation)), Errc::corrupt);
}

/// By this clock it is 1,000 s after 1970 at first.
class Expiring : public Shard {
 protected:
  void SetUp() override { serve(); }
  rpc::Request put_for(std::string_view value, Ttl ttl, std::string_view key = "k") {
    Operation operation{OpCode::put, key, value};
    operation.ttl = ttl;
    return request_for(operation);
  }
  static Ttl limited(std::uint64_t ms) { return {Ttl::Kind::limited, ms}; }
  rpc::Request touch(Ttl ttl) {
    Operation operation{OpCode::touch, "k", ""};
    operation.ttl = ttl;
    return request_for(operation);
  }
  /// What it is told, all being durable at once.
  OperationResult told(rpc::Request request) {
    ask(std::move(request));
    if (world_.has_said<AppendFrame>()) {
      frame_ = appended();
      world_.tell(Durable{frame_.last});
    }
    return result_of(world_.said<ClientReply>());
  }
  /// So much later, and nothing is removed unasked.
  void pass_unswept(Duration time) {
    shard_.set_handing_over(true);
    world_.pass(time);
    world_.forget();
  }
  std::vector<Event> appended_events() {
    if (!world_.has_said<AppendFrame>()) return {};
    frame_ = appended();
    return decode_frame(*frame_.bytes)->events;
  }

  AppendFrame frame_;
};

TEST_F(Expiring, IsLoggedAsWhenItEndsAndThenAsARemove) {
  EXPECT_EQ(told(put_for("v", limited(30'000))).code, Errc::ok);
  EXPECT_EQ(decode_frame(*frame_.bytes)->events.at(0).expires_ms, 1'030'000U);
  world_.pass(29'999ms);
  EXPECT_TRUE(appended_events().empty());
  world_.pass(1ms);
  const auto events = appended_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].type, EventType::remove);
  EXPECT_EQ(events[0].key, "k");
  world_.tell(Durable{frame_.last});
  EXPECT_EQ(told(get("k")).code, Errc::not_found);
}

TEST_F(Expiring, TellsWhatIsLeft) {
  told(put_for("v", limited(30'000)));
  world_.pass(10s);
  EXPECT_EQ(told(get("k")).ttl_ms, 20'000U);
  told(put_for("v", {}));
  EXPECT_EQ(told(get("k")).ttl_ms, 0U);
}

TEST_F(Expiring, IsWrittenDownBeforeAnybodyIsToldSo) {
  told(put_for("v", limited(1)));
  pass_unswept(1s);
  ask(get("k"));
  EXPECT_FALSE(world_.has_said<ClientReply>()) << "another primary's clock may say otherwise";
  const auto events = appended_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].type, EventType::remove);
  world_.tell(Durable{frame_.last});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST_F(Expiring, IsMissingToAllThatLooksAtIt) {
  const auto expired = [&] {
    told(put_for("7", limited(1)));
    pass_unswept(1s);
  };
  expired();
  EXPECT_EQ(told(remove("k")).code, Errc::not_found);
  expired();
  Operation create{OpCode::put, "k", "new"};
  create.condition.kind = Condition::Kind::missing;
  EXPECT_EQ(told(request_for(create)).code, Errc::ok);
  expired();
  create.condition.kind = Condition::Kind::exists;
  EXPECT_EQ(told(request_for(create)).code, Errc::condition_failed);
  expired();
  Operation add{OpCode::increment, "k", ""};
  add.amount = 1;
  EXPECT_EQ(told(request_for(add)).value, "1");
  expired();
  EXPECT_EQ(told(touch(limited(1'000))).code, Errc::not_found);
  expired();
  EXPECT_EQ(told(put_for("v", {Ttl::Kind::keep})).code, Errc::ok);
  EXPECT_EQ(told(get("k")).ttl_ms, 0U);
}

TEST_F(Expiring, IsKeptOrReplacedAsAskedFor) {
  told(put_for("1", limited(30'000)));
  world_.pass(10s);
  told(put_for("2", {Ttl::Kind::keep}));
  EXPECT_EQ(told(get("k")).ttl_ms, 20'000U);
  Operation add{OpCode::increment, "k", ""};
  add.amount = 1;
  told(request_for(add));
  EXPECT_EQ(told(get("k")).ttl_ms, 20'000U);
  EXPECT_EQ(told(touch(limited(5'000))).code, Errc::ok);
  OperationResult touched = told(get("k"));
  EXPECT_EQ(touched.value, "3");
  EXPECT_EQ(touched.ttl_ms, 5'000U);
  told(touch({}));
  EXPECT_EQ(told(get("k")).ttl_ms, 0U);
}

TEST_F(Expiring, OfABatchIsDecidedBeforeIt) {
  told(put_for("v", limited(1)));
  pass_unswept(1s);
  rpc::Request batch = request_of({{OpCode::get, {"k", ""}}, {OpCode::put, {"k", "again"}}});
  batch.atomic = true;
  ask(batch);
  world_.tell(Durable{appended().last});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 0).code, Errc::not_found);
  EXPECT_EQ(result_of(reply, 1).code, Errc::ok);
  EXPECT_EQ(told(get("k")).value, "again");
}

TEST_F(Expiring, OfAScanIsLeftOutAndWrittenDown) {
  told(put_for("v", limited(1), "a"));
  told(put_for("v", limited(60'000), "b"));
  pass_unswept(1s);
  rpc::Request request;
  request.session = std::make_shared<const Session>();
  request.type = rpc::Type::scan;
  request.scan = std::make_shared<rpc::Scan>(rpc::Scan{kShard, "", "", false, false, 10});
  ask(request);
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{appended().last});
  const auto reply = world_.said<ClientReply>();
  const auto& page = std::get<rpc::ScanReply>(reply.reply.body);
  ASSERT_EQ(page.items.size(), 1U);
  EXPECT_EQ(reply.reply.session->of(kShard), shard_.copy().last()) << "the session has seen the removal";
  EXPECT_EQ(page.items[0].key, "b");
  EXPECT_EQ(page.items[0].ttl_ms, 59'000U);
}

TEST_F(Expiring, ATouchOfWhatIsBeingRemovedWaitsForThat) {
  told(put_for("v", {}));
  ask(remove("k"));
  ask(touch({}));
  EXPECT_FALSE(world_.has_said<ClientReply>()) << "the removal may yet be lost";
  world_.tell(Durable{appended().last});
  world_.said<ClientReply>();
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST_F(Expiring, NobodyIsWokenAgainAndAgainWhileNothingMayBeRemoved) {
  told(put_for("v", limited(1)));
  shard_.set_lease(world_.now());  // it ends
  world_.pass(1s);
  EXPECT_TRUE(appended_events().empty());
  EXPECT_GT(shard_.wake_at(), world_.now());
  shard_.set_lease(kNever);
  world_.pass(1s);
  EXPECT_EQ(appended_events().size(), 1U);
}

TEST_F(DamagedShard, RemovesNothingBecauseADamagedRecordSeemsToBeOver) {
  EXPECT_EQ(code_of(get("k")), Errc::corrupt);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Expiring, ManyAtOnceAreRemovedInSteps) {
  for (int i = 0; i < 300; ++i) told(put_for("v", limited(1'000), "k" + std::to_string(i)));
  std::size_t removed = 0;
  std::size_t most = 0;
  world_.pass(1s);
  for (int turns = 0; turns < 3; ++turns) {
    const std::size_t events = appended_events().size();
    most = std::max(most, events);
    removed += events;
    world_.pass(0s);
  }
  EXPECT_EQ(removed, 300U);
  EXPECT_LT(most, 200U);
  EXPECT_GT(shard_.wake_at(), world_.now());
}

TEST_F(Shard, IncrementsAreExecutedOneAfterTheOther) {
  serve();
  for (const std::int64_t amount : {1, 41, -50}) ask(request_for(increment(amount)));
  const auto append = appended();
  world_.tell(Durable{append.last});
  for (const char* sum : {"1", "42", "-8"}) EXPECT_EQ(result_of(world_.said<ClientReply>()).value, sum);
  const auto frame = decode_frame(*append.bytes);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->events.back().type, EventType::put) << "so that replaying it needs no number before it";
  EXPECT_EQ(frame->events.back().value, "-8");
}

TEST_F(Shard, WhatIsNoCounterStaysAsItIs) {
  serve();
  const auto sum_after = [&](const std::string& value, std::int64_t amount) {
    ask(put("n", value));
    ask(request_for(increment(amount)));
    ask(get("n"));
    world_.tell(Durable{appended().last});
    world_.said<ClientReply>();
    const OperationResult sum = result_of(world_.said<ClientReply>());
    const OperationResult after = result_of(world_.said<ClientReply>());
    EXPECT_EQ(after.value, sum.code == Errc::ok ? sum.value : value);
    return sum.code == Errc::ok ? sum.value : std::string(name_of(sum.code));
  };
  for (const char* text : {"", " 1", "1 ", "+1", "01", "-0", "0x1", "1.0", "one", "9223372036854775808",
                           "-9223372036854775809", "-"})
    EXPECT_EQ(sum_after(text, 1), "not_a_counter") << text;
  EXPECT_EQ(sum_after("9223372036854775807", 1), "not_a_counter");
  EXPECT_EQ(sum_after("-9223372036854775808", -1), "not_a_counter");
  EXPECT_EQ(sum_after("9223372036854775806", 1), "9223372036854775807");
  EXPECT_EQ(sum_after("-1", INT64_MIN + 1), "-9223372036854775808");
  EXPECT_EQ(sum_after("0", INT64_MIN), "-9223372036854775808");
}

rpc::Request batch_of(std::vector<Operation> operations) {
  rpc::Request request;
  request.atomic = true;
  request.operations = std::move(operations);
  return request;
}

TEST_F(Shard, TheOperationsOfABatchSeeEachOther) {
  serve();
  ask(put("k", "old"));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.forget();
  ask(batch_of({{OpCode::put, "n", "41"},
                increment(1),
                {OpCode::get, "n", {}},
                {OpCode::remove, "k", {}},
                {OpCode::get, "k", {}},
                conditional(OpCode::put, {Condition::Kind::missing}),
                {OpCode::get, "k", {}}}));
  ask(get("k"));
  const auto append = world_.said<AppendFrame>();
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{append.last});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 1).value, "42");
  EXPECT_EQ(result_of(reply, 2).value, "42");
  EXPECT_EQ(result_of(reply, 2).version, result_of(reply, 1).version);
  EXPECT_EQ(result_of(reply, 3).code, Errc::ok);
  EXPECT_EQ(result_of(reply, 4).code, Errc::not_found);
  EXPECT_EQ(result_of(reply, 5).version, append.last);
  EXPECT_EQ(result_of(reply, 6).value, "v");
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "v");
}

TEST_F(Shard, ABatchOfWhichOneIsNotDoneLeavesNoTrace) {
  serve();
  ask(put("k", "old"));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.forget();
  ask(batch_of({{OpCode::put, "a", "1"},
                {OpCode::remove, "missing", {}},
                {OpCode::remove, "k", {}},
                conditional(OpCode::put, {Condition::Kind::exists}),
                {OpCode::put, "b", "1"}}));
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  const auto reply = world_.said<ClientReply>();
  for (const std::size_t i : {0, 1, 2, 4}) EXPECT_EQ(result_of(reply, i).code, Errc::aborted) << i;
  EXPECT_EQ(result_of(reply, 3).code, Errc::condition_failed);
  for (const char* key : {"a", "b"}) {
    ask(get(key));
    EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
  }
  ask(get("k"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "old");
  ask(put("k", "new"));
  EXPECT_EQ(world_.said<AppendFrame>().last, (Position{Epoch{1}, Seq{3}})) << "no number was used up";
}

// What a touch writes is in no request; a frame over its limit nobody could read.
TEST_F(Shard, ABatchThatWouldWriteMoreThanAFrameHoldsIsNotDone) {
  serve();
  ask(put("{k}", std::string(std::size_t{9} << 20, 'v')));
  world_.tell(Durable{appended().last});
  world_.said<ClientReply>();
  Operation touch{OpCode::touch, "{k}", ""};
  touch.ttl = {Ttl::Kind::limited, 60'000};
  rpc::Request batch;
  batch.atomic = true;
  batch.operations = {Operation{OpCode::put, "{k}2", "v"}, touch, touch};
  ask(batch);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 0).code, Errc::aborted);
  EXPECT_EQ(result_of(reply, 2).code, Errc::too_large);
  batch.operations.pop_back();
  ask(batch);
  const auto frame = decode_frame(*appended().bytes);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->events.size(), 2U);
}

TEST_F(Shard, ABatchIsInOneFrame) {
  serve();
  const std::string half(kTargetFrameBytes * 2 / 3, 'x');
  ask(put("before", half));
  ask(batch_of({{OpCode::put, "a", half}, {OpCode::put, "b", half}, {OpCode::put, "c", half}}));
  ask(put("behind", "v"));
  EXPECT_EQ(decode_frame(*world_.said<AppendFrame>().bytes)->events.size(), 1U);
  EXPECT_EQ(decode_frame(*world_.said<AppendFrame>().bytes)->events.size(), 3U);
  EXPECT_EQ(decode_frame(*world_.said<AppendFrame>().bytes)->events.size(), 1U);
}

TEST_F(Shard, AReadOfAnUncommittedRecordWaitsForItsCommit) {
  serve();
  ask(put("k", "v"));
  ask(get("k"));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "v");
}

TEST_F(Shard, AMissWaitsForTheRemovalItSaw) {
  serve();
  ask(put("k", "v"));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  ask(remove("k"));
  ask(get("k"));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST_F(Shard, AMissOfAKeyThatNobodyTouchedDoesNotWaitForOthersWrites) {
  serve();
  ask(put("k", "v"));
  ask(get("other"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
  ask(remove("another"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST_F(Shard, AReadOfACommittedRecordDoesNotWaitForOthersWrites) {
  serve();
  ask(put("old", "v"));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  ask(put("new", "w"));
  ask(get("old"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "v");
}

TEST_F(Shard, OneTurnIsOneFrame) {
  serve();
  world_.deliver(ClientRequest{{0, "a"}, put("a", "1")});
  world_.deliver(ClientRequest{{0, "b"}, put("b", "2")});
  world_.end_turn();
  const auto append = world_.said<AppendFrame>();
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_EQ(decode_frame(*append.bytes)->events.size(), 2U);
  world_.tell(Durable{append.last});
  EXPECT_EQ(world_.said<ClientReply>().origin.connection, "a");
  EXPECT_EQ(world_.said<ClientReply>().origin.connection, "b");
}

TEST_F(Shard, ATurnOfLargeValuesIsCutIntoSeveralFrames) {
  serve();
  for (int i = 0; i < 4; ++i) {
    world_.deliver(ClientRequest{{0, "a"}, put("key-" + std::to_string(i), std::string(600 << 10, 'x'))});
  }
  world_.end_turn();
  const auto first = world_.said<AppendFrame>();
  const auto second = world_.said<AppendFrame>();
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_EQ(decode_frame(*first.bytes)->last(), decode_frame(*second.bytes)->prev);
  world_.tell(Durable{first.last});
  world_.said<ClientReply>();
  world_.said<ClientReply>();
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{second.last});
  world_.said<ClientReply>();
  world_.said<ClientReply>();
}

TEST_F(Shard, ACommittedWriteWaitsForEveryCountedReplica) {  // R1
  const Position start = begin({kReplicaNode});
  ask(get("k"));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, start, Seq{}}, kReplica);
  ask(put("k", "v"));
  const auto append = world_.said<AppendFrame>();
  world_.tell(Durable{append.last});
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(peer::ReplicaAck{kShard, Epoch{0}, append.last, Seq{}}, kReplica);  // of another epoch
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, append.last, Seq{}}, kReplica);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
}

TEST_F(Shard, AckLocalWaitsForThisDiskAlone) {
  const Position start = begin({kReplicaNode});
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, start, Seq{}}, kReplica);
  rpc::Request request = put("k", "v");
  request.ack = AckMode::local;
  ask(std::move(request));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{world_.said<AppendFrame>().last});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
  ask(get("k"));  // a read never shows what may yet be lost
  EXPECT_FALSE(world_.has_said<ClientReply>());
}

TEST_F(Shard, WhatWasPendingWhenTheDiskFailedIsOfUnknownOutcome) {
  serve();
  ask(put("k", "v"));
  ask(get("k"));
  world_.tell(LogFailed{{Errc::io_error, "the disk is on fire"}});
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unknown_outcome);
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  ask(put("k", "w"));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  ASSERT_FALSE(world_.logged().empty());
  EXPECT_NE(world_.logged()[0].find("the disk is on fire"), std::string::npos);
}

TEST_F(Shard, BadKeysChangeNothing) {
  serve();
  ask(request_of(
      {{OpCode::put, {"", "v"}}, {OpCode::put, {std::string(481, 'k'), "v"}}, {OpCode::get, {"", ""}}}));
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 0).code, Errc::bad_request);
  EXPECT_EQ(result_of(reply, 1).code, Errc::too_large);
  EXPECT_EQ(result_of(reply, 2).code, Errc::bad_request);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Shard, AnEmptyValueIsNotAMissingKey) {
  serve();
  ask(put("k", ""));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.said<ClientReply>();
  ask(get("k"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
}

TEST_F(Shard, DeletingAMissingKeyWritesNothing) {
  serve();
  ask(remove("k"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
}

TEST_F(Shard, HeartbeatsCarryTheHeadAndCommit) {
  serve();
  ask(put("k", "v"));
  const auto append = world_.said<AppendFrame>();
  world_.tell(Durable{append.last});
  world_.published().clear();
  world_.pass(100ms);
  ASSERT_EQ(world_.published().size(), 1U);
  const auto heartbeat = decode_frame(*world_.published()[0]);
  EXPECT_TRUE(heartbeat->events.empty());
  EXPECT_EQ(heartbeat->last(), append.last);
  EXPECT_EQ(heartbeat->commit, append.last.seq);
}

TEST_F(OldShard, TrimsItsLogToWhatTheStoreAndEveryCountedReplicaHave) {
  begin({kReplicaNode});
  world_.forget();
  const auto trims_to = [&] {
    world_.tell(CheckpointWritten{{Epoch{4}, Seq{16}}});
    return world_.said<TrimLog>().upto;
  };
  EXPECT_EQ(trims_to(), Seq{0});  // it has said nothing yet
  world_.tell(peer::ReplicaAck{kShard, Epoch{5}, {Epoch{4}, Seq{7}}, {}}, kReplica);
  EXPECT_EQ(trims_to(), Seq{7});
  world_.tell(peer::ReplicaAck{kShard, Epoch{5}, kHead, {}}, kReplica);
  EXPECT_EQ(trims_to(), Seq{16});
}

TEST_F(Shard, RefusesWritesWhileTheDiskIsFullAndGoesOnByItself) {
  serve();
  ask(put("k", "v"));
  const auto append = world_.said<AppendFrame>();
  world_.tell(LogBlocked{{Errc::disk_full, "cannot write to log-1: No space left on device"}});
  ask(put("k", "w"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::disk_full);
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  ask(get("other"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
  ask(get("k"));  // has seen what is not on disk yet
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(StatusQuery{1});
  const auto status = world_.said<StatusReport>().status;
  EXPECT_NE(status.problem.find("the disk is full"), std::string::npos) << status.problem;
  EXPECT_TRUE(status.ready);

  world_.tell(Durable{append.last});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).version, append.last);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "v");
  ask(put("k", "w"));
  EXPECT_TRUE(world_.has_said<AppendFrame>());
  world_.tell(StatusQuery{2});
  EXPECT_EQ(world_.said<StatusReport>().status.problem, "");
}

TEST_F(Shard, TellsItsLeaseAndWhoIsInSync) {
  const Position start = begin({kReplicaNode});
  world_.tell(TopologyChanged{one_shard({kReplicaNode})});
  const auto status = [&] {
    world_.tell(StatusQuery{1});
    return world_.said<StatusReport>().status;
  };
  EXPECT_TRUE(status().replicas[0].in_sync);
  EXPECT_TRUE(status().replicas[0].counted);
  EXPECT_TRUE(status().leased);
  EXPECT_EQ(status().lease_ms, 0U) << "nobody grants it";

  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, start, Seq{}}, kReplica);
  shard_.set_lease(world_.now() + 500ms);
  EXPECT_TRUE(status().ready);
  EXPECT_EQ(status().lease_ms, 500U);
  shard_.set_handing_over(true);
  EXPECT_FALSE(status().ready) << "it takes no requests";
  EXPECT_EQ(status().state, "handing_over");
  shard_.set_handing_over(false);
  world_.pass(600ms);
  EXPECT_FALSE(status().leased);
  EXPECT_FALSE(status().ready) << "it answers nobody";
  EXPECT_EQ(status().state, "no_lease");
}

TEST_F(OldShard, ServesPullsFromItsLog) {
  serve();
  const Position head{Epoch{5}, Seq{18}};
  world_.tell(peer::PullRequest{kShard, 11, 22, {}, 1000}, kReplica);
  world_.tell(LogRead{world_.said<ReadLog>().token, LogReach::found, head, "frames"});
  const auto answer = world_.said<peer::PullReply>();
  EXPECT_EQ(world_.last_to(), kReplica);
  EXPECT_EQ(answer.outcome, peer::PullOutcome::ok);
  EXPECT_EQ(answer.process, 11U);
  EXPECT_EQ(answer.request, 22U);
  EXPECT_EQ(answer.epoch, Epoch{5});
  EXPECT_EQ(answer.frames, "frames");
  world_.tell(peer::PullRequest{kShard, 11, 23, {Epoch{3}, Seq{19}}, 1000}, kReplica);
  const std::vector<EpochRange> epochs{{Epoch{4}, Seq{0}, Seq{17}}, {Epoch{5}, Seq{18}, Seq{18}}};
  world_.tell(LogRead{world_.said<ReadLog>().token, LogReach::unknown, head, "", epochs});
  const auto diverged = world_.said<peer::PullReply>();
  EXPECT_EQ(diverged.outcome, peer::PullOutcome::diverged);
  EXPECT_EQ(diverged.epochs, epochs);  // so that the replica finds where the histories part
  world_.tell(peer::PullRequest{kShard, 11, 24, {Epoch{1}, Seq{2}}, 1000}, kReplica);
  world_.tell(LogRead{world_.said<ReadLog>().token, LogReach::too_old, head, ""});
  EXPECT_EQ(world_.said<peer::PullReply>().outcome, peer::PullOutcome::too_old);
}

TEST_F(Shard, RefusesAPullOfWhoHasSeenANewerEpoch) {  // R4
  serve();
  world_.tell(peer::PullRequest{kShard, 1, 1, {Epoch{9}, Seq{500}}, 1000}, kReplica);
  EXPECT_EQ(world_.said<peer::PullReply>().outcome, peer::PullOutcome::refused);
  EXPECT_FALSE(world_.has_said<ReadLog>());
}

TEST_F(Shard, AQuestionThatIsRepeatedIsReadOnce) {
  serve();
  const peer::PullRequest request{kShard, 1, 7, {}, 1000};
  world_.tell(request, kReplica);
  world_.tell(request, kReplica);
  world_.said<ReadLog>();
  EXPECT_FALSE(world_.has_said<ReadLog>());
}

TEST_F(Shard, AReadErrorForAReplicaStopsNobodyElse) {
  serve();
  world_.tell(peer::PullRequest{kShard, 1, 7, {}, 1000}, kReplica);
  world_.tell(LogReadFailed{world_.said<ReadLog>().token, {Errc::corrupt, "log-1 at offset 9"}});
  EXPECT_EQ(world_.said<peer::PullReply>().outcome, peer::PullOutcome::refused);
  world_.tell(StatusQuery{1});
  EXPECT_EQ(world_.said<StatusReport>().status.problem, "log-1 at offset 9");
  ask(get("k"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

TEST_F(Shard, AnAckOfWhatWasNeverPublishedDoesNotCount) {
  begin({kReplicaNode});
  world_.tell(peer::ReplicaAck{kShard, Epoch{1}, {Epoch{1}, Seq{900}}, Seq{}}, kReplica);
  ask(get("k"));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
}

TEST_F(Shard, RefusesRequestsRatherThanOweRepliesWithoutBound) {
  serve();
  ask(put("k", std::string(1 << 20, 'x')));
  world_.tell(Durable{world_.said<AppendFrame>().last});
  world_.forget();
  for (int i = 0; i < 100; ++i) world_.deliver(ClientRequest{{0, "greedy"}, get("k")});
  world_.end_turn();
  int served = 0;
  int refused = 0;
  for (int i = 0; i < 100; ++i)
    (error_of(world_.said<ClientReply>()) == Errc::overloaded ? refused : served) += 1;
  EXPECT_EQ(served, 64);
  EXPECT_EQ(refused, 36);
  ask(get("k"));  // the turn is over, the replies have left
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
}

class SmallShard : public Shard {
 protected:
  static constexpr std::size_t kFreeze = 2000;
  SmallShard() : Shard({kFreeze, 1 << 20, 6000}, {16 << 20, 4000}) {}
};

TEST_F(SmallShard, CheckpointsOnlyWhatIsCommitted) {
  serve();
  Position last;
  std::vector<Position> appended;
  for (int i = 0; i < 8; ++i) {
    ask(put("key-" + std::to_string(i), std::string(300, 'x')));
    appended.push_back(world_.said<AppendFrame>().last);
  }
  EXPECT_FALSE(world_.has_said<WriteCheckpoint>());
  world_.tell(Durable{appended.back()});
  const auto checkpoint = world_.said<WriteCheckpoint>();
  EXPECT_LE(checkpoint.applied, appended.back());
  Position newest;
  for (auto at = checkpoint.memtable->seek(); !at.at_end(); at.next())
    newest = std::max(newest, at.record().version);
  EXPECT_EQ(newest, checkpoint.applied);
  while (world_.has_said<ClientReply>()) world_.said<ClientReply>();
  world_.tell(CheckpointWritten{checkpoint.applied});
  EXPECT_FALSE(world_.has_said<DiscardMemtable>());
  // Written, the frozen records are still read; the next checkpoint has them freed elsewhere.
  ask(get("key-0"));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, std::string(300, 'x'));
  std::optional<WriteCheckpoint> next;
  for (int i = 0; !next && i < 8; ++i) {
    ask(put("key-" + std::to_string(i), std::string(300, 'y')));
    world_.tell(Durable{world_.said<AppendFrame>().last});
    world_.said<ClientReply>();
    if (world_.has_said<WriteCheckpoint>()) next = world_.said<WriteCheckpoint>();
  }
  ASSERT_TRUE(next.has_value());
  world_.tell(CheckpointWritten{next->applied});
  EXPECT_EQ(world_.said<DiscardMemtable>().memtable, checkpoint.memtable);
}

TEST_F(SmallShard, RefusesWritesRatherThanGrow) {
  serve();
  bool overloaded = false;
  for (int i = 0; i < 40; ++i) {
    ask(put("key-" + std::to_string(i), std::string(300, 'x')));
    if (!world_.has_said<ClientReply>()) continue;
    overloaded = result_of(world_.said<ClientReply>()).code == Errc::overloaded;
  }
  EXPECT_TRUE(overloaded);
  ask(get("key-39"));  // not written; reads go on
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::not_found);
}

/// Its first checkpoint has taken a second; the next one is under way.
class CheckpointingShard : public SmallShard {
 protected:
  void SetUp() override {
    serve();
    const auto first = write_until_checkpoint();
    world_.pass(1s);
    world_.tell(CheckpointWritten{first.applied});
    under_way_ = write_until_checkpoint();
    began_ = world_.now();
    world_.forget();
  }

  WriteCheckpoint write_until_checkpoint() {
    for (int i = 0; i < 20 && !world_.has_said<WriteCheckpoint>(); ++i) write();
    return world_.said<WriteCheckpoint>();
  }

  /// Another key's record of `bytes`, up to its being durable.
  void write(std::size_t bytes = 100) {
    rpc::Request request = put("key-" + std::to_string(++writes_), std::string(bytes, 'x'));
    request.request_id = static_cast<std::uint64_t>(writes_);
    ask(std::move(request));
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{world_.said<AppendFrame>().last});
  }

  /// Writes, and waits for the answer.
  ClientReply write_and_wait() {
    write();
    for (int ms = 0; !world_.has_said<ClientReply>() && ms < 5000; ++ms) world_.pass(1ms);
    return world_.said<ClientReply>();
  }

  WriteCheckpoint under_way_;
  TimePoint began_;
  int writes_ = 0;
};

TEST_F(CheckpointingShard, SlowsItsWritersDownSoThatNoneIsRefused) {
  Duration slowest{};
  for (TimePoint before = world_.now(); before < began_ + 1500ms; before = world_.now()) {
    ASSERT_EQ(result_of(write_and_wait()).code, Errc::ok) << (world_.now() - began_) / 1ms << " ms";
    slowest = std::max(slowest, world_.now() - before);
    if (world_.now() == before) world_.pass(1ms);
  }
  EXPECT_LE(slowest, 1s);
}

TEST_F(CheckpointingShard, AnswersAWriteWhenItsShareOfTheTimeHasPassed) {
  write(1500);  // more than a quarter of the room
  world_.pass(200ms);
  EXPECT_FALSE(world_.has_said<ClientReply>());
  EXPECT_FALSE(shard_.is_idle());
  ask(get("key-" + std::to_string(writes_)));  // committed all the same
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value.size(), 1500U);
  for (int i = 0; i < 30; ++i) world_.pass(10ms);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
  EXPECT_TRUE(shard_.is_idle());
}

TEST_F(CheckpointingShard, AnswersAllInTheirOrderOnceTheCheckpointIsThrough) {
  for (int i = 0; i < 5; ++i) write();
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(CheckpointWritten{under_way_.applied});
  for (int i = 4; i >= 0; --i) {
    const auto reply = world_.said<ClientReply>();
    EXPECT_EQ(result_of(reply).code, Errc::ok);
    EXPECT_EQ(reply.reply.request_id, static_cast<std::uint64_t>(writes_ - i));
  }
  EXPECT_EQ(result_of(write_and_wait()).code, Errc::ok);
}

TEST_F(CheckpointingShard, RefusesWritersWhoDoNotWaitRatherThanGrow) {
  std::size_t taken = 0;
  for (int i = 0; i < 60; ++i) write();
  while (world_.has_said<ClientReply>()) {
    EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::overloaded);
    ++taken;
  }
  EXPECT_GT(taken, 0U);
  world_.tell(CheckpointWritten{under_way_.applied});
  for (; world_.has_said<ClientReply>(); ++taken)
    EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
  EXPECT_EQ(taken, 60U);
}

TEST_F(CheckpointingShard, KeepsALateAnswerWithoutALease) {  // R7
  write();
  shard_.set_lease(world_.now());
  world_.pass(2s);
  world_.end_turn();
  EXPECT_FALSE(world_.has_said<ClientReply>());
  EXPECT_GT(shard_.wake_at(), world_.now());  // nor is it woken over and over for it
  shard_.set_lease(kNever);
  world_.end_turn();
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);
}

TEST_F(CheckpointingShard, DoesNotKnowWhatBecomesOfALateAnswerWhenItStepsDown) {
  write();
  Effects out;
  shard_.step_down("another is primary", out);
  ASSERT_EQ(out.sends.size(), 1U);
  EXPECT_EQ(error_of(std::get<ClientReply>(out.sends[0].second)), Errc::unknown_outcome);
}

TEST_F(SmallShard, RetriesACheckpointThatFailed) {
  serve();
  for (int i = 0; i < 8; ++i) {
    ask(put("key-" + std::to_string(i), std::string(300, 'x')));
    world_.tell(Durable{world_.said<AppendFrame>().last});
  }
  const auto first = world_.said<WriteCheckpoint>();
  world_.tell(CheckpointFailed{{Errc::disk_full, "no room"}});
  EXPECT_FALSE(world_.has_said<WriteCheckpoint>());
  world_.pass(2s);
  EXPECT_EQ(world_.said<WriteCheckpoint>().applied, first.applied);
}

TEST_F(SmallShard, SaysThatTheDiskIsFullWhenThatKeepsItFromCheckpoints) {
  serve();
  Errc code = Errc::ok;
  for (int i = 0; i < 40; ++i) {
    ask(put("key-" + std::to_string(i), std::string(300, 'x')));
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{world_.said<AppendFrame>().last});
    code = result_of(world_.said<ClientReply>()).code;
    if (!world_.has_said<WriteCheckpoint>()) continue;
    world_.said<WriteCheckpoint>();
    world_.tell(CheckpointFailed{{Errc::disk_full, "no room"}});
    EXPECT_TRUE(world_.said<TrimLog>().disk_is_full);  // what the log can spare helps the store
  }
  EXPECT_EQ(code, Errc::disk_full);
  world_.pass(2s);
  world_.tell(CheckpointWritten{world_.said<WriteCheckpoint>().applied});
  ask(put("key", "value"));
  EXPECT_TRUE(world_.has_said<AppendFrame>());
}

}  // namespace
}  // namespace dkv::test
