// The turn, the threads, starting and stopping.
#include "actors/runtime/zmq_world.hpp"

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include "actors/runtime/zmq/shared.hpp"
#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

const Address kMember = member_of(kSelf);
const Address kLog = log_of(kSelf);

Durable numbered(std::uint64_t number) { return Durable{Position{Epoch{1}, Seq{number}}}; }
std::uint64_t number_of(const Envelope& envelope) {
  return std::get<Durable>(envelope.message).last.seq.value;
}

TEST(ZmqWorld, GivesTheTopologyToTheRouterBeforeAllElse) {
  TestWorld test(make_topology());
  auto seen = std::make_shared<Seen<std::string>>();
  Script script;
  script.on_start = [](TimePoint, Effects& out) {
    out.send(kMember, StatusQuery{1});
    out.send(kRouter, StatusQuery{1});
  };
  script.on_message = [seen](Envelope envelope, TimePoint, Effects&) {
    seen->add(name_of(envelope.message));
  };
  test.spawn(kMainThread, kRouter, script);
  test.spawn(kMainThread, kMember, script);
  test.spawn("log", kLog, script);
  test.start();
  const auto names = seen->wait_for(7);
  ASSERT_EQ(names.size(), 7U);
  EXPECT_EQ(std::count(names.begin(), names.end(), "TopologyChanged"), 1);
  EXPECT_EQ(names[0], "TopologyChanged");
}

TEST(ZmqWorld, KeepsTheOrderBetweenTwoActorsOfDifferentThreads) {
  constexpr std::uint64_t kCount = 20'000;
  TestWorld test(make_topology());
  auto wrong = std::make_shared<std::atomic<std::uint64_t>>(0);
  auto done = std::make_shared<Seen<bool>>();
  Script member;
  member.on_start = [](TimePoint, Effects& out) {
    for (std::uint64_t i = 1; i <= kCount; ++i) out.send(kLog, numbered(i));
  };
  member.on_message = [wrong, done, expected = std::uint64_t{1}](Envelope envelope, TimePoint,
                                                                 Effects&) mutable {
    if (!std::holds_alternative<Durable>(envelope.message)) return;
    if (number_of(envelope) != expected++ || envelope.from != kLog) ++*wrong;
    if (number_of(envelope) == kCount) done->add(true);
  };
  Script log;
  log.on_message = [](Envelope envelope, TimePoint, Effects& out) {
    out.send(kMember, numbered(number_of(envelope)));
  };
  test.spawn(kMainThread, kMember, std::move(member));
  test.spawn("log", kLog, std::move(log));
  test.start();
  EXPECT_EQ(done->wait_for(1).size(), 1U);
  EXPECT_EQ(*wrong, 0U);
}

TEST(ZmqWorld, GivesWhatGathersWhileAnActorBlocksAsOneBatch) {
  // The log blocks at the end of its first turn until 100 more messages are on their way to it.
  TestWorld test(make_topology());
  auto all_sent = std::make_shared<std::latch>(1);
  auto batches = std::make_shared<Seen<int>>();
  Script member;
  member.on_start = [](TimePoint, Effects& out) { out.send(kLog, numbered(1)); };
  member.on_message = [](Envelope envelope, TimePoint, Effects& out) {
    if (!std::holds_alternative<Durable>(envelope.message)) return;
    for (std::uint64_t i = 0; i < 100; ++i) out.send(kLog, numbered(i));
    out.send(kRouter, numbered(0));
  };
  Script router;  // handles its message after the member's have been posted
  router.on_message = [all_sent](Envelope envelope, TimePoint, Effects&) {
    if (std::holds_alternative<Durable>(envelope.message)) all_sent->count_down();
  };
  Script log;
  auto count = std::make_shared<int>(0);
  log.on_message = [count](Envelope, TimePoint, Effects& out) {
    if (++*count == 1) out.send(kMember, numbered(0));
  };
  log.on_turn_end = [count, batches, all_sent](TimePoint, Effects&) {
    if (*count == 0) return;
    batches->add(*count);
    if (*count == 1) all_sent->wait();
  };
  test.spawn(kMainThread, kMember, std::move(member));
  test.spawn(kMainThread, kRouter, std::move(router));
  test.spawn("log", kLog, std::move(log));
  test.start();
  const auto totals = batches->wait_for(2);
  ASSERT_GE(totals.size(), 2U);
  EXPECT_EQ(totals[0], 1);
  EXPECT_EQ(totals[1], 101);
}

TEST(ZmqWorld, ReadsTheTimeAnewForTheEndOfATurn) {
  TestWorld test(make_topology());
  auto handled = std::make_shared<Seen<std::pair<TimePoint, TimePoint>>>();
  Script script;
  auto message_ended = std::make_shared<TimePoint>();
  script.on_message = [message_ended](Envelope, TimePoint now, Effects&) {
    while (runtime::boot_now() < now + 5ms) std::this_thread::yield();
    *message_ended = now + 5ms;
  };
  script.on_turn_end = [handled, message_ended](TimePoint now, Effects&) {
    handled->add({*message_ended, now});
  };
  test.spawn(kMainThread, kRouter, std::move(script));
  test.start();
  const auto times = handled->wait_for(1);
  ASSERT_EQ(times.size(), 1U);
  EXPECT_GE(times[0].second, times[0].first);
}

TEST(ZmqWorld, HandlesWhatATurnsEndSendsWithoutWaitingForAnotherMessage) {
  TestWorld test(make_topology());
  auto seen = std::make_shared<Seen<std::uint64_t>>();
  Script member;
  member.on_turn_end = [sent = false](TimePoint, Effects& out) mutable {
    if (!std::exchange(sent, true)) out.send(kRouter, numbered(5));
  };
  Script router;
  router.on_message = [seen](Envelope envelope, TimePoint, Effects&) {
    if (std::holds_alternative<Durable>(envelope.message)) seen->add(number_of(envelope));
  };
  test.spawn(kMainThread, kMember, std::move(member));
  test.spawn(kMainThread, kRouter, std::move(router));
  test.start();
  EXPECT_EQ(seen->wait_for(1), std::vector<std::uint64_t>{5});
}

TEST(ZmqWorld, EndsATurnOnceForAllItsMessages) {
  TestWorld test(make_topology());
  auto log = std::make_shared<Seen<std::string>>();
  Script member;
  member.on_start = [](TimePoint, Effects& out) {
    for (std::uint64_t i = 0; i < 3; ++i) out.send(kMember, numbered(i));
  };
  member.on_message = [log](Envelope envelope, TimePoint, Effects&) { log->add(name_of(envelope.message)); };
  member.on_turn_end = [log](TimePoint, Effects&) { log->add("end"); };
  test.spawn(kMainThread, kMember, std::move(member));
  test.start();
  const std::vector<std::string> expected = {"end", "Durable", "Durable", "Durable", "end"};
  EXPECT_EQ(log->wait_for(expected.size()), expected);
}

TEST(ZmqWorld, WakesAnActorNotBeforeItsTime) {
  TestWorld test(make_topology());
  auto wakes = std::make_shared<Seen<std::pair<TimePoint, TimePoint>>>();
  auto next = std::make_shared<TimePoint>(kNever);
  Script script;
  script.on_start = [next](TimePoint now, Effects&) { *next = now + 10ms; };
  script.wake_at = [next] { return *next; };
  script.on_wake = [next, wakes](TimePoint now, Effects&) {
    wakes->add({*next, now});
    *next = wakes->now().size() < 3 ? now + 10ms : kNever;
  };
  test.spawn("own", kLog, std::move(script));
  test.start();
  const auto seen = wakes->wait_for(3);
  ASSERT_EQ(seen.size(), 3U);
  for (const auto& [wanted, got] : seen) EXPECT_GE(got, wanted);
}

TEST(ZmqWorld, WakesAnActorWhileOthersKeepItsThreadBusy) {
  // Two actors that never stop writing to each other: no poll of this thread ever times out.
  TestWorld test(make_topology());
  auto woken = std::make_shared<Seen<bool>>();
  Script busy;
  busy.on_message = [](Envelope envelope, TimePoint, Effects& out) {
    out.send(envelope.to == kMember ? kRouter : kMember, numbered(0));
  };
  auto next = std::make_shared<TimePoint>(kNever);
  Script sleeper;
  sleeper.on_start = [next](TimePoint now, Effects&) { *next = now + 20ms; };
  sleeper.wake_at = [next] { return *next; };
  sleeper.on_wake = [next, woken](TimePoint, Effects&) {
    *next = kNever;
    woken->add(true);
  };
  test.spawn(kMainThread, kMember, busy);
  test.spawn(kMainThread, kRouter, busy);
  test.spawn(kMainThread, {kSelf, Role::checkpoint, kShard}, std::move(sleeper));
  test.start();
  EXPECT_EQ(woken->wait_for(1).size(), 1U);
}

TEST(ZmqWorld, DestroysEachActorOnItsOwnThread) {
  auto wrong = std::make_shared<std::atomic<int>>(0);
  auto ended = std::make_shared<std::atomic<int>>(0);
  const auto script = [&] {
    Script one;
    auto home = std::make_shared<std::thread::id>();
    one.on_start = [home](TimePoint, Effects&) { *home = std::this_thread::get_id(); };
    one.on_end = [home, wrong, ended] {
      if (*home != std::this_thread::get_id()) ++*wrong;
      ++*ended;
    };
    return one;
  };
  {
    TestWorld test(make_topology());
    test.spawn(kMainThread, kRouter, script());
    test.spawn(kMainThread, kMember, script());
    test.spawn("log", kLog, script());
    test.start();
  }
  EXPECT_EQ(*ended, 3);
  EXPECT_EQ(*wrong, 0);
}

TEST(ZmqWorld, StopsWithMessagesUnderWayAndLeaksNone) {
  // Leaks are AddressSanitizer's to find: both threads flood each other when the world stops.
  TestWorld test(make_topology());
  auto started = std::make_shared<Seen<bool>>();
  Script router;
  router.on_message = [started, first = true](Envelope envelope, TimePoint, Effects& out) mutable {
    const bool from_log = std::holds_alternative<Durable>(envelope.message);
    if (from_log && std::exchange(first, false)) started->add(true);
    for (std::uint64_t i = 0; i < (from_log ? 1U : 1'000U); ++i) out.send(kLog, numbered(i));
  };
  Script log;
  log.on_message = [](Envelope, TimePoint, Effects& out) { out.send(kRouter, numbered(0)); };
  test.spawn(kMainThread, kRouter, std::move(router));
  test.spawn("log", kLog, std::move(log));
  test.start();
  EXPECT_EQ(started->wait_for(1).size(), 1U);
  test.world.stop();
  test.world.stop();  // again changes nothing
}

TEST(ZmqWorld, NamesTheAddressThatIsInUse) {
  const auto topology = make_topology();
  TestWorld first(topology);
  first.start();
  TestWorld second(topology);
  const auto started = second.world.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::in_use);
  EXPECT_NE(started.error().message.find(first.node().rpc), std::string::npos) << started.error().message;
}

TEST(ZmqWorld, NamesAnAddressThatIsNotOfThisMachine) {
  auto topology = std::make_shared<Topology>(*make_topology());
  topology->nodes[0].events = "192.0.2.1:7002";  // reserved for documentation: nobody has it
  TestWorld test(topology);
  const auto started = test.world.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_request);
  EXPECT_NE(started.error().message.find("192.0.2.1:7002 (events)"), std::string::npos);
}

TEST(ZmqWorld, CountsWhatNobodyTakes) {
  TestWorld test(make_topology());
  Script script;
  script.on_start = [](TimePoint, Effects& out) { out.send(member_of(kSelf, ShardId{99}), StatusQuery{}); };
  test.spawn("log", kLog, std::move(script));
  test.start();
  EXPECT_TRUE(eventually([&] { return test.world.counters().undeliverable == 1; }));
  EXPECT_TRUE(eventually([&] { return test.logged("StatusQuery for node 1 member of shard 99"); }));
}

TEST(ZmqWorldDeathTest, EndsTheProcessWhenAnActorThrows) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    TestWorld test(make_topology());
    Script script;
    script.on_message = [](Envelope, TimePoint, Effects&) { throw std::runtime_error("a defect"); };
    test.spawn(kMainThread, kRouter, std::move(script));
    test.start();
  };
  EXPECT_DEATH(run(), "node 1 router threw: a defect");
}

}  // namespace
}  // namespace dkv::test
