// Connections: order, keep-alive, idleness, stopping, binding.
#include "gateway/http/server.hpp"

#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <thread>

#include "tests/gateway/http/fixture.hpp"

namespace dkv::testing {
namespace {

using namespace std::chrono_literals;

class Server : public ServerTest {
 protected:
  const std::string path = "/v1/kv/" + key_of_shard("delhi");
};

TEST_F(Server, AnswersPipelinedRequestsInOrder) {
  auto client = connect();
  std::string all;
  for (int i = 0; i < 500; ++i) all += request("PUT", path, std::to_string(i)) + request("GET", path);
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(client.receive().status, i == 0 ? 201 : 200);
    EXPECT_EQ(client.receive().body, std::to_string(i));
  }
  sender.join();
}

TEST_F(Server, TakesRequestsInPiecesOfAnySize) {
  const auto both = request("PUT", path, "value") + request("GET", path);
  for (std::size_t piece : {1, 2, 7, 64}) {
    auto client = connect();
    for (std::size_t at = 0; at < both.size(); at += piece) client.send(both.substr(at, piece));
    client.receive();
    EXPECT_EQ(client.receive().body, "value") << piece;
  }
}

TEST_F(Server, AnswersAPostWithoutALengthAtOnce) {
  auto client = connect();
  client.send("POST /set?key=a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.receive().status, 400);
  client.send(request("GET", "/healthz"));
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(Server, AsksForTheBodyThatAClientHoldsBack) {
  auto client = connect();
  client.send("PUT " + path + " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  ASSERT_TRUE(client.receives_continue());
  client.send("value");
  EXPECT_EQ(client.receive().status, 201);
  client.send(request("GET", path));
  EXPECT_EQ(client.receive().body, "value");
}

TEST_F(Server, ClosesWhenTheClientWantsIt) {
  auto client = connect();
  client.send(request("GET", "/healthz", "", "Connection: close\r\n") + request("GET", "/healthz"));
  const auto everything = client.receive_all();
  EXPECT_NE(everything.find("Connection: close"), std::string::npos);
  EXPECT_EQ(everything.find("HTTP/1.1", 1), std::string::npos) << "what follows a close is not answered";
}

TEST_F(Server, LetsAClientThatWantsToCloseFinishSending) {
  auto client = connect();
  const auto last = request("GET", "/healthz", "", "Connection: close\r\n");
  // More than the sockets hold: closing before it has been read would reset the connection.
  EXPECT_TRUE(client.send(last + std::string(20'000'000, 'x')));
  EXPECT_EQ(client.receive().body, "ok\n");
  client.end_sending();
  EXPECT_TRUE(client.closes());
}

TEST_F(Server, ServesHttp10) {
  auto client = connect();
  client.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto first = client.receive();
  EXPECT_EQ(first.body, "ok\n");
  EXPECT_EQ(first.header("connection"), "keep-alive");
  client.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.receive_all().find("ok\n"), std::string::npos);
}

TEST_F(Server, AnswersAClientThatHasEndedSending) {
  auto client = connect();
  client.send(request("GET", "/healthz") + request("GET", "/healthz"));
  client.end_sending();
  EXPECT_EQ(client.receive().body, "ok\n");
  EXPECT_EQ(client.receive().body, "ok\n");
  EXPECT_TRUE(client.closes());
}

TEST_F(Server, ServesANewClientBesideHundredsOfIdleOnes) {
  options.threads = 2;
  std::vector<RawClient> idle;
  for (int i = 0; i < 400; ++i) {
    idle.push_back(connect());
    if (i % 2 == 0) continue;  // every other has been served once
    idle.back().send(request("GET", "/healthz"));
    ASSERT_EQ(idle.back().receive().status, 200);
  }
  // With a thread for each the answer would come after the idle time-out only, and the read has given up.
  EXPECT_EQ(ask("GET", "/healthz").body, "ok\n");
  for (auto& client : idle) {
    client.send(request("GET", "/healthz"));
    EXPECT_EQ(client.receive().body, "ok\n");
  }
}

TEST_F(Server, ClosesTheLongestIdleConnectionForANewOne) {
  options.max_connections = 3;
  options.linger = 1ms;
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect());
  auto fourth = connect();
  fourth.send(request("GET", "/healthz"));
  EXPECT_EQ(fourth.receive().body, "ok\n");
  EXPECT_TRUE(clients[0].closes());
  clients[1].send(request("GET", "/healthz"));
  EXPECT_EQ(clients[1].receive().body, "ok\n");
}

TEST_F(Server, ClosesAnIdleConnectionAtItsTimeout) {
  options.idle_timeout = 100ms;
  auto never_used = connect();
  auto used = connect();
  used.send(request("GET", "/healthz"));
  EXPECT_EQ(used.receive().status, 200);
  EXPECT_TRUE(used.closes());
  EXPECT_TRUE(never_used.closes());
}

TEST_F(Server, LetsManyClientsShareFewThreads) {
  options.threads = 3;
  options.linger = 5ms;
  server();
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      auto client = connect();
      const auto target = "/v1/kv/" + key_of_shard("delhi", "client" + std::to_string(i) + "-");
      for (int j = 0; j < 50; ++j) {
        client.send(request("PUT", target, std::to_string(j)) + request("GET", target));
        client.receive();
        right += client.receive().body == std::to_string(j);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 16 * 50);
}

TEST_F(Server, RefusesAPortInUseNamingTheAddress) {
  HttpServerOptions same = options;
  same.port = server().port();
  HttpServer second(same, backend);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::in_use);
  EXPECT_NE(started.error().message.find("127.0.0.1:" + std::to_string(same.port)), std::string::npos);
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(Server, RefusesAnAddressThatIsNotThisMachines) {
  for (const auto* host : {"192.0.2.1", "not an address"}) {
    auto elsewhere = options;
    elsewhere.host = host;
    HttpServer other(elsewhere, backend);
    const auto started = other.start();
    ASSERT_FALSE(started) << host;
    EXPECT_EQ(started.error().code, Errc::bad_request) << host;
  }
}

TEST_F(Server, CanBindItsPortAgainAtOnce) {
  std::uint16_t port = 0;
  {
    HttpServer first(options, backend);
    ASSERT_TRUE(first.start());
    port = first.port();
    RawClient client(port);
    client.send(request("GET", "/healthz"));
    EXPECT_EQ(client.receive().status, 200);
  }
  auto again = options;
  again.port = port;
  HttpServer second(again, backend);
  const auto started = second.start();
  EXPECT_TRUE(started) << started.error().message;
}

TEST_F(Server, StopsDespiteIdleHalfSentAndUnreadConnections) {
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  std::vector<RawClient> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(connect());
  for (int i = 0; i < 20; ++i) clients[static_cast<std::size_t>(i)].send("GET /heal");
  for (int i = 20; i < 30; ++i)
    clients[static_cast<std::size_t>(i)].send(request("GET", path));  // read by nobody
  const auto before = std::chrono::steady_clock::now();
  server().stop();
  // The time-outs of these connections are 5, 60 and more than 10 seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3s);
  EXPECT_THROW(connect(), std::runtime_error) << "it must not listen any more";
}

/// stop() has begun once nobody can connect.
void await_not_listening(std::uint16_t port) {
  try {
    while (true) RawClient{port};
  } catch (const std::runtime_error&) {
  }
}

TEST_F(Server, AnswersWhatIsInProgressBeforeItStops) {
  options.stop_grace = 60s;
  backend.hold();
  auto client = connect();
  const auto port = server().port();
  client.send(request("PUT", path, "value"));
  backend.await_held(1);
  auto stopped = std::async(std::launch::async, [&] { server().stop(); });
  await_not_listening(port);
  backend.release();
  const auto response = client.receive();
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.header("connection"), "close");
  EXPECT_TRUE(client.closes());
  stopped.get();
}

TEST_F(Server, StopsWithoutWaitingLongForABusyBackend) {
  options.stop_grace = 50ms;
  backend.hold();
  auto client = connect();
  client.send(request("PUT", path, "value"));
  backend.await_held(1);
  server().stop();  // returns although the call has not
  backend.release();
  EXPECT_EQ(client.receive().status, 201) << "an answer that comes late is still sent";
}

TEST_F(Server, CanStopTwiceAndBeforeItStarted) {
  HttpServer never_started(options, backend);
  never_started.stop();
  server().stop();
  server().stop();
}

}  // namespace
}  // namespace dkv::testing
