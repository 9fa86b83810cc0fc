#include "messages/watch.hpp"

#include <algorithm>
#include <charconv>

#include "messages/operation.hpp"
#include "messages/pack.hpp"
#include "messages/pack_position.hpp"

namespace dkv {

std::string to_string(const ShardPositions& positions) {
  std::string text;
  for (const auto& [shard, position] : positions) {
    if (!text.empty()) text += ',';
    text += std::to_string(shard.value) + ':' + to_string(position);
  }
  return text;
}

Result<ShardPositions> parse_positions(std::string_view text) {
  const Error wrong{Errc::bad_request, "no place that a watch was told: it reads SHARD:EPOCH-SEQ,..."};
  ShardPositions positions;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t colon = one.find(':');
    if (colon == one.npos) return wrong;
    ShardId shard;
    const auto [at, error] = std::from_chars(one.data(), one.data() + colon, shard.value);
    const auto position = parse_position(one.substr(colon + 1));
    const bool is_twice = std::any_of(positions.begin(), positions.end(),
                                      [&](const auto& other) { return other.first == shard; });
    if (error != std::errc() || at != one.data() + colon || !position || is_twice) return wrong;
    positions.emplace_back(shard, *position);
  }
  return positions;
}

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
