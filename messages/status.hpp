// What a node says of itself: /v1/status, the rpc status request and `distrikv status` show this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "messages/ids.hpp"

namespace dkv {

/// A replica as its primary sees it.
struct ReplicaStatus {
  std::string node;
  bool in_sync = false;  // the register says that all that is committed is on its disk
  bool counted = false;  // nothing commits, and no lease holds, without it: in sync, or being admitted
  bool heard = false;    // it has acknowledged something since this primary started
  Seq durable;           // the last event that is on its disk
  std::uint64_t lag_events = 0;  // primary's head less that
  std::uint64_t silent_ms = 0;   // since its last acknowledgement
  bool operator==(const ReplicaStatus&) const = default;
};

/// One local copy of a shard.
struct MemberStatus {
  ShardId shard;
  std::string shard_name;
  bool primary = false;
  bool ready = false;   // a primary serves; a replica has caught up
  std::string state;    // one word for people: starting, serving, catching_up, failed, …
  std::string problem;  // empty, or what is wrong and what to do
  Epoch epoch;
  Seq head;                             // the last event appended to the log
  Seq durable;                          // the last event on this disk
  Seq commit;                           // the last event known committed
  Seq applied;                          // the last event checkpointed to the store
  std::uint64_t lag_events = 0;         // a replica: primary's head less its own
  std::uint64_t gaps_repaired = 0;      // a replica: how often a lost event was noticed and fetched
  std::uint64_t copied_records = 0;     // a replica that takes a copy of the whole shard: so far
  std::uint64_t copied_bytes = 0;       // likewise
  bool is_volatile = false;             // nothing of it is on disk: it goes with the process
  bool leased = false;                  // a primary: it may acknowledge, and nobody takes over
  std::uint64_t lease_ms = 0;           // and for how long yet; 0 when leased: nobody needs to grant it
  std::vector<ReplicaStatus> replicas;  // a primary's
  bool operator==(const MemberStatus&) const = default;
};

/// A keeper of the register as this node sees it.
struct KeeperStatus {
  std::string node;
  bool reached = false;         // it has answered lately, from the folder that the register knows
  std::uint64_t silent_ms = 0;  // since it last did, or since this node's start
  bool operator==(const KeeperStatus&) const = default;
};

struct NodeStatus {
  std::string node;
  std::string version;  // of the program
  std::uint64_t topology_version = 0;
  std::uint64_t topology_change = 0;  // id of the change that made it
  bool ready = false;
  bool isolated = false;              // it does not reach a majority of the keepers: what it knows may be old
  std::vector<KeeperStatus> keepers;
  std::vector<MemberStatus> members;
  bool operator==(const NodeStatus&) const = default;
};

}  // namespace dkv
