// R19: a write that is sent again is not done again.
#include "messages/once.hpp"

#include "messages/limits.hpp"
#include "tests/actors/shard/primary_kit.hpp"

namespace dkv::test {
namespace {

constexpr Duration kKept = 60s;
constexpr std::uint64_t kClient = 7;

class Once : public Shard {
 protected:
  Once() : Shard({}, options()) { serve(); }

  static ShardOptions options() {
    ShardOptions options;
    options.keep_outcomes = kKept;
    return options;
  }
  static rpc::Request once(Operation operation, std::uint64_t number) {
    operation.number = number;
    rpc::Request request;
    request.client_id = kClient;
    request.operations = {operation};
    return request;
  }
  static Operation add(std::int64_t amount) { return {OpCode::increment, "n", "", false, {}, amount}; }

  OperationResult told(rpc::Request request) {
    ask(std::move(request));
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{appended().last});
    return result_of(world_.said<ClientReply>());
  }
  bool writes(rpc::Request request) {
    ask(std::move(request));
    const bool has_written = world_.has_said<AppendFrame>();
    if (has_written) world_.tell(Durable{appended().last});
    world_.said<ClientReply>();
    return has_written;
  }
  std::string value() {
    const OperationResult found = told(get("n"));
    return found.code == Errc::ok ? found.value : std::string(name_of(found.code));
  }
};

TEST_F(Once, AWriteThatIsSentAgainIsNotDoneAgain) {
  const OperationResult first = told(once(add(5), 1));
  EXPECT_EQ(first.value, "5");
  const OperationResult again = told(once(add(5), 1));
  EXPECT_EQ(again.code, Errc::ok);
  EXPECT_EQ(again.value, "5");
  EXPECT_EQ(again.version, first.version);
  EXPECT_EQ(value(), "5");
  EXPECT_EQ(told(once(add(5), 2)).value, "10");
  // Without a name it is another one.
  EXPECT_EQ(told(once(add(5), 0)).value, "15");
  // The first outcome, whatever has happened since.
  EXPECT_EQ(told(once(add(5), 1)).value, "5");
  EXPECT_EQ(value(), "15");
}

TEST_F(Once, ARepetitionIsAnsweredWhenTheFirstIsCommitted) {  // R1
  ask(once(add(1), 1));
  const auto append = world_.said<AppendFrame>();
  ask(once(add(1), 1));
  EXPECT_FALSE(world_.has_said<AppendFrame>());
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(Durable{append.last});
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "1");
  EXPECT_EQ(result_of(world_.said<ClientReply>()).value, "1");
}

TEST_F(Once, WhatWasNotDoneIsNotDoneLaterEither) {
  Operation create{OpCode::put, "n", "v"};
  create.condition.kind = Condition::Kind::missing;
  told(put("n", "there"));
  EXPECT_EQ(told(once(create, 1)).code, Errc::condition_failed);
  told(remove("n"));
  // A copy of the first request that was long on its way.
  EXPECT_EQ(told(once(create, 1)).code, Errc::condition_failed);
  EXPECT_EQ(value(), "not_found");
  EXPECT_EQ(told(once({OpCode::remove, "n", ""}, 2)).code, Errc::not_found);
  told(put("n", "no number"));
  EXPECT_EQ(told(once({OpCode::remove, "n", ""}, 2)).code, Errc::not_found);
  EXPECT_EQ(told(once(add(1), 3)).code, Errc::not_a_counter);
  told(put("n", "1"));
  EXPECT_EQ(told(once(add(1), 3)).code, Errc::not_a_counter);
  EXPECT_EQ(value(), "1");
}

TEST_F(Once, ARefusalIsOfThatAttemptAlone) {
  world_.tell(LogBlocked{{Errc::disk_full, "no room"}});
  EXPECT_EQ(told(once(add(1), 1)).code, Errc::disk_full);
  world_.tell(Durable{});
  EXPECT_EQ(told(once(add(1), 1)).value, "1");
  // What is kept is told though nothing can be written.
  world_.tell(LogBlocked{{Errc::disk_full, "no room"}});
  EXPECT_EQ(told(once(add(1), 1)).value, "1");
}

TEST_F(Once, TheOutcomeOfABatchIsToldThoughNothingCanBeWritten) {
  rpc::Request batch = request_of({{OpCode::put, {"a", "1"}}});
  batch.atomic = true;
  batch.client_id = kClient;
  batch.number = 4;
  const Errc first = told(batch).code;
  world_.tell(LogBlocked{{Errc::disk_full, "no room"}});
  EXPECT_EQ(first, Errc::ok);
  EXPECT_EQ(told(batch).code, Errc::ok);
  batch.number = 5;
  ask(batch);
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::disk_full);
}

TEST_F(Once, AnotherWriteByTheSameNameIsRefused) {
  told(once(add(1), 1));
  EXPECT_EQ(told(once(add(2), 1)).code, Errc::reused);
  EXPECT_EQ(told(once({OpCode::put, "n", "9"}, 1)).code, Errc::reused);
  EXPECT_EQ(value(), "1");
  rpc::Request other = once(add(2), 1);
  other.client_id = kClient + 1;
  EXPECT_EQ(told(std::move(other)).value, "3");
}

TEST_F(Once, TheOutcomeIsInTheFrameOfWhatWasDone) {
  ask(once(add(1), 1));
  const auto frame = decode_frame(*world_.said<AppendFrame>().bytes);
  ASSERT_TRUE(frame.has_value());
  ASSERT_EQ(frame->events.size(), 2U);
  EXPECT_EQ(frame->events[0].key, "n");
  EXPECT_TRUE(is_reserved(frame->events[1].key));
  EXPECT_NE(frame->events[1].expires_ms, 0U);
}

TEST_F(Once, IsForgottenAfterItsTimeAndLeavesNothing) {
  told(once(add(1), 1));
  world_.pass(kKept - 1s);
  EXPECT_EQ(told(once(add(1), 1)).value, "1");
  EXPECT_EQ(value(), "1");
  world_.pass(2s);  // swept
  world_.tell(Durable{appended().last});
  std::size_t records = 0;
  ASSERT_TRUE(shard_.copy().scan({}, [&](const RecordView&) { return ++records < 9; }).has_value());
  EXPECT_EQ(records, 1U);
  EXPECT_EQ(told(once(add(1), 1)).value, "2");
}

TEST_F(Once, ABatchHasOneOutcome) {
  const auto batch = [](std::string last) {
    rpc::Request request = request_of({{OpCode::put, {"a", "1"}}, {OpCode::put, {"n", std::move(last)}}});
    request.atomic = true;
    request.client_id = kClient;
    request.number = 4;
    return request;
  };
  EXPECT_TRUE(writes(batch("2")));
  told(put("n", "3"));
  EXPECT_FALSE(writes(batch("2")));
  EXPECT_EQ(value(), "3");
  EXPECT_EQ(told(batch("4")).code, Errc::reused);
}

TEST_F(Once, ABatchThatWasNotDoneStaysSo) {
  rpc::Request request = request_of({{OpCode::put, {"a", "1"}}, {OpCode::put, {"n", "2"}}});
  request.atomic = true;
  request.client_id = kClient;
  request.number = 4;
  request.operations[1].condition.kind = Condition::Kind::exists;
  const auto ask_again = [&] {
    ask(request);
    if (world_.has_said<AppendFrame>()) world_.tell(Durable{appended().last});
    return world_.said<ClientReply>();
  };
  for (int round = 0; round < 2; ++round) {
    const auto reply = ask_again();
    EXPECT_EQ(result_of(reply, 0).code, Errc::aborted);
    EXPECT_EQ(result_of(reply, 1).code, Errc::condition_failed);
    told(put("n", "there"));
  }
  EXPECT_EQ(told(get("a")).code, Errc::not_found);
}

TEST_F(Once, WhoAsksAgainMayWantToBeToldMore) {
  Operation put{OpCode::put, "k", "v"};
  EXPECT_FALSE(told(once(put, 1)).created);
  put.report_created = true;
  EXPECT_TRUE(told(once(put, 1)).created);
  put.report_created = false;
  EXPECT_FALSE(told(once(put, 1)).created);
}

TEST_F(Once, OperationsOfARequestHaveNumbersOfTheirOwn) {
  rpc::Request request = request_of({{OpCode::put, {"a", "1"}}, {OpCode::put, {"b", "2"}}});
  request.client_id = kClient;
  request.operations[0].number = 10;
  request.operations[1].number = 11;
  told(std::move(request));
  told(put("a", "9"));
  told(put("b", "9"));
  told(once({OpCode::put, "b", "2"}, 11));
  EXPECT_EQ(told(get("b")).value, "9");
  EXPECT_EQ(told(get("a")).value, "9");
}

TEST_F(Once, NoScanMeetsIt) {
  told(put("\xff\xff\xff", "behind them"));
  for (std::uint64_t number = 1; number < 50; ++number) told(once(add(1), number));
  const auto keys = [&](bool down) {
    std::vector<std::string> all;
    rpc::Scan scan{kShard, "", "", down, true, 1'000};
    for (int pages = 0; pages < 9; ++pages) {
      rpc::Request request;
      request.type = rpc::Type::scan;
      request.scan = std::make_shared<rpc::Scan>(scan);
      ask(std::move(request));
      const auto reply = world_.said<ClientReply>();
      const auto& page = std::get<rpc::ScanReply>(reply.reply.body);
      for (const rpc::ScanItem& item : page.items) all.push_back(item.key);
      if (page.ended) return all;
      scan.from = page.next;
    }
    ADD_FAILURE() << "the scan does not end";
    return all;
  };
  EXPECT_EQ(keys(false), (std::vector<std::string>{"n", "\xff\xff\xff"}));
  EXPECT_EQ(keys(true), (std::vector<std::string>{"\xff\xff\xff", "n"}));
}

TEST_F(Once, AWriterIsNotToldThatNothingWasDoneWhenItIsNotKnown) {
  told(put("n", "there"));
  Operation create{OpCode::put, "n", "v"};
  create.condition.kind = Condition::Kind::missing;
  ask(once(create, 1));
  Effects said;
  shard_.step_down("another is primary", said);
  ASSERT_EQ(said.sends.size(), 1U);
  EXPECT_EQ(error_of(std::get<ClientReply>(said.sends[0].second)), Errc::unknown_outcome);
}

}  // namespace
}  // namespace dkv::test
