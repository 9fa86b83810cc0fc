// A disk that loses what was not synced. Files outlive the process that wrote them; a crash keeps what a
// finished sync covers, and of the rest whatever chance leaves: nothing, a part, or a part with holes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "actors/runtime/disk.hpp"
#include "actors/runtime/time.hpp"
#include "tests/sim/random.hpp"

namespace dkv::sim {

/// What a blocking call costs the thread that makes it: added up by the world's current turn.
struct Stopwatch {
  TimePoint now{};
  Duration spent{};
};

struct FileState {
  std::string content;      // as the running process sees it
  std::size_t durable = 0;  // covered by a finished sync
  std::size_t syncing = 0;  // covered by the last sync, which finishes at sync_ends
  TimePoint sync_ends{};
  std::string cut_tail;  // what an unsynced truncate took away; it may come back
};

/// Thrown out of a disk operation: the power is gone. What follows is Platter::crash().
struct PowerLoss {};

/// One folder's platters.
struct Platter {
  std::map<std::string, FileState> files;
  std::uint64_t steps = 0;                   // operations that change something, so far
  std::uint64_t fails_at_step = UINT64_MAX;  // that one is not begun: PowerLoss
  bool lies = false;  // sync() returns without having done anything (to see that this would be noticed)

  /// The process ended at `now`, or power was lost.
  void crash(TimePoint now, Random& random);
  void step() {
    if (steps++ == fails_at_step) throw PowerLoss{};
  }
};

class SimDisk : public Disk {
 public:
  SimDisk(Platter& platter, Stopwatch& watch, Random& random)
      : platter_(platter), watch_(watch), random_(random) {}

  Result<std::vector<std::string>> list() const override;
  Result<std::unique_ptr<File>> open(const std::string& name, bool create) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& name) override;

 private:
  Platter& platter_;
  Stopwatch& watch_;
  Random& random_;
};

}  // namespace dkv::sim
