#include "gateway/http/scan.hpp"

#include <charconv>

#include "gateway/http/api.hpp"
#include "gateway/http/conditions.hpp"
#include "gateway/json_bytes.hpp"
#include "messages/limits.hpp"

namespace dkv::http {

namespace {

using Json = nlohmann::ordered_json;

Result<std::size_t> read_limit(const std::string* text) {
  if (text == nullptr) return ScanOptions().limit;
  std::size_t limit = 0;
  const char* end = text->data() + text->size();
  const auto [at, error] = std::from_chars(text->data(), end, limit);
  if (error == std::errc() && at == end && limit > 0 && limit <= kMaxScanItems) return limit;
  return Error{Errc::bad_request, "the parameter 'limit' must be from 1 to " + std::to_string(kMaxScanItems)};
}

// A cursor is a key in hex digits, which mean nothing to a URL or to JSON.

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

Result<std::string> read_cursor(const std::string* text) {
  std::string bytes;
  if (text == nullptr) return bytes;
  const Error wrong{Errc::bad_request, "the parameter 'cursor' is none that a page of this scan has given"};
  if (text->empty() || text->size() % 2 != 0 || text->size() / 2 > kMaxKeyBytes + 1) return wrong;
  for (std::size_t i = 0; i < text->size(); i += 2) {
    unsigned byte = 0;
    const char* at = text->data() + i;
    if (std::from_chars(at, at + 2, byte, 16).ptr != at + 2) return wrong;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

}  // namespace

Result<bool> read_flag(const Parameters& parameters, const char* name) {
  const std::string* text = parameters.find(name);
  if (text == nullptr || *text == "false") return false;
  if (*text == "true" || text->empty()) return true;  // ?reverse
  return Error{Errc::bad_request, std::string("the parameter '") + name + "' must be true or false"};
}

Result<ScanOptions> read_scan(const Target& target) {
  Parameters parameters;
  if (const auto added = parameters.add(
          target.query, {"prefix", "start", "end", "limit", "cursor", "reverse", "keys_only", "read"});
      !added) {
    return added.error();
  }
  ScanOptions options;
  for (const auto& [name, text] :
       {std::pair{"prefix", &options.prefix}, {"start", &options.start}, {"end", &options.end}}) {
    if (const std::string* given = parameters.find(name)) *text = *given;
    if (text->size() > kMaxKeyBytes) {
      return Error{Errc::bad_request, std::string("the parameter '") + name + "' is longer than any key"};
    }
  }
  const auto limit = read_limit(parameters.find("limit"));
  if (!limit) return limit.error();
  options.limit = *limit;
  const auto reverse = read_flag(parameters, "reverse");
  if (!reverse) return reverse.error();
  options.reverse = *reverse;
  const auto keys_only = read_flag(parameters, "keys_only");
  if (!keys_only) return keys_only.error();
  options.keys_only = *keys_only;
  const auto read = parse_read_mode(parameters.find("read"));
  if (!read) return read.error();
  options.read = *read;
  auto cursor = read_cursor(parameters.find("cursor"));
  if (!cursor) return cursor.error();
  options.cursor = std::move(*cursor);
  return options;
}

std::string page_json(const ScanResult& page, bool keys_only) {
  Json json;
  Json& items = json["items"] = Json::array();
  for (const rpc::ScanItem& item : page.items) {
    Json& one = items.emplace_back(Json::object());
    set_bytes(one, "key", item.key);
    if (!keys_only) set_bytes(one, "value", item.value);
    one["etag"] = etag(item.version);
    if (item.ttl_ms != 0) one["ttl_ms"] = item.ttl_ms;
  }
  if (!page.cursor.empty()) json["cursor"] = to_hex(page.cursor);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dkv::http
