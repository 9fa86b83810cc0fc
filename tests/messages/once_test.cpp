#include "messages/once.hpp"

#include <gtest/gtest.h>
#include <set>

#include "messages/limits.hpp"
#include "tests/messages/expect_equal.hpp"

namespace dkv {
namespace {

TEST(Once, AnOutcomeIsTheSameAfterItHasBeenStored) {
  Outcome outcome{77, {}};
  outcome.results.resize(4);
  outcome.results[0].version = {Epoch{7}, Seq{1042}};
  outcome.results[0].created = true;
  outcome.results[1].version = {Epoch{7}, Seq{1043}};
  outcome.results[1].value = "-17";
  outcome.results[2] = OperationResult::failed(Errc::condition_failed, "no such key");
  outcome.results[3] = aborted();
  const std::string bytes = encode(outcome);
  const auto stored = decode_outcome(bytes);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->fingerprint, 77U);
  test::expect_equal(stored->results, outcome.results);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_outcome(std::string_view(bytes).substr(0, size)).has_value()) << size;
}

TEST(Once, TheKeyOfAnOutcomeIsNoUsersAndSaysWhoseItIs) {
  std::set<std::string> keys;
  for (const std::uint16_t slot : std::initializer_list<std::uint16_t>{0, 1, 255, 256, 16383}) {
    for (const OnceId id : {OnceId{1, 1}, OnceId{1, 2}, OnceId{2, 1}, OnceId{UINT64_MAX, UINT64_MAX}})
      keys.insert(outcome_key(slot, id));
  }
  EXPECT_EQ(keys.size(), 20U);
  for (const std::string& key : keys) {
    EXPECT_TRUE(is_reserved(key));
    EXPECT_LT(key, kReservedEnd);
    EXPECT_LE(key.size(), kMaxKeyBytes);
    const auto refused = check({OpCode::put, key, "v"}, kMaxValueBytes);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::bad_request);
  }
  const std::string before = std::string(kReservedPrefix).substr(0, kReservedPrefix.size() - 1);
  EXPECT_TRUE(check({OpCode::put, before, "v"}, kMaxValueBytes).has_value());
  EXPECT_TRUE(check({OpCode::put, kReservedEnd, "v"}, kMaxValueBytes).has_value());
}

TEST(Once, TheNameOfATextIsAlwaysOne) {
  // The Python client holds itself to the same.
  EXPECT_EQ(OnceId::of("order-17"), (OnceId{3347835856509036235U, 1409400257874381373U}));
  for (const char* text : {"", "a", "order-17"}) EXPECT_TRUE(static_cast<bool>(OnceId::of(text)));
}

TEST(Once, AnotherQuestionHasAnotherFingerprint) {
  const std::vector<std::vector<Operation>> questions = {
      {{OpCode::put, "k", "v"}},
      {{OpCode::put, "k", "w"}},
      {{OpCode::put, "kv", ""}},
      {{OpCode::put, "k", "v", false, {Condition::Kind::missing}}},
      {{OpCode::put, "k", "v", false, {}, 0, {Ttl::Kind::limited, 1}}},
      {{OpCode::remove, "k", ""}},
      {{OpCode::increment, "k", "", false, {}, 1}},
      {{OpCode::increment, "k", "", false, {}, 2}},
      {{OpCode::put, "k", "v"}, {OpCode::put, "k", "v"}},
      {},
  };
  std::set<std::uint64_t> seen;
  for (const auto& question : questions) {
    seen.insert(fingerprint(question));
    EXPECT_EQ(fingerprint(question), fingerprint(std::vector(question)));
  }
  EXPECT_EQ(seen.size(), questions.size());
  // Its number is its name, not what it does; nor is what it wants to be told.
  std::vector<Operation> numbered = questions[0];
  numbered[0].number = 9;
  numbered[0].report_created = true;
  EXPECT_EQ(fingerprint(numbered), fingerprint(questions[0]));
}

}  // namespace
}  // namespace dkv
