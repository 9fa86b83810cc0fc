// What a test may break in a member, to see that it would be noticed. By the names of the safety rules.
#pragma once

namespace dkv {

/// All true in the product.
struct MemberRules {
  bool all_ack = true;             // R1: commit counts every counted member
  bool lease_all = true;           // R7: nothing is acknowledged without a lease from every counted member
  bool lease_from_sending = true;  // R8: a lease counts from when its heartbeat was sent
  bool grace = true;               // R9: a replica takes over only after the grace time
  bool silence = true;             // R10: a taker answers no heartbeat, and waits out its last answer
  bool quiet = true;               // R18: a replica that makes no progress gives no lease
  bool in_sync_only = true;        // R14: only an in-sync member with the registered folder takes over
  bool count_first = true;         // R15: a replica is counted before it is admitted
};

}  // namespace dkv
