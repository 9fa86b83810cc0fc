// Strong types for ids and positions, so that a seq is never passed where an epoch is meant.
// All are plain values: copyable, totally ordered, zero by default.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace dkv {

template <class Tag, class Int>
struct StrongId {
  Int value = 0;
  auto operator<=>(const StrongId&) const = default;
};

/// A cluster member process. Numbered by the topology, never reused within a cluster.
using NodeId = StrongId<struct NodeTag, std::uint32_t>;
/// A shard: a set of slots with one primary. Numbered by the topology, never reused within a cluster.
using ShardId = StrongId<struct ShardTag, std::uint32_t>;
/// A hash slot, 0 to 16383.
using SlotId = StrongId<struct SlotTag, std::uint16_t>;
/// Every start of a primary begins a new epoch; one primary per epoch numbers its events. 0: none yet.
using Epoch = StrongId<struct EpochTag, std::uint64_t>;
/// The number of an event within its shard. Runs on by one, over epochs too. 0: before the first event.
using Seq = StrongId<struct SeqTag, std::uint64_t>;

/// A place in a shard's history, and so a record's version. Ordered by epoch first: of two histories
/// that share a seq the one from the newer epoch is the newer.
struct Position {
  Epoch epoch;
  Seq seq;
  auto operator<=>(const Position&) const = default;
};

/// Events of one epoch that follow one another in a log; both ends belong to it.
struct EpochRange {
  Epoch epoch;
  Seq first;
  Seq last;
  auto operator<=>(const EpochRange&) const = default;
};

/// A position as people and ETags see it (there inside quotes): "<epoch>-<seq>".
inline std::string to_string(const Position& position) {
  return std::to_string(position.epoch.value) + "-" + std::to_string(position.seq.value);
}

}  // namespace dkv
