// How far a replica has come with reading its log after a start: for its status, and a line now and then.
#pragma once

#include <string>

#include "actors/runtime/actor.hpp"

namespace dkv {

class RecoveryProgress {
 public:
  /// Asks the log actor for more, and says how far it is, once a second at most.
  void note(const LogRecovered& message, const Address& log, const std::string& shard_name, TimePoint now,
            Effects& out) {
    done_ = message.bytes_done;
    total_ = message.bytes_total;
    out.send(log, ContinueRecovery{});
    if (said_at_ == TimePoint{}) said_at_ = now;
    if (now - said_at_ < kInterval) return;
    said_at_ = now;
    out.log(LogLevel::info, "shard " + shard_name + ": " + text());
  }
  /// Empty before the first note().
  std::string text() const {
    if (total_ == 0) return {};
    constexpr std::uint64_t kMiB = 1 << 20;
    return "reading its log, " + std::to_string(done_ / kMiB) + " of " + std::to_string(total_ / kMiB) +
           " MiB so far";
  }

 private:
  static constexpr Duration kInterval = 1s;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  TimePoint said_at_{};
};

}  // namespace dkv
