// ZmqWorld::call(): the way in for threads that are no actors.
#include <atomic>
#include <latch>
#include <thread>

#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

Errc error_of(const rpc::Reply& reply) {
  const auto* error = std::get_if<Error>(&reply.body);
  return error == nullptr ? Errc::ok : error->code;
}

std::string value_of(const rpc::Reply& reply) {
  const auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
  return results == nullptr || results->empty() ? "(none)" : results->front().value;
}

TEST(LocalDoor, GivesTheReplyToItsCaller) {
  TestWorld test(make_topology());
  test.spawn(kMainThread, kRouter, echo_router());
  test.start();
  const rpc::Reply reply = test.world.call(get_request(42, "delhi"), kPatience);
  EXPECT_EQ(reply.request_id, 42U);
  EXPECT_EQ(value_of(reply), "delhi");
}

TEST(LocalDoor, ServesManyThreadsAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 500;
  TestWorld test(make_topology());
  test.spawn(kMainThread, kRouter, echo_router());
  test.start();
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < kThreads; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        // Request ids are the caller's own, and the same for all of them here.
        if (value_of(test.world.call(get_request(1, key), kPatience)) == key) ++right;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, kThreads * kCalls);
}

/// A router that keeps requests until it has `count`, then answers them all, oldest first.
Script hoarding_router(std::size_t count) {
  Script script;
  script.on_message = [count, kept = std::make_shared<std::vector<ClientRequest>>()](
                          Envelope envelope, TimePoint, Effects& out) {
    auto* asked = std::get_if<ClientRequest>(&envelope.message);
    if (asked == nullptr) return;
    kept->push_back(std::move(*asked));
    if (kept->size() < count) return;
    for (const ClientRequest& one : *kept) out.send(kClient, ClientReply{one.origin, echo(one.request)});
    kept->clear();
  };
  return script;
}

TEST(LocalDoor, TellsAReaderUnavailableWhenNoReplyComesInTime) {
  TestWorld test(make_topology(), kSelf, 0ms);
  test.spawn(kMainThread, kRouter, hoarding_router(100));
  test.start();
  const rpc::Reply reply = test.world.call(get_request(9, "k"), 10ms);
  EXPECT_EQ(error_of(reply), Errc::unavailable);
  EXPECT_EQ(reply.request_id, 9U);
}

TEST(LocalDoor, TellsAWriterUnknownOutcomeWhenNoReplyComesInTime) {
  TestWorld test(make_topology(), kSelf, 0ms);
  test.spawn(kMainThread, kRouter, hoarding_router(100));
  test.start();
  EXPECT_EQ(error_of(test.world.call(put_request(9, "k", "v"), 10ms)), Errc::unknown_outcome);
}

TEST(LocalDoor, NeverTakesALateReplyForTheNext) {
  TestWorld test(make_topology());
  test.spawn(kMainThread, kRouter, hoarding_router(2));
  test.start();
  EXPECT_EQ(error_of(test.world.call(get_request(1, "first"), 10ms)), Errc::unavailable);
  // Both replies leave now, the late one before ours, with the same request id.
  EXPECT_EQ(value_of(test.world.call(get_request(1, "second"), kPatience)), "second");
  EXPECT_EQ(test.world.counters().late_replies, 1U);
}

TEST(LocalDoor, RefusesBeforeTheStartAndAfterTheStop) {
  TestWorld test(make_topology());
  test.spawn(kMainThread, kRouter, echo_router());
  EXPECT_EQ(error_of(test.world.call(put_request(1, "k", "v"), kPatience)), Errc::unavailable);
  test.start();
  EXPECT_EQ(error_of(test.world.call(get_request(1, "k"), kPatience)), Errc::ok);
  test.world.stop();
  EXPECT_EQ(error_of(test.world.call(put_request(1, "k", "v"), kPatience)), Errc::unavailable);
}

TEST(LocalDoor, AnswersThoseWhoWaitWhenTheWorldStops) {
  TestWorld test(make_topology(), kSelf, 50ms);
  auto arrived = std::make_shared<Seen<bool>>();
  Script router;
  router.on_message = [arrived](Envelope envelope, TimePoint, Effects&) {
    if (std::holds_alternative<ClientRequest>(envelope.message)) arrived->add(true);
  };
  test.spawn(kMainThread, kRouter, std::move(router));
  test.start();
  rpc::Reply read;
  rpc::Reply write;
  std::thread reader([&] { read = test.world.call(get_request(1, "k"), 10min); });
  std::thread writer([&] { write = test.world.call(put_request(2, "k", "v"), 10min); });
  EXPECT_EQ(arrived->wait_for(2).size(), 2U);
  test.world.stop();
  reader.join();
  writer.join();
  EXPECT_EQ(error_of(read), Errc::unavailable);
  EXPECT_EQ(error_of(write), Errc::unknown_outcome);
}

TEST(LocalDoor, StillGivesTheRepliesThatAreOwedWhenTheWorldStops) {
  // The router answers from a timer, after the stop was asked for.
  TestWorld test(make_topology(), kSelf, kPatience);
  auto arrived = std::make_shared<std::latch>(1);
  auto stopping = std::make_shared<std::atomic<bool>>(false);
  auto kept = std::make_shared<std::vector<ClientRequest>>();
  auto now_is = std::make_shared<TimePoint>();
  Script router;
  router.on_message = [=](Envelope envelope, TimePoint now, Effects&) {
    *now_is = now;
    auto* asked = std::get_if<ClientRequest>(&envelope.message);
    if (asked == nullptr) return;
    kept->push_back(std::move(*asked));
    arrived->count_down();
  };
  router.wake_at = [=] { return kept->empty() ? kNever : *now_is + 5ms; };
  router.on_wake = [=](TimePoint now, Effects& out) {
    *now_is = now;
    if (!*stopping) return;
    for (const ClientRequest& one : *kept) out.send(kClient, ClientReply{one.origin, echo(one.request)});
    kept->clear();
  };
  test.spawn(kMainThread, kRouter, std::move(router));
  test.start();
  rpc::Reply reply;
  std::thread caller([&] { reply = test.world.call(put_request(3, "k", "v"), 10min); });
  arrived->wait();
  std::thread later([&] { *stopping = true; });
  test.world.stop();
  later.join();
  caller.join();
  EXPECT_EQ(error_of(reply), Errc::ok);
}

}  // namespace
}  // namespace dkv::test
