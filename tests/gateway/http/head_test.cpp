#include "gateway/http/head.hpp"

#include <gtest/gtest.h>

namespace dkv::http {
namespace {

HeadLimits small_limits() {
  HeadLimits limits;
  limits.head_bytes = 1000;
  limits.line_bytes = 200;
  limits.headers = 10;
  limits.body_bytes = 5000;
  return limits;
}

/// 0 for an accepted head, else the status it is refused with; -1 when more is needed.
int verdict(std::string_view bytes, Head* head = nullptr) {
  const auto limits = small_limits();
  HeadScanner scanner(limits);
  const auto scanned = scanner.scan(bytes);
  if (const auto* refusal = std::get_if<Refusal>(&scanned)) return refusal->status;
  const auto length = std::get<std::optional<std::size_t>>(scanned);
  if (!length) return -1;
  const auto parsed = parse_head(bytes.substr(0, *length), limits);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return refusal->status;
  if (head) *head = std::get<Head>(parsed);
  return 0;
}

int verdict_on_header(const std::string& lines) {
  return verdict("GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n");
}

TEST(Head, YieldsWhatTheServerNeeds) {
  Head head;
  const std::string text =
      "PUT /v1/kv/a%20b?ack=local HTTP/1.1\r\nhost: a\r\ncontent-length:  12 \r\nCONTENT-TYPE: text/plain\r\n"
      "Expect: 100-Continue\r\n\r\n";
  ASSERT_EQ(verdict(text, &head), 0);
  EXPECT_EQ(head.method, "PUT");
  EXPECT_EQ(head.target, "/v1/kv/a%20b?ack=local");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(head.content_type, "text/plain");
  EXPECT_TRUE(head.expect_continue);
  EXPECT_TRUE(head.keep_alive);
}

TEST(Head, YieldsTheConditions) {
  Head head;
  ASSERT_EQ(verdict("PUT / HTTP/1.1\r\nHost: a\r\nif-match: \"7-1\"\r\nIF-NONE-MATCH: *\r\n\r\n", &head), 0);
  EXPECT_EQ(head.fields.if_match, "\"7-1\"");
  EXPECT_EQ(head.fields.if_none_match, "*");
  ASSERT_EQ(verdict("PUT / HTTP/1.1\r\nHost: a\r\n\r\n", &head), 0);
  EXPECT_FALSE(head.fields.if_match || head.fields.if_none_match);
  EXPECT_EQ(verdict_on_header("If-Match: *\r\nIf-Match: *\r\n"), 400);
}

TEST(Head, IsFoundByAnyCutOfItsBytes) {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto limits = small_limits();
  HeadScanner scanner(limits);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto scanned = scanner.scan(std::string_view(text).substr(0, size));
    ASSERT_FALSE(std::holds_alternative<Refusal>(scanned)) << size;
    ASSERT_FALSE(std::get<0>(scanned)) << size;
  }
  EXPECT_EQ(*std::get<0>(scanner.scan(text + "more")), text.size());
}

TEST(Head, KnowsWhetherTheConnectionGoesOn) {
  const auto goes_on = [](const std::string& version, const std::string& connection) {
    Head head;
    EXPECT_EQ(verdict("GET / HTTP/" + version + "\r\nHost: a\r\n" + connection + "\r\n", &head), 0);
    return head.keep_alive;
  };
  EXPECT_TRUE(goes_on("1.1", ""));
  EXPECT_FALSE(goes_on("1.1", "Connection: Close\r\n"));
  EXPECT_FALSE(goes_on("1.1", "Connection: te, close\r\n"));
  EXPECT_FALSE(goes_on("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_FALSE(goes_on("1.0", ""));
  EXPECT_TRUE(goes_on("1.0", "Connection: Keep-Alive\r\n"));
}

TEST(Head, RefusesBodiesWithoutAPlainLength) {
  EXPECT_EQ(verdict_on_header("Transfer-Encoding: chunked\r\n"), 411);
  EXPECT_EQ(verdict_on_header("Transfer-Encoding: identity\r\nContent-Length: 3\r\n"), 411);
  EXPECT_EQ(verdict_on_header("Content-Encoding: gzip\r\n"), 415);
  EXPECT_EQ(verdict_on_header("Content-Length: 5000\r\n"), 0);
  EXPECT_EQ(verdict_on_header("Content-Length: 5001\r\n"), 413);
  EXPECT_EQ(verdict_on_header("Content-Length: 18446744073709551616\r\n"), 413);
  EXPECT_EQ(verdict_on_header("Content-Length: 99999999999999999999999999\r\n"), 413);
  for (const auto* bad : {"", "-1", "+1", "0x10", "1 2", "1,1", "1.0", "abc", "1\t2"}) {
    EXPECT_EQ(verdict_on_header("Content-Length: " + std::string(bad) + "\r\n"), 400) << bad;
  }
  EXPECT_EQ(verdict_on_header("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
}

TEST(Head, RefusesMalformedLines) {
  for (const auto* bad :
       {"GET / HTTP/1.1\nHost: a\r\n\r\n", "GET /\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / x HTTP/1.1\r\n\r\n", "G\x01T / HTTP/1.1\r\n\r\n", "GET /\x7f HTTP/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"}) {
    EXPECT_EQ(verdict(bad), 400) << bad;
  }
  for (const auto* bad :
       {"no colon\r\n", "Name : v\r\n", ": v\r\n", "Na(me: v\r\n", "A: a\rb\r\n", "A: \x01\r\n"}) {
    EXPECT_EQ(verdict_on_header(bad), 400) << bad;
  }
  EXPECT_EQ(verdict_on_header(std::string("A: \0\r\n", 6)), 400);
  EXPECT_EQ(verdict("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(verdict_on_header("Expect: 200-maybe\r\n"), 417);
}

TEST(Head, RefusesWhatIsTooLongBeforeItIsWhole) {
  EXPECT_EQ(verdict("GET /" + std::string(200, 'a')), 414);
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nA: " + std::string(200, 'a')), 431);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 11; ++i) many += "A: b\r\n";
  EXPECT_EQ(verdict(many), 431);
  std::string large = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 9; ++i) large += "A: " + std::string(150, 'a') + "\r\n";
  EXPECT_EQ(verdict(large), 431);
}

TEST(Head, NeedsAHostFromHttp11Only) {
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(verdict("GET / HTTP/1.0\r\n\r\n"), 0);
}

}  // namespace
}  // namespace dkv::http
