// A disk that loses what was not synced. Files outlive the process that wrote them; a crash keeps what a
// finished sync covers, and of the rest whatever chance leaves: nothing, a part, or sectors here and there.
// An unsynced write over something leaves the old, the new, or a mix.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  std::string content;  // as the running process sees it
  std::string durable;  // as it is on the platter, but for `unsynced`
  struct Write {
    std::size_t offset = 0;
    std::string bytes;
    TimePoint begun{};  // within a turn time goes on: a crash before it means that it never happened
  };
  std::vector<Write> unsynced;  // oldest first
  std::size_t syncing = 0;      // that many of them are being synced, which ends at sync_ends
  TimePoint sync_ends{};

  /// Some of a write reaches the platter.
  void keep(const Write& write, std::size_t first, std::size_t count);
  /// The first `count` unsynced writes have reached it whole.
  void settle(std::size_t count);
};

/// Thrown out of a disk operation: the power is gone. What follows is Platter::crash().
struct PowerLoss {};

/// One folder's platters. Changes of names are durable at once, when they come to be made: within a turn time
/// goes on, so one that was still to come at a crash never happened.
struct Platter {
  std::map<std::string, FileState> files;
  struct NameChange {
    TimePoint begun;
    std::string to;    // empty: the file was removed
    std::string from;  // its name before
    FileState file;    // the removed one
  };
  std::vector<NameChange> name_changes;  // of the last turn, oldest first
  bool lies = false;        // sync() returns without having done anything (to see that this would be noticed)
  bool sync_fails = false;  // and forgets what it should have synced, though reads still show it
  Duration sync_stalls{};   // that much longer a sync takes
  std::size_t capacity = SIZE_MAX;           // bytes of all files; past it, disk_full
  std::uint64_t steps = 0;                   // operations that change something, so far
  std::uint64_t fails_at_step = UINT64_MAX;  // that one is not begun: PowerLoss

  /// Of a turn that a crash at `now` cuts short.
  void take_back_names(TimePoint now);
  /// The process ended at `now`, or power was lost. What no finished sync covers is left to chance, sector by
  /// sector.
  void crash(TimePoint now, Random& random);
  /// The same, but of what no sync covers, `kept` is asked for each sector: that of the n-th write to its
  /// file (counted from the oldest), at that offset in the file.
  using Kept = std::function<bool(std::size_t write, std::size_t offset)>;
  void crash(TimePoint now, std::size_t sector_bytes, const Kept& kept);

  std::size_t size() const;
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
  void note_name_change(Platter::NameChange change);

  Platter& platter_;
  Stopwatch& watch_;
  Random& random_;
};

}  // namespace dkv::sim
