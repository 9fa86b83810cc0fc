#include "topology/atomic_batch.hpp"

#include <gtest/gtest.h>
#include <string>

#include "messages/limits.hpp"

namespace dkv {
namespace {

std::vector<Errc> codes(const std::vector<Operation>& operations) {
  std::vector<Errc> all;
  for (const OperationResult& result : refuse_batch(operations, kMaxValueBytes)) all.push_back(result.code);
  return all;
}

Operation put(std::string_view key, std::string_view value = "v") { return {OpCode::put, key, value}; }

TEST(AtomicBatch, IsOfOneSlot) {
  EXPECT_TRUE(codes({}).empty());
  EXPECT_TRUE(codes({put("k"), put("k")}).empty());
  EXPECT_TRUE(codes({put("{user}.name"), {OpCode::get, "{user}.mail", {}}}).empty());
  EXPECT_EQ(codes({put("user.name"), put("user.mail")}), (std::vector{Errc::bad_request, Errc::bad_request}));
}

TEST(AtomicBatch, IsNotDoneWhenOneOfItCannotBe) {
  const std::string long_key = "{k}" + std::string(kMaxKeyBytes, 'k');
  EXPECT_EQ(codes({put("{k}1"), put(long_key), put("{k}2")}),
            (std::vector{Errc::aborted, Errc::too_large, Errc::aborted}));
}

TEST(AtomicBatch, FitsIntoARequest) {
  EXPECT_TRUE(codes(std::vector<Operation>(kMaxOperations, put("k"))).empty());
  EXPECT_EQ(codes(std::vector<Operation>(kMaxOperations + 1, put("k"))).front(), Errc::bad_request);
  const std::string half(kMaxRequestBytes / 2, 'v');
  EXPECT_EQ(codes({put("k", half), put("k", half)}).front(), Errc::too_large);
  EXPECT_TRUE(codes({put("k", half), put("k", std::string_view(half).substr(1000))}).empty());
}

}  // namespace
}  // namespace dkv
