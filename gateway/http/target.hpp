// The request target (what stands between method and version in a request line), taken apart strictly.
// Why not httplib's own parsing: it cuts at '#', lets bad percent-encoding through, merges parameters
// into a map and hands regexes a decoded path. A key may hold any byte, so nothing may be guessed.
//
// Limits: none of its own; the head's limits (head.hpp) bound the target's length.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/result.hpp"

namespace dkv::http {

/// Decodes %XX; with `plus_is_space` also '+' (form encoding, for queries and form bodies; in a path a '+'
/// is a plus). Errors: bad_request for a '%' that two hex digits do not follow.
Result<std::string> percent_decode(std::string_view encoded, bool plus_is_space);

/// Every byte but letters, digits and "-._~/" as %XX: a key as it stands in a path.
std::string percent_encode_path(std::string_view raw);

/// A target's parts, still encoded: views into what was parsed.
struct Target {
  std::string_view origin;  // path and query as they were sent, without scheme and host if those came too
  std::string_view path;
  std::string_view query;  // without its '?'
};

/// Splits "/path?query", or "http://host/path?query" as proxies send it.
/// Errors: bad_request for anything else, and for a '#', which no client should send.
Result<Target> parse_target(std::string_view raw);

struct Parameter {
  std::string name;
  std::string value;
};

/// The decoded parameters of a query or a form body.
class Parameters {
 public:
  /// Adds "a=1&b=2". A name without '=' has an empty value; empty pieces ("a=1&&b=2") are skipped.
  /// Errors: bad_request for bad percent-encoding, a name not in `allowed`, or a name given twice (also
  /// once in the query and once in the body).
  Result<void> add(std::string_view encoded, std::initializer_list<std::string_view> allowed);
  /// nullptr when absent.
  const std::string* find(std::string_view name) const;

 private:
  std::vector<Parameter> all_;
};

}  // namespace dkv::http
