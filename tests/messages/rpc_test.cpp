#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck.h>

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "tests/messages/expect_equal.hpp"
#include "tests/messages/mutate.hpp"
#include "tests/messages/vector_json.hpp"

namespace dkv {
namespace {

using test::decode_mutations;
using test::expect_equal;
using test::first_accepted_truncation;

Result<rpc::Request> decode_request(std::string_view bytes) {
  std::uint64_t ignored = 0;
  return rpc::decode_request(bytes, ignored);
}

/// A request of `count` gets of one short key.
std::string gets(std::size_t count) {
  rpc::Request request;
  request.operations.assign(count, Operation{OpCode::get, "k", {}});
  return rpc::encode(request);
}

Position random_version() {
  return {Epoch{*rc::gen::arbitrary<std::uint64_t>()}, Seq{*rc::gen::arbitrary<std::uint64_t>()}};
}

OperationResult random_result(OpCode asked) {
  OperationResult result;
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      result.version = random_version();
      result.created = *rc::gen::arbitrary<bool>();
      if (asked == OpCode::get || asked == OpCode::increment)
        result.value = *rc::gen::arbitrary<std::string>();
      return result;
    case 1:
      result.code = Errc::moved;
      result.moved = std::make_shared<const Moved>(
          Moved{ShardId{*rc::gen::arbitrary<std::uint32_t>()}, *rc::gen::arbitrary<std::string>(),
                *rc::gen::arbitrary<std::string>(), *rc::gen::arbitrary<std::string>(),
                *rc::gen::arbitrary<std::string>(), *rc::gen::arbitrary<std::uint64_t>()});
      return result;
    default:
      result = OperationResult::failed(static_cast<Errc>(*rc::gen::inRange(3, 18)),
                                       *rc::gen::arbitrary<std::string>());
      if (result.code == Errc::condition_failed) result.version = random_version();
      return result;
  }
}

OpCode random_op() { return static_cast<OpCode>(*rc::gen::inRange(1, 5)); }

Condition random_condition() {
  Condition condition;
  condition.kind = static_cast<Condition::Kind>(*rc::gen::inRange(0, 4));
  if (condition.kind == Condition::Kind::version) condition.version = random_version();
  return condition;
}

/// `key` and `value` must outlive it.
Operation random_operation(std::string_view key, std::string_view value) {
  Operation operation{random_op(), key, {}};
  const bool is_put = operation.code == OpCode::put;
  if (is_put) operation.value = value;
  if (is_put) operation.report_created = *rc::gen::arbitrary<bool>();
  if (is_put || operation.code == OpCode::remove) operation.condition = random_condition();
  if (operation.code == OpCode::increment) operation.amount = *rc::gen::arbitrary<std::int64_t>();
  return operation;
}

/// Numbers of writes that are to be done once: none, in a row, or any.
void number(rpc::Request& request) {
  if (request.atomic) {
    request.number = *rc::gen::arbitrary<std::uint64_t>();
    return;
  }
  const int kind = *rc::gen::inRange(0, 3);
  for (std::size_t i = 0; i < request.operations.size() && kind > 0; ++i) {
    const std::uint64_t any = *rc::gen::inRange<std::uint64_t>(1, UINT64_MAX);
    request.operations[i].number = kind == 1 ? 1000 + i : any;
  }
}

std::shared_ptr<const Session> random_session() {
  if (*rc::gen::arbitrary<bool>()) return nullptr;
  auto session = std::make_shared<Session>(Session{*rc::gen::arbitrary<std::uint64_t>(), {}});
  for (std::uint32_t shard = 0; *rc::gen::inRange(0, 4) > 0; shard += *rc::gen::inRange(1U, 9U))
    session->seen.push_back({ShardId{shard}, random_version()});
  return session;
}

TEST(RpcRequest, DecodesToWhatWasEncoded) {
  EXPECT_TRUE(rc::check([] {
    const auto texts = *rc::gen::nonEmpty<std::vector<std::pair<std::string, std::string>>>();
    rpc::Request request;
    request.request_id = *rc::gen::arbitrary<std::uint64_t>();
    request.client_id = *rc::gen::arbitrary<std::uint64_t>();
    request.read = *rc::gen::element(ReadMode::linearizable, ReadMode::replica);
    request.ack = *rc::gen::element(AckMode::committed, AckMode::local);
    request.atomic = *rc::gen::arbitrary<bool>();
    for (const auto& [key, value] : texts) request.operations.push_back(random_operation(key, value));
    number(request);
    request.session = random_session();
    const std::string bytes = rpc::encode(request);
    const auto decoded = decode_request(bytes);
    RC_ASSERT(decoded.has_value());
    expect_equal(*decoded, request);
    RC_ASSERT(rpc::encode(*decoded) == bytes);
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(RpcReply, DecodesToWhatWasEncoded) {
  EXPECT_TRUE(rc::check([] {
    rpc::Reply reply;
    reply.request_id = *rc::gen::arbitrary<std::uint64_t>();
    std::vector<OpCode> asked;
    std::vector<OperationResult> results;
    for (int i = *rc::gen::inRange(1, 20); i > 0; --i) {
      asked.push_back(random_op());
      results.push_back(random_result(asked.back()));
    }
    reply.body = results;
    reply.session = random_session();
    const std::string bytes = rpc::encode(reply);
    const auto decoded = rpc::decode_reply(bytes, asked);
    RC_ASSERT(decoded.has_value());
    expect_equal(*decoded, reply);
    const auto peeked = rpc::peek_request_id(bytes);
    RC_ASSERT(peeked.has_value());
    RC_ASSERT(*peeked == reply.request_id);
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(RpcRequest, IsRefusedWhenCutShortAnywhere) {
  for (const auto& vector : test::vectors().at("rpc_requests")) {
    const auto refuses = [](const std::string& bytes) { return !decode_request(bytes).has_value(); };
    EXPECT_EQ(first_accepted_truncation(test::from_hex(vector.at("hex")), refuses), std::string::npos)
        << vector.at("name");
  }
}

TEST(RpcReply, IsRefusedWhenCutShortAnywhere) {
  for (const auto& vector : test::vectors().at("rpc_replies")) {
    const auto asked = test::asked_of(vector.at("asked"));
    const auto refuses = [&](const std::string& bytes) {
      return !rpc::decode_reply(bytes, asked).has_value();
    };
    EXPECT_EQ(first_accepted_truncation(test::from_hex(vector.at("hex")), refuses), std::string::npos)
        << vector.at("name");
  }
}

TEST(RpcRequest, IsRefusedWithAnyByteBehindIt) {
  for (const auto& vector : test::vectors().at("rpc_requests")) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string bytes = test::from_hex(vector.at("hex"));
      bytes.push_back(static_cast<char>(byte));
      ASSERT_FALSE(decode_request(bytes)) << vector.at("name") << " and " << byte;
    }
  }
}

TEST(RpcRequest, SurvivesRandomDamageAndNeverBreaksALimit) {
  for (const auto& vector : test::vectors().at("rpc_requests")) {
    decode_mutations(test::from_hex(vector.at("hex")), 2000, [](const std::string& bytes) {
      const auto decoded = decode_request(bytes);
      if (!decoded) return;
      EXPECT_LE(decoded->operations.size(), kMaxOperations);
      // What was accepted means something: it can be said again, and means the same then.
      const std::string again = rpc::encode(*decoded);
      const auto second = decode_request(again);
      ASSERT_TRUE(second);
      expect_equal(*second, *decoded);
    });
  }
}

TEST(RpcReply, SurvivesRandomDamage) {
  for (const auto& vector : test::vectors().at("rpc_replies")) {
    const auto asked = test::asked_of(vector.at("asked"));
    decode_mutations(test::from_hex(vector.at("hex")), 2000, [&](const std::string& bytes) {
      const auto peeked = rpc::peek_request_id(bytes);
      const auto decoded = rpc::decode_reply(bytes, asked);
      if (!decoded) return;
      if (peeked) {
        EXPECT_EQ(*peeked, decoded->request_id);
      }
      if (const auto* error = std::get_if<Error>(&decoded->body)) {
        EXPECT_NE(error->code, Errc::ok);
      }
      EXPECT_TRUE(rpc::decode_reply(rpc::encode(*decoded), asked));
    });
  }
}

TEST(RpcRequest, HoldsAtMost4096Operations) {
  EXPECT_TRUE(decode_request(gets(kMaxOperations)));
  const auto refused = decode_request(gets(kMaxOperations + 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_request);
}

TEST(RpcRequest, Holds4096OfTheLongestOperations) {
  const Condition newest{Condition::Kind::version, {Epoch{UINT64_MAX}, Seq{UINT64_MAX}}};
  rpc::Request request;
  request.atomic = true;
  request.operations.assign(kMaxOperations, Operation{OpCode::put, "k", "v", true, newest});
  const std::string bytes = rpc::encode(request);
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->operations.back().condition, newest);
}

TEST(RpcRequest, OfTheLargestValueAndKeyIsAccepted) {
  const std::string key(kMaxKeyBytes, 'k');
  const std::string value(kMaxValueBytes, 'v');
  rpc::Request request;
  request.operations.push_back({OpCode::put, key, value});
  const std::string bytes = rpc::encode(request);
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(check(decoded->operations[0], kMaxValueBytes));
}

TEST(RpcRequest, OverItsSizeLimitIsTooLarge) {
  const std::string value(kMaxRequestBytes, 'v');
  rpc::Request request;
  request.operations.push_back({OpCode::put, "k", value});
  const auto refused = decode_request(rpc::encode(request));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
}

TEST(RpcRequest, ThatBreaksALimitOfOneKeyStillServesItsNeighbours) {
  const std::string key(kMaxKeyBytes + 1, 'k');
  rpc::Request request;
  request.operations = {{OpCode::get, key, {}},
                        {OpCode::get, {}, {}},
                        {OpCode::remove, "k", {}, false, {Condition::Kind::missing}},
                        {OpCode::increment, {}, {}},
                        {OpCode::get, "fine", {}}};
  const std::string bytes = rpc::encode(request);
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(check(decoded->operations[0], kMaxValueBytes).error().code, Errc::too_large);
  EXPECT_EQ(check(decoded->operations[1], kMaxValueBytes).error().code, Errc::bad_request);
  EXPECT_EQ(check(decoded->operations[2], kMaxValueBytes).error().code, Errc::bad_request);
  EXPECT_EQ(check(decoded->operations[3], kMaxValueBytes).error().code, Errc::bad_request);
  EXPECT_TRUE(check(decoded->operations[4], kMaxValueBytes));
}

TEST(RpcRequest, OfAnotherVersionIsRefusedByThatNameWithItsId) {
  for (const std::uint64_t version :
       {std::uint64_t{0}, std::uint64_t{2}, std::numeric_limits<std::uint64_t>::max()}) {
    std::string bytes;
    Packer(bytes).array(4).uint(version).uint(1).uint(4711).array(0);
    std::uint64_t request_id = 0;
    const auto refused = rpc::decode_request(bytes, request_id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::wrong_version);
    EXPECT_EQ(request_id, 4711U);
  }
}

TEST(RpcReply, WithTheLargestValueIsAccepted) {
  OperationResult result;
  result.value.assign(kMaxValueBytes, 'v');
  rpc::Reply reply;
  reply.body = std::vector<OperationResult>{result};
  EXPECT_TRUE(rpc::decode_reply(rpc::encode(reply), {OpCode::get}));
}

TEST(RpcReply, WithMovedForEveryOneOf4096OperationsIsAccepted) {
  OperationResult result;
  result.code = Errc::moved;
  result.moved = std::make_shared<const Moved>();
  rpc::Reply reply;
  reply.body = std::vector<OperationResult>(kMaxOperations, result);
  EXPECT_TRUE(rpc::decode_reply(rpc::encode(reply), std::vector<OpCode>(kMaxOperations, OpCode::get)));
}

TEST(RpcReply, HoldsAtMost1000RecordsOfAScan) {
  const auto page_of = [](std::size_t count) {
    rpc::ScanReply page;
    page.items.assign(count, {std::string(kMaxKeyBytes, 'k'), {Epoch{UINT64_MAX}, Seq{UINT64_MAX}}, "v"});
    rpc::Reply reply;
    reply.body = std::move(page);
    return rpc::encode(reply);
  };
  EXPECT_TRUE(rpc::decode_reply(page_of(kMaxScanItems), {}));
  EXPECT_FALSE(rpc::decode_reply(page_of(kMaxScanItems + 1), {}));
}

TEST(RpcReply, PeeksNoIdFromWhatIsNoReply) {
  for (const std::string& bytes :
       {std::string(), std::string("\x94\x01\x01"), std::string("\x96\x01\x01\x01"),
        std::string("\x94\x01\x01\xcf\x01"), std::string("\x94\x01\x01\xc4\x01")}) {
    EXPECT_FALSE(rpc::peek_request_id(bytes)) << test::to_hex(bytes);
  }
}

}  // namespace
}  // namespace dkv
