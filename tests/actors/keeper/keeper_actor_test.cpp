#include "actors/keeper/keeper_actor.hpp"

#include "tests/actors/keeper/keeper_kit.hpp"

namespace dkv::test {
namespace {

const Address kSelf{NodeId{1}, Role::keeper, {}};
const Address kAsker{NodeId{2}, Role::registrar, {}};

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() { start(); }
  void start() {
    keeper_ = std::make_unique<KeeperActor>(kSelf, disk_.open(), KeeperOptions{kCluster, ++process_, {}});
    talk_ = std::make_unique<Conversation>(*keeper_);
    Effects out;
    keeper_->on_start(talk_->now(), out);
  }
  void restart() {
    disk_.crash();
    start();
  }
  void tell(Message message) { talk_->tell(std::move(message), kAsker); }
  std::uint64_t incarnation() const { return keeper_->state().incarnation; }
  TopologyPtr first() const { return version(1, incarnation()); }
  void accept(std::uint64_t counter, const TopologyPtr& topology) {
    tell(peer::RegisterAccept{ballot(counter), encode(*topology)});
  }

  TestDisk disk_;
  std::uint64_t process_ = 1;
  std::unique_ptr<KeeperActor> keeper_;
  std::unique_ptr<Conversation> talk_;
};

TEST_F(KeeperTest, PromisesAndSaysWhatItHasAccepted) {
  tell(peer::RegisterPrepare{ballot(1), {}});
  auto promise = talk_->said<peer::RegisterPromise>();
  EXPECT_EQ(talk_->last_to(), kAsker);
  EXPECT_EQ(promise.ballot, ballot(1));
  EXPECT_EQ(promise.keeper, (peer::KeeperIdentity{incarnation(), 1}));
  EXPECT_EQ(promise.accepted, Ballot{});
  EXPECT_EQ(promise.topology, "");
  accept(1, first());
  EXPECT_EQ(talk_->said<peer::RegisterAccepted>().ballot, ballot(1));
  tell(peer::RegisterPrepare{ballot(2), {}});
  promise = talk_->said<peer::RegisterPromise>();
  EXPECT_EQ(promise.accepted, ballot(1));
  EXPECT_EQ(promise.topology, encode(*first()));
  // Who has it already is spared the bytes.
  tell(peer::RegisterPrepare{ballot(3), ballot(1)});
  promise = talk_->said<peer::RegisterPromise>();
  EXPECT_EQ(promise.accepted, ballot(1));
  EXPECT_EQ(promise.topology, "");
}

TEST_F(KeeperTest, KeepsItsPromiseAndNamesIt) {
  tell(peer::RegisterPrepare{ballot(5), {}});
  talk_->forget();
  tell(peer::RegisterPrepare{ballot(4), {}});
  EXPECT_EQ(talk_->said<peer::RegisterNack>(), (peer::RegisterNack{ballot(4), ballot(5)}));
  accept(4, first());
  EXPECT_EQ(talk_->said<peer::RegisterNack>(), (peer::RegisterNack{ballot(4), ballot(5)}));
  EXPECT_EQ(keeper_->state().accepted, Ballot{});
  accept(6, first());  // whose prepare others answered
  EXPECT_EQ(talk_->said<peer::RegisterAccepted>().ballot, ballot(6));
}

TEST_F(KeeperTest, AnswersTheSameQuestionAgain) {
  for (int i = 0; i < 2; ++i) {
    tell(peer::RegisterPrepare{ballot(1), {}});
    EXPECT_EQ(talk_->said<peer::RegisterPromise>().ballot, ballot(1));
  }
  for (int i = 0; i < 2; ++i) {
    accept(1, first());
    EXPECT_EQ(talk_->said<peer::RegisterAccepted>().ballot, ballot(1));
  }
}

TEST_F(KeeperTest, RemembersOverACrashWhateverItAnswered) {
  tell(peer::RegisterPrepare{ballot(3), {}});
  EXPECT_TRUE(talk_->has_said<peer::RegisterPromise>());
  restart();
  accept(2, first());
  EXPECT_EQ(talk_->said<peer::RegisterNack>().promised, ballot(3));
  accept(3, first());
  EXPECT_TRUE(talk_->has_said<peer::RegisterAccepted>());
  const KeeperState before = keeper_->state();
  restart();
  EXPECT_EQ(keeper_->state(), before);
}

TEST_F(KeeperTest, WritesOncePerTurn) {
  tell(peer::RegisterPrepare{ballot(1), {}});
  const std::uint64_t before = disk_.platter.steps;
  for (std::uint64_t counter = 2; counter < 50; ++counter) {
    talk_->deliver(peer::RegisterPrepare{ballot(counter), {}}, kAsker);
  }
  EXPECT_FALSE(disk_.platter.steps > before);
  talk_->end_turn();
  EXPECT_EQ(disk_.platter.steps, before + 4);  // two files, each written and synced
}

TEST_F(KeeperTest, WhoseSyncFailsAnswersNothingEverAgain) {
  disk_.platter.sync_fails = true;
  tell(peer::RegisterPrepare{ballot(1), {}});
  disk_.platter.sync_fails = false;
  tell(peer::RegisterPrepare{ballot(2), {}});
  tell(peer::RegisterPoll{1, 1, {}});
  EXPECT_FALSE(talk_->has_said<peer::RegisterPromise>());
  EXPECT_FALSE(talk_->has_said<peer::RegisterState>());
  EXPECT_TRUE(keeper_->has_failed());
  EXPECT_EQ(talk_->logged().size(), 1U);
}

TEST_F(KeeperTest, OnAFullDiskSaysSoAndAnswersOnceThereIsRoom) {
  disk_.platter.capacity = disk_.platter.size();
  accept(1, first());
  accept(1, first());
  EXPECT_FALSE(talk_->has_said<peer::RegisterAccepted>());
  EXPECT_EQ(talk_->logged().size(), 1U);
  disk_.platter.capacity = SIZE_MAX;
  talk_->pass(1s);
  EXPECT_FALSE(talk_->has_said<peer::RegisterAccepted>());  // that question is over
  accept(1, first());
  EXPECT_TRUE(talk_->has_said<peer::RegisterAccepted>());
}

TEST_F(KeeperTest, WithDamagedFilesAnswersNothing) {
  disk_.crash();
  for (auto& [name, file] : disk_.platter.files) file.durable[5] = file.content[5] = '\x77';
  start();
  tell(peer::RegisterPrepare{ballot(1), {}});
  tell(peer::RegisterPoll{1, 1, {}});
  EXPECT_FALSE(talk_->has_said<peer::RegisterPromise>());
  EXPECT_FALSE(talk_->has_said<peer::RegisterState>());
  EXPECT_TRUE(keeper_->has_failed());
}

TEST_F(KeeperTest, AcceptsNothingThatIsNoTopologyOrNamesAnotherFolder) {
  tell(peer::RegisterAccept{ballot(1), "garbage"});
  accept(2, version(1, incarnation() + 1));
  EXPECT_FALSE(talk_->has_said<peer::RegisterAccepted>());
  EXPECT_EQ(keeper_->state().accepted, Ballot{});
}

TEST_F(KeeperTest, ANewFolderIsAnotherKeeperUntilSomethingChosenNamesIt) {
  accept(1, first());
  const std::uint64_t lost = incarnation();
  disk_.platter.files.clear();
  start();
  EXPECT_NE(incarnation(), lost);
  tell(peer::RegisterPrepare{ballot(9), {}});
  EXPECT_EQ(talk_->said<peer::RegisterPromise>().keeper, (peer::KeeperIdentity{incarnation(), 1}));

  // What merely is proposed does not make it a keeper's.
  const TopologyPtr admitting =
      version(8, {{NodeId{1}, incarnation(), 8}, {NodeId{2}, 102, 1}, {NodeId{3}, 103, 1}});
  accept(9, admitting);
  EXPECT_FALSE(talk_->has_said<peer::RegisterAccepted>());

  tell(TopologyChosen{ballot(10), admitting});
  EXPECT_EQ(keeper_->state().since, 8U);
  EXPECT_EQ(keeper_->state().accepted, ballot(10));
  EXPECT_EQ(keeper_->state().topology, encode(*admitting));
  restart();
  tell(peer::RegisterPrepare{ballot(11), {}});
  const auto promise = talk_->said<peer::RegisterPromise>();
  EXPECT_EQ(promise.keeper.since, 8U);
  EXPECT_EQ(promise.accepted, ballot(10));
}

TEST_F(KeeperTest, ThatWasDroppedAndAdmittedAgainTakesBothFromWhatWasChosen) {
  accept(1, first());
  const TopologyPtr again =
      version(6, {{NodeId{1}, incarnation(), 6}, {NodeId{2}, 102, 1}, {NodeId{3}, 103, 1}});
  accept(2, again);
  EXPECT_EQ(keeper_->state().accepted, ballot(1));
  tell(TopologyChosen{ballot(2), again});
  EXPECT_EQ(keeper_->state().accepted, ballot(2));
  EXPECT_EQ(keeper_->state().since, 6U);
}

}  // namespace
}  // namespace dkv::test
