// A client among nodes that behave.
#include "gateway/client/client.hpp"

#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <thread>

#include "messages/limits.hpp"
#include "tests/gateway/client/fake_node.hpp"

namespace dkv::test {
namespace {

using namespace std::chrono_literals;

ClientOptions seeded(const FakeNode& node) { return {.seeds = {node.endpoint()}, .deadline = 20s}; }

/// Two nodes that know of each other, each the primary of its half of the slots.
struct TwoNodes {
  FakeNode a;
  FakeNode b;
  const std::string key_of_a = key_of_shard(0, 2);
  const std::string key_of_b = key_of_shard(1, 2);

  explicit TwoNodes(bool with_replicas = false) {
    const Topology topology = topology_of({&a, &b}, 1, with_replicas);
    a.set_topology(topology);
    b.set_topology(topology);
  }
};

struct OneNode {
  FakeNode node;
  OneNode() { node.set_topology(topology_of({&node})); }
};

TEST(Client, PutsGetsAndRemoves) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  EXPECT_EQ(client.get("city").error().code, Errc::not_found);
  const auto created = client.put("city", "Delhi");
  ASSERT_TRUE(created);
  EXPECT_TRUE(created->created);
  EXPECT_FALSE(client.put("city", "Mumbai")->created);
  const auto got = client.get("city");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->value, "Mumbai");
  EXPECT_GT(got->version, created->version);
  EXPECT_TRUE(client.remove("city"));
  EXPECT_EQ(client.remove("city").error().code, Errc::not_found);
}

TEST(Client, KeepsEmptyAndBinaryValuesAsTheyAre) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string binary("\0\xff\n", 3);
  ASSERT_TRUE(client.put(binary, binary));
  EXPECT_EQ(client.get(binary)->value, binary);
  ASSERT_TRUE(client.put("empty", ""));
  EXPECT_EQ(client.get("empty")->value, "");
}

TEST(Client, SendsEachKeyStraightToItsOwner) {
  TwoNodes cluster;
  Client client(seeded(cluster.a));
  ASSERT_TRUE(client.put(cluster.key_of_b, "1"));
  EXPECT_EQ(cluster.a.requests(), 0);
  EXPECT_EQ(cluster.b.requests(), 1);
}

TEST(Client, SplitsABatchByShardAndReturnsResultsInItsOrder) {
  TwoNodes cluster;
  Client client(seeded(cluster.b));
  const std::vector<Operation> operations = {{OpCode::put, cluster.key_of_b, "b"},
                                             {OpCode::put, cluster.key_of_a, "a"},
                                             {OpCode::get, cluster.key_of_b, {}},
                                             {OpCode::get, cluster.key_of_a, {}},
                                             {OpCode::remove, "missing", {}}};
  const auto results = client.execute(operations);
  ASSERT_EQ(results.size(), 5U);
  EXPECT_EQ(results[2].value, "b");
  EXPECT_EQ(results[3].value, "a");
  EXPECT_EQ(results[4].code, Errc::not_found);
  EXPECT_EQ(cluster.a.requests(), 1);
  EXPECT_EQ(cluster.b.requests(), 1);
}

TEST(Client, SendsConditionsAndIncrementsAsTheyAre) {
  OneNode cluster;
  rpc::Request seen;
  cluster.node.set_script([&](const rpc::Request& request) {
    seen = request;
    OperationResult result;
    if (request.operations[0].code == OpCode::increment) result.value = "-7";
    return std::vector<std::string>{rpc::encode(rpc::Reply{request.request_id, std::vector{result}})};
  });
  Client client(seeded(cluster.node));
  const Condition version{Condition::Kind::version, {Epoch{7}, Seq{1042}}};
  ASSERT_TRUE(client.put("k", "v", version));
  EXPECT_EQ(seen.operations[0].condition, version);
  ASSERT_TRUE(client.remove("k", {Condition::Kind::exists}));
  EXPECT_EQ(seen.operations[0].condition, Condition{Condition::Kind::exists});
  EXPECT_EQ(client.increment("n", -10)->number, -7);
  EXPECT_EQ(seen.operations[0].amount, -10);
  const Operation put{OpCode::put, "k", "v"};
  CallOptions options;
  options.ack = AckMode::local;
  EXPECT_EQ(client.execute({&put, 1}, options)[0].code, Errc::ok);
  EXPECT_EQ(seen.ack, AckMode::local);
}

TEST(Client, SendsAnAtomicBatchAsAFrameOfItsOwn) {
  OneNode cluster;
  std::vector<rpc::Request> seen;
  std::mutex mutex;
  cluster.node.set_script([&](const rpc::Request& request) {
    const std::lock_guard lock(mutex);
    seen.push_back(request);
    return std::vector<std::string>{cluster.node.answer(request)};
  });
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const std::vector<Operation> single = {{OpCode::put, "k", "1"}};
  const std::vector<Operation> batch = {{OpCode::put, "{k}a", "2"}, {OpCode::get, "{k}a", {}}};
  const Ticket before = client.submit(single);
  const Ticket together = client.submit_atomically(batch);
  const Ticket behind = client.submit(single);
  EXPECT_TRUE(client.wait(before));
  EXPECT_EQ(client.wait(together)->results[1].value, "2");
  EXPECT_TRUE(client.wait(behind));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_FALSE(seen[0].atomic);
  EXPECT_TRUE(seen[1].atomic);
  EXPECT_EQ(seen[1].operations.size(), 2U);
  EXPECT_FALSE(seen[2].atomic);
}

TEST(Client, SendsNoBatchThatCannotBeAtomic) {
  TwoNodes cluster;
  Client client(seeded(cluster.a));
  const std::vector<Operation> batch = {{OpCode::put, cluster.key_of_a, "1"},
                                        {OpCode::put, cluster.key_of_b, "2"}};
  for (const OperationResult& result : client.execute_atomically(batch))
    EXPECT_EQ(result.code, Errc::bad_request);
  EXPECT_EQ(cluster.a.requests() + cluster.b.requests(), 0);
}

/// A node's pages of `keys`, two records each.
FakeNode::Script pages_of(std::set<std::string> keys) {
  return [keys = std::move(keys)](const rpc::Request& request) {
    rpc::ScanReply page;
    const rpc::Scan& scan = *request.scan;
    for (auto at = keys.lower_bound(scan.from); at != keys.end(); ++at) {
      if (!scan.to.empty() && *at >= scan.to) break;
      if (page.items.size() == 2) {
        page.ended = false;
        page.next = *at;
        break;
      }
      page.items.push_back({*at, {Epoch{1}, Seq{1}}, "v"});
    }
    return std::vector<std::string>{rpc::encode(rpc::Reply{request.request_id, std::move(page)})};
  };
}

TEST(Client, PutsTheShardsPagesTogether) {
  TwoNodes cluster;
  cluster.a.set_script(pages_of({"a", "b", "c", "y"}));
  cluster.b.set_script(pages_of({"aa", "x", "z"}));
  Client client(seeded(cluster.a));
  ScanOptions options;
  options.limit = 3;
  std::string seen;
  do {
    const auto page = client.scan(options);
    ASSERT_TRUE(page) << page.error().message;
    for (const rpc::ScanItem& item : page->items) seen += item.key + " ";
    seen += "| ";
    options.cursor = page->cursor;
  } while (!options.cursor.empty());
  EXPECT_EQ(seen, "a aa b | c x y | z | ");
  for (const std::size_t limit : {std::size_t{0}, kMaxScanItems + 1}) {
    options.limit = limit;
    EXPECT_EQ(client.scan(options).error().code, Errc::bad_request);
  }
}

TEST(Client, CutsABatchToTheOperationsOfOneRequest) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kMaxOperations * 2 + 1; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Operation> puts;
  std::vector<Operation> gets;
  for (const std::string& key : keys) {
    puts.push_back({OpCode::put, key, key});
    gets.push_back({OpCode::get, key, {}});
  }
  for (const OperationResult& result : client.execute(puts)) ASSERT_EQ(result.code, Errc::ok);
  EXPECT_EQ(cluster.node.requests(), 3);
  const auto results = client.execute(gets);
  for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(results[i].value, keys[i]);
}

TEST(Client, CountsWhatConditionsTakeOfARequest) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string value(kMaxRequestBytes / kMaxOperations - 20, 'v');  // leaves less than a condition takes
  const Condition newest{Condition::Kind::version, {Epoch{UINT64_MAX}, Seq{UINT64_MAX}}};
  const std::vector<Operation> puts(kMaxOperations, Operation{OpCode::put, "k", value, false, newest});
  for (const OperationResult& result : client.execute(puts)) ASSERT_EQ(result.code, Errc::ok);
  EXPECT_EQ(cluster.node.requests(), 2);
}

TEST(Client, CutsABatchToTheBytesOfOneRequest) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string value(kMaxValueBytes / 2, 'v');
  const std::vector<Operation> puts(5, Operation{OpCode::put, "k", value});
  for (const OperationResult& result : client.execute(puts)) EXPECT_EQ(result.code, Errc::ok);
  EXPECT_EQ(cluster.node.requests(), 3);
}

TEST(Client, CarriesTheLargestValueBothWays) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string value(kMaxValueBytes, 'v');
  ASSERT_TRUE(client.put("large", value));
  EXPECT_EQ(client.get("large")->value, value);
}

/// Answers one value at a time.
FakeNode::Script one_value_at_a_time(OneNode& cluster) {
  return [&](const rpc::Request& request) {
    rpc::Request first = request;
    first.operations.resize(1);
    auto reply = rpc::decode_reply(cluster.node.answer(first), {request.operations[0].code});
    auto& results = std::get<std::vector<OperationResult>>(reply->body);
    while (results.size() < request.operations.size()) {
      results.push_back(OperationResult::failed(Errc::too_large, "ask for fewer"));
    }
    return std::vector<std::string>{rpc::encode(rpc::Reply{request.request_id, results})};
  };
}

TEST(Client, AsksForNoMoreValuesThanItsCallerHasRoomFor) {
  OneNode cluster;
  cluster.node.set_script(one_value_at_a_time(cluster));
  Client client(seeded(cluster.node));
  std::vector<Operation> gets;
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    ASSERT_TRUE(client.put(key, "12345678"));
    gets.push_back({OpCode::get, key, {}});
  }
  const int before = cluster.node.requests();
  CallOptions how;
  how.most_value_bytes = 20;
  const auto results = client.execute(gets, how);
  EXPECT_EQ(results[1].value, "12345678");
  for (const std::size_t i : {2, 3, 4, 5}) EXPECT_EQ(results[i].code, Errc::too_large);
  EXPECT_EQ(cluster.node.requests() - before, 3);
}

TEST(Client, AnIncrementIsAnsweredWhateverTheRoomForValues) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.put("a", "12345678"));
  Operation add{OpCode::increment, "a", {}};
  add.amount = 1;
  const std::vector<Operation> operations = {{OpCode::get, "a", {}}, add};
  CallOptions how;
  how.most_value_bytes = 1;
  const auto results = client.execute(operations, how);
  EXPECT_EQ(results[0].code, Errc::too_large);
  EXPECT_EQ(results[1].code, Errc::ok);
}

TEST(Client, AsksAgainForTheValuesThatDidNotFitIntoOneReply) {
  OneNode cluster;
  cluster.node.set_script(one_value_at_a_time(cluster));
  Client client(seeded(cluster.node));
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(client.put(key, key));
  const std::vector<Operation> gets = {
      {OpCode::get, "a", {}}, {OpCode::get, "b", {}}, {OpCode::get, "c", {}}};
  const auto results = client.execute(gets);
  EXPECT_EQ(results[0].value, "a");
  EXPECT_EQ(results[1].value, "b");
  EXPECT_EQ(results[2].value, "c");
}

TEST(Client, RefusesABadKeyItselfAndServesItsNeighbours) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  const std::vector<Operation> operations = {
      {OpCode::put, too_long, "v"}, {OpCode::put, "", "v"}, {OpCode::put, "k", "v"}};
  const auto results = client.execute(operations);
  EXPECT_EQ(results[0].code, Errc::too_large);
  EXPECT_EQ(results[1].code, Errc::bad_request);
  EXPECT_EQ(results[2].code, Errc::ok);
  EXPECT_EQ(client.put("k", std::string(kMaxValueBytes + 1, 'v')).error().code, Errc::too_large);
}

TEST(Client, FinishesAnEmptyBatchAtOnce) {
  Client client({.seeds = {}});
  EXPECT_TRUE(client.execute({}).empty());
}

TEST(Client, KeepsManyRequestsInFlight) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  constexpr int kBatches = 500;
  std::map<Ticket, std::string> keys;
  for (int i = 0; i < kBatches; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::string value = "v" + std::to_string(i);
    // The client copies: key and value may go before the answer comes.
    const std::vector<Operation> operations = {{OpCode::put, key, value}, {OpCode::get, key, {}}};
    keys.emplace(client.submit(operations), value);
  }
  for (int i = 0; i < kBatches; ++i) {
    const auto completion = client.wait_any(20s);
    ASSERT_TRUE(completion) << completion.error().message;
    ASSERT_EQ(completion->results.size(), 2U);
    EXPECT_EQ(completion->results[1].value, keys.at(completion->ticket));
    keys.erase(completion->ticket);
  }
  EXPECT_TRUE(keys.empty());
  EXPECT_EQ(client.wait_any(20s).error().code, Errc::bad_request);
}

TEST(Client, MatchesAnswersThatComeInAnotherOrder) {
  OneNode cluster;
  std::vector<std::string> held;
  cluster.node.set_script([&](const rpc::Request& request) -> std::vector<std::string> {
    held.insert(held.begin(), cluster.node.answer(request));
    return held.size() < 3 ? std::vector<std::string>{} : std::exchange(held, {});
  });
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  std::vector<Ticket> tickets;
  for (const char* key : {"x", "y", "z"}) {
    const std::vector<Operation> operations = {{OpCode::put, key, key}, {OpCode::get, key, {}}};
    tickets.push_back(client.submit(operations));
    client.flush();  // each in a frame of its own
  }
  EXPECT_EQ(client.wait(tickets[0])->results[1].value, "x");
  EXPECT_EQ(client.wait(tickets[2])->results[1].value, "z");
  EXPECT_EQ(client.wait(tickets[1])->results[1].value, "y");
  EXPECT_EQ(client.wait(tickets[1]).error().code, Errc::bad_request);
}

/// What a node was asked, one line per frame: "put a, get b".
class Frames {
 public:
  explicit Frames(FakeNode& node) {
    node.set_script([this, &node](const rpc::Request& request) {
      std::string line;
      for (const Operation& operation : request.operations) {
        constexpr const char* kNames[] = {"", "get ", "put ", "remove "};
        line += (line.empty() ? "" : ", ") + std::string(kNames[static_cast<std::size_t>(operation.code)]) +
                std::string(operation.key);
      }
      const std::lock_guard lock(mutex_);
      lines_.push_back(line);
      return std::vector<std::string>{node.answer(request)};
    });
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST(Client, GathersWhatIsSubmittedInOrderAndApartByKind) {
  OneNode cluster;
  Frames frames(cluster.node);
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const auto submit = [&](std::vector<Operation> operations, ReadMode read = ReadMode::linearizable) {
    client.submit(operations, read);
  };
  submit({{OpCode::put, "a", "1"}});
  submit({{OpCode::remove, "b", {}}, {OpCode::get, "a", {}}});
  submit({{OpCode::get, "a", {}}});
  submit({{OpCode::get, "c", {}}});
  submit({{OpCode::get, "d", {}}}, ReadMode::replica);
  submit({{OpCode::put, "e", "2"}});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(client.wait_any(20s));
  EXPECT_EQ(frames.lines(),
            (std::vector<std::string>{"put a, remove b, get a", "get a, get c", "get d", "put e"}));
}

TEST(Client, SendsAFrameThatIsLongEnoughWithoutBeingAsked) {
  OneNode cluster;
  Frames frames(cluster.node);
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const Operation put{OpCode::put, "k", "v"};
  for (int i = 0; i < 600; ++i) client.submit({&put, 1});
  while (cluster.node.requests() < 2) std::this_thread::yield();
  EXPECT_EQ(cluster.node.requests(), 2);  // 256 in each; the rest waits for somebody to wait
  client.flush();
  while (cluster.node.requests() < 3) std::this_thread::yield();
  for (int i = 0; i < 600; ++i) EXPECT_EQ(client.wait_any(20s)->results[0].code, Errc::ok);
  EXPECT_EQ(frames.lines().size(), 3U);
  const std::vector<Operation> long_batch(64, put);
  client.submit(long_batch);
  while (cluster.node.requests() < 4) std::this_thread::yield();
}

// Who asks one thing at a time must not stay parted into many frames.
TEST(Client, GathersWhileAFrameIsOnItsWay) {
  OneNode cluster;
  std::atomic<bool> is_holding = true;
  std::vector<std::string> held;
  cluster.node.set_script([&](const rpc::Request& request) -> std::vector<std::string> {
    held.push_back(cluster.node.answer(request));
    return is_holding ? std::vector<std::string>{} : std::exchange(held, {});
  });
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const Operation put{OpCode::put, "k", "v"};
  client.submit({&put, 1});
  EXPECT_FALSE(client.wait_any(0ms));
  while (cluster.node.requests() < 1) std::this_thread::yield();
  client.submit({&put, 1});
  is_holding = false;
  // It is not for ever that a frame waits for the one before it.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.wait_any(20s)->results[0].code, Errc::ok);
  EXPECT_EQ(cluster.node.requests(), 2);
}

TEST(Client, AWaitOfNoTimeTakesInWhatHasArrived) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const Operation put{OpCode::put, "k", "v"};
  client.submit({&put, 1});
  auto completion = client.wait_any(0ms);
  while (!completion && completion.error().code == Errc::unavailable) completion = client.wait_any(0ms);
  ASSERT_TRUE(completion) << completion.error().message;
  EXPECT_EQ(completion->results[0].code, Errc::ok);
  client.submit({&put, 1});
  EXPECT_TRUE(client.wait_any(std::chrono::milliseconds::max()));
}

TEST(Client, WaitingForWhatIsFinishedSendsWhatHasGathered) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  ASSERT_TRUE(client.topology());
  const Operation put{OpCode::put, "k", "v"};
  const Ticket first = client.submit({&put, 1});
  const Ticket second = client.submit({&put, 1});
  ASSERT_TRUE(client.wait(second));
  client.submit({&put, 1});
  ASSERT_TRUE(client.wait(first));
  while (cluster.node.requests() < 2) std::this_thread::yield();
}

TEST(Client, CutsABatchByTheLimitsOfARequest) {
  OneNode cluster;
  Client client(seeded(cluster.node));
  const std::string value(6 << 20, 'v');
  std::vector<Operation> operations;
  const std::vector<std::string> keys = {"a", "b", "c", "d", "e"};
  for (const std::string& key : keys) operations.push_back({OpCode::put, key, value});
  for (const OperationResult& result : client.execute(operations)) EXPECT_EQ(result.code, Errc::ok);
  EXPECT_EQ(cluster.node.requests(), 3);  // two fit into 17 MiB
}

TEST(Client, WaitsForRoomWhenTooMuchIsInFlight) {
  OneNode cluster;
  ClientOptions options = seeded(cluster.node);
  options.max_in_flight = 2;
  Client client(options);
  for (int i = 0; i < 50; ++i) {
    const std::vector<Operation> operations = {{OpCode::put, "k", "v"}};
    client.submit(operations);
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.wait_any(20s)->results[0].code, Errc::ok);
}

TEST(Client, SpreadsReplicaReadsOverTheMembersAndSendsWritesToThePrimary) {
  TwoNodes cluster(/*with_replicas=*/true);
  Client client(seeded(cluster.a));
  for (int i = 0; i < 10; ++i) (void)client.get(cluster.key_of_a, ReadMode::replica);
  EXPECT_EQ(cluster.a.requests(), 5);
  EXPECT_EQ(cluster.b.requests(), 5);
  const std::vector<Operation> puts(3, Operation{OpCode::put, cluster.key_of_a, "v"});
  for (int i = 0; i < 3; ++i) (void)client.execute(puts, ReadMode::replica);
  EXPECT_EQ(cluster.a.requests(), 8);
}

TEST(Client, SendsAnAtomicBatchAsAWholeToThePrimary) {
  TwoNodes cluster(/*with_replicas=*/true);
  Client client(seeded(cluster.a));
  const std::vector<Operation> operations = {{OpCode::put, cluster.key_of_a, "v"},
                                             {OpCode::get, cluster.key_of_a, {}}};
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(client.execute_atomically(operations, ReadMode::replica)[1].value, "v");
  EXPECT_EQ(cluster.a.requests(), 4);
  EXPECT_EQ(cluster.b.requests(), 0);
}

TEST(Client, TellsTheTopologyAndTheStatusOfNodes) {
  TwoNodes cluster;
  Client client(seeded(cluster.a));
  const auto topology = client.topology();
  ASSERT_TRUE(topology);
  EXPECT_EQ(**topology, topology_of({&cluster.a, &cluster.b}));
  EXPECT_EQ(client.status(cluster.b.endpoint())->node, "a");
}

}  // namespace
}  // namespace dkv::test
