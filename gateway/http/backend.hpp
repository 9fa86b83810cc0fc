// What stands behind the HTTP door: something that answers requests. In a node it is the router actor,
// reached over an inproc socket; in the door's own tests it is a fake.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "messages/rpc.hpp"
#include "messages/scan.hpp"
#include "messages/watch.hpp"

namespace dkv {

class Backend {
 public:
  virtual ~Backend() = default;
  /// Answers within `timeout`, from any thread, many at once. `request.owner` must own what its operations
  /// point into: the request may outlive the call. Without an answer in time the reply holds an Error:
  /// unknown_outcome when an operation writes, unavailable otherwise.
  virtual rpc::Reply call(rpc::Request request, std::chrono::milliseconds timeout) = 0;
  /// Operations on keys of any shards, each carried out by its owner, on whichever node that is; of an atomic
  /// request all by one. One result for each, in their order, within some seconds. From any thread. A session
  /// goes up to what they have shown.
  virtual std::vector<OperationResult> execute(const rpc::Request& request,
                                               std::shared_ptr<Session> session) = 0;
  /// A page of the whole cluster's records. Errors: those of Client::scan(); overloaded.
  virtual Result<ScanResult> scan(const ScanOptions& options) = 0;
  /// For the node's watcher, from any thread. What it answers comes to HttpServer::tell().
  virtual void tell_watcher(WatchCommand command) = 0;
};

}  // namespace dkv
