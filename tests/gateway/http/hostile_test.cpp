// Clients that send too much, too little, too slowly or nonsense: one clear answer, no operation, and the
// server goes on.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/gateway/http/fixture.hpp"

namespace dkv::testing {
namespace {

using namespace std::chrono_literals;

class Hostile : public ServerTest {
 protected:
  ~Hostile() override {
    EXPECT_EQ(ask("GET", "/healthz").body, "ok\n") << "the server must have survived";
    EXPECT_EQ(backend.operations(), allowed_operations);
  }

  /// The answer to `bytes`, after which the server must close.
  Response refused(std::string_view bytes) {
    auto client = connect();
    client.send(bytes);
    auto response = client.receive();
    EXPECT_EQ(response.header("connection"), "close");
    client.end_sending();
    EXPECT_TRUE(client.closes());
    return response;
  }

  const std::string path = "/v1/kv/" + key_of_shard("delhi");
  std::size_t allowed_operations = 0;
};

TEST_F(Hostile, BadHeadsAreRefusedAndTheConnectionClosed) {
  const std::string start = "PUT " + path + " HTTP/1.1\r\nHost: a\r\n";
  const std::pair<std::string, int> cases[] = {
      {start + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411},
      {start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 411},
      {start + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 415},
      {start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
      {start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {start + "Content-Length: -5\r\n\r\nhello", 400},
      {start + "Content-Length: 5x\r\n\r\nhello", 400},
      {start + "Content-Length: 18446744073709551621\r\n\r\nhello", 413},
      {start + "Content-Length: 99999999999999999999999\r\n\r\nhello", 413},
      {start + "Content-Length : 5\r\n\r\nhello", 400},
      {start + "X: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
      {"GET /get?key=" + std::string(20'000, 'k') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12), 400},
  };
  for (const auto& [bytes, status] : cases) {
    const auto response = refused(bytes);
    EXPECT_EQ(response.status, status) << bytes.substr(0, 200);
    EXPECT_TRUE(nlohmann::json::parse(response.body).contains("error")) << response.body;
  }
}

TEST_F(Hostile, TooManyOrTooLargeHeadersAreRefused) {
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(refused(many + "\r\n").status, 431);
  std::string large = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 9; ++i) large += "A: " + std::string(8000, 'a') + "\r\n";
  EXPECT_EQ(refused(large + "\r\n").status, 431);
}

TEST_F(Hostile, EndlessHeadersAreCutAtTheBudget) {
  auto client = connect();
  client.send("GET / HTTP/1.1\r\n");
  bool taken = true;
  // Far more than any socket buffer holds: the server must have stopped listening to it.
  for (int i = 0; i < 200'000 && taken; ++i) taken = client.send("A: " + std::string(1000, 'a') + "\r\n");
  EXPECT_FALSE(taken);
}

TEST_F(Hostile, AClientThatSendsTheWholeOversizedBodyCanReadThe413) {
  const std::string body(kMaxValueBytes + 100'000, 'x');
  auto client = connect();
  ASSERT_TRUE(client.send(request("PUT", path, body)));
  const auto response = client.receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.header("connection"), "close");
  EXPECT_NE(response.body.find("too_large"), std::string::npos);
}

TEST_F(Hostile, AClientThatExpectsContinueGetsThe413WithoutSendingTheBody) {
  auto client = connect();
  client.send("PUT " + path +
              " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_EQ(client.receive().status, 413);
}

TEST_F(Hostile, AHalfHeadIsAnsweredAndCutAtTheDeadline) {
  options.head_timeout = 100ms;
  for (const auto* half : {"G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"}) {
    auto client = connect();
    client.send(half);
    EXPECT_EQ(client.receive().status, 408) << half;
    EXPECT_TRUE(client.closes()) << half;
  }
}

TEST_F(Hostile, AHeadThatTricklesInIsCutAtTheSameDeadline) {
  options.head_timeout = 100ms;
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nA: ");
  // Each byte comes well within any time-out that would begin anew with it; 16 KiB of them never end.
  std::size_t sent = 0;
  while (sent < 16'000 && client.send("a")) {
    ++sent;
    if (::testing::Test::HasFailure()) break;
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LT(sent, 16'000u);
}

TEST_F(Hostile, AHalfBodyIsCutAtItsDeadlineAndNotExecuted) {
  options.transfer_timeout = 100ms;
  auto client = connect();
  client.send("PUT " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  EXPECT_EQ(client.receive().status, 408);
  EXPECT_TRUE(client.closes());
}

TEST_F(Hostile, HalfSentRequestsHoldNoThread) {
  options.threads = 2;
  std::vector<RawClient> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(connect());
    slow.back().send(i % 2 ? "GET / HT"
                           : "PUT " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  }
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(Hostile, AClientThatDoesNotReadHoldsNoThread) {
  options.threads = 2;
  options.transfer_timeout = 300s;  // they read one after the other, on a slow machine late
  allowed_operations = 1 + 8 * 4;
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  std::vector<RawClient> deaf;
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(connect());
    for (int j = 0; j < 4; ++j) deaf.back().send(request("GET", path));
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask("GET", "/healthz").status, 200);
  for (auto& client : deaf) {
    for (int j = 0; j < 4; ++j) EXPECT_EQ(client.receive().body.size(), kMaxValueBytes);
  }
}

/// Clients that ask for a value far beyond what sockets hold, and read no more than its first bytes.
class Deaf : public Hostile {
 protected:
  Deaf() { options.max_answer_memory_bytes = kMaxValueBytes * 5 / 2; }
  ~Deaf() override { allowed_operations = backend.operations(); }

  /// Asks again where there was no room: the server may not have noted yet that another was read to its end.
  RawClient ask_without_reading(int tries = 1) {
    RawClient client(server().port(), 4096);
    client.send(request("GET", path));
    const std::string line = client.line().value_or("");
    if (line.find(" 429 ") != std::string::npos && tries > 1) return ask_without_reading(tries - 1);
    EXPECT_EQ(line, "HTTP/1.1 200 OK");
    return client;
  }
  /// Asks until the budget has room again. Gives up after 10 s.
  Response ask_until_there_is_room() {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (true) {
      auto response = ask("GET", path);
      if (response.status != 429 || std::chrono::steady_clock::now() > give_up) return response;
      std::this_thread::sleep_for(5ms);
    }
  }
};

TEST_F(Deaf, ABatchIsRefusedBeforeItIsDoneOrNotAtAll) {
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  std::optional<RawClient> first(ask_without_reading());
  auto second = ask_without_reading();
  const std::string key = path.substr(std::string("/v1/kv/").size());
  const std::string batch =
      R"({"operations": [{"op": "get", "key": ")" + key + R"("}, {"op": "increment", "key": "n"}]})";
  const auto before = backend.operations();
  const auto refused_one = ask("POST", "/v1/batch", batch);
  EXPECT_EQ(refused_one.status, 429);
  EXPECT_EQ(refused_one.header("retry-after"), "1");
  EXPECT_EQ(backend.operations(), before) << "nothing was done";
  first.reset();
  auto done = ask("POST", "/v1/batch", batch);
  for (int i = 0; done.status == 429 && i < 1000; ++i) done = ask("POST", "/v1/batch", batch);
  EXPECT_EQ(done.status, 200);
  EXPECT_GT(done.body.size(), kMaxValueBytes);
}

TEST_F(Deaf, UnreadAnswersShareABudget) {
  const auto small = "/v1/kv/" + key_of_shard("delhi", "small");
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  ask("PUT", small, "value");
  std::optional<RawClient> first(ask_without_reading());
  auto second = ask_without_reading();
  auto third = connect();
  third.send(request("GET", path));
  const auto refused_one = third.receive();
  EXPECT_EQ(refused_one.status, 429);
  EXPECT_EQ(refused_one.header("retry-after"), "1");
  EXPECT_EQ(refused_one.header("x-shard"), "delhi");
  EXPECT_EQ(refused_one.header("etag"), "");
  EXPECT_NE(refused_one.body.find("\"overloaded\""), std::string::npos);
  third.send(request("HEAD", path) + request("GET", small));
  EXPECT_EQ(third.receive(false).header("content-length"), std::to_string(kMaxValueBytes));
  EXPECT_EQ(third.receive().body, "value") << "small answers need no room";

  first.reset();
  EXPECT_EQ(ask_until_there_is_room().body.size(), kMaxValueBytes) << "who closed gave its share back";
  auto fourth = ask_without_reading(1000);
  second.receive_bytes(kMaxValueBytes);
  EXPECT_EQ(ask_until_there_is_room().body.size(), kMaxValueBytes) << "who has read gave its share back";
}

TEST_F(Deaf, AnAnswerThatNobodyTakesIsCutAfterOneWindowWhateverItsSize) {
  options.transfer_timeout = 200ms;  // at the least rate the whole value would take 256 s
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  auto first = ask_without_reading();
  auto second = ask_without_reading();
  EXPECT_EQ(ask_until_there_is_room().body.size(), kMaxValueBytes);
  // Room came because one of the two was cut; the other may still have been within its window.
  EXPECT_FALSE(first.receive_bytes(kMaxValueBytes) && second.receive_bytes(kMaxValueBytes));
}

TEST_F(Deaf, AnAnswerThatIsTakenSlowlyIsSentToItsEnd) {
  options.transfer_timeout = 1s;
  options.min_bytes_per_second = 1;
  ask("PUT", path, std::string(kMaxValueBytes, 'x'));
  auto client = ask_without_reading();
  // Longer in all than a window, but never as long without reading.
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(client.receive_bytes(kMaxValueBytes / 40));
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_TRUE(client.receive_bytes(kMaxValueBytes / 4));
}

TEST_F(Hostile, ALargeBodyThatDoesNotComeIsCutAfterOneWindowWhateverItsSize) {
  options.transfer_timeout = 200ms;
  auto client = connect();
  client.send("PUT " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n12345");
  EXPECT_EQ(client.receive().status, 408);
}

TEST_F(Hostile, ARequestCutAtAnyByteIsNotExecuted) {
  const auto whole = request("PUT", path, "value", "Content-Type: text/plain\r\n");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto client = connect();
    client.send(std::string_view(whole).substr(0, size));
    client.end_sending();
    EXPECT_EQ(client.receive_all(), "") << size;
  }
  EXPECT_EQ(backend.operations(), 0u);
  EXPECT_EQ(ask_raw(whole).status, 201);
  allowed_operations = 1;
}

TEST_F(Hostile, LargeBodiesShareABudget) {
  options.max_body_memory_bytes = 1'000'000;
  allowed_operations = 1;
  const std::string half =
      "PUT " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\nExpect: 100-continue\r\n\r\n";
  auto first = connect();
  first.send(half);
  ASSERT_TRUE(first.receives_continue());
  auto second = connect();
  second.send(half);
  const auto refused_one = second.receive();
  EXPECT_EQ(refused_one.status, 429);
  EXPECT_EQ(refused_one.header("retry-after"), "1");
  first.send(std::string(600'000, 'x'));
  EXPECT_EQ(first.receive().status, 201);
  auto third = connect();
  third.send(half);
  EXPECT_TRUE(third.receives_continue()) << "the first has given its share back";
}

}  // namespace
}  // namespace dkv::testing
