// A change of the topology, exact (R12): it names the state of each shard that it was made from, by the id of
// the change that made that state, and fits nothing else. It is a function on the newest topology, not a
// whole next one: so the changes of different shards do not conflict, and a register's round may make
// several at once.
#pragma once

#include <cstdint>
#include <vector>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

/// What becomes of one shard.
struct ShardEdit {
  std::uint64_t expected = 0;  // ShardInfo::change of the state that `next` was made from
  /// Its members, in-sync set and folders hold from then on; id, name, weight and store must be what they
  /// are; epoch and change are the register's to set.
  ShardInfo next;
  /// The primary begins an epoch, the new topology's version, though it may be the same node (R6). A change
  /// of primary begins one without being asked.
  bool begins_epoch = false;
};

struct TopologyChange {
  std::uint64_t id = 0;           // not 0, and like no other change's
  std::vector<ShardEdit> shards;  // at least one; all of it is done, or nothing
};

enum class Fit : std::uint8_t {
  fits,       ///< every shard is in the state that it was made from
  made,       ///< it is in this topology: a shard is in the state that it made
  overtaken,  ///< neither: another change came first, or came after it
};

Fit fit_of(const Topology& topology, const TopologyChange& change);

/// The topology that follows `from`, made by the change `id`: its version is one higher, all else is the
/// same.
Topology successor_of(const Topology& from, std::uint64_t id);

/// Makes a change that fits within a successor. On error `next` is unchanged. Errors: bad_request (it is no
/// change that could ever be made: it breaks a rule of check.hpp, or touches what it may not).
Result<void> make_change(Topology& next, const TopologyChange& change);

}  // namespace dkv
