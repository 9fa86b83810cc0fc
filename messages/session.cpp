#include "messages/session.hpp"

#include <algorithm>
#include <charconv>

#include "messages/operation.hpp"

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
  const Error wrong{Errc::bad_request, "no places of shards: they read SHARD:EPOCH-SEQ,..."};
  ShardPositions positions;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t colon = one.find(':');
    if (colon == one.npos) return wrong;
    ShardId shard;
    const auto [at, error] = std::from_chars(one.data(), one.data() + colon, shard.value);
    const auto position = parse_position(one.substr(colon + 1));
    if (error != std::errc() || at != one.data() + colon || !position) return wrong;
    positions.emplace_back(shard, *position);
  }
  std::sort(positions.begin(), positions.end());
  const auto twice = std::adjacent_find(positions.begin(), positions.end(),
                                        [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != positions.end()) return wrong;
  return positions;
}

Position Session::of(ShardId shard) const {
  const auto found = std::lower_bound(seen.begin(), seen.end(), shard,
                                      [](const auto& place, ShardId wanted) { return place.first < wanted; });
  return found == seen.end() || found->first != shard ? Position{} : found->second;
}

void Session::take(const Session& other) {
  topology_version = std::max(topology_version, other.topology_version);
  seen.insert(seen.end(), other.seen.begin(), other.seen.end());
  // Of each shard the latest first, and then nothing else.
  std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  const auto rest =
      std::unique(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  seen.erase(rest, seen.end());
}

std::string to_string(const Session& session) {
  if (session == Session{}) return {};
  return std::to_string(session.topology_version) + ';' + to_string(session.seen);
}

Result<Session> parse_session(std::string_view text) {
  Session session;
  if (text.empty()) return session;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, session.topology_version);
  auto seen = error == std::errc() && at != end && *at == ';' ? parse_positions({at + 1, end})
                                                              : Error{Errc::bad_request, {}};
  if (!seen) return Error{Errc::bad_request, "no session that a node has given: VERSION;SHARD:EPOCH-SEQ,..."};
  session.seen = std::move(*seen);
  return session;
}

}  // namespace dkv
