// What somebody has seen of a cluster: places in the histories of its shards. A session carries one from
// answer to request, so that no replica shows it an older state; a watch carries one to go on where it was.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv {

/// A place in the histories of several shards.
using ShardPositions = std::vector<std::pair<ShardId, Position>>;

/// As text: "<shard>:<epoch>-<seq>", separated by commas. What SSE calls an event's id.
std::string to_string(const ShardPositions& positions);
/// What to_string() wrote, ascending. Errors: bad_request.
Result<ShardPositions> parse_positions(std::string_view text);

/// Up to where a session has seen each shard: what it wrote there, and the state that it was shown.
struct Session {
  std::uint64_t topology_version = 0;  // by which it was answered
  ShardPositions seen;                 // each shard once, ascending
  bool operator==(const Session&) const = default;

  Position of(ShardId shard) const;  // zero: nothing of it
  /// Goes up to both.
  void take(const Session& other);
};

/// As text, for X-Session: "<topology version>;" and its positions. Empty: nothing seen yet.
std::string to_string(const Session& session);
/// What to_string() wrote. Errors: bad_request.
Result<Session> parse_session(std::string_view text);

}  // namespace dkv
