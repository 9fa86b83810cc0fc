#include "topology/endpoint.hpp"

#include <gtest/gtest.h>

namespace dkv {
namespace {

TEST(Endpoint, HasOneSpellingPerAddress) {
  EXPECT_EQ(*parse_host("127.0.0.2"), "127.0.0.2");
  EXPECT_EQ(*parse_host("0:0:0:0:0:0:0:1"), "::1");
  EXPECT_EQ(*parse_host("FE80::0A"), "fe80::a");
  EXPECT_EQ(*parse_host("Delhi.Example.com"), "delhi.example.com");
  EXPECT_EQ(*parse_host("localhost"), "localhost");
  EXPECT_EQ(*parse_host("10gb-host.rack7"), "10gb-host.rack7");
}

TEST(Endpoint, RefusesHostsThatNobodyCanReach) {
  for (const std::string_view host :
       {"",   "256.0.0.1", "1.2.3", "127.0.0.1 ",   "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255",
        "::", "ff02::1",   "[::1]", "fe80::1%eth0", "a..b",    ".a",      "a.",        "-a",
        "a-", "a_b",       "a b",   "tcp://a",      "a:1",     "a/b",     "日本",      "*"}) {
    EXPECT_FALSE(parse_host(host)) << host;
  }
  EXPECT_FALSE(parse_host(std::string_view("127.0.0.1\0x", 11)));
  EXPECT_TRUE(parse_host(std::string(63, 'a')));
  EXPECT_FALSE(parse_host(std::string(64, 'a')));
  std::string longest = "a";
  while (longest.size() < 253) longest += ".a";
  EXPECT_TRUE(parse_host(longest));
  EXPECT_FALSE(parse_host(longest + "a.a"));
}

TEST(Endpoint, TellsAddressesFromHostnames) {
  EXPECT_EQ(*parse_address("127.0.0.2"), "127.0.0.2");
  EXPECT_EQ(*parse_address("FE80::0A"), "fe80::a");
  for (const std::string_view text : {"localhost", "a", "delhi.example.com", "", "0.0.0.0", "::", "1.2.3"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_FALSE(parse_address(std::string_view("127.0.0.1\0x", 11)));
}

TEST(Endpoint, IsReadFromAPersonInAnySpelling) {
  for (const auto& [text, canonical] : {std::pair{"127.0.0.2:7001", "127.0.0.2:7001"},
                                        {"LocalHost:07001", "localhost:7001"},
                                        {"[0::1]:7001", "[::1]:7001"}}) {
    const Result<Endpoint> read = read_endpoint(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(to_string(*read), canonical);
  }
  for (const std::string_view text : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "a:1 ", "[a]:1",
                                      "::1:8080", "[::1]", "[]:1", "tcp://a:1"}) {
    EXPECT_FALSE(read_endpoint(text)) << text;
  }
}

TEST(Endpoint, ComesBackFromItsText) {
  for (const Endpoint& endpoint :
       {Endpoint{"127.0.0.2", 8080}, Endpoint{"::1", 1}, Endpoint{"delhi", 65535}}) {
    const Result<Endpoint> parsed = parse_endpoint(to_string(endpoint));
    ASSERT_TRUE(parsed) << to_string(endpoint);
    EXPECT_EQ(*parsed, endpoint);
  }
  EXPECT_EQ(to_string(Endpoint{"::1", 8080}), "[::1]:8080");
}

TEST(Endpoint, RefusesAnyOtherText) {
  for (const std::string_view text :
       {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:080", "a:+1", "a:-1", "a:1 ", "A:1", "[a]:1",
        "::1:8080", "[::1]", "[0::1]:1", "[]:1", "a:b:1", "tcp://a:1"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

}  // namespace
}  // namespace dkv
