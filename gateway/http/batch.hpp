// The JSON of POST /v1/batch: operations in, results out. README.md in this folder has the format.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "messages/once.hpp"
#include "messages/rpc.hpp"

namespace dkv::http {

/// The request that a body asks for, owner included. Errors: bad_request, with the operation that is wrong.
Result<rpc::Request> read_batch(std::string_view body);

/// Gives its writes a name, if there is one: to each by its place, or one to an atomic batch.
void set_once(rpc::Request& request, OnceId id);

/// {"done":…,"results":[…]}: one result per operation.
std::string batch_json(const std::vector<Operation>& operations, std::span<const OperationResult> results);

}  // namespace dkv::http
