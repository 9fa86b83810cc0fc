#include "topology/change.hpp"

#include <algorithm>

#include "topology/check.hpp"

namespace dkv {

namespace {

Error impossible(const std::string& why) { return Error{Errc::bad_request, "topology change: " + why}; }

ShardInfo* find_shard(Topology& topology, ShardId id) {
  return const_cast<ShardInfo*>(std::as_const(topology).find_shard(id));
}

Result<void> make_edit(Topology& next, const ShardEdit& edit, std::uint64_t change) {
  ShardInfo* shard = find_shard(next, edit.next.id);
  if (shard == nullptr) return impossible("there is no such shard");
  if (edit.next.name != shard->name || edit.next.weight != shard->weight || edit.next.store != shard->store)
    return impossible("a shard keeps its name, weight and store");
  const bool begins_epoch = edit.begins_epoch || edit.next.primary != shard->primary;
  const Epoch epoch = begins_epoch ? Epoch{next.version} : shard->epoch;
  *shard = edit.next;
  shard->epoch = epoch;
  shard->change = change;
  return {};
}

}  // namespace

Fit fit_of(const Topology& topology, const TopologyChange& change) {
  bool fits = true;
  for (const ShardEdit& edit : change.shards) {
    const ShardInfo* shard = topology.find_shard(edit.next.id);
    if (shard != nullptr && shard->change == change.id) return Fit::made;
    fits = fits && shard != nullptr && shard->change == edit.expected;
  }
  return fits ? Fit::fits : Fit::overtaken;
}

Topology successor_of(const Topology& from, std::uint64_t id) {
  Topology next = from;
  ++next.version;
  next.change = id;
  return next;
}

Result<void> make_change(Topology& next, const TopologyChange& change) {
  if (change.id == 0 || change.shards.empty()) return impossible("it has no id, or changes nothing");
  Topology made = next;
  for (const ShardEdit& edit : change.shards) {
    if (auto done = make_edit(made, edit, change.id); !done) return done;
  }
  if (auto valid = check(made); !valid) return valid;
  next = std::move(made);
  return {};
}

}  // namespace dkv
