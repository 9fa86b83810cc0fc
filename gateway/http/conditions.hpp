// Conditions of requests (RFC 9110, 13): entity tags, and the fields If-Match and If-None-Match. One strong
// tag, or *: a list, or a write's weak tag, says less than a version does, and is refused.
#pragma once

#include <string>

#include "gateway/http/head.hpp"
#include "messages/operation.hpp"

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

}  // namespace dkv::http
