// The load on a node: callers that each have one batch of operations on its way, through the public client.
//
// It must not be what is measured: one thread drives all callers of a client, takes whatever has finished,
// and starts the next batches together. With separate connections each caller is a thread with a client of
// its own, since a Client can only be waited for by itself.
#pragma once

#include <string>

#include "messages/operation.hpp"
#include "tests/bench/engine/outcome.hpp"
#include "tests/bench/engine/pairs.hpp"

namespace dkv::bench {

struct Load {
  std::string endpoint;  // rpc, "host:port"
  KeySpace space;
  bool gets = false;
  AckMode ack = AckMode::committed;
  bool exactly_once = false;
  bool separate = false;  // a connection per caller
  std::size_t callers = 32;
  std::size_t batch = 1;  // operations in a frame
  double seconds = 60;
  std::uint64_t checkpoints = 0;  // goes on until it has seen so many, but not longer than kMostTimes
};

/// A run that waits for checkpoints ends after so many times its seconds.
inline constexpr double kMostTimes = 4;

/// Errors: the first operation that was not answered with ok, or a get with a value of another length.
Result<Outcome> run_load(const Load& load);

/// Puts every key once, in order. Returns once the node has no checkpoint under way that it can be seen to be
/// busy with: `applied` has stood still for a second.
Result<Outcome> fill(const std::string& endpoint, const KeySpace& space);

}  // namespace dkv::bench
