#include "topology/atomic_batch.hpp"

#include <algorithm>

#include "messages/limits.hpp"
#include "topology/topology.hpp"

namespace dkv {

namespace {

/// What a request and each of its operations take beside keys and values, at most.
constexpr std::size_t kRequestOverhead = 64;
constexpr std::size_t kOperationOverhead = 64;

std::optional<Error> why_none(std::span<const Operation> operations, bool once) {
  if (operations.size() > kMaxOperations) {
    return Error{Errc::bad_request,
                 "an atomic batch has at most " + std::to_string(kMaxOperations) + " operations"};
  }
  std::size_t bytes = kRequestOverhead;
  for (const Operation& operation : operations) {
    if (slot_of(operation.key) != slot_of(operations.front().key)) {
      return Error{Errc::bad_request,
                   "the keys of an atomic batch must share a slot: give them one {hash tag}"};
    }
    if (once && !writes(operation)) {
      return Error{
          Errc::bad_request,
          "a batch that is to be done once has no gets: its outcome, which is kept, would hold their values"};
    }
    bytes += operation.key.size() + operation.value.size() + kOperationOverhead;
  }
  if (bytes > kMaxRequestBytes) {
    return Error{Errc::too_large, "the batch is too large: keys and values of at most 17 MiB together"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<OperationResult> refuse_batch(std::span<const Operation> operations, std::size_t max_value_bytes,
                                          bool once) {
  if (const auto error = why_none(operations, once)) {
    return {operations.size(), OperationResult::failed(error->code, error->message)};
  }
  std::vector<OperationResult> results;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto checked = check(operations[i], max_value_bytes);
    if (checked) continue;
    results.resize(operations.size(), aborted());
    results[i] = OperationResult::failed(checked.error().code, checked.error().message);
  }
  return results;
}

}  // namespace dkv
