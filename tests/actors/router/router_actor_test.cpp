#include "actors/router/router_actor.hpp"

#include "messages/limits.hpp"
#include "tests/actors/conversation.hpp"
#include "topology/codec.hpp"

namespace dkv::test {
namespace {

constexpr ShardId kFar{2};
constexpr ShardId kReplicated{3};
constexpr ShardId kNear{4};

/// Node 1 is the primary of shards 1 and 4 and a replica of shard 3; node 2 is the primary of 2 and 3.
TopologyPtr four_shards() {
  auto topology = std::make_shared<Topology>(*one_shard());
  topology->version = 9;
  topology->change = 55;
  topology->shards = {{kShard, "city", 1, kPrimaryNode, {kReplicaNode}, {}},
                      {kFar, "far", 1, kReplicaNode, {}, {}},
                      {kReplicated, "replicated", 1, kReplicaNode, {kPrimaryNode}, {}},
                      {kNear, "near", 1, kPrimaryNode, {}, {}}};
  const ShardId owners[] = {kShard, kFar, kReplicated, kNear};
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) topology->slots[slot] = owners[slot % 4];
  return topology;
}

class Router : public testing::Test {
 protected:
  Router() : router_({kPrimaryNode, Role::router, {}}, kMaxValueBytes), world_(router_) {
    world_.tell(TopologyChanged{topology_});
  }

  std::string key_of(ShardId shard, int skip = 0) const {
    for (int i = 0;; ++i) {
      std::string key = "key-" + std::to_string(i);
      if (topology_->slots[slot_of(key).value] == shard && skip-- == 0) return key;
    }
  }
  void ask(rpc::Request request) { world_.tell(ClientRequest{{3, "caller"}, std::move(request)}); }
  static rpc::Reply versions(std::initializer_list<std::uint64_t> seqs) {
    std::vector<OperationResult> results;
    for (const auto seq : seqs) results.emplace_back().version.seq = Seq{seq};
    return {1, std::move(results)};
  }

  TopologyPtr topology_ = four_shards();
  RouterActor router_;
  Conversation world_;
};

TEST_F(Router, HandsARequestForOneLocalShardOnWhole) {
  ask(request_of({{OpCode::put, {key_of(kShard), "v"}}, {OpCode::get, {key_of(kShard, 1), ""}}}, 42));
  const auto request = world_.said<ClientRequest>();
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::member, kShard}));
  EXPECT_EQ(request.origin.connection, "caller");
  EXPECT_EQ(request.request.request_id, 42U);
  EXPECT_EQ(request.request.operations.size(), 2U);
}

TEST_F(Router, TellsWhereAnotherShardLives) {
  ask(get(key_of(kFar)));
  const auto result = result_of(world_.said<ClientReply>());
  EXPECT_EQ(result.code, Errc::moved);
  EXPECT_EQ(*result.moved, (Moved{kFar, "far", "beta", "127.0.0.2:2", "127.0.0.2:1", 9}));
}

TEST_F(Router, TellsOfTheNewPrimaryOnceItsTopologyDoes) {
  ask(put(key_of(kShard), "v"));
  world_.said<ClientRequest>();
  auto next = std::make_shared<Topology>(*topology_);
  next->version = 10;
  next->shards[0].primary = kReplicaNode;
  next->shards[0].replicas = {kPrimaryNode};
  world_.tell(TopologyChanged{next});
  world_.tell(TopologyChanged{topology_});  // late
  ask(put(key_of(kShard), "v"));
  EXPECT_EQ(*result_of(world_.said<ClientReply>()).moved,
            (Moved{kShard, "city", "beta", "127.0.0.2:2", "127.0.0.2:1", 10}));
}

TEST_F(Router, AReplicaAnswersReadsThatAllowIt) {
  rpc::Request request = get(key_of(kReplicated));
  ask(request);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::moved);
  request.read = ReadMode::replica;
  ask(request);
  world_.said<ClientRequest>();
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::member, kReplicated}));
  rpc::Request write = put(key_of(kReplicated), "v");
  write.read = ReadMode::replica;
  ask(write);
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::moved);
}

TEST_F(Router, KeepsAnAtomicBatchTogether) {
  const auto batch = [](std::vector<std::string> keys) {
    rpc::Request request;
    request.request_id = 7;
    request.atomic = true;
    request.read = ReadMode::replica;
    const auto owner = std::make_shared<std::vector<std::string>>(std::move(keys));
    for (const std::string& key : *owner) request.operations.push_back({OpCode::get, key, {}});
    request.operations.push_back({OpCode::put, owner->front(), "v"});
    request.owner = owner;
    return request;
  };
  const auto tagged = [&](ShardId shard) { return "{" + key_of(shard) + "}"; };
  ask(batch({tagged(kNear) + "a", tagged(kNear) + "b"}));
  EXPECT_EQ(world_.said<ClientRequest>().request.operations.size(), 3U);
  EXPECT_EQ(world_.last_to().shard, kNear);
  for (const ShardId away : {kFar, kReplicated}) {
    ask(batch({tagged(away) + "a", tagged(away) + "b"}));
    const auto moved = world_.said<ClientReply>();
    for (const std::size_t i : {0, 1, 2}) EXPECT_EQ(result_of(moved, i).moved->shard, away);
  }
  ask(batch({key_of(kNear), key_of(kNear, 1)}));
  EXPECT_EQ(result_of(world_.said<ClientReply>()).code, Errc::bad_request) << "of one shard, not of one slot";
  ask(batch({tagged(kNear), tagged(kNear) + std::string(kMaxKeyBytes, 'k')}));
  const auto refused = world_.said<ClientReply>();
  EXPECT_EQ(refused.reply.request_id, 7U);
  EXPECT_EQ(result_of(refused, 0).code, Errc::aborted);
  EXPECT_EQ(result_of(refused, 1).code, Errc::too_large);
  EXPECT_EQ(result_of(refused, 2).code, Errc::aborted);
  EXPECT_FALSE(world_.has_said<PartRequest>());
}

TEST_F(Router, PutsResultsTogetherInTheOrderAsked) {
  ask(request_of({{OpCode::get, {key_of(kNear), ""}},
                  {OpCode::get, {key_of(kFar), ""}},
                  {OpCode::get, {key_of(kShard), ""}},
                  {OpCode::get, {"", ""}},
                  {OpCode::get, {key_of(kNear, 1), ""}}},
                 7));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  const auto city = world_.said<PartRequest>();
  EXPECT_EQ(world_.last_to().shard, kShard);
  EXPECT_EQ(city.request.operations.size(), 1U);
  const auto near = world_.said<PartRequest>();
  EXPECT_EQ(world_.last_to().shard, kNear);
  EXPECT_EQ(near.request.operations.size(), 2U);
  world_.tell(PartReply{near.token, versions({10, 11})});
  EXPECT_FALSE(world_.has_said<ClientReply>());
  world_.tell(PartReply{city.token, versions({20})});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(reply.reply.request_id, 7U);
  EXPECT_EQ(reply.origin.connection, "caller");
  EXPECT_EQ(result_of(reply, 0).version.seq, Seq{10});
  EXPECT_EQ(result_of(reply, 1).code, Errc::moved);
  EXPECT_EQ(result_of(reply, 2).version.seq, Seq{20});
  EXPECT_EQ(result_of(reply, 3).code, Errc::bad_request);
  EXPECT_EQ(result_of(reply, 4).version.seq, Seq{11});
}

TEST_F(Router, PutsTogetherWhatASessionHasSeenOfSeveralShards) {
  rpc::Request request =
      request_of({{OpCode::get, {key_of(kShard), ""}}, {OpCode::get, {key_of(kNear), ""}}});
  request.session = std::make_shared<const Session>(Session{3, {{kNear, {Epoch{1}, Seq{5}}}}});
  ask(request);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    const auto part = world_.said<PartRequest>();
    ASSERT_NE(part.request.session, nullptr);
    EXPECT_EQ(*part.request.session, *request.session);
    rpc::Reply answer = versions({i});
    answer.session =
        std::make_shared<const Session>(Session{i, {{world_.last_to().shard, {Epoch{2}, Seq{i}}}}});
    world_.tell(PartReply{part.token, std::move(answer)});
  }
  const auto reply = world_.said<ClientReply>();
  ASSERT_NE(reply.reply.session, nullptr);
  EXPECT_EQ(reply.reply.session->topology_version, 2U);
  EXPECT_NE(reply.reply.session->of(kShard), Position{});
  EXPECT_NE(reply.reply.session->of(kNear), Position{});
}

TEST_F(Router, AReplyOverSeveralShardsFitsIntoAMessage) {
  ask(request_of({{OpCode::get, {key_of(kNear), ""}}, {OpCode::get, {key_of(kShard), ""}}}));
  const auto city = world_.said<PartRequest>();
  const auto near = world_.said<PartRequest>();
  const auto large = [] {
    std::vector<OperationResult> results(1);
    results[0].value.resize(kMaxValueBytes);
    return rpc::Reply{1, std::move(results)};
  };
  world_.tell(PartReply{city.token, large()});
  world_.tell(PartReply{near.token, large()});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 1).code, Errc::ok);
  EXPECT_EQ(result_of(reply, 0).code, Errc::too_large);
}

TEST_F(Router, TellsWhatAnIncrementCameToHoweverFullTheReplyIs) {
  ask(request_of({{OpCode::get, {key_of(kNear), ""}}, {OpCode::increment, {key_of(kShard), ""}}}));
  const auto city = world_.said<PartRequest>();
  const auto near = world_.said<PartRequest>();
  std::vector<OperationResult> results(1);
  results[0].value.resize(kMaxReplyValueBytes);
  world_.tell(PartReply{near.token, {1, results}});
  results[0].value = "9223372036854775807";
  world_.tell(PartReply{city.token, {1, results}});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 1).code, Errc::ok) << "it was done";
  EXPECT_EQ(result_of(reply, 1).value, "9223372036854775807");
}

TEST_F(Router, APartThatFailsFailsItsOperationsOnly) {
  ask(request_of({{OpCode::get, {key_of(kNear), ""}}, {OpCode::get, {key_of(kShard), ""}}}));
  const auto city = world_.said<PartRequest>();
  const auto near = world_.said<PartRequest>();
  world_.tell(PartReply{city.token, {1, Error{Errc::unavailable, "starting"}}});
  world_.tell(PartReply{near.token, versions({5})});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(result_of(reply, 0).code, Errc::ok);
  EXPECT_EQ(result_of(reply, 1).code, Errc::unavailable);
}

TEST_F(Router, GivesTheTopology) {
  rpc::Request request;
  request.type = rpc::Type::topology;
  ask(request);
  const auto reply = world_.said<ClientReply>();
  const auto& topology = std::get<rpc::TopologyReply>(reply.reply.body);
  EXPECT_EQ(topology.version, 9U);
  EXPECT_EQ(topology.encoded, encode(*topology_));
}

TEST_F(Router, GathersStatusFromEveryLocalMemberAndTheRegistrar) {
  rpc::Request request;
  request.type = rpc::Type::status;
  ask(request);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(world_.has_said<ClientReply>());
    const auto query = world_.said<StatusQuery>();
    MemberStatus status;
    status.shard = world_.last_to().shard;
    status.ready = status.shard != kNear;
    world_.tell(StatusReport{query.token, status});
  }
  EXPECT_FALSE(world_.has_said<ClientReply>());
  const auto query = world_.said<StatusQuery>();
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::registrar, {}}));
  world_.tell(RegisterReport{query.token, true, {{"alpha", false, 2600}}});
  const auto reply = world_.said<ClientReply>();
  const auto& status = std::get<NodeStatus>(reply.reply.body);
  EXPECT_EQ(status.node, "alpha");
  EXPECT_EQ(status.members.size(), 3U);
  EXPECT_FALSE(status.ready);
  EXPECT_EQ(status.topology_version, 9U);
  EXPECT_EQ(status.topology_change, 55U);
  EXPECT_TRUE(status.isolated);
  EXPECT_EQ(status.keepers, (std::vector<KeeperStatus>{{"alpha", false, 2600}}));
}

// ---- what an operator asks for

rpc::Request control(rpc::ControlAction action, std::string shard, std::string node, std::uint64_t id = 7) {
  rpc::Request request;
  request.type = rpc::Type::control;
  request.request_id = id;
  request.control =
      std::make_shared<const rpc::Control>(rpc::Control{action, std::move(shard), std::move(node)});
  return request;
}

TEST_F(Router, GivesAHandOverToThePrimaryBesideItAndItsOutcomeToTheAsker) {
  ask(control(rpc::ControlAction::hand_over, "city", "beta"));
  const auto asked = world_.said<HandOver>();
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::member, kShard}));
  EXPECT_EQ(asked.to, kReplicaNode);
  ask(control(rpc::ControlAction::hand_over, "city", ""));
  EXPECT_EQ(world_.said<HandOver>().to, NodeId{});
  EXPECT_FALSE(world_.has_said<ClientReply>());

  world_.tell(ControlReport{asked.token, Errc::ok, "beta leads"});
  const auto reply = world_.said<ClientReply>();
  EXPECT_EQ(reply.origin.connection, "caller");
  EXPECT_EQ(reply.reply.request_id, 7U);
  EXPECT_EQ(std::get<rpc::ControlReply>(reply.reply.body).text, "beta leads");
  world_.tell(ControlReport{asked.token, Errc::ok, "again"});
  EXPECT_FALSE(world_.has_said<ClientReply>());
}

TEST_F(Router, AFailedHandOverIsAnError) {
  ask(control(rpc::ControlAction::hand_over, "city", ""));
  world_.tell(ControlReport{world_.said<HandOver>().token, Errc::unavailable, "nobody is in sync"});
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
}

TEST_F(Router, SaysWhichNodeMustBeAskedInstead) {
  ask(control(rpc::ControlAction::hand_over, "replicated", "alpha"));
  const auto hand_over = world_.said<ClientReply>();
  EXPECT_EQ(error_of(hand_over), Errc::unavailable);
  EXPECT_NE(std::get<Error>(hand_over.reply.body).message.find("node beta: ask it at 127.0.0.2:2"),
            std::string::npos);
  ask(control(rpc::ControlAction::promote, "city", "beta"));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::unavailable);
  EXPECT_FALSE(world_.has_said<ForcePromotion>());
  EXPECT_FALSE(world_.has_said<HandOver>());
}

TEST_F(Router, GivesAPromotionToTheCopyNamed) {
  ask(control(rpc::ControlAction::promote, "replicated", "alpha"));
  world_.said<ForcePromotion>();
  EXPECT_EQ(world_.last_to(), (Address{kPrimaryNode, Role::member, kReplicated}));
  // Also to the registered primary: one whose folder is a new one does not lead by itself.
  ask(control(rpc::ControlAction::promote, "city", "alpha"));
  world_.said<ForcePromotion>();
}

TEST_F(Router, RefusesWhatNamesNoShardOrNoCopyOfIt) {
  for (const auto& [shard, node] : {std::pair{"town", ""}, {"city", "gamma"}, {"far", "alpha"}}) {
    ask(control(rpc::ControlAction::hand_over, shard, node));
    EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::bad_request) << shard << ' ' << node;
  }
}

TEST_F(Router, BoundsTheOperatorsRequestsThatWait) {
  for (std::size_t i = 0; i < RouterActor::kMaxControls; ++i)
    ask(control(rpc::ControlAction::hand_over, "city", ""));
  EXPECT_FALSE(world_.has_said<ClientReply>());
  ask(control(rpc::ControlAction::hand_over, "city", ""));
  EXPECT_EQ(error_of(world_.said<ClientReply>()), Errc::overloaded);
  world_.tell(ControlReport{world_.said<HandOver>().token, Errc::ok, ""});
  world_.said<ClientReply>();
  ask(control(rpc::ControlAction::hand_over, "city", ""));
  EXPECT_FALSE(world_.has_said<ClientReply>());
}

TEST(RouterAtStart, AnswersNothingBeforeItHasATopology) {
  RouterActor router({kPrimaryNode, Role::router, {}}, kMaxValueBytes);
  Conversation world(router);
  world.tell(ClientRequest{{0, "caller"}, get("k")});
  EXPECT_EQ(error_of(world.said<ClientReply>()), Errc::unavailable);
}

}  // namespace
}  // namespace dkv::test
