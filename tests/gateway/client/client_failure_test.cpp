// A client among nodes that move keys, refuse, keep silent, die, and talk nonsense.
#include <csignal>
#include <gtest/gtest.h>
#include <pthread.h>

#include "gateway/client/client.hpp"
#include "messages/pack.hpp"
#include "tests/gateway/client/fake_node.hpp"

namespace dkv::test {
namespace {

using namespace std::chrono_literals;

// Long where success is expected, so that a slow machine does not fail the test; short where the test is
// about what happens when it ends.
constexpr auto kPatient = 20s;
constexpr auto kShort = 400ms;

ClientOptions seeded(const FakeNode& node, std::chrono::milliseconds deadline = kPatient) {
  return {.seeds = {node.endpoint()}, .deadline = deadline};
}

/// An endpoint where nobody listens.
std::string dead_endpoint() {
  FakeNode node;
  return node.endpoint();
}

struct TwoNodes {
  FakeNode a;
  FakeNode b;
  const std::string key = key_of_shard(0, 2);  // a's

  TwoNodes() {
    a.set_topology(topology_of({&a, &b}));
    b.set_topology(topology_of({&a, &b}));
  }
};

FakeNode::Script silence() {
  return [](const rpc::Request&) { return std::vector<std::string>{}; };
}

TEST(ClientFailure, FollowsMovedAtOnceAndLearnsTheNewTopology) {
  TwoNodes cluster;
  Client client(seeded(cluster.a));
  ASSERT_TRUE(client.topology());
  // b takes over both shards in version 2.
  Topology next = topology_of({&cluster.a, &cluster.b}, 2);
  next.shards[0].primary = NodeId{2};
  cluster.a.set_topology(next);
  cluster.b.set_topology(next);
  cluster.a.set_script(
      [&](const rpc::Request& request) { return std::vector<std::string>{move_all(request, cluster.b, 2)}; });
  ASSERT_TRUE(client.put(cluster.key, "v"));
  EXPECT_EQ(client.get(cluster.key)->value, "v");
  // Once the topology has arrived, a is not asked any more.
  while ((*client.topology())->version != 2) ASSERT_TRUE(client.get(cluster.key));
  const int asked = cluster.a.requests();
  ASSERT_TRUE(client.get(cluster.key));
  EXPECT_EQ(cluster.a.requests(), asked);
}

TEST(ClientFailure, DoesNotFollowANodeWithAnOlderTopology) {
  TwoNodes cluster;
  const Topology third = topology_of({&cluster.a, &cluster.b}, 3);
  cluster.b.set_topology(third);
  std::atomic<int> stale = 2;
  cluster.a.set_script([&](const rpc::Request& request) {
    return std::vector<std::string>{stale-- > 0 ? move_all(request, cluster.b, 2)
                                                : cluster.a.answer(request)};
  });
  Client client(seeded(cluster.b));
  ASSERT_TRUE(client.put(cluster.key, "v"));
  EXPECT_EQ(cluster.b.requests(), 0);
  EXPECT_EQ(cluster.a.requests(), 3);
}

TEST(ClientFailure, GivesUpOnAKeyThatMovesInCircles) {
  TwoNodes cluster;
  cluster.a.set_script(
      [&](const rpc::Request& r) { return std::vector<std::string>{move_all(r, cluster.b, 1)}; });
  cluster.b.set_script(
      [&](const rpc::Request& r) { return std::vector<std::string>{move_all(r, cluster.a, 1)}; });
  Client client(seeded(cluster.a, kShort));
  const auto put = client.put(cluster.key, "v");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unavailable);
  // With pauses in between: not as fast as the network allows.
  EXPECT_LT(cluster.a.requests() + cluster.b.requests(), 40);
}

class ClientRetries : public ::testing::TestWithParam<Errc> {};

TEST_P(ClientRetries, AnOperationOfWhichNothingWasDone) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> refusals = 3;
  node.set_script([&](const rpc::Request& request) {
    return std::vector<std::string>{refusals-- > 0 ? refuse_all(request, GetParam()) : node.answer(request)};
  });
  Client client(seeded(node));
  ASSERT_TRUE(client.put("k", "v"));
  EXPECT_EQ(node.requests(), 4);
}

TEST_P(ClientRetries, AWholeRequestThatWasRefused) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> refusals = 2;
  node.set_script([&](const rpc::Request& request) {
    const rpc::Reply refusal{request.request_id, Error{GetParam(), "by script"}};
    return std::vector<std::string>{refusals-- > 0 ? rpc::encode(refusal) : node.answer(request)};
  });
  Client client(seeded(node));
  ASSERT_TRUE(client.put("k", "v"));
  EXPECT_EQ(node.requests(), 3);
}

TEST_P(ClientRetries, OnlyUntilTheDeadlineAndThenSaysWhatTheNodeSaid) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script([](const rpc::Request& r) { return std::vector<std::string>{refuse_all(r, GetParam())}; });
  Client client(seeded(node, kShort));
  const auto put = client.put("k", "v");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, GetParam());
  EXPECT_EQ(put.error().message, "by script");
}

INSTANTIATE_TEST_SUITE_P(Codes, ClientRetries, ::testing::Values(Errc::unavailable, Errc::overloaded),
                         [](const auto& param) { return std::string(name_of(param.param)); });

TEST(ClientFailure, OtherErrorsAreFinal) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(
      [](const rpc::Request& r) { return std::vector<std::string>{refuse_all(r, Errc::disk_full)}; });
  Client client(seeded(node));
  EXPECT_EQ(client.put("k", "v").error().code, Errc::disk_full);
  EXPECT_EQ(node.requests(), 1);
}

TEST(ClientFailure, AWriteWithoutAnAnswerIsUnknownAndNeverSentTwice) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(silence());
  Client client(seeded(node, kShort));
  EXPECT_EQ(client.put("k", "v").error().code, Errc::unknown_outcome);
  EXPECT_EQ(client.remove("k").error().code, Errc::unknown_outcome);
  EXPECT_EQ(node.requests(), 2);
}

TEST(ClientFailure, AReadWithoutAnAnswerIsTriedAgain) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> silent = 1;
  node.set_script([&](const rpc::Request& request) {
    return silent-- > 0 ? std::vector<std::string>{} : std::vector<std::string>{node.answer(request)};
  });
  Client client(seeded(node));
  EXPECT_EQ(client.get("k").error().code, Errc::not_found);
  EXPECT_EQ(node.requests(), 2);
}

TEST(ClientFailure, AReadWithoutAnyAnswerIsUnavailable) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(silence());
  Client client(seeded(node, kShort));
  EXPECT_EQ(client.get("k").error().code, Errc::unavailable);
  EXPECT_GT(node.requests(), 1);
}

TEST(ClientFailure, AReadInAFrameWithAWriteIsNotRepeated) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(silence());
  Client client(seeded(node, kShort));
  const std::vector<Operation> operations = {{OpCode::get, "k", {}}, {OpCode::put, "k", "v"}};
  const auto results = client.execute(operations);
  EXPECT_EQ(results[0].code, Errc::unavailable);
  EXPECT_EQ(results[1].code, Errc::unknown_outcome);
  EXPECT_EQ(node.requests(), 1);
}

TEST(ClientFailure, AWriteThatNeverLeftIsUnavailableAndNotUnknown) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  Client client(seeded(node, kShort));
  ASSERT_TRUE(client.topology());
  node.stop();
  // The client may still believe in its connection for a moment: then the outcome is rightly unknown.
  Errc code = client.put("k", "v").error().code;
  if (code == Errc::unknown_outcome) code = client.put("k", "v").error().code;
  EXPECT_EQ(code, Errc::unavailable);
}

TEST(ClientFailure, AWriteThatNeverLeftGoesToTheNewPrimary) {
  TwoNodes cluster;
  const std::string dead = dead_endpoint();
  Topology first = topology_of({&cluster.a, &cluster.b});
  first.nodes[0].rpc = dead;
  cluster.b.set_topology(first);
  Client client(seeded(cluster.b));
  ASSERT_TRUE(client.topology());
  Topology second = first;
  second.version = 2;
  second.change = 1;
  for (Keeper& keeper : second.keepers) keeper.incarnation = 1;
  second.shards[0].primary = NodeId{2};
  cluster.b.set_topology(second);
  EXPECT_TRUE(client.put(cluster.key, "v"));
  EXPECT_EQ(cluster.b.requests(), 1);
}

/// b is primary of both shards.
Topology after_take_over(const TwoNodes& cluster) {
  Topology next = topology_of({&cluster.a, &cluster.b}, 2);
  next.shards[0].primary = NodeId{2};
  return next;
}

TEST(ClientFailure, AReadLeavesASilentNodeForTheNewPrimaryWithinItsTry) {
  TwoNodes cluster;
  ASSERT_TRUE(Client(seeded(cluster.b)).put(key_of_shard(1, 2), "v"));
  cluster.a.set_script([&](const rpc::Request&) {
    cluster.b.set_topology(after_take_over(cluster));
    return std::vector<std::string>{};
  });
  Client client(seeded(cluster.b));
  EXPECT_EQ(client.get(cluster.key).error().code, Errc::not_found);
  // A try takes a second; a slow machine may need one more.
  EXPECT_LE(cluster.a.requests(), 2);
}

TEST(ClientFailure, AWriteOnAConnectionThatIsLostIsUnknownAtOnceAndAReadIsAskedElsewhere) {
  TwoNodes cluster;
  Client client(seeded(cluster.b));
  ASSERT_TRUE(client.topology());
  cluster.a.set_script(silence());
  const Operation put{OpCode::put, cluster.key, "v"};
  const Operation get{OpCode::get, cluster.key, {}};
  const Ticket write = client.submit({&put, 1});
  const Ticket read = client.submit({&get, 1});
  client.flush();
  while (cluster.a.requests() < 2) ASSERT_EQ(client.wait_any(1ms).error().code, Errc::unavailable);
  cluster.b.set_topology(after_take_over(cluster));
  cluster.a.stop();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(client.wait(write)->results[0].code, Errc::unknown_outcome);
  EXPECT_EQ(client.wait(read)->results[0].code, Errc::not_found);
  EXPECT_LT(std::chrono::steady_clock::now() - began, kPatient / 2) << "not only at the deadline";
}

TEST(ClientFailure, WhileAWriteIsUnansweredOthersFindTheNewPrimary) {
  TwoNodes cluster;
  Client client(seeded(cluster.b, 3s));
  ASSERT_TRUE(client.topology());
  cluster.a.set_script(silence());
  const Operation put{OpCode::put, cluster.key, "v"};
  const Ticket lost = client.submit({&put, 1});
  client.flush();
  cluster.b.set_topology(after_take_over(cluster));
  while ((*client.topology())->version != 2)
    ASSERT_EQ(client.wait_any(10ms).error().code, Errc::unavailable)
        << "the write ended before anything was learned";
  EXPECT_TRUE(client.put(cluster.key, "w"));
  EXPECT_EQ(client.wait(lost)->results[0].code, Errc::unknown_outcome);
  EXPECT_EQ(cluster.a.requests(), 1);
}

TEST(ClientFailure, AReadThatWasGivenUpTogetherWithAWriteIsAskedAgain) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> given_up = 1;
  node.set_script([&](const rpc::Request& request) {
    if (given_up-- <= 0) return std::vector<std::string>{node.answer(request)};
    return std::vector<std::string>{
        rpc::encode(rpc::Reply{request.request_id, Error{Errc::unknown_outcome, "stepping down"}})};
  });
  Client client(seeded(node));
  const std::vector<Operation> operations = {{OpCode::get, "k", {}}, {OpCode::put, "k", "v"}};
  const auto results = client.execute(operations);
  EXPECT_EQ(results[0].code, Errc::not_found);
  EXPECT_EQ(results[1].code, Errc::unknown_outcome);
  EXPECT_EQ(node.requests(), 2);
}

/// Never a part of it, and never its reads alone.
TEST(ClientFailure, AnAtomicBatchIsSentAgainOnlyAsAWhole) {
  TwoNodes cluster;
  std::atomic<int> refusals = 2;
  std::atomic<std::size_t> smallest = 99;
  cluster.a.set_script([&](const rpc::Request& request) {
    smallest = std::min<std::size_t>(smallest, request.operations.size());
    if (refusals-- <= 0) return std::vector<std::string>{cluster.a.answer(request)};
    const Errc code = refusals == 1 ? Errc::overloaded : Errc::unavailable;
    return std::vector<std::string>{rpc::encode(rpc::Reply{request.request_id, Error{code, "by script"}})};
  });
  Client client(seeded(cluster.a));
  const std::vector<Operation> batch = {{OpCode::put, cluster.key, "v"}, {OpCode::get, cluster.key, {}}};
  const auto done = client.execute_atomically(batch);
  EXPECT_EQ(done[0].code, Errc::ok);
  EXPECT_EQ(done[1].value, "v");
  EXPECT_EQ(cluster.a.requests(), 3);
  cluster.a.set_script([&](const rpc::Request& request) {
    return std::vector<std::string>{
        rpc::encode(rpc::Reply{request.request_id, Error{Errc::unknown_outcome, "by script"}})};
  });
  for (const OperationResult& result : client.execute_atomically(batch))
    EXPECT_EQ(result.code, Errc::unknown_outcome);
  EXPECT_EQ(cluster.a.requests(), 4);
  EXPECT_EQ(smallest, 2U);
}

TEST(ClientFailure, AScanIsAskedAgainWhereAShardDoesNotAnswer) {
  TwoNodes cluster;
  const auto page = [](const rpc::Request& request, const std::string& key) {
    rpc::ScanReply reply;
    reply.items.push_back({key, {Epoch{1}, Seq{1}}, "v"});
    return rpc::encode(rpc::Reply{request.request_id, std::move(reply)});
  };
  std::atomic<int> refusals = 3;
  cluster.a.set_script(
      [&](const rpc::Request& request) { return std::vector<std::string>{page(request, "a")}; });
  cluster.b.set_script([&](const rpc::Request& request) {
    if (refusals-- <= 0) return std::vector<std::string>{page(request, "b")};
    return std::vector<std::string>{
        rpc::encode(rpc::Reply{request.request_id, Error{Errc::unavailable, "by script"}})};
  });
  Client client(seeded(cluster.a));
  const auto scanned = client.scan({});
  ASSERT_TRUE(scanned) << scanned.error().message;
  EXPECT_EQ(scanned->items.size(), 2U);
  EXPECT_EQ(cluster.a.requests(), 1) << "who has answered is not asked again";
  EXPECT_EQ(cluster.b.requests(), 4);
  cluster.b.set_script([&](const rpc::Request& request) {
    return std::vector<std::string>{
        rpc::encode(rpc::Reply{request.request_id, Error{Errc::corrupt, "by script"}})};
  });
  EXPECT_EQ(client.scan({}).error().code, Errc::corrupt);
}

TEST(ClientFailure, AnAtomicBatchWithoutAnAnswerIsUnknownAsAWhole) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(silence());
  Client client(seeded(node, kShort));
  const std::vector<Operation> operations = {{OpCode::put, "k", "v"}, {OpCode::get, "k", {}}};
  for (const OperationResult& result : client.execute_atomically(operations))
    EXPECT_EQ(result.code, Errc::unknown_outcome);
  EXPECT_EQ(node.requests(), 1);
}

TEST(ClientFailure, AskedByAnOperatorOnlyOneNodeDoesItOnce) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  const rpc::Control hand_over{rpc::ControlAction::hand_over, "a", "b"};
  node.set_script([&](const rpc::Request& request) {
    EXPECT_EQ(request.type, rpc::Type::control);
    EXPECT_EQ(*request.control, hand_over);
    return std::vector<std::string>{rpc::encode(rpc::Reply{request.request_id, rpc::ControlReply{"done"}})};
  });
  Client client(seeded(node, kShort));
  EXPECT_EQ(*client.control(node.endpoint(), hand_over), "done");
  node.set_script([](const rpc::Request& request) {
    return std::vector<std::string>{
        rpc::encode(rpc::Reply{request.request_id, Error{Errc::unavailable, "ask b"}})};
  });
  EXPECT_EQ(client.control(node.endpoint(), hand_over).error().code, Errc::unavailable);
  node.set_script(silence());
  EXPECT_EQ(client.control(node.endpoint(), hand_over).error().code, Errc::unknown_outcome);
  EXPECT_EQ(node.requests(), 3);
  EXPECT_EQ(client.control(dead_endpoint(), hand_over).error().code, Errc::unavailable);
}

TEST(ClientFailure, TakesANodesTopologyOnlyIfItIsNewer) {
  TwoNodes cluster;
  Client client(seeded(cluster.a));
  ASSERT_EQ((*client.topology())->version, 1U);
  cluster.b.set_topology(after_take_over(cluster));
  EXPECT_EQ((*client.topology_of(cluster.b.endpoint()))->version, 2U);
  EXPECT_EQ((*client.topology_of(cluster.a.endpoint()))->version, 2U);
}

TEST(ClientFailure, ReconnectsToANodeThatCameBack) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  Client client(seeded(node));
  ASSERT_TRUE(client.put("k", "v"));
  node.stop();
  node.start();
  // A read, since a write sent into the dying connection would rightly have an unknown outcome.
  const auto got = client.get("k");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->value, "v");
}

TEST(ClientFailure, OneLivingSeedIsEnough) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  Client client({.seeds = {dead_endpoint(), dead_endpoint(), node.endpoint()}, .deadline = kPatient});
  EXPECT_TRUE(client.put("k", "v"));
}

TEST(ClientFailure, WithoutALivingSeedEverythingIsUnavailable) {
  Client client({.seeds = {dead_endpoint()}, .deadline = kShort});
  EXPECT_EQ(client.put("k", "v").error().code, Errc::unavailable);
  EXPECT_EQ(client.topology().error().code, Errc::unavailable);
  EXPECT_EQ(client.status(dead_endpoint()).error().code, Errc::unavailable);
}

TEST(ClientFailure, ASeedThatIsNoEndpointIsNamedInTheError) {
  Client client({.seeds = {"not an endpoint"}, .deadline = kShort});
  const auto put = client.put("k", "v");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unavailable);
  EXPECT_NE(put.error().message.find("not an endpoint"), std::string::npos) << put.error().message;
}

TEST(ClientFailure, NodesThatDoNotAnswerDoNotHideTheStatusOfThoseThatDo) {
  FakeNode node;
  Client client(seeded(node, kShort));
  const std::vector<std::string> endpoints = {dead_endpoint(), node.endpoint(), "nonsense"};
  const auto answers = client.status(endpoints);
  EXPECT_FALSE(answers[0]);
  EXPECT_TRUE(answers[1]);
  EXPECT_FALSE(answers[2]);
}

TEST(ClientFailure, GarbageIsIgnored) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script([&](const rpc::Request& request) {
    std::string two_results;  // to a request of one operation
    Packer(two_results).array(4).uint(1).uint(1).uint(request.request_id).array(2).array(0).array(0);
    const rpc::Reply another{request.request_id + 1000, Error{Errc::internal, "nobody asked this"}};
    const std::string good = node.answer(request);
    return std::vector<std::string>{"",
                                    "\xc1",
                                    std::string(1000, '\x94'),
                                    two_results,
                                    rpc::encode(another),
                                    good.substr(0, good.size() - 1),
                                    good,
                                    good};
  });
  Client client(seeded(node));
  ASSERT_TRUE(client.put("k", "v"));
  EXPECT_EQ(client.get("k")->value, "v");
}

TEST(ClientFailure, AnAnswerFromAnotherNodeThanTheAskedOneIsIgnored) {
  TwoNodes cluster;
  // a leaves its answer to b, which gives it together with its own.
  std::mutex mutex;
  std::vector<std::string> stolen;
  cluster.a.set_script([&](const rpc::Request& request) {
    const std::lock_guard lock(mutex);
    stolen.push_back(refuse_all(request, Errc::internal));
    return std::vector<std::string>{};
  });
  cluster.b.set_script([&](const rpc::Request& request) {
    const std::lock_guard lock(mutex);
    std::vector<std::string> replies = std::exchange(stolen, {});
    replies.push_back(cluster.b.answer(request));
    return replies;
  });
  Client client(seeded(cluster.a, 1s));
  const std::vector<Operation> to_a = {{OpCode::put, cluster.key, "v"}};
  const Ticket unanswered = client.submit(to_a);
  ASSERT_EQ(client.wait_any(100ms).error().code, Errc::unavailable);
  ASSERT_TRUE(client.put(key_of_shard(1, 2), "v"));
  EXPECT_EQ(client.wait(unanswered)->results[0].code, Errc::unknown_outcome);
}

// An answer that has arrived counts, however late its asker looks.
TEST(ClientFailure, AnswersThatCameInTimeCountAfterTheDeadline) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> answered = 0;
  node.set_script([&](const rpc::Request& request) {
    ++answered;
    return std::vector<std::string>{node.answer(request)};
  });
  Client client(seeded(node, kShort));
  ASSERT_TRUE(client.topology());
  const std::vector<Operation> put = {{OpCode::put, "k", "v"}};
  const std::vector<Operation> get = {{OpCode::get, "k", {}}};
  const Ticket written = client.submit(put);
  const Ticket read = client.submit(get);
  client.flush();
  while (answered < 2) std::this_thread::yield();
  std::this_thread::sleep_for(2 * kShort);  // this is what it is about
  EXPECT_EQ(client.wait(written)->results[0].code, Errc::ok);
  EXPECT_EQ(client.wait(read)->results[0].value, "v");
  EXPECT_EQ(answered, 2);
}

TEST(ClientFailure, WithoutATopologyNoMoreGathersThanMayBeInFlight) {
  ClientOptions options = {.seeds = {dead_endpoint()}, .deadline = kShort, .max_in_flight = 10};
  Client client(options);
  const std::vector<Operation> put = {{OpCode::put, "k", "v"}};
  for (int i = 0; i < 25; ++i) client.submit(put);
  for (int i = 0; i < 15; ++i)
    ASSERT_TRUE(client.wait_any(0ms));  // their time was up before the last could come
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.wait_any(kPatient)->results[0].code, Errc::unavailable);
  EXPECT_EQ(client.wait_any(kPatient).error().code, Errc::bad_request);
}

TEST(ClientFailure, BatchesThatShareAFrameEndEachForItself) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script(silence());
  Client client(seeded(node, kShort));
  ASSERT_TRUE(client.topology());
  const std::vector<Operation> put = {{OpCode::put, "k", "v"}};
  const std::vector<Operation> both = {{OpCode::put, "k", "v"}, {OpCode::get, "k", {}}};
  const Ticket first = client.submit(put);
  const Ticket second = client.submit(both);
  EXPECT_EQ(client.wait(first)->results[0].code, Errc::unknown_outcome);
  const auto results = client.wait(second)->results;
  EXPECT_EQ(results[0].code, Errc::unknown_outcome);
  EXPECT_EQ(results[1].code, Errc::unavailable);
  EXPECT_EQ(node.requests(), 1);
}

TEST(ClientFailure, BatchesThatShareAFrameAreRefusedAndRetriedEachForItself) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::atomic<int> refusals = 2;
  node.set_script([&](const rpc::Request& request) {
    return std::vector<std::string>{refusals-- > 0 ? refuse_all(request, Errc::overloaded)
                                                   : node.answer(request)};
  });
  Client client(seeded(node));
  ASSERT_TRUE(client.topology());
  std::map<Ticket, std::string> values;
  const std::vector<std::string> keys = {"a", "b", "c"};
  for (const std::string& key : keys) {
    const std::vector<Operation> operations = {{OpCode::put, key, key}, {OpCode::get, key, {}}};
    values.emplace(client.submit(operations), key);
  }
  for (int i = 0; i < 3; ++i) {
    const auto completion = client.wait_any(kPatient);
    ASSERT_TRUE(completion);
    EXPECT_EQ(completion->results[1].value, values.at(completion->ticket));
  }
}

TEST(ClientFailure, AFrameThatNeverLeftIsUnavailableToAllWhoShareIt) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  Client client(seeded(node, kShort));
  ASSERT_TRUE(client.topology());
  node.stop();
  // Until the client has noticed, what it sends may have left.
  const std::vector<Operation> put = {{OpCode::put, "k", "v"}};
  while (client.execute(put)[0].code != Errc::unavailable) {
  }
  const Ticket first = client.submit(put);
  const Ticket second = client.submit(put);
  EXPECT_EQ(client.wait(second)->results[0].code, Errc::unavailable);
  EXPECT_EQ(client.wait(first)->results[0].code, Errc::unavailable);
}

TEST(ClientFailure, ANodeOfAnotherProtocolVersionIsNamedAsSuch) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  node.set_script([](const rpc::Request& request) {
    std::string bytes;
    Packer(bytes).array(4).uint(2).uint(0).uint(request.request_id).array(2).uint(5).text("speak 2");
    return std::vector<std::string>{bytes};
  });
  Client client(seeded(node));
  EXPECT_EQ(client.put("k", "v").error().code, Errc::wrong_version);
}

TEST(ClientFailure, ASignalDoesNotEndAWait) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  FakeNode node;
  node.set_topology(topology_of({&node}));
  const pthread_t waiting = pthread_self();
  node.set_script([&](const rpc::Request& request) {
    for (int i = 0; i < 20; ++i) {
      pthread_kill(waiting, SIGUSR1);
      std::this_thread::yield();
    }
    return std::vector<std::string>{node.answer(request)};
  });
  Client client(seeded(node));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client.put("k", "v"));
  sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace dkv::test
