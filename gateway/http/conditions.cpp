#include "gateway/http/conditions.hpp"

#include <charconv>

namespace dkv::http {

namespace {

constexpr std::string_view kAny = "*";

std::optional<std::uint64_t> take_number(std::string_view& text, char end) {
  std::uint64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<std::size_t>(at - text.data());
  if (error != std::errc() || length == text.size() || *at != end) return std::nullopt;
  text.remove_prefix(length + 1);
  return number;
}

Result<Position> version_in(std::string_view name, std::string_view tag) {
  const Error error{Errc::bad_request,
                    std::string(name) + " must be one ETag as this server gives it, like \"7-1042\", or *"};
  if (!tag.starts_with('"')) return error;
  tag.remove_prefix(1);
  const auto epoch = take_number(tag, '-');
  const auto seq = epoch ? take_number(tag, '"') : std::nullopt;
  if (!seq || !tag.empty()) return error;
  return Position{Epoch{*epoch}, Seq{*seq}};
}

}  // namespace

std::string etag(const Position& version) { return '"' + to_string(version) + '"'; }

Result<Condition> write_condition(const Fields& fields) {
  if (fields.if_match && fields.if_none_match) {
    return Error{Errc::bad_request, "If-Match and If-None-Match say two different things: send one"};
  }
  if (fields.if_none_match) {
    if (*fields.if_none_match == kAny) return Condition{Condition::Kind::missing};
    return Error{Errc::bad_request, "If-None-Match of a write must be *: the key must not exist"};
  }
  if (!fields.if_match) return Condition{};
  if (*fields.if_match == kAny) return Condition{Condition::Kind::exists};
  const auto version = version_in("If-Match", *fields.if_match);
  if (!version) return version.error();
  return Condition{Condition::Kind::version, *version};
}

Result<std::optional<Position>> known_version(const Fields& fields) {
  if (fields.if_match) return Error{Errc::bad_request, "If-Match is for writes"};
  if (!fields.if_none_match) return std::optional<Position>{};
  const auto version = version_in("If-None-Match", *fields.if_none_match);
  if (!version) return version.error();
  return std::optional(*version);
}

}  // namespace dkv::http
