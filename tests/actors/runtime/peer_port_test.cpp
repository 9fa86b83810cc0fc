// Two worlds in one process that talk over loopback, and what does not belong on the peer port.
#include <atomic>
#include <gtest/gtest.h>
#include <utility>

#include "messages/peer.hpp"
#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

/// What a member got from another node.
struct Got {
  Address from;
  peer::Body body;
};
using GotList = std::shared_ptr<Seen<Got>>;

/// Keeps what comes from elsewhere; sends `first` to `to` again and again: messages may be lost.
Script member(GotList got, Address to, std::function<Message()> first) {
  Script script;
  auto next = std::make_shared<TimePoint>(first ? TimePoint{} : kNever);
  script.wake_at = [next] { return *next; };
  script.on_wake = [=](TimePoint now, Effects& out) {
    *next = now + 20ms;
    out.send(to, first());
  };
  script.on_message = [got](Envelope envelope, TimePoint, Effects&) {
    std::visit(Overloaded{[&](peer::ReplicaAck& body) {
                            got->add({envelope.from, std::move(body)});
                          },
                          [&](peer::PullRequest& body) {
                            got->add({envelope.from, std::move(body)});
                          },
                          [&](peer::PullReply& body) {
                            got->add({envelope.from, std::move(body)});
                          },
                          [](auto&) {}},
               envelope.message);
  };
  return script;
}

peer::ReplicaAck some_ack() { return {kShard, Epoch{3}, Position{Epoch{3}, Seq{17}}, Seq{16}, 4711}; }

TEST(PeerPort, CarriesMessagesBetweenTheMembersOfAShard) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  TestWorld two(topology, kTwo);
  const auto got_one = std::make_shared<Seen<Got>>();
  const auto got_two = std::make_shared<Seen<Got>>();
  one.spawn(kMainThread, member_of(kOne), member(got_one, member_of(kTwo), some_ack));
  const peer::PullReply large{kShard,   5,  6,      peer::PullOutcome::ok,
                              Epoch{3}, {}, Seq{1}, std::string(1'000'000, 'f')};
  two.spawn(kMainThread, member_of(kTwo), member(got_two, member_of(kOne), [large] { return large; }));
  one.start();
  two.start();
  const auto at_two = got_two->wait_for(1);
  ASSERT_GE(at_two.size(), 1U);
  EXPECT_EQ(at_two[0].from, member_of(kOne));
  EXPECT_EQ(std::get<peer::ReplicaAck>(at_two[0].body), some_ack());
  const auto at_one = got_one->wait_for(1);
  ASSERT_GE(at_one.size(), 1U);
  EXPECT_EQ(at_one[0].from, member_of(kTwo));
  EXPECT_TRUE(std::get<peer::PullReply>(at_one[0].body) == large);
}

/// An actor of the register on one node asks its counterpart on the other, until that one is answered.
TEST(PeerPort, BringsTheRegistersMessagesToItsActors) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  TestWorld two(topology, kTwo);
  const Address registrar{kOne, Role::registrar, {}};
  const Address keeper{kTwo, Role::keeper, {}};
  const peer::RegisterAccept question{{7, kOne, 8}, std::string(1'000'000, 't')};
  const auto answered = std::make_shared<Seen<Got>>();
  Script asks;
  const auto next = std::make_shared<TimePoint>();
  asks.wake_at = [next] { return *next; };
  asks.on_wake = [=](TimePoint now, Effects& out) {
    *next = now + 20ms;
    out.send(keeper, question);
  };
  asks.on_message = [answered](Envelope envelope, TimePoint, Effects&) {
    if (auto* body = std::get_if<peer::RegisterAccepted>(&envelope.message))
      answered->add({envelope.from, *body});
  };
  Script answers;
  answers.on_message = [question](Envelope envelope, TimePoint, Effects& out) {
    const auto* asked = std::get_if<peer::RegisterAccept>(&envelope.message);
    if (asked != nullptr && *asked == question)
      out.send(envelope.from, peer::RegisterAccepted{asked->ballot, {9, 1}});
  };
  one.spawn(kMainThread, registrar, std::move(asks));
  two.spawn("keeper", keeper, std::move(answers));
  one.start();
  two.start();
  const auto got = answered->wait_for(1);
  ASSERT_GE(got.size(), 1U);
  EXPECT_EQ(got[0].from, keeper);
  EXPECT_EQ(std::get<peer::RegisterAccepted>(got[0].body), (peer::RegisterAccepted{{7, kOne, 8}, {9, 1}}));
}

TEST(PeerPort, FindsANodeAgainThatCameBack) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  const auto got_one = std::make_shared<Seen<Got>>();
  one.spawn(kMainThread, member_of(kOne), member(got_one, member_of(kTwo), some_ack));
  one.start();
  for (int run = 0; run < 2; ++run) {
    TestWorld two(topology, kTwo);
    const auto got_two = std::make_shared<Seen<Got>>();
    two.spawn(kMainThread, member_of(kTwo), member(got_two, member_of(kOne), nullptr));
    two.start();
    EXPECT_GE(got_two->wait_for(1).size(), 1U) << "run " << run;
  }
  EXPECT_GT(one.world.counters().peer_unsent, 0U);  // while two was away
}

TEST(PeerPort, BoundsTheBytesThatWaitForANodeAndStillSendsAcks) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  auto burst = std::make_shared<std::atomic<bool>>(false);
  auto next = std::make_shared<TimePoint>();
  Script script;
  script.wake_at = [next] { return *next; };
  auto burst_is_out = std::make_shared<std::atomic<bool>>(false);
  script.on_wake = [=, sending = false](TimePoint now, Effects& out) mutable {
    *next = now + 5ms;
    if (std::exchange(sending, burst->exchange(false))) *burst_is_out = true;
    // More than may wait, but far fewer than the queue takes.
    for (std::uint64_t i = 0; i < 120 && sending; ++i) {
      out.send(member_of(kTwo),
               peer::PullReply{
                   kShard, 5, i, peer::PullOutcome::ok, Epoch{3}, {}, Seq{1}, std::string(1'000'000, 'f')});
    }
    out.send(member_of(kTwo), some_ack());
  };
  one.spawn(kMainThread, member_of(kOne), std::move(script));
  one.start();
  // Node 2 is a socket that reads when the test does.
  zmq::context_t context;
  zmq::socket_t two(context, zmq::socket_type::router);
  two.set(zmq::sockopt::linger, 0);
  two.set(zmq::sockopt::rcvhwm, 1);
  two.set(zmq::sockopt::rcvtimeo, 20'000);
  two.bind("tcp://" + topology->find_node(kTwo)->peer);
  const auto receive = [&] {
    zmq::message_t part;
    EXPECT_TRUE(two.recv(part));
    EXPECT_TRUE(two.recv(part));
    return part.size();
  };
  ASSERT_LT(receive(), 1'000U);
  const std::uint64_t before = one.world.counters().peer_unsent;
  *burst = true;
  ASSERT_TRUE(eventually([&] { return burst_is_out->load(); }));
  // At once: soon the heartbeats will end a connection that nobody reads from.
  EXPECT_GT(one.world.counters().peer_unsent, before);
  while (receive() < 1'000) {
  }
  while (receive() > 1'000) {  // the ack behind them
  }
}

class PeerPortInput : public ::testing::Test {
 protected:
  PeerPortInput() {
    test_.spawn(kMainThread, member_of(kOne), member(got_, member_of(kTwo), nullptr));
    test_.start();
  }
  void expect_it_still_listens() {
    const std::size_t before = got_->now().size();
    RawSocket other(zmq::socket_type::dealer, test_.node().peer);
    ASSERT_TRUE(other.send({peer::encode({kTwo, test_.topology->id, some_ack()})}));
    EXPECT_EQ(got_->wait_for(before + 1).size(), before + 1);
  }

  GotList got_ = std::make_shared<Seen<Got>>();
  TestWorld test_{make_topology(2), kOne};
};

TEST_F(PeerPortInput, IgnoresWhatIsMalformedOrOfAnotherClusterOrFromAStranger) {
  RawSocket other(zmq::socket_type::dealer, test_.node().peer);
  const std::string good = peer::encode({kTwo, test_.topology->id, some_ack()});
  std::string other_version = good;
  ASSERT_EQ(other_version[1], '\x02');
  other_version[1] = '\x07';
  const std::vector<std::vector<std::string>> bad = {
      {"garbage"},
      {std::string(10'000, '\xff')},
      {""},
      {good + "x"},
      {other_version},
      {good, good},
      {peer::encode({kTwo, test_.topology->id + 1, some_ack()})},
      {peer::encode({NodeId{9}, test_.topology->id, some_ack()})},
      {peer::encode({kOne, test_.topology->id, some_ack()})},  // claims to be this node itself
  };
  for (const auto& parts : bad) ASSERT_TRUE(other.send(parts));
  ASSERT_TRUE(other.send({good}));
  ASSERT_EQ(got_->wait_for(1).size(), 1U);
  EXPECT_EQ(test_.world.counters().peer_refused, bad.size());
  EXPECT_EQ(test_.lines->now().size(), 1U);  // one line, however many there were
}

TEST_F(PeerPortInput, CountsMessagesForShardsThatAreNotHere) {
  RawSocket other(zmq::socket_type::dealer, test_.node().peer);
  peer::ReplicaAck ack = some_ack();
  ack.shard = ShardId{99};
  ASSERT_TRUE(other.send({peer::encode({kTwo, test_.topology->id, ack})}));
  EXPECT_TRUE(eventually([&] { return test_.world.counters().undeliverable == 1; }));
  expect_it_still_listens();
}

TEST_F(PeerPortInput, SurvivesGarbageOnItsPort) {
  for (const std::string& bytes : garbage()) throw_at(test_.node().peer, bytes);
  expect_it_still_listens();
}

TEST(PeerPort, SaysWhatItCannotSend) {
  const auto topology = make_topology(2);
  TestWorld test(topology, kOne);
  Script script;
  script.on_start = [](TimePoint, Effects& out) { out.send(member_of(kTwo), StatusQuery{}); };
  test.spawn(kMainThread, member_of(kOne), std::move(script));
  test.start();
  EXPECT_TRUE(test.logged("cannot send StatusQuery to node 2 member of shard 7"));
  EXPECT_EQ(test.world.counters().undeliverable, 1U);
}

}  // namespace
}  // namespace dkv::test
