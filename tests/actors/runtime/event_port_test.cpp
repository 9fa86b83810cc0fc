// Frames from a primary's node to those who follow it, and what does not belong on those ports.
#include <atomic>
#include <gtest/gtest.h>
#include <malloc.h>

#include "messages/frame.hpp"
#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

using Frames = std::shared_ptr<Seen<std::string>>;

FrameBytes frame(ShardId shard, std::uint64_t number, std::size_t size = 10) {
  FramePacker packer;
  packer.add({EventType::put, "key", std::string(size, 'v')});
  return packer.finish(shard, Epoch{1}, Position{Epoch{1}, Seq{number}}, Seq{number});
}

/// Publishes one frame of `shard` after the other, forever.
Script publisher(ShardId shard, std::size_t size) {
  Script script;
  auto next = std::make_shared<TimePoint>();
  script.wake_at = [next] { return *next; };
  script.on_wake = [=, number = std::uint64_t{0}](TimePoint now, Effects& out) mutable {
    out.publish(frame(shard, ++number, size));
    *next = now + 2ms;
  };
  return script;
}

Script follower(NodeId node, Frames frames) {
  Script script;
  script.on_start = [node](TimePoint, Effects& out) {
    out.subscribe(node);
    out.subscribe(node);  // asking twice brings nothing twice
  };
  script.on_message = [frames](Envelope envelope, TimePoint, Effects&) {
    if (auto* event = std::get_if<EventFrame>(&envelope.message)) frames->add(*event->bytes);
  };
  return script;
}

/// Not consecutive: a frame may be lost.
void expect_growing_frames_of(ShardId shard, const std::vector<std::string>& frames) {
  std::uint64_t last = 0;
  for (const std::string& bytes : frames) {
    const auto decoded = decode_frame(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->shard, shard);
    EXPECT_GT(decoded->prev.seq.value, last);
    last = decoded->prev.seq.value;
  }
}

class EventPortFrames : public ::testing::TestWithParam<std::size_t> {};

TEST_P(EventPortFrames, ReachEachFollowerOfTheirShardInOrder) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  TestWorld two(topology, kTwo);
  // 7 and 77: one begins like the other when it is written in decimal.
  const ShardId other{77};
  one.spawn(kMainThread, member_of(kOne), publisher(kShard, GetParam()));
  one.spawn(kMainThread, member_of(kOne, other), publisher(other, GetParam()));
  const auto frames = std::make_shared<Seen<std::string>>();
  const auto other_frames = std::make_shared<Seen<std::string>>();
  two.spawn(kMainThread, member_of(kTwo), follower(kOne, frames));
  two.spawn(kMainThread, member_of(kTwo, other), follower(kOne, other_frames));
  one.start();
  two.start();
  constexpr std::size_t kCount = 20;
  const auto seen = frames->wait_for(kCount);
  const auto others_seen = other_frames->wait_for(kCount);
  EXPECT_GE(seen.size(), kCount);
  EXPECT_GE(others_seen.size(), kCount);
  expect_growing_frames_of(kShard, seen);
  expect_growing_frames_of(other, others_seen);
}

// Copied into messages, and shared with them.
INSTANTIATE_TEST_SUITE_P(SmallAndLarge, EventPortFrames, ::testing::Values(10, 100'000));

TEST(EventPort, BoundsTheBytesThatSubscribersLeaveUnread) {
  TestWorld test(make_topology(), kOne);
  const FrameBytes small = frame(kShard, 1);
  const FrameBytes large = frame(kShard, 2, 16'000'000);
  auto burst = std::make_shared<std::atomic<bool>>(false);
  auto next = std::make_shared<TimePoint>();
  Script script;
  script.wake_at = [next] { return *next; };
  script.on_wake = [=](TimePoint now, Effects& out) {
    *next = now + 5ms;
    out.publish(small);
    // In all far more than may wait, but far fewer than the queue takes.
    if (burst->exchange(false)) {
      for (int i = 0; i < 40; ++i) out.publish(large);
    }
  };
  test.spawn(kMainThread, member_of(kOne), std::move(script));
  test.start();
  {
    RawSocket lazy(zmq::socket_type::sub, test.node().events, 1);
    lazy.socket().set(zmq::sockopt::subscribe, topic_of(kShard));
    ASSERT_FALSE(lazy.receive().empty());
    *burst = true;
    EXPECT_TRUE(eventually([&] { return test.world.counters().frames_unsent > 0; }));
    EXPECT_LT(test.world.counters().frames_unsent, 40U);
  }
  // Once it is gone there is room for large frames again.
  RawSocket reader(zmq::socket_type::sub, test.node().events);
  reader.socket().set(zmq::sockopt::subscribe, topic_of(kShard));
  ASSERT_TRUE(eventually([&] {
    *burst = true;
    for (int i = 0; i < 100; ++i) {
      const auto parts = reader.receive();
      if (parts.empty() || parts[0].size() == large->size()) return !parts.empty();
    }
    return false;
  }));
}

/// A follower whose publisher is the test: node 1's events endpoint is bound by a raw PUB.
class EventPortInput : public ::testing::Test {
 protected:
  EventPortInput() {
    publisher_.set(zmq::sockopt::linger, 0);
    publisher_.bind("tcp://" + test_.topology->find_node(kOne)->events);
    test_.spawn(kMainThread, member_of(kTwo), follower(kOne, frames_));
    test_.start();
  }
  void publish(const std::vector<std::string>& parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto flags = i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      ASSERT_TRUE(publisher_.send(zmq::buffer(parts[i]), flags));
    }
  }

  zmq::context_t context_;
  zmq::socket_t publisher_{context_, zmq::socket_type::pub};
  Frames frames_ = std::make_shared<Seen<std::string>>();
  TestWorld test_{make_topology(2), kTwo};
};

TEST_F(EventPortInput, GivesBytesOnUncheckedButOnlyOfOnePart) {
  const std::string topic = topic_of(kShard);
  ASSERT_TRUE(eventually([&] {
    publish({topic + "hello"});
    return !frames_->now().empty();
  }));
  publish({topic + "of", "several", "parts"});
  publish({topic + std::string(1'000, '\xff')});
  publish({"another topic"});
  publish({topic + "end"});
  ASSERT_TRUE(eventually([&] { return frames_->now().back() == topic + "end"; }));
  const auto frames = frames_->now();
  EXPECT_EQ(frames[frames.size() - 2], topic + std::string(1'000, '\xff'));
  for (const std::string& bytes : frames) EXPECT_EQ(bytes.find("of"), std::string::npos);
  EXPECT_EQ(test_.world.counters().frames_refused, 1U);
}

/// A subscription to a topic of a megabyte, as bytes on the wire: libzmq's own XSUB, whose topic tree
/// recurses once per byte, overflows its stack on sending one.
std::string deep_subscription() {
  std::string bytes = subscriber_hello();
  bytes +=
      std::string("\x02\0\0\0\0\0\x0f\x42\x41\x01", 10);  // a message of 1,000,001 bytes: subscribe to ...
  return bytes + std::string(1'000'000, 't');
}

TEST(EventPort, SurvivesGarbageOnItsPorts) {
  const auto topology = make_topology(2);
  TestWorld one(topology, kOne);
  one.spawn(kMainThread, member_of(kOne), publisher(kShard, 10));
  one.spawn("watch", {kOne, Role::watcher, {}}, {});
  one.start();
  for (const std::string& endpoint : {one.node().events, one.node().watch}) {
    for (const std::string& bytes : garbage()) throw_at(endpoint, bytes);
    RawSocket subscriber(zmq::socket_type::xsub, endpoint);
    ASSERT_TRUE(subscriber.send({std::string(500, '\x01')}));
    ASSERT_TRUE(subscriber.send({"no subscription", "at all"}));
    throw_at(endpoint, deep_subscription());
  }
  TestWorld two(topology, kTwo);
  const auto frames = std::make_shared<Seen<std::string>>();
  two.spawn(kMainThread, member_of(kTwo), follower(kOne, frames));
  two.start();
  EXPECT_GE(frames->wait_for(1).size(), 1U);
}

TEST(EventPort, EndsTheConnectionsOfSubscribersThatFellSilent) {
  TestWorld test(make_topology(), kOne);
  test.spawn("watch", {kOne, Role::watcher, {}}, {});
  test.start();
  EXPECT_TRUE(is_closed_on(test.node().events, subscriber_hello()));
  EXPECT_TRUE(is_closed_on(test.node().watch, subscriber_hello()));
}

std::size_t allocated_bytes() { return ::mallinfo2().uordblks; }

TEST(EventPort, LetsGoOfSubscribersThatLeftANodeWhichPublishesNothing) {
  // Without a sanitizer, whose allocator tells nothing here.
  TestWorld test(make_topology(), kOne);
  test.start();
  const auto churn = [&] {
    for (int i = 0; i < 200; ++i) subscribe_and_leave(test.node().events);
  };
  churn();  // what grows once
  const std::size_t before = allocated_bytes();
  churn();
  EXPECT_TRUE(eventually([&] { return allocated_bytes() < before + 200'000; })) << allocated_bytes() - before;
}

}  // namespace
}  // namespace dkv::test
