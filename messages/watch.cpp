#include "messages/watch.hpp"

#include "messages/pack.hpp"
#include "messages/pack_position.hpp"

namespace dkv {

namespace {
constexpr std::uint64_t kPortVersion = 1;

void pack_counts(Packer& out, const WatchCounts& counts) {
  out.array(counts.size());
  for (const auto& [length, count] : counts) out.array(2).uint(length).uint(count);
}
}  // namespace

std::string encode_watch_event(ShardId shard, const WatchedEvent& event, const WatchCounts& counts) {
  std::string bytes;
  Packer out(bytes);
  out.array(7).uint(kPortVersion).uint(static_cast<std::uint64_t>(event.type)).uint(shard.value);
  pack_position(out, event.position);
  out.bytes(event.value);
  pack_counts(out, counts);
  return bytes;
}

std::string encode_watch_counts(const WatchCounts& counts) {
  std::string bytes;
  Packer out(bytes);
  out.array(3).uint(kPortVersion).uint(0);
  pack_counts(out, counts);
  return bytes;
}

}  // namespace dkv
