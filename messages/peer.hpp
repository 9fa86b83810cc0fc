// What nodes say to each other on their `peer` sockets: acknowledgements and catch-up. Nothing here is
// trusted to arrive, or to arrive once: every exchange is repeated by its asker until answered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv::peer {

inline constexpr std::uint64_t kVersion = 1;

/// Replica to primary, after each of its syncs and when idle: what is on its disk.
struct ReplicaAck {
  ShardId shard;
  Epoch epoch;  // the one it is aligned with
  Position durable;
  Seq applied;  // the last committed event that its readers see
  bool operator==(const ReplicaAck&) const = default;
};

/// Replica to primary: send me what follows `from` in your log.
struct PullRequest {
  ShardId shard;
  std::uint64_t process = 0;  // of this run of the asker: an answer to an earlier run must not count
  std::uint64_t request = 0;  // likewise for an earlier request
  Position from;              // the asker's last event
  std::uint64_t max_bytes = 0;
  bool operator==(const PullRequest&) const = default;
};

enum class PullOutcome : std::uint8_t {
  ok = 0,        ///< `from` is in the primary's log, and `frames` follow it
  diverged = 1,  ///< `from` is not in the primary's log: the histories differ
  refused = 2,   ///< the asked node is not this shard's serving primary just now
  too_old = 3,   ///< `from` lies before what the primary's log still holds
};

/// Primary to replica, the answer.
struct PullReply {
  ShardId shard;
  std::uint64_t process = 0;
  std::uint64_t request = 0;
  PullOutcome outcome = PullOutcome::ok;
  Epoch epoch;    // of the primary
  Position head;  // its last durable event
  Seq commit;
  std::string frames;  // whole frames, one after the other
  bool operator==(const PullReply&) const = default;
};

using Body = std::variant<ReplicaAck, PullRequest, PullReply>;

struct Message {
  NodeId from;
  std::uint64_t topology_id = 0;  // of the cluster's first topology: two clusters must never mix
  Body body;
};

std::string encode(const Message& message);
/// Errors: wrong_version, bad_request.
Result<Message> decode(std::string_view bytes);

}  // namespace dkv::peer
