#include "gateway/http/target.hpp"

#include <gtest/gtest.h>

namespace dkv::http {
namespace {

using namespace std::string_literals;

TEST(PercentDecode, YieldsEveryByte) {
  std::string raw;
  for (int byte = 0; byte < 256; ++byte) raw += static_cast<char>(byte);
  EXPECT_EQ(*percent_decode(percent_encode_path(raw), false), raw);
  EXPECT_EQ(*percent_decode(percent_encode_path(raw), true), raw);
  EXPECT_EQ(*percent_decode("%e2%82%AC", false), "\xe2\x82\xac");
}

TEST(PercentDecode, TakesPlusForSpaceInFormsOnly) {
  EXPECT_EQ(*percent_decode("a+b", true), "a b");
  EXPECT_EQ(*percent_decode("a+b", false), "a+b");
}

TEST(PercentDecode, RefusesWhatIsNotTwoHexDigits) {
  for (const auto* bad : {"%", "%4", "a%", "%g0", "%0g", "%%41", "%-1", "% 1", "%u0041"}) {
    const auto decoded = percent_decode(bad, false);
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().code, Errc::bad_request) << bad;
  }
}

TEST(Target, SplitsAtTheFirstQuestionMark) {
  const auto target = parse_target("/v1/kv/a%3Fb?read=replica?x");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v1/kv/a%3Fb");
  EXPECT_EQ(target->query, "read=replica?x");
  EXPECT_EQ(target->origin, "/v1/kv/a%3Fb?read=replica?x");
}

TEST(Target, LosesSchemeAndHost) {
  EXPECT_EQ(parse_target("http://127.0.0.1:8080/get?key=a")->origin, "/get?key=a");
  EXPECT_EQ(parse_target("http://host")->path, "/");
  EXPECT_EQ(parse_target("//get")->path, "//get");
}

TEST(Target, IsNotNormalized) {
  EXPECT_EQ(parse_target("/v1/kv/a/../b//c/./%2e%2E")->path, "/v1/kv/a/../b//c/./%2e%2E");
}

TEST(Target, RefusesFragmentsAndOtherForms) {
  for (const auto* bad : {"/a#b", "*", "", "get", "host:80", "ftp://host/", "http://host?key=a"}) {
    EXPECT_FALSE(parse_target(bad)) << bad;
  }
}

TEST(Parameters, DecodesNamesAndValuesAfterSplitting) {
  Parameters parameters;
  ASSERT_TRUE(parameters.add("key=a%26b%3Dc&&v%61lue=1+1%2B2=4&", {"key", "value"}));
  EXPECT_EQ(*parameters.find("key"), "a&b=c");
  EXPECT_EQ(*parameters.find("value"), "1 1+2=4");
  EXPECT_EQ(parameters.find("other"), nullptr);
}

TEST(Parameters, KeepsNulAndEmptyValues) {
  Parameters parameters;
  ASSERT_TRUE(parameters.add("key=%00a&value", {"key", "value"}));
  EXPECT_EQ(*parameters.find("key"), "\0a"s);
  EXPECT_EQ(*parameters.find("value"), "");
}

TEST(Parameters, RefusesUnknownNamesRepeatsAndBadEncoding) {
  for (const auto* bad : {"other=1", "key=a&key=a", "key=a&k%65y=b", "key=%", "%zz=1", "=1", "KEY=a"}) {
    Parameters parameters;
    EXPECT_FALSE(parameters.add(bad, {"key"})) << bad;
  }
}

TEST(Parameters, RefusesARepeatAcrossQueryAndBody) {
  Parameters parameters;
  ASSERT_TRUE(parameters.add("key=a", {"key"}));
  EXPECT_FALSE(parameters.add("key=a", {"key"}));
}

}  // namespace
}  // namespace dkv::http
