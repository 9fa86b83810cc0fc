// The client protocol: one msgpack value per ZeroMQ message, on the `rpc` ROUTER of every node.
// The format is specified in messages/README.md; messages/vectors.json holds test vectors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages/limits.hpp"
#include "messages/operation.hpp"
#include "messages/session.hpp"
#include "messages/status.hpp"

namespace dkv::rpc {

inline constexpr std::uint64_t kVersion = 1;

enum class Type : std::uint8_t { error = 0, operations = 1, topology = 2, status = 3, control = 4, scan = 5 };

/// A page of a shard's records, in the order of their keys or down from the last.
struct Scan {
  ShardId shard;
  std::string
      from;        // up: the first key that may be in it. Down: all are before this one; empty: from the end
  std::string to;  // up: all are before this one; empty: to the end. Down: the last that may be in it
  bool down = false;
  bool keys_only = false;
  std::uint64_t limit = kMaxScanItems;  // of records
  bool operator==(const Scan&) const = default;
};

/// What an operator wants of one shard's primary.
enum class ControlAction : std::uint8_t {
  hand_over = 1,  ///< asked of the primary's node: to hand over to an in-sync replica
  promote = 2,    ///< asked of a copy's node: to make that copy primary, in sync or not
};

struct Control {
  ControlAction action = ControlAction::hand_over;
  std::string shard;  // by name
  std::string node;   // by name: who is to lead. Empty, of a hand-over: any
  bool operator==(const Control&) const = default;
};

/// A request. `operations` hold views into the bytes it was decoded from; whoever hands the request on
/// to another thread sets `owner` to what keeps them alive.
struct Request {
  Type type = Type::operations;
  std::uint64_t request_id = 0;  // the client's own; comes back in the reply
  /// Of writes that are to be done once, however often they are sent (messages/once.hpp): who sends them.
  /// Their numbers are the operations'; an atomic batch has one for all. 0: not used.
  std::uint64_t client_id = 0;
  std::uint64_t number = 0;  // of an atomic batch
  ReadMode read = ReadMode::linearizable;
  AckMode ack = AckMode::committed;
  /// All of the operations are done, as one step, or none. Their keys share a slot.
  bool atomic = false;
  std::vector<Operation> operations;
  // Of these types; not in place, since they would only lengthen all others.
  std::shared_ptr<const Control> control;
  std::shared_ptr<const Scan> scan;
  /// What must be shown at least, by a replica; set, the reply says what it has shown. Of operations and
  /// scans.
  std::shared_ptr<const Session> session;
  std::shared_ptr<const void> owner;
};

struct TopologyReply {
  std::uint64_t version = 0;
  std::string encoded;  // decode with topology/codec.hpp
  bool operator==(const TopologyReply&) const = default;
};

/// It was done.
struct ControlReply {
  std::string text;  // for people
  bool operator==(const ControlReply&) const = default;
};

struct ScanItem {
  std::string key;
  Position version;
  std::string value;         // empty where only keys were asked for
  std::uint64_t ttl_ms = 0;  // what is left of its time to live; 0: for ever
  bool operator==(const ScanItem&) const = default;
};

/// A page may be shorter than was asked for: it has an end in time and in bytes.
struct ScanReply {
  std::shared_ptr<const Moved> moved;  // set: the shard is another node's, and the rest says nothing
  std::vector<ScanItem> items;
  bool ended = true;  // there is no more in the range
  std::string next;   // else what the next page is to be asked `from`
};

/// An Error: the whole request was refused; single operations carry their own errors.
struct Reply {
  std::uint64_t request_id = 0;
  std::variant<Error, std::vector<OperationResult>, TopologyReply, NodeStatus, ControlReply, ScanReply> body;
  std::shared_ptr<const Session> session{};  // where it was asked for: what this depends on
};

std::string encode(const Request& request);
/// Errors: wrong_version, bad_request, too_large. `request_id` receives the id whenever it could be
/// read, so that the refusal reaches the right caller; else 0.
Result<Request> decode_request(std::string_view bytes, std::uint64_t& request_id);

std::string encode(const Reply& reply);
/// Operation results do not say what was asked: pass the codes of the request's operations, in order.
Result<Reply> decode_reply(std::string_view bytes, const std::vector<OpCode>& asked);
/// The request id of an encoded reply, without decoding the rest.
Result<std::uint64_t> peek_request_id(std::string_view reply_bytes);

}  // namespace dkv::rpc
