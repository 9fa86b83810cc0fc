// Conditions of requests (RFC 9110, 13): entity tags, and the fields If-Match and If-None-Match. One strong
// tag, or *: a list or a weak tag says less than a version does, and is refused.
#pragma once

#include <string>

#include "gateway/http/head.hpp"
#include "messages/operation.hpp"

namespace dkv::http {

/// A version as an ETag: "epoch-seq", quotes included.
std::string etag(const Position& version);

/// What a write asks for. Errors: bad_request for what cannot be meant, or not be promised.
Result<Condition> write_condition(const Fields& fields);

/// The version that a reader has already, if it says so. Errors: bad_request.
Result<std::optional<Position>> known_version(const Fields& fields);

}  // namespace dkv::http
