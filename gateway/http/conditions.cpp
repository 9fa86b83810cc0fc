#include "gateway/http/conditions.hpp"

namespace dkv::http {

namespace {

constexpr std::string_view kAny = "*";
constexpr std::string_view kNew = "new";  // X-Session

Result<Position> version_in(std::string_view name, std::string_view tag) {
  const bool is_quoted = tag.size() >= 2 && tag.front() == '"' && tag.back() == '"';
  const auto version = is_quoted ? parse_position(tag.substr(1, tag.size() - 2)) : std::nullopt;
  if (version) return *version;
  return Error{Errc::bad_request,
               std::string(name) + " must be one ETag as this server gives it, like \"7-1042\", or *"};
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

Result<Known> known_version(const Fields& fields) {
  if (fields.if_match) return Error{Errc::bad_request, "If-Match is for writes"};
  if (!fields.if_none_match) return Known{};
  std::string_view tag = *fields.if_none_match;
  if (tag == kAny) return Known{true};
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  const auto version = version_in("If-None-Match", tag);
  if (!version) return version.error();
  return Known{false, *version};
}

Result<std::shared_ptr<Session>> session_of(const Fields& fields) {
  if (!fields.session) return std::shared_ptr<Session>();
  auto session = parse_session(*fields.session == kNew ? "" : *fields.session);
  if (session) return std::make_shared<Session>(std::move(*session));
  return Error{Errc::bad_request,
               "X-Session must be as an answer of a node had it, like 12;1:7-1042, or new where one begins"};
}

std::string session_text(const Session& session) {
  return session == Session{} ? std::string(kNew) : to_string(session);
}

Result<OnceId> once_id(const Fields& fields) {
  if (!fields.idempotency_key) return OnceId{};
  std::string_view name = *fields.idempotency_key;
  const bool is_quoted = name.size() >= 2 && name.front() == '"' && name.back() == '"';
  if (is_quoted) name = name.substr(1, name.size() - 2);
  if (!name.empty() && name.size() <= kMaxIdempotencyKeyBytes) return OnceId::of(name);
  return Error{Errc::bad_request, "Idempotency-Key must have 1 to 255 characters"};
}

}  // namespace dkv::http
