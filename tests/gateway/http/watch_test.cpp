// Watches as server-sent events.
#include "gateway/http/watch.hpp"

#include <thread>

#include "tests/gateway/http/fixture.hpp"

namespace dkv::testing {
namespace {

using namespace std::chrono_literals;

constexpr ShardId kDelhi{1};
constexpr ShardId kMumbai{2};

Position at(std::uint64_t epoch, std::uint64_t seq) { return {Epoch{epoch}, Seq{seq}}; }

class WatchTest : public ServerTest {
 protected:
  /// Asks, and takes the head of the answer.
  RawClient watch(const std::string& query, const std::string& headers = "", int receive_buffer = 0) {
    RawClient client(server().port(), receive_buffer);
    client.send(request("GET", "/v1/watch" + query, "", headers));
    EXPECT_EQ(client.line(), "HTTP/1.1 200 OK");
    EXPECT_EQ(client.line(), "Content-Type: text/event-stream");
    while (const auto line = client.line()) {
      if (line->empty()) break;
    }
    return client;
  }
  OpenWatch opened() {
    const auto command = backend.next_command();
    EXPECT_TRUE(std::holds_alternative<OpenWatch>(command));
    return std::get<OpenWatch>(command);
  }
  void say_opened(std::uint64_t watch, ShardPositions positions) {
    WatchNews news;
    news.watch = watch;
    news.kind = WatchNews::Kind::opened;
    news.positions = std::move(positions);
    server().tell(news);
  }
  void tell(std::uint64_t watch, ShardId shard, std::vector<WatchedEvent> events, std::uint64_t bytes = 100) {
    WatchNews news;
    news.watch = watch;
    news.shard = shard;
    news.upto = events.back().position;
    news.bytes = bytes;
    news.events = std::move(events);
    news.owner = std::make_shared<const std::string>("the events' bytes");
    server().tell(news);
  }
  static std::vector<std::string> lines(RawClient& client, std::size_t count) {
    std::vector<std::string> lines;
    while (lines.size() < count) {
      auto line = client.line("\n");
      if (!line) break;
      if (!line->empty()) lines.push_back(std::move(*line));
    }
    return lines;
  }
  using Lines = std::vector<std::string>;
};

TEST_F(WatchTest, EventsComeAsTheyHappenEachWithItsPlace) {
  auto client = watch("?prefix=user%2F");
  const OpenWatch asked = opened();
  EXPECT_EQ(asked.prefix, "user/");
  EXPECT_TRUE(asked.from.empty());
  say_opened(asked.watch, {{kDelhi, at(7, 10)}, {kMumbai, at(5, 33)}});
  EXPECT_EQ(lines(client, 3), (Lines{"event: open", "data: {}", "id: 1:7-10,2:5-33"}));
  tell(asked.watch, kDelhi,
       {{at(7, 12), EventType::put, "user/1", "A\nda"}, {at(7, 13), EventType::remove, "user/1", ""}});
  EXPECT_EQ(
      lines(client, 6),
      (Lines{"event: put", R"(data: {"key":"user/1","value":"A\nda","etag":"\"7-12\""})", "id: 1:7-12,2:5-33",
             "event: delete", R"(data: {"key":"user/1","etag":"\"7-13\""})", "id: 1:7-13,2:5-33"}));
  tell(asked.watch, kMumbai, {{at(5, 40), EventType::put, "user/\xff", "\xfe"}});
  EXPECT_EQ(lines(client, 3),
            (Lines{"event: put", R"(data: {"key_b64":"dXNlci//","value_b64":"/g==","etag":"\"5-40\""})",
                   "id: 1:7-13,2:5-40"}));
}

TEST_F(WatchTest, GoesOnAfterTheLastEventsId) {
  auto client = watch("?prefix=a&after=1:1-1&keys_only", "Last-Event-ID: 2:5-33,1:7-10\r\n");
  const OpenWatch asked = opened();
  EXPECT_EQ(asked.from, (ShardPositions{{kDelhi, at(7, 10)}, {kMumbai, at(5, 33)}}));
  say_opened(asked.watch, asked.from);
  tell(asked.watch, kDelhi, {{at(7, 11), EventType::put, "a", "value"}});
  EXPECT_EQ(lines(client, 6), (Lines{"event: open", "data: {}", "id: 1:7-10,2:5-33", "event: put",
                                     R"(data: {"key":"a","etag":"\"7-11\""})", "id: 1:7-11,2:5-33"}));
  auto other = watch("?after=1:7-10");
  EXPECT_EQ(opened().from, (ShardPositions{{kDelhi, at(7, 10)}}));
}

TEST_F(WatchTest, AnEventHasNoPlaceBeforeTheWatchHasBegunEverywhere) {
  auto client = watch("");
  const OpenWatch asked = opened();
  tell(asked.watch, kDelhi, {{at(7, 11), EventType::put, "a", "1"}});
  say_opened(asked.watch, {{kDelhi, at(7, 11)}, {kMumbai, at(5, 33)}});
  EXPECT_EQ(lines(client, 3),
            (Lines{"event: put", R"(data: {"key":"a","value":"1","etag":"\"7-11\""})", "event: open"}));
}

TEST_F(WatchTest, AGapIsAnEvent) {
  auto client = watch("?after=1:7-10");
  const OpenWatch asked = opened();
  say_opened(asked.watch, asked.from);
  WatchNews gap;
  gap.watch = asked.watch;
  gap.kind = WatchNews::Kind::too_old;
  gap.shard = kDelhi;
  gap.shard_name = "delhi";
  gap.upto = at(9, 99);
  server().tell(gap);
  const auto told = lines(client, 6);
  EXPECT_EQ(told[3], "event: gap");
  EXPECT_TRUE(told[4].starts_with(R"(data: {"shard":"delhi","reason":"too_old","message":")")) << told[4];
  EXPECT_EQ(told[5], "id: 1:9-99");
}

TEST_F(WatchTest, WhoIsToldNothingIsToldItsPlace) {
  auto client = watch("");
  const OpenWatch asked = opened();
  say_opened(asked.watch, {{kDelhi, at(7, 10)}});
  WatchNews progress;
  progress.watch = asked.watch;
  progress.kind = WatchNews::Kind::progress;
  progress.positions = {{kDelhi, at(7, 99)}};
  server().tell(progress);
  EXPECT_EQ(lines(client, 5), (Lines{"event: open", "data: {}", "id: 1:7-10", ":", "id: 1:7-99"}));
}

TEST_F(WatchTest, WhatIsNoPlaceIsRefused) {
  for (const char* bad :
       {"1", "1:", "1:2", "1:2-", "x:1-1", "1:1-1,1:1-2", "1:1-1;2:1-1", "4294967296:1-1", ","}) {
    EXPECT_EQ(ask("GET", "/v1/watch", "", std::string("Last-Event-ID: ") + bad + "\r\n").status, 400) << bad;
  }
  EXPECT_EQ(ask("GET", "/v1/watch?after=1").status, 400);
  EXPECT_EQ(ask("GET", "/v1/watch?nonsense=1").status, 400);
  EXPECT_EQ(ask("GET", "/v1/watch?prefix=" + std::string(481, 'k')).status, 400);
  EXPECT_EQ(ask("HEAD", "/v1/watch").status, 405);
  EXPECT_EQ(ask("POST", "/v1/watch").status, 405);
}

TEST_F(WatchTest, AWatchWhoseClientHasGoneIsClosed) {
  std::uint64_t number = 0;
  {
    auto client = watch("");
    number = opened().watch;
  }
  const auto command = backend.next_command();
  ASSERT_TRUE(std::holds_alternative<CloseWatch>(command));
  EXPECT_EQ(std::get<CloseWatch>(command).watch, number);
}

TEST_F(WatchTest, HoldsNoThread) {
  options.threads = 2;
  std::vector<RawClient> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(watch(""));
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(WatchTest, OneTooManyIsToldSo) {
  options.max_streams = 1;
  std::optional<RawClient> first = watch("");
  opened();
  const auto refused = ask("GET", "/v1/watch");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("retry-after"), "1");
  first.reset();
  EXPECT_TRUE(std::holds_alternative<CloseWatch>(backend.next_command()));
  watch("");
}

TEST_F(WatchTest, WhatAClientDoesNotTakeIsNotCalledTaken) {
  auto client = watch("", "", 4096);
  const OpenWatch asked = opened();
  say_opened(asked.watch, {{kDelhi, at(7, 1)}});
  const std::string value(std::size_t{1} << 20, 'v');
  std::uint64_t told = 0;
  for (std::uint64_t seq = 2; seq < 34; ++seq, told += value.size())
    tell(asked.watch, kDelhi, {{at(7, seq), EventType::put, "k", value}}, value.size());
  // Much of it waits here, so that it is not taken until the client reads.
  ASSERT_TRUE(client.receive_bytes(32 * value.size()));
  std::uint64_t taken = 0;
  while (taken < told) {
    const auto command = backend.next_command();
    ASSERT_TRUE(std::holds_alternative<WatchTaken>(command));
    taken += std::get<WatchTaken>(command).bytes;
  }
  EXPECT_EQ(taken, told);
}

/// It comes back, and goes on where it was.
TEST_F(WatchTest, WhoIsBehindIsCutWhenThereIsNoRoom) {
  options.max_stream_memory_bytes = std::size_t{4} << 20;
  auto client = watch("", "", 4096);
  const OpenWatch asked = opened();
  say_opened(asked.watch, {{kDelhi, at(7, 1)}});
  const std::string value(std::size_t{1} << 20, 'v');
  for (std::uint64_t seq = 2; seq < 34; ++seq)
    tell(asked.watch, kDelhi, {{at(7, seq), EventType::put, "k", value}}, value.size());
  while (true) {
    const auto command = backend.next_command();
    if (std::holds_alternative<CloseWatch>(command)) break;
    ASSERT_TRUE(std::holds_alternative<WatchTaken>(command));
  }
}

TEST_F(WatchTest, StoppingClosesIt) {
  auto client = watch("");
  opened();
  server().stop();
  EXPECT_TRUE(client.closes());
}

}  // namespace
}  // namespace dkv::testing
