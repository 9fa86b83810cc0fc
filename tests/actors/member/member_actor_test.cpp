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
  options.replica.has_register = true;
  options.process = kProcess;
  options.incarnation = options.replica.incarnation = kFolder;
  return options;
}

/// The member on node 1, and all that is around it.
class Member : public testing::Test {
 protected:
  Member()
      : member_({kPrimaryNode, Role::member, kShard}, std::make_shared<MemoryStore>(), options()),
        world_(member_) {}

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

}  // namespace
}  // namespace dkv::test
