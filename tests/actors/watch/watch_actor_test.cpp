#include "actors/watch/watch_actor.hpp"

#include "messages/limits.hpp"
#include "tests/actors/conversation.hpp"

namespace dkv::test {
namespace {

constexpr std::uint64_t kProcess = 77;
constexpr Address kWatcher{kReplicaNode, Role::watcher, {}};

Position at(std::uint64_t epoch, std::uint64_t seq) { return {Epoch{epoch}, Seq{seq}}; }

/// A frame of puts after `prev`, each of its own key as value; an empty key begins an epoch.
std::string frame(Position prev, std::uint64_t epoch, const std::vector<std::string>& keys) {
  FramePacker packer;
  for (const std::string& key : keys)
    packer.add({key.empty() ? EventType::epoch_start : EventType::put, key, key.empty() ? "" : "v:" + key});
  return *packer.finish(kShard, Epoch{epoch}, prev, {});
}

class Watcher : public testing::Test {
 protected:
  Watcher() : actor_(kWatcher, kProcess), world_(actor_) { world_.tell(TopologyChanged{one_shard()}); }

  void open(std::uint64_t watch, const std::string& prefix, Position from = {}) {
    ShardPositions positions;
    if (from != Position{}) positions.emplace_back(kShard, from);
    world_.tell(OpenWatch{watch, prefix, positions});
  }
  peer::ChangesRequest asked() { return world_.said<peer::ChangesRequest>(); }
  void answer(const peer::ChangesRequest& request, Position upto, std::string frames = {},
              peer::PullOutcome outcome = peer::PullOutcome::ok) {
    world_.tell(
        peer::ChangesReply{kShard, request.process, request.request, outcome, upto, std::move(frames)});
  }
  /// Opens a watch that begins at `position`, whose stream is level with the primary then.
  peer::ChangesRequest begin(std::uint64_t watch, const std::string& prefix, Position position) {
    open(watch, prefix);
    const auto where = asked();
    EXPECT_EQ(where.from, Position{});
    answer(where, position);
    EXPECT_EQ(world_.said<WatchNews>().kind, WatchNews::Kind::opened);
    return asked();
  }
  /// Keys told next, of that watch.
  std::vector<std::string> keys(std::uint64_t watch) {
    const auto news = world_.said<WatchNews>();
    EXPECT_EQ(news.watch, watch);
    EXPECT_EQ(news.kind, WatchNews::Kind::events);
    std::vector<std::string> keys;
    for (const WatchedEvent& event : news.events) keys.emplace_back(event.key);
    return keys;
  }
  using Keys = std::vector<std::string>;

  WatchActor actor_;
  Conversation world_;
};

TEST_F(Watcher, AsksNobodyAnythingWhileNobodyWatches) {
  world_.pass(60s);
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
  begin(1, "a", at(3, 10));
  world_.tell(CloseWatch{1});
  world_.pass(60s);
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
  EXPECT_EQ(actor_.wake_at(), kNever);
}

TEST_F(Watcher, TellsWhatBeginsWithThePrefixInOrderFromNowOn) {
  const auto question = begin(1, "a", at(3, 10));
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::member, kShard}));
  EXPECT_EQ(question.from, at(3, 10));
  answer(question, at(3, 14), frame(at(3, 10), 3, {"a1", "b", "a2"}) + frame(at(3, 13), 3, {"a1"}));
  const auto news = world_.said<WatchNews>();
  ASSERT_EQ(news.events.size(), 3U);
  EXPECT_EQ(news.events[0].key, "a1");
  EXPECT_EQ(news.events[0].value, "v:a1");
  EXPECT_EQ(news.events[0].position, at(3, 11));
  EXPECT_EQ(news.events[1].position, at(3, 13));
  EXPECT_EQ(news.events[2].position, at(3, 14));
  EXPECT_EQ(news.upto, at(3, 14));
  EXPECT_EQ(asked().from, at(3, 14));
}

TEST_F(Watcher, SaysThatAWatchIsOpenWhenItHasBegunInEveryShard) {
  open(1, "");
  EXPECT_FALSE(world_.has_said<WatchNews>());
  answer(asked(), at(3, 10));
  const auto news = world_.said<WatchNews>();
  EXPECT_EQ(news.kind, WatchNews::Kind::opened);
  EXPECT_EQ(news.positions, (ShardPositions{{kShard, at(3, 10)}}));
}

TEST_F(Watcher, WhoComesWhileItIsAskedWhereTheHistoryIsWaitsForTheNextAnswer) {
  open(1, "");
  const auto first = asked();
  open(2, "");
  answer(first, at(3, 10));
  EXPECT_EQ(world_.said<WatchNews>().watch, 1U);
  EXPECT_FALSE(world_.has_said<WatchNews>());
  world_.forget();
  world_.pass(5s);  // its question was lost with the others
  for (auto question = asked();; question = asked()) {
    if (question.from != Position{}) continue;
    answer(question, at(3, 12));
    break;
  }
  EXPECT_EQ(world_.said<WatchNews>().watch, 2U);
}

TEST_F(Watcher, GoesOnWithinAFrame) {
  open(1, "", at(3, 12));
  EXPECT_EQ(world_.said<WatchNews>().kind, WatchNews::Kind::opened);
  answer(asked(), at(3, 14), frame(at(3, 10), 3, {"a", "b", "c", "d"}));
  EXPECT_EQ(keys(1), (Keys{"c", "d"}));
}

TEST_F(Watcher, AnEpochThatBeginsIsPassedOver) {
  const auto question = begin(1, "", at(3, 10));
  answer(question, at(4, 12), frame(at(3, 10), 4, {"", "a"}));
  EXPECT_EQ(keys(1), Keys{"a"});
  EXPECT_EQ(asked().from, at(4, 12));
}

TEST_F(Watcher, AFrameThatDoesNotFollowIsNotTold) {
  const auto question = begin(1, "", at(3, 10));
  answer(question, at(3, 13), frame(at(3, 12), 3, {"a"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());  // not at once
  world_.pass(1s);
  EXPECT_EQ(asked().from, at(3, 10));
}

TEST_F(Watcher, AnotherHistorysFrameIsNotTold) {
  const auto question = begin(1, "", at(3, 10));
  answer(question, at(4, 12), frame(at(2, 10), 4, {"a", "b"}));
  answer(question, at(4, 12), frame(at(3, 9), 4, {"a", "b"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
}

TEST_F(Watcher, AsksAgainWhatIsNotAnsweredAndTakesOneAnswer) {
  const auto first = begin(1, "", at(3, 10));
  world_.pass(3s);
  const auto second = asked();
  EXPECT_EQ(second.from, first.from);
  EXPECT_NE(second.request, first.request);
  answer(first, at(3, 11), frame(at(3, 10), 3, {"late"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
  answer(second, at(3, 11), frame(at(3, 10), 3, {"a"}));
  EXPECT_EQ(keys(1), Keys{"a"});
  answer(second, at(3, 11), frame(at(3, 10), 3, {"a"}));  // doubled by the network
  EXPECT_FALSE(world_.has_said<WatchNews>());
}

TEST_F(Watcher, AnAnswerToAnEarlierProcessIsNoAnswer) {
  auto question = begin(1, "", at(3, 10));
  --question.process;
  answer(question, at(3, 11), frame(at(3, 10), 3, {"a"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
}

TEST_F(Watcher, AsksTheNewPrimaryAtOnce) {
  begin(1, "", at(3, 10));
  auto changed = std::make_shared<Topology>(*one_shard());
  changed->version = 9;
  changed->shards[0].primary = kReplicaNode;
  changed->shards[0].replicas = {kPrimaryNode};
  changed->shards[0].epoch = Epoch{9};
  world_.tell(TopologyChanged{changed});
  EXPECT_EQ(asked().from, at(3, 10));
  EXPECT_EQ(world_.last_to(), (Address{kReplicaNode, Role::member, kShard}));
}

TEST_F(Watcher, WhoIsRefusedAsksAgainSoon) {
  const auto question = begin(1, "", at(3, 10));
  answer(question, {}, {}, peer::PullOutcome::refused);
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
  world_.pass(100ms);
  EXPECT_EQ(asked().from, at(3, 10));
}

TEST_F(Watcher, WhoComesFromAnotherClusterIsToldSo) {
  open(1, "", at(99, 5));  // the register's epoch is 0
  world_.forget();
  for (const bool isolated : {true, false}) {
    world_.tell(RegisterReach{isolated});
    for (int i = 0; i < 300; ++i) {
      world_.pass(50ms);
      if (!world_.has_said<peer::ChangesRequest>()) continue;
      const auto question = asked();
      if (question.from == Position{}) {
        EXPECT_FALSE(isolated);
        answer(question, at(3, 10));
        break;
      }
      answer(question, {}, {}, peer::PullOutcome::refused);
    }
  }
  auto news = world_.said<WatchNews>();
  while (news.kind == WatchNews::Kind::progress) news = world_.said<WatchNews>();
  EXPECT_EQ(news.kind, WatchNews::Kind::diverged);
  EXPECT_EQ(news.upto, at(3, 10));
  EXPECT_EQ(asked().from, at(3, 10));
}

TEST_F(Watcher, TellsAGapAndGoesOnBehindIt) {
  for (const auto& [outcome, kind] : {std::pair{peer::PullOutcome::too_old, WatchNews::Kind::too_old},
                                      {peer::PullOutcome::diverged, WatchNews::Kind::diverged}}) {
    const std::uint64_t watch = kind == WatchNews::Kind::too_old ? 1 : 2;
    open(watch, "nothing", at(3, 2));
    EXPECT_EQ(world_.said<WatchNews>().kind, WatchNews::Kind::opened);
    answer(asked(), at(4, 99), {}, outcome);
    const auto news = world_.said<WatchNews>();
    EXPECT_EQ(news.watch, watch);
    EXPECT_EQ(news.kind, kind);
    EXPECT_EQ(news.upto, at(4, 99));
    world_.tell(CloseWatch{watch});
    world_.forget();
  }
}

TEST_F(Watcher, WhoIsBehindMeetsTheOthersAndSharesTheirQuestionsFromThen) {
  const auto level = begin(1, "", at(3, 14));
  open(2, "", at(3, 12));
  EXPECT_EQ(world_.said<WatchNews>().watch, 2U);
  const auto behind = asked();
  EXPECT_EQ(behind.from, at(3, 12));
  // Its answer reaches beyond where the other one is: told is what lies between.
  answer(behind, at(3, 16), frame(at(3, 12), 3, {"a", "b"}) + frame(at(3, 14), 3, {"c", "d"}));
  EXPECT_EQ(keys(2), (Keys{"a", "b"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
  answer(level, at(3, 16), frame(at(3, 14), 3, {"c", "d"}));
  EXPECT_EQ(keys(1), (Keys{"c", "d"}));
  EXPECT_EQ(keys(2), (Keys{"c", "d"}));
  EXPECT_EQ(asked().from, at(3, 16));
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
}

TEST_F(Watcher, ManyWhoComeBackShareAFewQuestions) {
  constexpr std::uint64_t kWatches = 100;
  for (std::uint64_t watch = 1; watch <= kWatches; ++watch) {
    world_.deliver(OpenWatch{watch, "", {{kShard, at(3, watch)}}});
  }
  world_.end_turn();
  std::map<std::uint64_t, Keys> told;
  std::vector<std::string> all;
  for (std::uint64_t seq = 1; seq <= kWatches + 3; ++seq) all.push_back("key-" + std::to_string(seq));
  const std::string history = frame({}, 3, all);
  std::size_t questions = 0;
  while (world_.has_said<peer::ChangesRequest>()) {
    const auto question = asked();
    if (question.from == at(3, kWatches + 3)) break;
    ++questions;
    answer(question, at(3, kWatches + 3), history);
    while (world_.has_said<WatchNews>()) {
      const auto news = world_.said<WatchNews>();
      for (const WatchedEvent& event : news.events) told[news.watch].emplace_back(event.key);
    }
  }
  EXPECT_LE(questions, 9U);
  for (std::uint64_t watch = 1; watch <= kWatches; ++watch) {
    EXPECT_EQ(told[watch], Keys(all.begin() + static_cast<std::ptrdiff_t>(watch), all.end())) << watch;
  }
}

TEST_F(Watcher, WhoTakesNothingIsParkedAndGoesOnWhereItWas) {
  begin(1, "", at(3, 10));
  open(2, "", at(3, 10));
  world_.said<WatchNews>();
  world_.forget();
  world_.pass(3s);
  FramePacker packer;
  const std::string large(WatchActor::kMaxUntakenBytes + 1, 'x');
  packer.add({EventType::put, "k", large});
  answer(asked(), at(3, 11), *packer.finish(kShard, Epoch{3}, at(3, 10), {}));
  const auto news = world_.said<WatchNews>();
  EXPECT_EQ(world_.said<WatchNews>().watch, 2U);
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());  // both are parked
  world_.tell(WatchTaken{1, news.bytes});
  const auto question = asked();
  EXPECT_EQ(question.from, at(3, 11));
  answer(question, at(3, 12), frame(at(3, 11), 3, {"a"}));
  EXPECT_EQ(keys(1), Keys{"a"});
  EXPECT_EQ(asked().from, at(3, 12));
  EXPECT_FALSE(world_.has_said<WatchNews>());
  world_.tell(WatchTaken{2, news.bytes});
  answer(asked(), at(3, 12), frame(at(3, 11), 3, {"a"}));
  EXPECT_EQ(keys(2), Keys{"a"});
}

TEST_F(Watcher, SaysEveryNowAndThenWhereItIs) {
  const auto question = begin(1, "nothing", at(3, 10));
  answer(question, at(3, 12), frame(at(3, 10), 3, {"a", "b"}));
  EXPECT_FALSE(world_.has_said<WatchNews>());
  world_.pass(11s);
  const auto news = world_.said<WatchNews>();
  EXPECT_EQ(news.kind, WatchNews::Kind::progress);
  EXPECT_EQ(news.positions, (ShardPositions{{kShard, at(3, 12)}}));
}

TEST_F(Watcher, TheWatchPortIsToldOnceWhateverItsPrefixes) {
  world_.tell(WatchSubscription{"a", true});
  answer(asked(), at(3, 10));
  world_.tell(WatchSubscription{"ab", true});
  answer(asked(), at(3, 12), frame(at(3, 10), 3, {"abc", "b"}));
  const auto told = world_.said<WatchBroadcast>();
  ASSERT_EQ(told.events.size(), 1U);
  EXPECT_EQ(told.events[0].key, "abc");
  world_.tell(WatchSubscription{"a", false});
  answer(asked(), at(3, 14), frame(at(3, 12), 3, {"ax", "abd"}));
  EXPECT_EQ(world_.said<WatchBroadcast>().events.size(), 1U);
  world_.tell(WatchSubscription{"ab", false});
  world_.forget();
  world_.pass(60s);
  EXPECT_FALSE(world_.has_said<peer::ChangesRequest>());
}

TEST_F(Watcher, WaitsForTheTopology) {
  WatchActor young(kWatcher, kProcess);
  Conversation world(young);
  world.tell(OpenWatch{1, "", {}});
  EXPECT_FALSE(world.has_said<peer::ChangesRequest>());
  world.tell(TopologyChanged{one_shard()});
  EXPECT_TRUE(world.has_said<peer::ChangesRequest>());
}

}  // namespace
}  // namespace dkv::test
