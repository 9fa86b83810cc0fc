// The rpc door, as clients on the network see it.
#include <arpa/inet.h>
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "messages/limits.hpp"
#include "tests/actors/runtime/world_kit.hpp"

namespace dkv::test {
namespace {

Errc error_of(const Result<rpc::Reply>& reply) {
  if (!reply) return Errc::internal;
  const auto* error = std::get_if<Error>(&reply->body);
  return error == nullptr ? Errc::ok : error->code;
}

class RpcDoor : public ::testing::Test {
 protected:
  void start(Script router = echo_router()) {
    test_.spawn(kMainThread, kRouter, std::move(router));
    test_.start();
  }
  RawSocket dealer() { return RawSocket(zmq::socket_type::dealer, test_.node().rpc); }
  void expect_it_still_serves() {
    RawSocket client = dealer();
    ASSERT_TRUE(client.send({rpc::encode(get_request(77, "still"))}));
    const auto reply = client.receive_reply();
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->request_id, 77U);
  }

  TestWorld test_{make_topology()};
};

TEST_F(RpcDoor, AnswersPipelinedRequestsEachWithItsId) {
  start();
  RawSocket client = dealer();
  constexpr std::uint64_t kCount = 1'000;
  for (std::uint64_t i = 1; i <= kCount; ++i) {
    ASSERT_TRUE(client.send({rpc::encode(get_request(i, "key" + std::to_string(i)))}));
  }
  for (std::uint64_t i = 1; i <= kCount; ++i) {
    const auto reply = client.receive_reply();
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->request_id, i);
    EXPECT_EQ(std::get<1>(reply->body).front().value, "key" + std::to_string(i));
  }
}

TEST_F(RpcDoor, TakesTheLargestRequestAndReturnsTheLargestReply) {
  Script router;
  router.on_message = [](Envelope envelope, TimePoint, Effects& out) {
    auto* asked = std::get_if<ClientRequest>(&envelope.message);
    if (asked == nullptr) return;
    OperationResult result;
    result.value = std::string(asked->request.operations.front().value);
    out.send(kClient, ClientReply{asked->origin, rpc::Reply{asked->request.request_id, std::vector{result}}});
  };
  start(std::move(router));
  RawSocket client = dealer();
  const std::string value(kMaxValueBytes, 'v');
  ASSERT_TRUE(client.send({rpc::encode(put_request(1, "k", value))}));
  const auto reply = client.receive_reply();
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_TRUE(std::get<1>(reply->body).front().value == value);
}

TEST_F(RpcDoor, RefusesWhatIsNoRequestAndGoesOn) {
  start();
  RawSocket client = dealer();
  std::string other_version = rpc::encode(get_request(5, "k"));
  ASSERT_EQ(other_version[1], '\x01');  // the version follows the envelope's array head
  other_version[1] = '\x07';
  const std::string good = rpc::encode(get_request(5, "k"));
  const std::vector<std::pair<std::string, Errc>> cases = {
      {"garbage", Errc::bad_request},
      {std::string(1'000, '\xff'), Errc::bad_request},
      {std::string("\xdd\xff\xff\xff\xff", 5), Errc::bad_request},  // an array of 2^32 - 1
      {good + "x", Errc::bad_request},
      {good.substr(0, good.size() - 1), Errc::bad_request},
      {"", Errc::bad_request},
      {other_version, Errc::wrong_version},
  };
  for (const auto& [bytes, code] : cases) {
    ASSERT_TRUE(client.send({bytes}));
    EXPECT_EQ(error_of(client.receive_reply()), code) << bytes.substr(0, 20);
  }
  EXPECT_EQ(test_.world.counters().requests_refused, cases.size());
  expect_it_still_serves();
}

TEST_F(RpcDoor, RefusesMessagesOfSeveralPartsOnce) {
  start();
  RawSocket client = dealer();
  const std::string good = rpc::encode(get_request(5, "k"));
  ASSERT_TRUE(client.send({good, good}));
  EXPECT_EQ(error_of(client.receive_reply()), Errc::bad_request);
  ASSERT_TRUE(client.send(std::vector<std::string>(1'000, good)));
  EXPECT_EQ(error_of(client.receive_reply()), Errc::bad_request);
  ASSERT_TRUE(client.send({good}));
  EXPECT_EQ(error_of(client.receive_reply()), Errc::ok);  // and not another refusal
}

TEST_F(RpcDoor, ClosesTheConnectionOfAMessageOverTheLimitAndServesOthers) {
  start();
  RawSocket client = dealer();
  ASSERT_TRUE(client.send({std::string(kMaxRequestBytes + (1 << 20), 'x')}));
  expect_it_still_serves();
  EXPECT_EQ(test_.world.counters().requests_refused, 0U);
}

TEST_F(RpcDoor, SurvivesGarbageOnItsPort) {
  start();
  for (const std::string& bytes : garbage()) throw_at(test_.node().rpc, bytes);
  expect_it_still_serves();
}

TEST_F(RpcDoor, DropsTheRepliesOfAClientThatVanished) {
  // The router keeps the requests until another client says "go".
  Script router;
  auto arrived = std::make_shared<std::atomic<int>>(0);
  router.on_message = [arrived, kept = std::make_shared<std::vector<ClientRequest>>()](
                          Envelope envelope, TimePoint, Effects& out) {
    auto* asked = std::get_if<ClientRequest>(&envelope.message);
    if (asked == nullptr) return;
    const bool go = asked->request.operations.front().key == "go";
    kept->push_back(std::move(*asked));
    ++*arrived;
    if (!go) return;
    for (const ClientRequest& one : *kept) out.send(kClient, ClientReply{one.origin, echo(one.request)});
    kept->clear();
  };
  start(std::move(router));
  {
    RawSocket client = dealer();
    for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(client.send({rpc::encode(get_request(i, "k"))}));
    ASSERT_TRUE(eventually([&] { return *arrived == 10; }));
  }
  RawSocket other = dealer();
  // The node learns of the closed connection in its own time: ask until it has.
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(other.send({rpc::encode(get_request(1, "go"))}));
    EXPECT_EQ(error_of(other.receive_reply()), Errc::ok);
    if (test_.world.counters().replies_dropped > 0) return true;
    RawSocket again = dealer();
    const int before = *arrived;
    EXPECT_TRUE(again.send({rpc::encode(get_request(1, "k"))}));
    EXPECT_TRUE(eventually([&] { return *arrived > before; }));
    return false;
  }));
}

/// Answers "large" with 256 kB, all else with nothing, and counts.
Script router_of_large_replies(std::shared_ptr<std::atomic<std::size_t>> handled) {
  Script router;
  router.on_message = [handled](Envelope envelope, TimePoint, Effects& out) {
    auto* asked = std::get_if<ClientRequest>(&envelope.message);
    if (asked == nullptr) return;
    OperationResult result;
    if (asked->request.operations.front().key == "large") result.value = std::string(256'000, 'x');
    out.send(kClient, ClientReply{asked->origin, rpc::Reply{asked->request.request_id, std::vector{result}}});
    ++*handled;
  };
  return router;
}

TEST_F(RpcDoor, LetsNoClientThatDoesNotReadHoldUpAnotherOrTakeAllMemory) {
  // Each request is answered with 256 kB: in all more than the node holds for one client.
  constexpr std::size_t kCount = 400;
  auto handled = std::make_shared<std::atomic<std::size_t>>(0);
  start(router_of_large_replies(handled));
  RawSocket lazy(zmq::socket_type::dealer, test_.node().rpc, 1);
  const std::string large = rpc::encode(get_request(1, "large"));
  for (std::size_t i = 0; i < kCount; ++i) ASSERT_TRUE(lazy.send({large}));
  ASSERT_TRUE(eventually([&] { return *handled == kCount; }));
  expect_it_still_serves();
  RawSocket other = dealer();
  ASSERT_TRUE(other.send({large}));
  EXPECT_EQ(error_of(other.receive_reply()), Errc::ok);
  // Every request was answered, the last ones without their value.
  std::size_t values = 0;
  std::size_t refusals = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const Errc code = error_of(lazy.receive_reply());
    values += code == Errc::ok ? 1U : 0U;
    refusals += code == Errc::unknown_outcome ? 1U : 0U;
  }
  EXPECT_EQ(values + refusals, kCount);
  EXPECT_GT(values, 0U);
  EXPECT_GT(refusals, 0U);
  // It has read everything: it is served like any other.
  ASSERT_TRUE(lazy.send({large}));
  EXPECT_EQ(error_of(lazy.receive_reply()), Errc::ok);
}

TEST_F(RpcDoor, LeavesRoomForThoseWhoReadWhenManyDoNot) {
  constexpr std::size_t kClients = 6;
  constexpr std::size_t kEach = 320;
  auto handled = std::make_shared<std::atomic<std::size_t>>(0);
  start(router_of_large_replies(handled));
  const std::string large = rpc::encode(get_request(1, "large"));
  std::vector<std::unique_ptr<RawSocket>> lazy;
  for (std::size_t i = 0; i < kClients; ++i) {
    lazy.push_back(std::make_unique<RawSocket>(zmq::socket_type::dealer, test_.node().rpc, 1));
    for (std::size_t j = 0; j < kEach; ++j) ASSERT_TRUE(lazy.back()->send({large}));
  }
  ASSERT_TRUE(eventually([&] { return *handled == kClients * kEach; }));
  RawSocket reader = dealer();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(reader.send({large}));
    EXPECT_EQ(error_of(reader.receive_reply()), Errc::ok);
  }
}

/// TCP_USER_TIMEOUT of this process's end of the connections that were accepted on `endpoint`.
std::vector<int> unread_limits_ms(const std::string& endpoint) {
  std::vector<int> limits;
  for (int fd = 3; fd < 1'024; ++fd) {
    sockaddr_in own{};
    sockaddr_in peer{};
    socklen_t own_size = sizeof(own);
    socklen_t peer_size = sizeof(peer);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) continue;
    if (own.sin_family != AF_INET || !endpoint.ends_with(":" + std::to_string(ntohs(own.sin_port)))) continue;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) continue;
    int limit = 0;
    socklen_t size = sizeof(limit);
    if (::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, &size) == 0) limits.push_back(limit);
  }
  return limits;
}

TEST_F(RpcDoor, EndsConnectionsThatTakeNothingForHalfAMinute) {
  // That the system does it is its own business; a test that waits for it would last as long.
  start();
  RawSocket client = dealer();
  ASSERT_TRUE(client.send({rpc::encode(get_request(1, "k"))}));
  ASSERT_EQ(error_of(client.receive_reply()), Errc::ok);
  EXPECT_EQ(unread_limits_ms(test_.node().rpc), std::vector<int>{30'000});
}

}  // namespace
}  // namespace dkv::test
