#include "actors/member/lease.hpp"

#include <algorithm>

namespace dkv {

void Lease::granted(NodeId node, TimePoint sent) {
  TimePoint& newest = sent_[node];
  newest = std::max(newest, sent);
}

TimePoint Lease::until(NodeId node) const {
  const auto granted = sent_.find(node);
  return granted == sent_.end() ? TimePoint{} : granted->second + length_;
}

TimePoint Lease::until(const std::vector<NodeId>& counted) const {
  TimePoint until = kNever;
  for (const NodeId node : counted) until = std::min(until, this->until(node));
  return until;
}

}  // namespace dkv
