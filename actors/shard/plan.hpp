// What an atomic batch is going to write, while it is not known whether all of it will be done. The batch's
// own operations see it, above the shard's state; nobody else does, and nothing has to be taken back.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "messages/frame.hpp"
#include "messages/ids.hpp"

namespace dkv {

class Plan {
 public:
  struct Write {
    Event event;
    Position version;
  };

  /// The first write will follow `head`, as an event of `epoch`.
  Plan(Epoch epoch, Seq head) : last_{epoch, head} {}

  /// The version that it will have. Its key and value must outlive the plan.
  Position add(const Event& event);
  /// The same, of a value that does not.
  Position add_copy(Event event);
  /// The newest of the key, or nullptr.
  const Write* find(std::string_view key) const;
  const std::vector<Write>& writes() const { return writes_; }
  /// Of keys and values.
  std::size_t bytes() const { return bytes_; }
  /// What its events take in a frame, at most.
  std::size_t frame_bytes() const { return bytes_ + kEventOverhead * writes_.size(); }

 private:
  /// As a request counts for each of its operations.
  static constexpr std::size_t kEventOverhead = 64;

  Position last_;
  std::vector<Write> writes_;
  std::map<std::string_view, std::size_t> newest_;  // in writes_
  std::deque<std::string> values_;
  std::size_t bytes_ = 0;
};

}  // namespace dkv
