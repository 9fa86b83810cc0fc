// Bytes that no client of ours would send, connections that do nothing, and an end in the middle of them.
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <signal.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

class HostileNetwork : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.start_and_wait(kCity)); }

  void expect_serving() {
    for (const std::string node : {"delhi", "delhi-replica"}) {
      ASSERT_TRUE(cluster_.is_running(node)) << node;
      EXPECT_EQ(HttpClient().once(cluster_.http(node), "GET", "/readyz").status, 200) << node;
    }
    const int status = HttpClient().request(cluster_.http("delhi"), "PUT", kv_path("served"), "value").status;
    EXPECT_TRUE(status == 200 || status == 201) << status;
  }

  Cluster cluster_{city()};
};

// What each socket gets: noise, and noise behind a ZeroMQ greeting, so that it reaches the message parser.
std::vector<std::string> garbage() {
  std::mt19937 random(1);
  std::string noise(100'000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const std::string signature = std::string("\xff\0\0\0\0\0\0\0\0\x7f", 10);
  const std::string greeting = signature + std::string("\x03\0NULL", 6) + std::string(16 + 32, '\0');
  const std::string huge_frame = std::string("\x02\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
  return {noise,
          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
          signature,
          greeting + noise,
          greeting + huge_frame + noise,
          std::string(100'000, '\0'),
          std::string(100'000, '\xff')};
}

TEST_F(HostileNetwork, GarbageOnAnySocketHarmsNothing) {
  for (const std::string node : {"delhi", "delhi-replica"}) {
    for (const std::string& endpoint : {cluster_.rpc(node), cluster_.events(node), cluster_.peer(node),
                                        cluster_.watch(node), cluster_.http(node)}) {
      for (const std::string& bytes : garbage()) {
        Socket socket(endpoint, 2s);
        if (!socket.open()) {
          EXPECT_EQ(endpoint, cluster_.watch(node)) << "only the watch socket may be absent";
          continue;
        }
        socket.send(bytes);  // the node may hang up before it has taken all
      }
    }
  }
  expect_serving();
}

TEST_F(HostileNetwork, IdleConnectionsDoNotDelayANewRequest) {
  std::vector<std::unique_ptr<Socket>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<Socket>(cluster_.http("delhi"), 5s));
    ASSERT_TRUE(idle.back()->open());
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(HttpClient().once(cluster_.http("delhi"), "GET", "/healthz").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s) << "a bound far above what it takes";
}

TEST_F(HostileNetwork, ARequestThatTricklesInIsCutAndOthersAreServed) {
  std::vector<std::unique_ptr<Socket>> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(std::make_unique<Socket>(cluster_.http("delhi"), 1s));
    ASSERT_TRUE(slow.back()->open());
    slow.back()->send("GET /healthz HTTP/1.1\r\nX-Slow: ");
  }
  expect_serving();
  // One byte after the other is progress of a kind; a deadline for the whole request ends it nevertheless.
  bool cut = false;
  EXPECT_TRUE(eventually(60s, [&] {
    const bool sent = slow[0]->send("x");
    slow[0]->receive();
    cut = !sent || !slow[0]->timed_out();
    return cut;
  }));
  expect_serving();
}

TEST_F(HostileNetwork, SigtermEndsANodeWithOpenConnectionsAtOnce) {
  std::vector<std::unique_ptr<Socket>> open;
  for (int i = 0; i < 100; ++i) {
    open.push_back(std::make_unique<Socket>(cluster_.http("delhi"), 5s));
    ASSERT_TRUE(open.back()->open());
    if (i % 2 == 0)
      open.back()->send("PUT /v1/kv/half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(cluster_.stop("delhi"), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s) << "it takes about one second";
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  expect_serving();
}

}  // namespace
}  // namespace dkv::e2e
