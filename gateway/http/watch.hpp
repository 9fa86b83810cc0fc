// What a watch asks for over HTTP, and its events as server-sent events. README.md in this folder has the
// format.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/head.hpp"
#include "gateway/http/target.hpp"
#include "messages/watch.hpp"

namespace dkv::http {

struct WatchAsked {
  std::string prefix;
  ShardPositions from;
  bool keys_only = false;
};

/// Errors: bad_request.
Result<WatchAsked> read_watch(const Target& target, const Fields& fields);

/// The head of the answer, whose body ends with the connection.
inline constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n";

/// The line `data:` of an event, with its name.
std::string event_data(const WatchedEvent& event, bool keys_only);
/// The same of a gap.
std::string gap_data(const WatchNews& gap);

}  // namespace dkv::http
