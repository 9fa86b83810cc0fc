// What header fields ask for beside the target. Conditions (RFC 9110, 13): one strong tag, or *; a list, or a
// write's weak tag, says less than a version does, and is refused. A session, and the name of a write that is
// to be done once (as in draft-ietf-httpapi-idempotency-key-header).
#pragma once

#include <memory>
#include <string>

#include "gateway/http/head.hpp"
#include "messages/once.hpp"
#include "messages/operation.hpp"
#include "messages/session.hpp"

namespace dkv::http {

/// A version as an ETag: "epoch-seq", quotes included.
std::string etag(const Position& version);

/// What a write asks for. Errors: bad_request for what cannot be meant, or not be promised.
Result<Condition> write_condition(const Fields& fields);

/// What a reader has already: nothing, a version, or whichever there is.
struct Known {
  bool any = false;
  std::optional<Position> version{};
  bool has(Position present) const { return any || version == present; }
};
/// As it says itself; a weak tag means the same as a strong one here (RFC 9110, 13.1.2). Errors: bad_request.
Result<Known> known_version(const Fields& fields);

/// By X-Session: nothing where the request is of none; empty where one begins. Errors: bad_request.
Result<std::shared_ptr<Session>> session_of(const Fields& fields);

/// The other way round.
std::string session_text(const Session& session);

/// By Idempotency-Key; nothing where the write has no name. Errors: bad_request.
Result<OnceId> once_id(const Fields& fields);

}  // namespace dkv::http
