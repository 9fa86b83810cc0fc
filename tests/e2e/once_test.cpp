// Writes that have a name are done once, and sessions see what they wrote, on real nodes that are killed
// meanwhile.
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "gateway/client/client.hpp"
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

constexpr int kPrimariesKilled = 4;

class Once : public City {
 protected:
  void SetUp() override { start(kCity); }

  /// Asks again for as long as the answer is none.
  HttpResponse increment(const std::string& name) {
    HttpResponse response;
    eventually(60s, [&] {
      response = HttpClient(5s).request(cluster_.http(door_), "POST", kv_path("n") + "/incr", "",
                                        {{"Idempotency-Key", name}});
      return response.status == 200;
    });
    return response;
  }
};

TEST_F(Once, EveryIncrementIsCountedOnceWhilePrimariesAreKilled) {
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> counted = 0;
  std::string complaint;
  const std::vector<std::string> seeds = {cluster_.rpc("delhi"), cluster_.rpc("delhi-replica"),
                                          cluster_.rpc("witness")};
  std::thread caller([&] {
    Client client({.seeds = seeds, .deadline = 60s, .exactly_once = true});
    while (!stop && complaint.empty()) {
      const auto sum = client.increment("n");
      if (!sum) {
        complaint = sum.error().message;
      } else if (sum->number != ++counted) {
        complaint = "increment " + std::to_string(counted) + " came to " + std::to_string(sum->number);
      }
    }
  });
  for (int i = 0; i < kPrimariesKilled; ++i) {
    const std::int64_t before = counted;
    EXPECT_TRUE(eventually(30s, [&] { return counted > before + 50; }));
    const std::string dead = primary();
    cluster_.kill(dead);
    const std::int64_t at_death = counted;
    EXPECT_TRUE(eventually(30s, [&] { return counted > at_death + 1; }));
    cluster_.start({dead});
    EXPECT_TRUE(becomes_in_sync());
  }
  stop = true;
  caller.join();
  EXPECT_EQ(complaint, "");
  EXPECT_EQ(get("n").body, std::to_string(counted));
}

TEST_F(Once, TheFirstOutcomeIsTheAnswerAfterAFailoverAndARestartOfAll) {
  const HttpResponse first = increment("order-17");
  EXPECT_EQ(first.body, "1");
  EXPECT_EQ(increment("order-18").body, "2");
  const auto expect_first = [&] {
    const HttpResponse again = increment("order-17");
    EXPECT_EQ(again.body, "1");
    EXPECT_EQ(again.headers.at("etag"), first.headers.at("etag"));
    EXPECT_EQ(get("n").body, "2");
  };
  expect_first();
  const std::string dead = primary();
  cluster_.kill(dead);
  expect_first();
  cluster_.start({dead});
  EXPECT_TRUE(becomes_in_sync());
  for (const std::string& node : kCity) cluster_.kill(node);
  ASSERT_TRUE(cluster_.start_and_wait(kCity));
  expect_first();
}

TEST_F(Once, ASessionSeesAtTheReplicaWhatItWrote) {
  HttpClient client(10s);
  std::string session = "new";
  const auto ask = [&](const std::string& node, const std::string& method, const std::string& target,
                       const std::string& body = "") {
    HttpResponse response = client.once(cluster_.http(node), method, target, body, {{"X-Session", session}});
    if (response.headers.contains("x-session")) session = response.headers.at("x-session");
    return response;
  };
  const std::string lead = primary();
  const std::string follower = replica();
  int at_the_replica = 0;
  for (int i = 0; i < 100; ++i) {
    const int status = ask(lead, "PUT", kv_path("s"), std::to_string(i)).status;
    ASSERT_TRUE(status == 200 || status == 201) << status;
    HttpResponse read = ask(follower, "GET", kv_path("s") + "?read=replica");
    // What a replica does not come to in time it leaves to the primary.
    at_the_replica += read.status == 200;
    if (read.status == 307) read = ask(lead, "GET", kv_path("s") + "?read=replica");
    ASSERT_EQ(read.body, std::to_string(i)) << session;
  }
  EXPECT_GT(at_the_replica, 50);
  // Nobody has come there yet.
  session = "1;1:999999999999-1";
  const HttpResponse ahead = ask(follower, "GET", kv_path("s") + "?read=replica");
  EXPECT_EQ(ahead.status, 307);
  EXPECT_EQ(split_url(ahead.headers.at("location")).first, cluster_.http(lead));
}

}  // namespace
}  // namespace dkv::e2e
