// What a test may break in a member, to see that it would be noticed. By the names of the safety rules.
#pragma once

namespace dkv {

/// All true in the product.
struct MemberRules {
  bool all_ack = true;             // R1: commit counts every counted member
  bool fence = true;               // R4: a heartbeat of a lower epoch is not answered
  bool fresh_epoch = true;         // R6: a start as primary is a new epoch
  bool lease_all = true;           // R7: nothing is acknowledged without a lease from every counted member
  bool lease_from_sending = true;  // R8: a lease counts from when its heartbeat was sent
  bool silence = true;             // R10: a taker answers no heartbeat, and waits out its last answer
  bool unknown_is_both = true;     // R13: who asks for a replica to be dropped counts it until that is chosen
  bool in_sync_only = true;        // R14: only an in-sync member with the registered folder takes over
  bool count_first = true;         // R15: a replica is counted before it is admitted
  bool stop_first = true;          // R16: who hands over has stopped before it asks for that
  bool quiet = true;               // R18: who makes no progress gives no lease, and sends no heartbeat
  bool let_go_first = true;        // R18: a primary that crashes in a loop lets another lead
};

}  // namespace dkv
