// The watch port, before a watcher of the test's own.
#include "messages/watch.hpp"
#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

const Address kWatcher{kSelf, Role::watcher, {}};

class WatchPort : public testing::Test {
 protected:
  WatchPort() : test_(make_topology()) {
    Script watcher;
    watcher.on_message = [this](Envelope envelope, TimePoint, Effects& out) {
      if (const auto* subscription = std::get_if<WatchSubscription>(&envelope.message))
        seen_.add(*subscription);
      if (const auto* opened = std::get_if<OpenWatch>(&envelope.message))
        say(opened->prefix, opened->watch, out);
    };
    test_.spawn("watch", kWatcher, std::move(watcher));
    test_.start();
  }
  /// Has the watcher say that this key was put.
  void happen(const std::string& key, std::uint64_t seq) {
    test_.world.tell_watcher(OpenWatch{seq, key, {}});
  }
  static void say(const std::string& key, std::uint64_t seq, Effects& out) {
    const auto owner = std::make_shared<const std::string>(key);
    out.send(kClient, WatchBroadcast{kShard, {{{Epoch{1}, Seq{seq}}, EventType::put, *owner, "v"}}, owner});
  }
  static std::string event(const std::string& key, std::uint64_t seq, const WatchCounts& counts) {
    return encode_watch_event(kShard, {{Epoch{1}, Seq{seq}}, EventType::put, key, "v"}, counts);
  }
  using Parts = std::vector<std::string>;

  Seen<WatchSubscription> seen_;
  TestWorld test_;
};

TEST_F(WatchPort, ASubscriptionIsAPrefix) {
  RawSocket subscriber(zmq::socket_type::sub, test_.node().watch);
  subscriber.socket().set(zmq::sockopt::subscribe, "kcity/");
  EXPECT_EQ(seen_.wait_for(1).at(0).prefix, "city/");
  happen("other", 1);
  happen("city/delhi", 2);
  EXPECT_EQ(subscriber.receive(), (Parts{"kcity/delhi", event("city/delhi", 2, {{5, 1}})}));
  subscriber.socket().set(zmq::sockopt::unsubscribe, "kcity/");
  EXPECT_FALSE(seen_.wait_for(2).at(1).wanted);
}

TEST_F(WatchPort, EachEventSaysHowManyThereHaveBeenForEachPrefix) {
  RawSocket subscriber(zmq::socket_type::sub, test_.node().watch);
  for (const char* topic : {"k", "kab", "kabc", "kx"})
    subscriber.socket().set(zmq::sockopt::subscribe, topic);
  seen_.wait_for(4);
  happen("ab", 1);
  happen("abcd", 2);
  EXPECT_EQ(subscriber.receive(), (Parts{"kab", event("ab", 1, {{0, 1}, {2, 1}})}));
  EXPECT_EQ(subscriber.receive(), (Parts{"kabcd", event("abcd", 2, {{0, 2}, {2, 2}, {3, 1}})}));
  // And again when nothing more has come for a while: the last one may have been lost.
  EXPECT_EQ(subscriber.receive(), (Parts{"k", encode_watch_counts({{0, 2}})}));
  EXPECT_EQ(subscriber.receive(), (Parts{"kab", encode_watch_counts({{2, 2}})}));
  EXPECT_EQ(subscriber.receive(), (Parts{"kabc", encode_watch_counts({{3, 1}})}));
}

TEST_F(WatchPort, WhatIsNoWatchIsIgnored) {
  RawSocket subscriber(zmq::socket_type::xsub, test_.node().watch);
  ASSERT_TRUE(subscriber.send({"\x01"}));     // everything, which is not only keys
  ASSERT_TRUE(subscriber.send({"\x01zzz"}));  // another kind of topic
  ASSERT_TRUE(subscriber.send({"no subscription"}));
  ASSERT_TRUE(subscriber.send({"\x01kmine"}));
  ASSERT_TRUE(subscriber.send({"\xffkmine"}));  // no unsubscription
  ASSERT_TRUE(subscriber.send({"\x01kother"}));
  const auto seen = seen_.wait_for(3);
  EXPECT_EQ(seen.at(0).prefix, "");
  EXPECT_EQ(seen.at(1).prefix, "mine");
  EXPECT_EQ(seen.at(2).prefix, "other");
}

TEST_F(WatchPort, ALostSubscriberNoLongerSubscribes) {
  {
    RawSocket subscriber(zmq::socket_type::sub, test_.node().watch);
    subscriber.socket().set(zmq::sockopt::subscribe, "ka");
    EXPECT_TRUE(seen_.wait_for(1).at(0).wanted);
  }
  const auto seen = seen_.wait_for(2);
  EXPECT_EQ(seen.at(1).prefix, "a");
  EXPECT_FALSE(seen.at(1).wanted);
}

}  // namespace
}  // namespace dkv::test
