// Writes that are done once however often they are sent, and sessions: what the client asks, and what it
// makes of answers.
#include <gtest/gtest.h>
#include <set>

#include "gateway/client/client.hpp"
#include "tests/gateway/client/fake_node.hpp"

namespace dkv::test {
namespace {

using namespace std::chrono_literals;

/// A node whose requests' names are noted.
class ClientOnce : public ::testing::Test {
 protected:
  using Name = std::pair<std::uint64_t, std::uint64_t>;

  ClientOnce() {
    node_.set_topology(topology_of({&node_}));
    node_.set_script([this](const rpc::Request& request) {
      const std::lock_guard lock(mutex_);
      for (const Operation& operation : request.operations)
        names_.push_back({request.client_id, request.atomic ? request.number : operation.number});
      if (unanswered_ > 0) {
        --unanswered_;
        return std::vector<std::string>{};
      }
      return std::vector<std::string>{error_ == Errc::ok ? node_.answer(request)
                                                         : refuse_all(request, error_)};
    });
  }

  Client client(bool exactly_once = true, std::chrono::milliseconds deadline = 20s) const {
    return Client({.seeds = {node_.endpoint()}, .deadline = deadline, .exactly_once = exactly_once});
  }
  std::vector<Name> names() {
    const std::lock_guard lock(mutex_);
    return std::exchange(names_, {});
  }

  FakeNode node_;
  std::mutex mutex_;
  std::vector<Name> names_;
  int unanswered_ = 0;
  Errc error_ = Errc::ok;
};

TEST_F(ClientOnce, AWriteWithoutAnAnswerIsSentAgainByTheSameName) {
  Client one = client(true, 4s);  // a try is a second
  unanswered_ = 1;
  EXPECT_TRUE(one.put("k", "v"));
  const auto first = names();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0], first[1]);
  EXPECT_NE(first[0].first, 0U);
  EXPECT_NE(first[0].second, 0U);
  EXPECT_TRUE(one.put("k", "v"));
  const auto second = names();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].first, first[0].first);
  EXPECT_NE(second[0].second, first[0].second);
  EXPECT_TRUE(one.get("k"));
  EXPECT_EQ(names(), std::vector<Name>{Name{}});
}

TEST_F(ClientOnce, AWriteThatMayHaveBeenDoneIsUnknownAtTheDeadlineWhateverLaterTriesWereTold) {
  unanswered_ = 1;
  error_ = Errc::unavailable;
  Client one = client(true, 1s);
  const auto put = one.put("k", "v");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unknown_outcome);
  EXPECT_GT(names().size(), 1U);
  // One of whose tries all were refused has not been done.
  const auto refused = one.put("k", "v");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
}

TEST_F(ClientOnce, AFailureOfALaterTrySaysNothingOfAnEarlierOne) {
  unanswered_ = 1;
  error_ = Errc::disk_full;
  Client one = client(true, 4s);
  EXPECT_EQ(one.put("k", "v").error().code, Errc::unknown_outcome);
  EXPECT_EQ(names().size(), 2U);
  EXPECT_EQ(one.put("k", "v").error().code, Errc::disk_full);
}

TEST_F(ClientOnce, ANumberMustLeaveSomeForEachOperation) {
  Client one = client(false);
  CallOptions options;
  const std::vector<Operation> puts = {{OpCode::put, "a", "1"}, {OpCode::put, "b", "2"}};
  options.once = {7, UINT64_MAX - 1};
  EXPECT_EQ(one.execute(puts, options)[0].code, Errc::bad_request);
  options.once = {7, 0};  // no name at all
  EXPECT_EQ(one.execute(puts, options)[0].code, Errc::ok);
  EXPECT_EQ(names(), (std::vector<Name>(2, Name{})));
}

TEST_F(ClientOnce, NamesThatDoNotFollowOnKeepTheirNumbers) {
  Client one = client(false);
  std::vector<Ticket> tickets;
  for (const std::uint64_t number : {500, 3, 70}) {
    CallOptions options;
    options.once = {7, number};
    const Operation put{OpCode::put, "k", "v"};
    tickets.push_back(one.submit({&put, 1}, options));
  }
  for (const Ticket ticket : tickets) EXPECT_EQ(one.wait(ticket)->results[0].code, Errc::ok);
  EXPECT_EQ(names(), (std::vector<Name>{{7, 500}, {7, 3}, {7, 70}}));
  EXPECT_EQ(node_.requests(), 1);
}

TEST_F(ClientOnce, AnOutcomeThatANodeDoesNotKnowIsAskedForAgain) {
  std::atomic<int> unknown = 2;
  node_.set_script([&](const rpc::Request& request) {
    const rpc::Reply lost{request.request_id, Error{Errc::unknown_outcome, "stepping down"}};
    return std::vector<std::string>{unknown-- > 0 ? rpc::encode(lost) : node_.answer(request)};
  });
  EXPECT_TRUE(client().put("k", "v"));
  EXPECT_EQ(node_.requests(), 3);
}

TEST_F(ClientOnce, TheCallersNameGoesForEachOperationByItsPlace) {
  Client one = client(false);
  const OnceId id = OnceId::of("order-17");
  CallOptions options;
  options.once = id;
  const std::vector<Operation> puts = {{OpCode::put, "a", "1"}, {OpCode::put, "b", "2"}};
  for (int again = 0; again < 2; ++again) {
    one.execute(puts, options);
    EXPECT_EQ(names(), (std::vector<Name>{{id.client_id, id.number}, {id.client_id, id.number + 1}}));
  }
  const std::vector<Operation> batch = {{OpCode::put, "{a}1", "1"}, {OpCode::put, "{a}2", "2"}};
  one.execute_atomically(batch, options);
  EXPECT_EQ(names(), (std::vector<Name>{{id.client_id, id.number}, {id.client_id, id.number}}));
}

TEST_F(ClientOnce, ABatchWithGetsCannotHaveAName) {
  Client one = client(false);
  CallOptions options;
  options.once = OnceId::of("order-17");
  const std::vector<Operation> batch = {{OpCode::get, "{a}1", ""}, {OpCode::put, "{a}2", "2"}};
  EXPECT_EQ(one.execute_atomically(batch, options)[0].code, Errc::bad_request);
  // Nor does one get it unasked.
  Client all = client(true);
  EXPECT_EQ(all.execute_atomically(batch)[1].code, Errc::ok);
  EXPECT_EQ(names(), (std::vector<Name>(2, Name{})));
}

TEST_F(ClientOnce, ManyInOneFrameKeepTheirNames) {
  Client one = client();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i);
    const Operation put{OpCode::put, key, "v"};
    tickets.push_back(one.submit({&put, 1}));
  }
  for (const Ticket ticket : tickets) EXPECT_EQ(one.wait(ticket)->results[0].code, Errc::ok);
  const auto all = names();
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 50U);
  EXPECT_LT(node_.requests(), 50);
}

/// Of a node that has come to `seen`.
FakeNode::Script in_session(FakeNode& node, std::shared_ptr<const Session> shows,
                            std::vector<std::shared_ptr<const Session>>& asked) {
  return [&node, shows, &asked](const rpc::Request& request) {
    asked.push_back(request.session);
    std::vector<OpCode> codes;
    for (const Operation& operation : request.operations) codes.push_back(operation.code);
    auto reply = rpc::decode_reply(node.answer(request), codes);
    if (request.session) reply->session = shows;
    return std::vector<std::string>{rpc::encode(*reply)};
  };
}

TEST(ClientSession, GoesUpToWhatItIsShownAndIsAskedFor) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::vector<std::shared_ptr<const Session>> asked;
  const auto shows = std::make_shared<const Session>(Session{3, {{ShardId{1}, {Epoch{7}, Seq{42}}}}});
  node.set_script(in_session(node, shows, asked));
  const auto session = std::make_shared<Session>();
  CallOptions options(ReadMode::replica);
  options.session = session;
  {
    Client client({.seeds = {node.endpoint()}, .deadline = 20s});
    ASSERT_TRUE(client.put("k", "v", {}, {}, options));
    EXPECT_EQ(*session, *shows);
    ASSERT_TRUE(client.get("k", options));
    ASSERT_TRUE(client.get("k"));
  }
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0]->of(ShardId{1}), Position{});
  EXPECT_EQ(*asked[1], *shows);
  EXPECT_EQ(asked[2], nullptr);
}

TEST(ClientSession, FollowsAReplicaThatHasNotComeThatFarToThePrimary) {
  FakeNode a;
  FakeNode b;
  for (FakeNode* node : {&a, &b}) node->set_topology(topology_of({&a, &b}, 1, true));
  const std::string key = key_of_shard(0, 2);  // a's, with a replica on b
  Client client({.seeds = {a.endpoint()}, .deadline = 20s});
  ASSERT_TRUE(client.put(key, "v"));
  std::atomic<int> behind = 0;
  b.set_script([&](const rpc::Request& request) {
    ++behind;
    return std::vector<std::string>{move_all(request, a, 1)};
  });
  CallOptions options(ReadMode::replica);
  options.session = std::make_shared<Session>();
  for (int i = 0; i < 100 && behind == 0; ++i) ASSERT_EQ(client.get(key, options)->value, "v");
  EXPECT_GT(behind, 0);
}

}  // namespace
}  // namespace dkv::test
