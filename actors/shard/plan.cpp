#include "actors/shard/plan.hpp"

namespace dkv {

Position Plan::add(const Event& event) {
  ++last_.seq.value;
  newest_[event.key] = writes_.size();
  bytes_ += event.key.size() + event.value.size();
  writes_.push_back({event, last_});
  return last_;
}

Position Plan::add_copy(Event event) {
  event.value = values_.emplace_back(event.value);
  return add(event);
}

const Plan::Write* Plan::find(std::string_view key) const {
  const auto found = newest_.find(key);
  return found == newest_.end() ? nullptr : &writes_[found->second];
}

}  // namespace dkv
