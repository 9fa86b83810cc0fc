#include "actors/member/member_actor.hpp"

#include "actors/shard/memory_store.hpp"
#include "tests/actors/conversation.hpp"

namespace dkv::test {
namespace {

constexpr std::uint64_t kProcess = 77;
constexpr std::uint64_t kFolder = 10;       // of the member under test
constexpr std::uint64_t kOtherFolder = 20;  // of the other one
constexpr Address kRegistrar{kPrimaryNode, Role::registrar, {}};
constexpr Address kOther{kReplicaNode, Role::member, kShard};

MemberOptions options() {
  MemberOptions options;
  options.process = kProcess;
  options.incarnation = options.replica.incarnation = kFolder;
  return options;
}

/// The member on node 1, and all that is around it.
class Member : public testing::Test {
 protected:
  explicit Member(MemberOptions how = options())
      : member_({kPrimaryNode, Role::member, kShard}, std::make_shared<MemoryStore>(), std::move(how)),
        world_(member_) {
    Effects out;
    member_.on_start(world_.now(), out);
  }

  /// As the register has it, changed by `change` from what it was.
  void chosen(ShardInfo shard, std::uint64_t change) {
    auto topology = std::make_shared<Topology>(*topology_);
    ++topology->version;
    topology->change = shard.change = change;
    topology->shards = {std::move(shard)};
    topology_ = topology;
  }
  const ShardInfo& shard() const { return topology_->shards[0]; }

  /// The register chooses what was proposed last.
  void choose() {
    const ProposeChange proposed = world_.said<ProposeChange>();
    const ShardEdit& edit = proposed.change.shards.at(0);
    EXPECT_EQ(edit.expected, shard().change);
    const bool begins = edit.begins_epoch || edit.next.primary != shard().primary;
    ShardInfo next = edit.next;
    next.epoch = begins ? Epoch{topology_->version + 1} : shard().epoch;
    chosen(std::move(next), proposed.change.id);
    world_.tell(ChangeSettled{proposed.change.id, ChangeOutcome::chosen, topology_, {}}, kRegistrar);
  }
  void learn() { world_.tell(TopologyChanged{topology_}, kRegistrar); }

  /// Its log does what it is told.
  void serve_log() {
    while (world_.has_said<AppendFrame>()) world_.tell(Durable{world_.said<AppendFrame>().last});
  }
  void open_log(Position head = {}) {
    world_.tell(RegisterReach{false}, kRegistrar);
    learn();
    world_.said<OpenLog>();
    world_.tell(LogOpened{head});
  }

  void grant(std::uint64_t folder) {
    world_.pass(100ms);
    const auto beat = world_.said<peer::Heartbeat>();
    world_.tell(peer::LeaseGrant{kShard, beat.epoch, beat.process, beat.sent_ns, folder}, kOther);
  }
  void acknowledge(Position durable, std::uint64_t folder) {
    world_.tell(peer::ReplicaAck{kShard, member_.epoch(), durable, {}, folder}, kOther);
  }

  /// The shard's first primary, alone in its in-sync set, in an epoch of its own.
  void become_first_primary() {
    open_log();
    choose();
    serve_log();
    ASSERT_NE(member_.primary(), nullptr);
    ASSERT_TRUE(member_.holds_lease(world_.now()));
  }
  Position head() { return member_.primary()->published(); }
  /// Node 2 is in sync, with everything that there is.
  void admit_the_other() {
    grant(kOtherFolder);
    acknowledge(head(), kOtherFolder);
    choose();
    grant(kOtherFolder);
    ASSERT_EQ(shard().in_sync, std::vector{kReplicaNode});
  }

  Errc put_now(const std::string& key) {
    world_.tell(ClientRequest{{0, "writer"}, put(key, "value")});
    serve_log();
    if (!world_.has_said<ClientReply>()) return Errc::ok;  // it waits
    const auto reply = world_.said<ClientReply>();
    return error_of(reply);
  }

  TopologyPtr topology_ = one_shard();
  MemberActor member_;
  Conversation world_;
};

TEST_F(Member, AdmitsNoReplicaByWhatItsLostFolderHad) {
  become_first_primary();
  grant(kOtherFolder);
  world_.forget();
  grant(kOtherFolder + 1);            // it was wiped meanwhile, and has a new folder
  acknowledge(head(), kOtherFolder);  // sent before that, and late
  world_.pass(100ms);
  EXPECT_FALSE(world_.has_said<ProposeChange>());
  EXPECT_EQ(member_.primary()->durable_on(kReplicaNode), Seq{});
  acknowledge(head(), kOtherFolder + 1);
  const auto proposed = world_.said<ProposeChange>();
  EXPECT_EQ(proposed.change.shards.at(0).next.folders.back().incarnation, kOtherFolder + 1);
}

TEST_F(Member, DoesNotLeadWithAnotherFolderThanTheRegistered) {  // R14
  ShardInfo now = shard();
  now.folders = {{kPrimaryNode, kFolder - 1}, {kReplicaNode, kOtherFolder}};
  now.epoch = Epoch{2};
  chosen(now, 100);
  open_log();
  world_.pass(10s);
  EXPECT_FALSE(world_.has_said<ProposeChange>());
  EXPECT_EQ(put_now("k"), Errc::unavailable);
}

TEST_F(Member, LeadsInAnEpochThatItsOwnProcessBegan) {  // R6
  ShardInfo now = shard();
  now.folders = {{kPrimaryNode, kFolder}};
  now.epoch = Epoch{2};
  chosen(now, 100);
  open_log({Epoch{2}, Seq{5}});
  EXPECT_EQ(put_now("k"), Errc::unavailable);
  choose();
  EXPECT_EQ(member_.epoch(), shard().epoch);
  const auto first = world_.said<AppendFrame>();
  EXPECT_EQ(first.last, (Position{shard().epoch, Seq{6}}));
  EXPECT_GT(shard().epoch, Epoch{2});
}

// ---- hand-over

class HandingOver : public Member {
 protected:
  void SetUp() override {
    become_first_primary();
    admit_the_other();
    world_.forget();
  }
  ControlReport answer() { return world_.said<ControlReport>(); }
};

TEST_F(HandingOver, StopsThenWaitsForItsHeirThenAsksTheRegister) {  // R16
  EXPECT_EQ(put_now("before"), Errc::ok);
  world_.tell(HandOver{7, {}});
  EXPECT_EQ(put_now("after"), Errc::unavailable);
  EXPECT_FALSE(world_.has_said<ProposeChange>());  // what was taken before is not on the heir's disk yet
  acknowledge(head(), kOtherFolder);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::ok);  // of the first write
  world_.pass(100ms);
  EXPECT_FALSE(member_.holds_lease(world_.now()));
  EXPECT_FALSE(world_.has_said<ControlReport>());
  choose();
  EXPECT_EQ(shard().primary, kReplicaNode);
  EXPECT_EQ(shard().in_sync, std::vector{kPrimaryNode});  // it has everything, too
  const ControlReport report = answer();
  EXPECT_EQ(report.token, 7U);
  EXPECT_EQ(report.code, Errc::ok) << report.text;
  EXPECT_NE(member_.replica(), nullptr);
}

/// What it took then it could never answer: whoever asked would not know whether that was done.
TEST_F(HandingOver, TakesNothingOnceItKnowsThatItHasHandedOver) {
  world_.tell(HandOver{7, {}});
  world_.pass(100ms);
  const auto proposed = world_.said<ProposeChange>();
  ShardInfo next = proposed.change.shards.at(0).next;
  next.epoch = Epoch{topology_->version + 1};
  chosen(std::move(next), proposed.change.id);
  world_.deliver(ChangeSettled{proposed.change.id, ChangeOutcome::chosen, topology_, {}}, kRegistrar);
  world_.deliver(ClientRequest{{0, "writer"}, put("k", "of the same turn")});
  world_.end_turn();
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
}

TEST_F(HandingOver, ServesOnWhenTheRegisterDoesNotTakeIt) {
  world_.tell(HandOver{7, kReplicaNode});
  world_.pass(100ms);
  const auto proposed = world_.said<ProposeChange>();
  EXPECT_FALSE(member_.holds_lease(world_.now()));  // R13: until it is known
  world_.tell(ChangeSettled{proposed.change.id, ChangeOutcome::lost, topology_, {}}, kRegistrar);
  EXPECT_EQ(answer().code, Errc::unavailable);
  grant(kOtherFolder);
  EXPECT_TRUE(member_.holds_lease(world_.now()));
  EXPECT_EQ(put_now("again"), Errc::ok);
}

TEST_F(HandingOver, IsGivenUpWhenTheHeirLags) {
  Position reached = head();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(put_now("one of what takes long"), Errc::ok);
  world_.tell(HandOver{7, {}});
  for (int i = 0; i < 51; ++i) {
    grant(kOtherFolder);
    if (i % 8 == 0) acknowledge({reached.epoch, Seq{++reached.seq.value}}, kOtherFolder);
  }
  while (world_.has_said<ClientReply>()) world_.said<ClientReply>();
  EXPECT_EQ(answer().code, Errc::unavailable);
  EXPECT_FALSE(world_.has_said<ProposeChange>());
  EXPECT_EQ(put_now("again"), Errc::ok);
}

TEST_F(HandingOver, IsRefusedToOneThatIsNotInSync) {
  world_.tell(HandOver{7, NodeId{9}});
  EXPECT_EQ(answer().code, Errc::unavailable);
  EXPECT_EQ(put_now("serves"), Errc::ok);
}

// ---- what a replica becomes

class Following : public Member {
 protected:
  using Member::Member;
  /// Node 2 leads; node 1 is a replica of it, in sync or not.
  void SetUp() override { follow({kPrimaryNode}); }
  void follow(std::vector<NodeId> in_sync) {
    begin_registered(kReplicaNode, kPrimaryNode, std::move(in_sync));
  }
  /// In an epoch that is not of its process's making.
  void begin_registered(NodeId primary, NodeId replica, std::vector<NodeId> in_sync) {
    ShardInfo now = shard();
    now.primary = primary;
    now.replicas = {replica};
    now.in_sync = std::move(in_sync);
    now.folders = {{kPrimaryNode, kFolder}, {kReplicaNode, kOtherFolder}};
    now.epoch = Epoch{2};
    chosen(now, 100);
    open_log({Epoch{2}, Seq{5}});
  }
  void hear_heartbeat() { world_.tell(peer::Heartbeat{kShard, shard().epoch, 5, 1}, kOther); }
  void be_made_primary() {
    ShardInfo now = shard();
    now.primary = kPrimaryNode;
    now.replicas = now.in_sync = {kReplicaNode};
    now.epoch = Epoch{3};
    chosen(now, 101);
    learn();
    choose();
    serve_log();
    grant(kOtherFolder);
  }
};

TEST_F(Following, ServesAtOnceWhenItsPrimaryHandsOver) {
  hear_heartbeat();
  be_made_primary();
  EXPECT_TRUE(member_.holds_lease(world_.now()));
}

MemberOptions options_in_a_crash_loop() {
  MemberOptions one = options();
  one.lets_others_go_first = 60s;
  return one;
}
class InACrashLoop : public Following {  // R18
 protected:
  InACrashLoop() : Following(options_in_a_crash_loop()) {}
  void SetUp() override {}
  /// The registered primary again.
  void is_registered(std::vector<NodeId> in_sync) {
    begin_registered(kPrimaryNode, kReplicaNode, std::move(in_sync));
  }
};

TEST_F(InACrashLoop, LetsAnotherGoFirst) {
  is_registered({kReplicaNode});
  world_.pass(2s);
  EXPECT_FALSE(world_.has_said<ProposeChange>());
  world_.pass(2s);
  EXPECT_TRUE(world_.has_said<ProposeChange>()) << "nobody has";
}

TEST_F(InACrashLoop, LeadsAtOnceWhenItIsHandedTheShard) {
  follow({kPrimaryNode});
  hear_heartbeat();
  be_made_primary();
  EXPECT_TRUE(member_.holds_lease(world_.now()));
}

TEST_F(InACrashLoop, IsLikeAnyOtherOnceItHasLasted) {
  is_registered({kReplicaNode});
  world_.pass(4s);
  choose();
  serve_log();
  acknowledge(head(), kOtherFolder);
  for (int i = 0; i < 560; ++i) grant(kOtherFolder);
  world_.forget();
  ShardInfo now = shard();  // as when its slots change
  now.epoch = Epoch{topology_->version + 1};
  chosen(now, 300);
  learn();
  world_.said<OpenLog>();
  world_.tell(LogOpened{{Epoch{2}, Seq{5}}});
  EXPECT_TRUE(world_.has_said<ProposeChange>());
}

TEST_F(Following, WaitsOutItsLastAnswerWhenItTakesOver) {  // R10
  hear_heartbeat();
  const TimePoint answered = world_.now();
  world_.pass(1600ms);
  choose();
  serve_log();
  EXPECT_TRUE(member_.holds_lease(world_.now()));
  EXPECT_GE(world_.now() - answered, 1500ms);
}

TEST_F(Following, ForcedIsPrimaryThoughNotInSyncAndForgetsTheOthersFolders) {
  ShardInfo now = shard();
  now.in_sync = {};
  chosen(now, 102);
  learn();
  world_.pass(3s);
  EXPECT_FALSE(world_.has_said<ProposeChange>());  // R14
  world_.tell(ForcePromotion{9});
  choose();
  EXPECT_EQ(shard().primary, kPrimaryNode);
  EXPECT_TRUE(shard().in_sync.empty());
  EXPECT_EQ(shard().folders, (std::vector<MemberFolder>{{kPrimaryNode, kFolder}}));
  const auto report = world_.said<ControlReport>();
  EXPECT_EQ(report.code, Errc::ok);
  EXPECT_NE(report.text.find("2-5"), std::string::npos) << report.text;
  serve_log();
  EXPECT_FALSE(member_.holds_lease(world_.now()));  // those who count for the old one hear of it first
  world_.pass(1500ms);
  EXPECT_TRUE(member_.holds_lease(world_.now()));
}

TEST_F(Following, IsNotForcedWhileNoMajorityOfKeepersIsReached) {
  world_.tell(RegisterReach{true}, kRegistrar);
  world_.tell(ForcePromotion{9});
  EXPECT_EQ(world_.said<ControlReport>().code, Errc::unavailable);
  EXPECT_FALSE(world_.has_said<ProposeChange>());
}

}  // namespace
}  // namespace dkv::test
