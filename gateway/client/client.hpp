// A client of a distri-kv cluster over ZeroMQ. It fetches the topology from any node that answers, sends
// each key straight to its owner's primary, and follows MOVED.
//
//     dkv::Client client({.seeds = {"127.0.0.2:7001", "127.0.0.3:7001"}});
//     auto put = client.put("city", "Delhi");
//     auto got = client.get("city");       // got->value == "Delhi"
//
// Errors, beside those that the node answers (messages/result.hpp):
// - unavailable: no node could be asked within the deadline, and nothing was done;
// - unknown_outcome: a write was sent and not answered in time, or its connection was lost. It may have
// happened,
//   or may yet: it is never repeated here. Read the key before you decide. (With exactly_once it is repeated
//   until the deadline first.)
//
// Not thread-safe, and without a thread of its own: make one Client per thread. Progress happens only inside
// its calls; a batch that was submitted waits for its answer, and for its retries, until the next wait. Not
// to be used in a child after fork(). All clients of a process share one ZeroMQ context with one I/O thread.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/client/options.hpp"
#include "messages/result.hpp"
#include "messages/rpc.hpp"
#include "messages/scan.hpp"
#include "topology/topology.hpp"

namespace dkv {

namespace client {
class Dispatcher;
}

struct GetResult {
  std::string value;
  Position version;
  std::uint64_t ttl_ms = 0;  // what is left of its time to live; 0: for ever
};

struct PutResult {
  Position version;
  bool created = false;  // the key was missing before
};

struct RemoveResult {
  Position version;
};

struct TouchResult {
  Position version;
};

struct IncrementResult {
  std::int64_t number = 0;  // after it
  Position version;
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Errors: not_found for a missing key.
  Result<GetResult> get(std::string_view key, CallOptions options = {});
  /// Errors: condition_failed. (Who wants to know what is there instead: execute().)
  Result<PutResult> put(std::string_view key, std::string_view value, Condition condition = {}, Ttl ttl = {},
                        CallOptions options = {});
  /// Errors: not_found for a missing key; with a condition it is condition_failed.
  Result<RemoveResult> remove(std::string_view key, Condition condition = {}, CallOptions options = {});
  /// Adds to the number that the key holds in decimal, 0 when it is missing. Errors: not_a_counter when it
  /// holds none, or the sum does not fit into 64 bits.
  Result<IncrementResult> increment(std::string_view key, std::int64_t amount = 1, CallOptions options = {});

  /// Gives the record that is there another time to live, or none. Errors: not_found for a missing key.
  Result<TouchResult> touch(std::string_view key, Ttl ttl, CallOptions options = {});

  /// Any number of operations on any keys, together; one result each, in their order. Each is answered
  /// for itself: some may fail where others succeed. Those of one shard run in their order as long as none
  /// has to be sent again; where an order matters, wait for the first answer.
  std::vector<OperationResult> execute(std::span<const Operation> operations, CallOptions options = {});

  /// The same as one step: all of them are done, or none; each sees what those before it did, and nothing of
  /// others comes in between. All keys share a slot (one {hash tag}), at most 17 MiB and 4,096 operations.
  /// When one is not done its result says why, and the others' say aborted. (A missing key is an answer, of a
  /// get and of a remove without a condition.)
  std::vector<OperationResult> execute_atomically(std::span<const Operation> operations,
                                                  CallOptions options = {});

  /// What a request of operations asks for, in its modes and by its names: execute_atomically() or execute().
  std::vector<OperationResult> execute_request(const rpc::Request& request,
                                               std::shared_ptr<Session> session = nullptr,
                                               std::size_t most_value_bytes = SIZE_MAX);

  /// One page of the cluster's records, in the order of their keys. A page may be shorter than its limit, as
  /// at about 1 MiB, and has a cursor then as long as there is more. Keys that are there throughout all pages
  /// are neither skipped nor repeated, whatever happens meanwhile; each shard's part of a page is of one
  /// moment. Errors: bad_request for a limit out of range, unavailable.
  Result<ScanResult> scan(const ScanOptions& options);

  /// Takes operations without waiting for their results; keys and values are copied. What is submitted
  /// gathers into common frames, up to 256 operations or 64 KiB each, and the last of them leaves with the
  /// next wait (wait_any(): the next that finds nothing finished yet), or with flush(). Waits only while
  /// ClientOptions::max_in_flight frames are on their way, or so many batches wait for the first topology.
  Ticket submit(std::span<const Operation> operations, CallOptions options = {});
  /// For execute_atomically()'s.
  Ticket submit_atomically(std::span<const Operation> operations, CallOptions options = {});
  /// Sends now what submit() has gathered: for who will not wait soon.
  void flush();
  /// The next batch to be finished, of any, within `timeout`; 0 takes in what has arrived. Every batch is, by
  /// its deadline. Errors: bad_request when nothing was submitted that was not waited for, unavailable when
  /// none finished within `timeout`.
  Result<Completion> wait_any(std::chrono::milliseconds timeout);
  /// The same into a completion of before, whose memory is used again.
  Result<void> wait_any(std::chrono::milliseconds timeout, Completion& completion);
  /// Errors: bad_request for a ticket that was waited for already.
  Result<Completion> wait(Ticket ticket);

  /// The topology that this client goes by; fetched when it has none yet. Errors: unavailable.
  Result<TopologyPtr> topology();
  /// What a node says of itself, by its rpc endpoint. Errors: unavailable.
  Result<NodeStatus> status(const std::string& endpoint);
  /// The same of many, asked all at once: nodes that do not answer cost one deadline together.
  std::vector<Result<NodeStatus>> status(std::span<const std::string> endpoints);
  /// Asks this node for its topology, and goes by it from then on if it is newer. Returns the newest known.
  /// Errors: unavailable when it does not answer.
  Result<TopologyPtr> topology_of(const std::string& endpoint);
  /// What an operator wants of a shard (messages/rpc.hpp), asked of this one node; its text, once it is done.
  /// Errors: what the node answers; unavailable when it was not asked; unknown_outcome without an answer
  /// within the deadline: it may have happened, or may yet.
  Result<std::string> control(const std::string& endpoint, rpc::Control control);

 private:
  Result<std::vector<rpc::ScanReply>> pages_of(const ScanOptions& options, const KeyRange& range,
                                               std::size_t wanted,
                                               std::chrono::steady_clock::time_point until);
  OperationResult run(const Operation& operation, CallOptions options);
  Result<rpc::Reply> ask(const std::string& endpoint, rpc::Type type,
                         std::shared_ptr<const rpc::Control> control = nullptr);

  std::chrono::milliseconds deadline_;
  std::unique_ptr<client::Dispatcher> dispatcher_;
};

}  // namespace dkv
