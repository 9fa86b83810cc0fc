#include "actors/keeper/register_actor.hpp"

#include "tests/actors/keeper/keeper_kit.hpp"

namespace dkv::test {
namespace {

const Address kListener{NodeId{2}, Role::router, {}};
const Address kMember{NodeId{2}, Role::member, kShard};

/// The registrar of node 2, and the test as everybody else.
class Registrar : public testing::Test {
 protected:
  Registrar()
      : registrar_({NodeId{2}, Role::registrar, {}}, three_keepers(), {99, {}, {kListener}}),
        talk_(registrar_) {
    Effects out;
    registrar_.on_start(talk_.now(), out);
  }

  /// The ballot of its next round; what else it says meanwhile is dropped.
  Ballot begun() {
    for (int i = 0; i < 100 && !talk_.has_said<peer::RegisterPrepare>(); ++i) talk_.pass(20ms);
    const Ballot ballot = talk_.said<peer::RegisterPrepare>().ballot;
    talk_.forget();
    return ballot;
  }
  static Address keeper(std::uint32_t node) { return {NodeId{node}, Role::keeper, {}}; }
  static peer::KeeperIdentity folder(std::uint32_t node) { return {100 + node, 1}; }
  void promise(std::uint32_t node, const Ballot& ballot, const Ballot& accepted = {},
               const TopologyPtr& topology = nullptr) {
    talk_.tell(peer::RegisterPromise{ballot, folder(node), accepted, topology ? encode(*topology) : ""},
               keeper(node));
  }
  void accepted(std::uint32_t node, const Ballot& ballot) {
    talk_.tell(peer::RegisterAccepted{ballot, folder(node)}, keeper(node));
  }
  Topology proposed() {
    const auto decoded = decode_topology(talk_.said<peer::RegisterAccept>().topology);
    EXPECT_TRUE(decoded);
    return decoded ? *decoded : Topology{};
  }
  /// Makes it ready, with version 4 in the register.
  void get_ready() {
    const Ballot ballot = begun();
    promise(1, ballot, test::ballot(1, 1), version(4));
    promise(3, ballot, test::ballot(1, 1), version(4));
    accepted(1, ballot);
    accepted(3, ballot);
    EXPECT_TRUE(registrar_.is_ready());
    talk_.forget();
  }
  void propose(std::uint64_t id, std::uint64_t expected = 0) {
    talk_.tell(ProposeChange{{id, {{expected, three_keepers()->shards[0], true}}}}, kMember);
  }

  RegisterActor registrar_;
  Conversation talk_;
};

TEST_F(Registrar, BeginsARegisterOnlyWithEveryKeeper) {
  const Ballot ballot = begun();
  promise(1, ballot);
  promise(3, ballot);
  EXPECT_FALSE(talk_.has_said<peer::RegisterAccept>());
  promise(2, ballot);
  const Topology first = proposed();
  EXPECT_EQ(first.version, 1U);
  EXPECT_NE(first.change, 0U);
  EXPECT_EQ(first.id, kCluster);
  EXPECT_EQ(first.keepers, version(1)->keepers);
  accepted(1, ballot);
  EXPECT_FALSE(registrar_.is_ready());
  accepted(2, ballot);
  EXPECT_TRUE(registrar_.is_ready());
  EXPECT_EQ(*talk_.said<TopologyChanged>().topology, first);
}

TEST_F(Registrar, SaysNothingBeforeAFullRoundOfItsOwn) {
  begun();
  talk_.tell(peer::RegisterChosen{ballot(9, 1), encode(*version(9))}, {NodeId{1}, Role::registrar, {}});
  EXPECT_FALSE(talk_.has_said<TopologyChanged>());
  EXPECT_FALSE(registrar_.is_ready());
  EXPECT_EQ(registrar_.known().topology->version, 9U);
}

TEST_F(Registrar, ProposesAgainWhatTheNewestPromiseHolds) {
  const Ballot ballot = begun();
  promise(1, ballot, test::ballot(1, 1), version(4));
  promise(3, ballot, test::ballot(2, 1), version(5));
  EXPECT_EQ(proposed(), *version(5));
}

TEST_F(Registrar, CountsOnlyTheFoldersThatTheTopologyNames) {
  const Ballot ballot = begun();
  promise(1, ballot, test::ballot(2, 1), version(5, 4711));  // it names another folder of node 1
  promise(3, ballot, test::ballot(1, 1), version(4));
  EXPECT_FALSE(talk_.has_said<peer::RegisterAccept>());
  promise(2, ballot);
  const Topology next = proposed();
  EXPECT_EQ(next.version, 6U);
  EXPECT_EQ(next.keepers[0], (Keeper{NodeId{1}, 101, 6}));  // and admits the one that is there
  // In the second phase it does not count either: those of the topology that this was made from decide.
  accepted(1, ballot);
  accepted(3, ballot);
  EXPECT_FALSE(registrar_.is_ready());
  accepted(2, ballot);
  EXPECT_TRUE(registrar_.is_ready());
}

TEST_F(Registrar, AKeeperThatWasAdmittedButDoesNotKnowItDoesNotCount) {
  const Ballot ballot = begun();
  const TopologyPtr admitting = version(8, {{NodeId{1}, 101, 8}, {NodeId{2}, 102, 1}, {NodeId{3}, 103, 1}});
  promise(3, ballot, test::ballot(1, 1), admitting);
  promise(1, ballot);  // since 1, as it believes
  EXPECT_FALSE(talk_.has_said<peer::RegisterAccept>());
}

TEST_F(Registrar, TellsWhoseChangeWasChosen) {
  get_ready();
  propose(55);
  const Ballot ballot = begun();
  promise(1, ballot, test::ballot(1, 1), version(4));
  promise(2, ballot, test::ballot(1, 1), version(4));
  const Topology next = proposed();
  EXPECT_EQ(next.version, 5U);
  EXPECT_EQ(next.shards[0].change, 55U);
  EXPECT_EQ(next.shards[0].epoch, Epoch{5});
  accepted(2, ballot);
  EXPECT_FALSE(talk_.has_said<ChangeSettled>());
  accepted(3, ballot);
  const auto settled = talk_.said<ChangeSettled>();
  EXPECT_EQ(talk_.last_to(), kMember);
  EXPECT_EQ(settled.change, 55U);
  EXPECT_EQ(settled.outcome, ChangeOutcome::chosen);
  EXPECT_EQ(*settled.topology, next);
  EXPECT_EQ(talk_.said<peer::RegisterChosen>().topology, encode(next));
  EXPECT_EQ(*talk_.said<TopologyChosen>().topology, next);
  EXPECT_EQ(talk_.said<TopologyChanged>().topology->version, 5U);
}

TEST_F(Registrar, DoesNotTellALostChangeBeforeARoundThatNoEarlierOneCanUndo) {
  get_ready();
  propose(55);
  const Ballot first = begun();
  promise(1, first, ballot(1, 1), version(4));
  promise(2, first, ballot(1, 1), version(4));
  proposed();  // somebody may have accepted it
  auto theirs = std::make_shared<Topology>(*version(5));
  theirs->shards[0].change = 66;
  talk_.tell(peer::RegisterChosen{ballot(50, 3), encode(*theirs)}, {NodeId{3}, Role::registrar, {}});
  EXPECT_FALSE(talk_.has_said<ChangeSettled>());
  talk_.forget();
  talk_.pass(1s);
  const Ballot second = begun();
  EXPECT_GT(second, ballot(50, 3));
  promise(1, second, ballot(50, 3), theirs);
  promise(3, second, ballot(50, 3), theirs);
  EXPECT_FALSE(talk_.has_said<ChangeSettled>());
  accepted(1, second);
  accepted(3, second);
  EXPECT_EQ(talk_.said<ChangeSettled>().outcome, ChangeOutcome::overtaken);
}

TEST_F(Registrar, BacksOffWithAHigherBallotWhenAMajorityRefuses) {
  const Ballot first = begun();
  talk_.tell(peer::RegisterNack{first, ballot(70, 3)}, keeper(1));
  talk_.forget();
  const Ballot second = begun();
  EXPECT_GT(second, ballot(70, 3));
  EXPECT_EQ(second.node, NodeId{2});
  EXPECT_EQ(second.process, 99U);
}

TEST_F(Registrar, AReadIsAFullRoundThatBeganLater) {
  get_ready();
  talk_.tell(ReadRegister{5}, kMember);
  const Ballot first = begun();
  talk_.tell(ReadRegister{6}, kMember);  // this round began before
  promise(1, first, ballot(1, 1), version(4));
  promise(3, first, ballot(1, 1), version(4));
  accepted(1, first);
  accepted(3, first);
  EXPECT_EQ(talk_.said<RegisterRead>().token, 5U);
  EXPECT_FALSE(talk_.has_said<RegisterRead>());
  const Ballot second = begun();
  EXPECT_GT(second, first);
}

TEST_F(Registrar, LearnsFromThePollWhatAMajorityHasAccepted) {
  get_ready();
  talk_.pass(2s);
  const auto poll = talk_.said<peer::RegisterPoll>();
  const peer::RegisterState state{poll.process, poll.request, {}, ballot(90, 3), encode(*version(7))};
  auto from = [&](std::uint32_t node) {
    peer::RegisterState one = state;
    one.keeper = folder(node);
    talk_.tell(one, keeper(node));
  };
  from(1);
  from(1);
  EXPECT_EQ(registrar_.known().topology->version, 4U);
  from(3);
  EXPECT_EQ(registrar_.known().topology->version, 7U);
  EXPECT_EQ(talk_.said<TopologyChanged>().topology->version, 7U);
}

TEST_F(Registrar, TellsTheAddressesOfItsFileWhateverTheRegisterBeganWith) {
  get_ready();
  auto moved = std::make_shared<Topology>(*version(5));
  const std::string before = moved->nodes[1].rpc;
  moved->nodes[1].rpc = "10.0.0.9:7001";
  talk_.tell(peer::RegisterChosen{ballot(50, 3), encode(*moved)}, {NodeId{3}, Role::registrar, {}});
  EXPECT_EQ(registrar_.known().topology->nodes[1].rpc, "10.0.0.9:7001") << "a change is made from what it is";
  const auto told = talk_.said<TopologyChanged>().topology;
  EXPECT_EQ(told->version, 5U);
  EXPECT_EQ(told->nodes[1].rpc, before);
}

TEST_F(Registrar, SaysWhenItIsIsolatedAndWhenNotAnyMore) {
  get_ready();
  EXPECT_FALSE(registrar_.is_isolated());
  for (int i = 0; i < 5; ++i) talk_.pass(1s);
  EXPECT_TRUE(talk_.said<RegisterReach>().isolated);
  EXPECT_EQ(talk_.last_to(), kListener);
  talk_.forget();
  for (int i = 0; i < 2; ++i) {
    talk_.pass(1s);
    const auto poll = talk_.said<peer::RegisterPoll>();
    for (std::uint32_t node : {1U, 3U})
      talk_.tell(peer::RegisterState{poll.process, poll.request, folder(node), {}, ""}, keeper(node));
  }
  EXPECT_FALSE(talk_.said<RegisterReach>().isolated);
}

TEST_F(Registrar, TellsWhichKeepersAnswerAndForHowLongOthersHaveNot) {
  talk_.tell(StatusQuery{7}, kListener);
  const auto before = talk_.said<RegisterReport>();
  EXPECT_EQ(talk_.last_to(), kListener);
  EXPECT_EQ(before.token, 7U);
  EXPECT_TRUE(before.isolated);
  ASSERT_EQ(before.keepers.size(), 3U);
  for (const KeeperStatus& keeper : before.keepers) EXPECT_FALSE(keeper.reached) << keeper.node;

  get_ready();  // by keepers 1 and 3
  talk_.pass(900ms);
  talk_.tell(StatusQuery{8}, kListener);
  const auto after = talk_.said<RegisterReport>();
  EXPECT_FALSE(after.isolated);
  for (const std::size_t place : {0U, 2U}) {
    EXPECT_TRUE(after.keepers[place].reached);
    EXPECT_EQ(after.keepers[place].silent_ms, 900U);
  }
  EXPECT_FALSE(after.keepers[1].reached);
  EXPECT_GT(after.keepers[1].silent_ms, 900U);
}

TEST_F(Registrar, IgnoresAnswersToOtherRoundsAndOtherClusters) {
  const Ballot ballot = begun();
  promise(1, {ballot.counter, ballot.node, ballot.process + 1});
  auto foreign = std::make_shared<Topology>(*version(4));
  foreign->id = kCluster + 1;
  promise(1, ballot, test::ballot(1, 1), foreign);
  promise(2, ballot, test::ballot(1, 1), foreign);
  talk_.tell(peer::RegisterPromise{ballot, folder(3), test::ballot(1, 1), "garbage"}, keeper(3));
  EXPECT_FALSE(talk_.has_said<peer::RegisterAccept>());
}

}  // namespace
}  // namespace dkv::test
