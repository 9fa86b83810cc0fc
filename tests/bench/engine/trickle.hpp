// A client that writes to one shard at a steady pace and tells when another primary has answered it: what a
// failover looks like from outside. A write is begun every few milliseconds, whatever became of those before.
#pragma once

#include <string>
#include <vector>

#include "messages/result.hpp"

namespace dkv::bench {

struct Trickle {
  std::vector<std::string> endpoints;  // rpc, "host:port", of nodes to ask first
  std::string shard;
  int every_ms = 5;
};

/// Writes until standard input ends. Prints one line of JSON for the first answer that came in each epoch of
/// the shard (times are CLOCK_MONOTONIC's), and one that counts all writes at the end. Errors: unavailable
/// when no node tells the topology, bad_request for a shard that it has not.
Result<void> run_trickle(const Trickle& trickle);

}  // namespace dkv::bench
