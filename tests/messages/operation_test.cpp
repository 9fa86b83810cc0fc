#include "messages/operation.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace dkv {
namespace {

TEST(Counter, IsANumberOf64BitsAsItIsWritten) {
  EXPECT_TRUE(rc::check([](std::int64_t number) {
    RC_ASSERT(parse_counter(std::to_string(number)) == std::optional(number));
  }));
  EXPECT_EQ(parse_counter("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_counter("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse_counter("0"), 0);
}

TEST(Counter, IsNoOtherText) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "-"sv, "+1"sv, "-0"sv, "01"sv, "-01"sv, " 1"sv, "1 "sv, "1\n"sv, "1\0"sv, "\0"sv, "1.0"sv,
        "1e3"sv, "0x1"sv, "one"sv, "--1"sv, "9223372036854775808"sv, "-9223372036854775809"sv,
        "100000000000000000000000000000"sv}) {
    EXPECT_FALSE(parse_counter(text)) << text;
  }
}

}  // namespace
}  // namespace dkv
