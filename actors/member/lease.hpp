// A primary's lease: what the replicas that count have promised by answering its heartbeats. The answer to a
// heartbeat means "until the lease's length after you sent it I take over from nobody else's hand" (rule R8:
// from sending, since the answer may have been on its way for any time). Only times of this node's own clock
// are compared, so clocks need not agree, only run at about the same rate.
#pragma once

#include <map>
#include <vector>

#include "actors/runtime/time.hpp"
#include "messages/ids.hpp"

namespace dkv {

class Lease {
 public:
  explicit Lease(Duration length) : length_(length) {}

  /// `node` has answered the heartbeat sent at `sent`.
  void granted(NodeId node, TimePoint sent);
  /// Until when this node's promise holds; the beginning of time without one.
  TimePoint until(NodeId node) const;
  /// R7: until when all of them hold. With nobody to ask, for ever: then nobody else may take over.
  TimePoint until(const std::vector<NodeId>& counted) const;

 private:
  Duration length_;
  std::map<NodeId, TimePoint> sent_;  // of the newest heartbeat answered
};

}  // namespace dkv
