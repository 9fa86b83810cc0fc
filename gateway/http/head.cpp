#include "gateway/http/head.hpp"

#include <algorithm>
#include <charconv>

namespace dkv::http {

namespace {

Refusal bad(std::string message) { return {400, "bad_request", std::move(message)}; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

/// RFC 9110, 5.6.2: what methods and header names are made of.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// The next line without its CRLF, which HeadScanner has seen to be there.
std::string_view take_line(std::string_view& bytes) {
  const auto end = bytes.find("\r\n");
  const auto line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

/// Whether a comma-separated header value holds `token`.
bool holds_token(std::string_view value, std::string_view token) {
  while (!value.empty()) {
    const auto comma = value.find(',');
    if (same_name(trim(value.substr(0, comma)), token)) return true;
    value = comma == value.npos ? std::string_view() : value.substr(comma + 1);
  }
  return false;
}

/// Reads one head; each step returns why it refuses, or nothing.
class HeadParser {
 public:
  explicit HeadParser(const HeadLimits& limits) : limits_(limits) {}

  std::optional<Refusal> request_line(std::string_view line);
  std::optional<Refusal> header(std::string_view line);
  std::optional<Refusal> finish();
  const Head& head() const { return head_; }

 private:
  std::optional<Refusal> version(std::string_view text);
  std::optional<Refusal> known_header(std::string_view name, std::string_view value);
  std::optional<Refusal> content_length(std::string_view value);
  static std::optional<Refusal> once(std::string_view name, std::string_view value,
                                     std::optional<std::string_view>& field);

  const HeadLimits& limits_;
  Head head_;
  bool has_length_ = false;
  bool has_host_ = false;
  bool has_type_ = false;
  bool asked_keep_alive_ = false;
  bool asked_close_ = false;
};

std::optional<Refusal> HeadParser::request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == line.npos || first == last) return bad("the request line must read: METHOD TARGET HTTP/1.1");
  head_.method = line.substr(0, first);
  head_.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head_.method)) return bad("the request method holds characters that no method may hold");
  const auto wrong = [](char c) { return is_control(c) || c == ' '; };
  if (head_.target.empty() || std::any_of(head_.target.begin(), head_.target.end(), wrong)) {
    return bad("the request target holds a space or control character: percent-encode it");
  }
  return version(line.substr(last + 1));
}

std::optional<Refusal> HeadParser::version(std::string_view text) {
  if (text == "HTTP/1.1") return std::nullopt;
  if (text == "HTTP/1.0") {
    head_.http_1_0 = true;
    return std::nullopt;
  }
  if (text.starts_with("HTTP/")) {
    return Refusal{505, "http_version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0"};
  }
  return bad("the request line must end with HTTP/1.1");
}

std::optional<Refusal> HeadParser::header(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon))) {
    return bad("a header line must read Name: value, without a space before the colon or the name");
  }
  const auto value = trim(line.substr(colon + 1));
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
    return bad("a header value holds a control character");
  }
  return known_header(line.substr(0, colon), value);
}

std::optional<Refusal> HeadParser::known_header(std::string_view name, std::string_view value) {
  if (same_name(name, "Content-Length")) return content_length(value);
  if (same_name(name, "Transfer-Encoding")) {
    return Refusal{411, "length_required", "Transfer-Encoding is not accepted: send a Content-Length"};
  }
  if (same_name(name, "Content-Encoding")) {
    return Refusal{415, "unsupported_encoding",
                   "Content-Encoding is not accepted: send the bytes to be stored"};
  }
  if (same_name(name, "Expect")) {
    if (!same_name(value, "100-continue")) {
      return Refusal{417, "expectation_failed",
                     "the only expectation that this server knows is 100-continue"};
    }
    head_.expect_continue = true;
  } else if (same_name(name, "Connection")) {
    asked_close_ = asked_close_ || holds_token(value, "close");
    asked_keep_alive_ = asked_keep_alive_ || holds_token(value, "keep-alive");
  } else if (same_name(name, "Host")) {
    if (has_host_) return bad("there are two Host headers");
    has_host_ = true;
  } else if (same_name(name, "Content-Type")) {
    if (has_type_) return bad("there are two Content-Type headers");
    has_type_ = true;
    head_.content_type = value;
  } else if (same_name(name, "If-Match")) {
    return once(name, value, head_.fields.if_match);
  } else if (same_name(name, "If-None-Match")) {
    return once(name, value, head_.fields.if_none_match);
  } else if (same_name(name, "Last-Event-ID")) {
    return once(name, value, head_.fields.last_event_id);
  } else if (same_name(name, "X-Session")) {
    return once(name, value, head_.fields.session);
  } else if (same_name(name, "Idempotency-Key")) {
    return once(name, value, head_.fields.idempotency_key);
  }
  return std::nullopt;
}

std::optional<Refusal> HeadParser::once(std::string_view name, std::string_view value,
                                        std::optional<std::string_view>& field) {
  if (field) return bad("there are two " + std::string(name) + " headers");
  field = value;
  return std::nullopt;
}

std::optional<Refusal> HeadParser::content_length(std::string_view value) {
  if (has_length_) return bad("there are two Content-Length headers");
  has_length_ = true;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_digit)) {
    return bad("Content-Length must be a decimal number");
  }
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), head_.content_length);
  if (parsed.ec != std::errc() || head_.content_length > limits_.body_bytes) {
    return Refusal{
        413, "too_large",
        "the body is too large: at most " + std::to_string(limits_.body_bytes) + " bytes are allowed"};
  }
  return std::nullopt;
}

std::optional<Refusal> HeadParser::finish() {
  if (!has_host_ && !head_.http_1_0) return bad("the Host header is missing");
  head_.keep_alive = !asked_close_ && (!head_.http_1_0 || asked_keep_alive_);
  if (head_.http_1_0) head_.expect_continue = false;  // RFC 9110, 10.1.1: such a client cannot mean it
  return std::nullopt;
}

}  // namespace

std::variant<std::optional<std::size_t>, Refusal> HeadScanner::scan(std::string_view bytes) {
  while (true) {
    const auto end = bytes.find('\n', scanned_);
    const bool whole = end != bytes.npos;
    scanned_ = whole ? end + 1 : bytes.size();
    if (scanned_ - line_start_ > limits_.line_bytes || scanned_ > limits_.head_bytes) {
      if (lines_ == 0) {
        return Refusal{414, "uri_too_long",
                       "the request line is too long: send large values with PUT or POST"};
      }
      return Refusal{431, "headers_too_large", "a header line, or all of them together, are too large"};
    }
    if (!whole) return std::optional<std::size_t>();
    if (end == line_start_ || bytes[end - 1] != '\r') return bad("a line ends without CR LF");
    const bool empty = end - line_start_ == 1;
    const bool before_request_line = empty && line_start_ == 0;
    line_start_ = scanned_;
    if (before_request_line) continue;  // RFC 9112, 2.2: some clients end a body with a line of its own
    if (empty && lines_ == 0) return bad("the request line is empty");
    if (empty) return std::optional(scanned_);
    if (++lines_ > limits_.headers + 1) {
      return Refusal{431, "headers_too_large",
                     "too many headers: at most " + std::to_string(limits_.headers) + " are allowed"};
    }
  }
}

void HeadScanner::reset() { line_start_ = scanned_ = lines_ = 0; }

std::variant<Head, Refusal> parse_head(std::string_view bytes, const HeadLimits& limits) {
  HeadParser parser(limits);
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  if (auto refusal = parser.request_line(take_line(bytes))) return *refusal;
  for (auto line = take_line(bytes); !line.empty(); line = take_line(bytes)) {
    if (auto refusal = parser.header(line)) return *refusal;
  }
  if (auto refusal = parser.finish()) return *refusal;
  return parser.head();
}

}  // namespace dkv::http
