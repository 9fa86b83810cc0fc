// A store whose checkpoints take as long as the world says, and are now and then cut short, with some of
// their records written, as a full disk or a crash between two transactions cuts them short. What it holds
// outlives the process.
#pragma once

#include <algorithm>

#include "actors/shard/memory_store.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/random.hpp"

namespace dkv::sim {

class SimStore : public MemoryStore {
 public:
  SimStore(Random& random, Stopwatch& watch, const Duration& record_cost)
      : random_(random), watch_(watch), record_cost_(record_cost) {}

  Position reached() const override { return std::max(reached_, applied()); }

  Result<void> write(const Memtable& memtable, Position applied) override {
    watch_.spent += record_cost_ * static_cast<std::int64_t>(memtable.size());
    if (!random_.chance(200'000)) return MemoryStore::write(memtable, applied);
    Memtable part;
    std::uint64_t left = random_.below(memtable.size() + 1);
    for (auto at = memtable.seek(); left > 0 && !at.at_end(); at.next(), --left)
      part.set(at.key(), at.record());
    part.seal();
    reached_ = std::max(reached_, applied);
    const auto written = MemoryStore::write(part, MemoryStore::applied());
    DKV_ASSERT(written.has_value());
    return Error{Errc::disk_full, "store: the disk is full: a checkpoint was cut short"};
  }

  Result<void> begin_import(Position at) override {
    reached_ = at;
    return MemoryStore::begin_import(at);
  }

 private:
  Random& random_;
  Stopwatch& watch_;
  const Duration& record_cost_;
  Position reached_;
};

}  // namespace dkv::sim
