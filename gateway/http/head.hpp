// The head of a request (request line and headers), read strictly and incrementally from bytes that may
// be hostile. httplib's own reading has no limit on lines and headers, takes the first of two
// Content-Lengths and knows of no deadline; it gets to see only what passed here.
//
// Accepted: HTTP/1.0 and 1.1, CRLF line ends, one empty line before the request line. A body has a length:
// Transfer-Encoding and Content-Encoding are refused, and an absent Content-Length means no body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace dkv::http {

struct HeadLimits {
  std::size_t head_bytes = std::size_t{64} << 10;  // all lines together
  std::size_t line_bytes = std::size_t{16} << 10;  // one line; the request line among them
  std::size_t headers = 100;
  std::size_t body_bytes = std::size_t{16} << 20;
};

/// Header fields that the API goes by. Nothing: the request has none of the name.
struct Fields {
  std::optional<std::string_view> if_match;
  std::optional<std::string_view> if_none_match;
  std::optional<std::string_view> last_event_id;
  std::optional<std::string_view> session;
  std::optional<std::string_view> idempotency_key;
};

/// What the server needs of a head. Views point into the bytes that were read.
struct Head {
  std::string_view method;
  std::string_view target;
  std::string_view content_type;
  std::size_t content_length = 0;
  bool keep_alive = true;        // the client wants the connection to go on
  bool http_1_0 = false;         // such a client must be told that it goes on
  bool expect_continue = false;  // the client waits for "100 Continue" before it sends the body
  Fields fields;
};

/// An answer given before routing, after which the connection closes.
struct Refusal {
  int status = 400;
  std::string code;  // as in the JSON error body
  std::string message;
};

/// Finds the end of a head as bytes arrive, and refuses one over its limits at once, not at its end.
class HeadScanner {
 public:
  explicit HeadScanner(const HeadLimits& limits) : limits_(limits) {}

  /// `bytes`: everything since the head's first byte, each time with more at its end. Returns the head's
  /// length once it is all there, nullopt when more is needed, or why it is refused.
  std::variant<std::optional<std::size_t>, Refusal> scan(std::string_view bytes);
  /// Begins anew, for the next request.
  void reset();

 private:
  const HeadLimits limits_;
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
  std::size_t lines_ = 0;  // not counting an empty one before the request line
};

/// Parses a head that HeadScanner found whole.
std::variant<Head, Refusal> parse_head(std::string_view bytes, const HeadLimits& limits);

}  // namespace dkv::http
