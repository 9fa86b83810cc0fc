// Watching a real cluster: everything that is acknowledged is told, in order and once, whatever dies; what
// cannot be told is told to be missing; who does not read holds up nobody.
#include "gateway/client/watch.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <msgpack.hpp>
#include <set>
#include <zmq.hpp>

#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

using Kind = WatchEvent::Kind;

class WatchedCity : public City {
 protected:
  Watch watch(const std::vector<std::string>& nodes, const std::string& prefix,
              const std::string& after = "") {
    WatchOptions options;
    for (const std::string& node : nodes) options.nodes.push_back(cluster_.http(node));
    options.prefix = prefix;
    options.after = after;
    return Watch(std::move(options));
  }
  static void expect_open(Watch& watch) {
    const auto event = watch.next(kReadyTimeout);
    ASSERT_TRUE(event.has_value()) << event.error().message;
    EXPECT_EQ(event->kind, Kind::open);
  }
  /// What is told up to a put of `last`, but for reconnecting.
  static std::vector<WatchEvent> upto(Watch& watch, const std::string& last) {
    std::vector<WatchEvent> events;
    for (;;) {
      auto event = watch.next(kReadyTimeout);
      if (!event) {
        ADD_FAILURE() << "no put of " << last << ": " << event.error().message;
        return events;
      }
      if (event->kind == Kind::open) continue;
      events.push_back(std::move(*event));
      if (events.back().key == last) return events;
    }
  }
  static std::vector<std::string> keys(const std::vector<WatchEvent>& events) {
    std::vector<std::string> keys;
    for (const WatchEvent& event : events) keys.push_back(event.key);
    return keys;
  }
  /// Writes numbered keys; those that were acknowledged.
  std::vector<std::string> write(const std::string& prefix, int count) {
    std::vector<std::string> written;
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(1000 + i);
      const int status = put(key, "value of " + key);
      if (status == 200 || status == 201) written.push_back(key);
    }
    return written;
  }
  /// `told` has all of `written`, in this order, and nothing twice.
  static void expect_told(const std::vector<WatchEvent>& told, const std::vector<std::string>& written) {
    auto next = written.begin();
    Position before;
    for (const WatchEvent& event : told) {
      EXPECT_EQ(event.kind, Kind::put) << event.text;
      EXPECT_GT(event.version, before) << event.key << " is told once more, or out of order";
      EXPECT_EQ(event.value, "value of " + event.key);
      before = event.version;
      if (next != written.end() && event.key == *next) ++next;
    }
    EXPECT_EQ(next, written.end()) << *next << " is not told";
  }
};

TEST_F(WatchedCity, IsToldAllThatIsAcknowledgedWhenItsPrimaryIsKilled) {
  start(kCity, 0);
  auto outside = watch({"witness"}, "w");
  expect_open(outside);
  std::vector<std::string> written = write("w-a-", 50);
  const std::string victim = primary();
  cluster_.kill(victim);
  for (const std::string& key : write("w-b-", 50)) written.push_back(key);
  cluster_.start({victim});
  ASSERT_TRUE(becomes_in_sync());
  ASSERT_EQ(put("unwatched", "x"), 201);
  for (const std::string& key : write("w-c-", 1)) written.push_back(key);
  expect_told(upto(outside, "w-c-1000"), written);
}

TEST_F(WatchedCity, GoesOnAtAnotherNodeWhenItsOwnIsKilled) {
  start(kCity, 0);
  const std::string own = primary();
  auto through = watch({own, own == "delhi" ? "delhi-replica" : "delhi", "witness"}, "w");
  expect_open(through);
  std::vector<std::string> written = write("w-a-", 50);
  EXPECT_EQ(through.next(kReadyTimeout)->key, "w-a-1000");
  cluster_.kill(own);
  for (const std::string& key : write("w-b-", 50)) written.push_back(key);
  written.erase(written.begin());
  expect_told(upto(through, "w-b-1049"), written);
}

TEST_F(WatchedCity, GoesOnExactlyWhereItWas) {
  start(kCity, 0);
  auto first = watch({"witness"}, "w");
  expect_open(first);
  const auto seen = write("w-a-", 3);
  EXPECT_EQ(keys(upto(first, "w-a-1001")), std::vector<std::string>(seen.begin(), seen.end() - 1));
  const std::string place = first.place();
  EXPECT_NE(place, "");
  // Several of them in one frame, and a place in the middle of it.
  const std::string body =
      R"({"operations":[{"op":"put","key":"w-b","value":"1"},{"op":"put","key":"x","value":"2"},)"
      R"({"op":"put","key":"w-c","value":"3"},{"op":"delete","key":"w-b"}],"atomic":false})";
  ASSERT_EQ(HttpClient(5s).once(cluster_.http("witness"), "POST", "/v1/batch", body).status, 200);
  auto second = watch({replica()}, "w", place);
  expect_open(second);
  EXPECT_EQ(keys(upto(second, "w-b")), (std::vector<std::string>{"w-a-1002", "w-b"}));
  auto third = watch({primary()}, "w", second.place());
  expect_open(third);
  EXPECT_EQ(third.next(kReadyTimeout)->key, "w-c");
  const auto removed = third.next(kReadyTimeout);
  EXPECT_EQ(removed->kind, Kind::remove);
  EXPECT_EQ(removed->key, "w-b");
}

TEST_F(WatchedCity, IsToldOfAGapWhenTheLogNoLongerReachesBack) {
  cluster_.set_options({"--memtable", "1MiB", "--log-segment", "1MiB", "--log-retain", "0"});
  padding_ = std::string(10'000, 'v');
  start(kCity, 400);
  auto early = watch({"witness"}, "w");
  expect_open(early);
  const std::string place = early.place();
  write_all("first ");
  write_all("second ");
  write_all("third ");
  auto late = watch({"witness"}, "w", place);
  expect_open(late);
  const auto gap = late.next(kReadyTimeout);
  ASSERT_TRUE(gap.has_value()) << gap.error().message;
  EXPECT_EQ(gap->kind, Kind::gap);
  EXPECT_NE(gap->text.find("delhi"), std::string::npos) << gap->text;
  const auto written = write("w-", 3);
  expect_told(upto(late, "w-1002"), written);
  // Who was there all the time has missed nothing.
  expect_told(upto(early, "w-1002"), written);
}

TEST_F(WatchedCity, WhoDoesNotReadHoldsUpNobodyAndLosesNothing) {
  start(kCity, 0);
  Socket stuck(cluster_.http("witness"), 30s);
  ASSERT_TRUE(stuck.send("GET /v1/watch?prefix=w HTTP/1.1\r\nHost: w\r\n\r\n"));
  std::string got = stuck.receive();
  ASSERT_TRUE(eventually(30s, [&] {
    if (got.find("event: open") == std::string::npos) got += stuck.receive();
    return got.find("event: open") != std::string::npos;
  }));
  auto other = watch({"witness"}, "w");
  expect_open(other);
  const std::string large(std::size_t{1} << 20, 'v');
  constexpr int kWrites = 20;  // more than sockets and the node hold for it
  for (int i = 0; i < kWrites; ++i) {
    const std::string key = "w-" + std::to_string(1000 + i);
    ASSERT_EQ(put(key, large), 201);
    // Told as it happens, though another one takes nothing.
    const auto event = other.next(kReadyTimeout);
    ASSERT_TRUE(event.has_value()) << event.error().message;
    EXPECT_EQ(event->key, key);
  }
  std::size_t found = 0;
  std::size_t at = 0;
  while (found < kWrites) {
    const std::string name = "\"w-" + std::to_string(1000 + found) + '"';
    at = got.find(name, at);
    if (at != std::string::npos) {
      ++found;
      continue;
    }
    got = got.substr(got.size() - std::min(got.size(), name.size()));
    at = 0;
    const std::string more = stuck.receive();
    ASSERT_NE(more, "") << "after " << found << " events";
    got += more;
  }
}

TEST_F(WatchedCity, ZeroMqSubscribersGetWhatBeginsWithTheirPrefix) {
  start(kCity, 0);
  zmq::context_t context;
  zmq::socket_t subscriber(context, zmq::socket_type::sub);
  subscriber.set(zmq::sockopt::linger, 0);
  subscriber.set(zmq::sockopt::rcvtimeo, 30'000);
  subscriber.set(zmq::sockopt::subscribe, "kw-");
  subscriber.connect("tcp://" + cluster_.watch("witness"));
  struct Told {
    std::string key;
    std::uint64_t type = 0;
    std::string value;
    std::uint64_t count = 0;
  };
  const auto receive = [&]() -> std::optional<Told> {
    zmq::message_t topic;
    zmq::message_t body;
    if (!subscriber.recv(topic) || !subscriber.recv(body)) return std::nullopt;
    const auto handle = msgpack::unpack(static_cast<const char*>(body.data()), body.size());
    const auto& fields = handle.get().via.array;
    Told told{topic.to_string().substr(1), fields.ptr[1].as<std::uint64_t>(), "", 0};
    const auto& counts = fields.ptr[fields.size - 1].via.array;
    EXPECT_EQ(counts.size, 1U);
    EXPECT_EQ(counts.ptr[0].via.array.ptr[0].as<std::uint64_t>(), 2U);  // "w-"
    told.count = counts.ptr[0].via.array.ptr[1].as<std::uint64_t>();
    if (told.type != 0) told.value = fields.ptr[5].as<std::string>();
    return told;
  };
  // From when the subscription has arrived: a key tells when that was.
  subscriber.set(zmq::sockopt::rcvtimeo, 50);
  ASSERT_TRUE(eventually(30s, [&] {
    put("w-begin", "x");
    return receive().has_value();
  }));
  subscriber.set(zmq::sockopt::rcvtimeo, 30'000);
  ASSERT_EQ(put("w-1", "one"), 201);
  ASSERT_EQ(put("x-1", "nobody's"), 201);
  ASSERT_EQ(remove("w-1"), 204);
  std::vector<Told> told;
  while (told.size() < 2) {
    auto one = receive();
    ASSERT_TRUE(one.has_value());
    if (one->key == "w-1") told.push_back(*one);
  }
  EXPECT_EQ(told[0].type, 1U);
  EXPECT_EQ(told[0].value, "one");
  EXPECT_EQ(told[1].type, 2U);
  EXPECT_EQ(told[1].count, told[0].count + 1);
  // The count comes again when nothing has happened since.
  const auto counted = receive();
  ASSERT_TRUE(counted.has_value());
  EXPECT_EQ(counted->type, 0U);
  EXPECT_EQ(counted->count, told[1].count);
}

TEST_F(WatchedCity, TheCommandLinePrintsWhatHappens) {
  start(kCity, 0);
  const auto file = cluster_.folder() / "watched";
  Process watching(
      {program("distrikv"), "watch", "w", "--json", "--limit", "2", "--node", cluster_.rpc("witness")}, file);
  ASSERT_TRUE(eventually(30s, [&] { return read_file(file).find("open") != std::string::npos; }));
  ASSERT_EQ(put("w-1", "one"), 201);
  ASSERT_EQ(remove("w-1"), 204);
  EXPECT_EQ(watching.wait(30s), 0);
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].at("event"), "put");
  EXPECT_EQ(lines[1].at("value"), "one");
  EXPECT_EQ(lines[2].at("event"), "delete");
  const auto again = run({program("distrikv"), "watch", "w", "--limit", "1", "--after", lines[1].at("place"),
                          "--node", cluster_.rpc("delhi")});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, "delete\tw-1\n");
  EXPECT_EQ(run({program("distrikv"), "watch", "--after", "nonsense", "--node", cluster_.rpc("delhi")}).code,
            2);
}

}  // namespace
}  // namespace dkv::e2e
