// What an atomic batch must be, wherever it is looked at: by the client before it is sent, by a node's
// router.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "messages/operation.hpp"

namespace dkv {

/// Nothing when the operations can be a batch: keys of one slot, each within its limits, at most
/// kMaxOperations in kMaxRequestBytes. Else the result of each: bad_request or too_large of all, or of the
/// wrong ones and aborted of the others.
/// One that is to be done `once` has writes alone: bad_request.
std::vector<OperationResult> refuse_batch(std::span<const Operation> operations, std::size_t max_value_bytes,
                                          bool once = false);

}  // namespace dkv
