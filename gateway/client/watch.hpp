// Watches a cluster's keys over HTTP (GET /v1/watch, gateway/http/README.md), through any of its nodes: when
// that one ends, or says nothing any more, it goes on at another one from where it is. Nothing is lost or
// repeated, or a gap is told.
//
//     dkv::Watch watch({.nodes = {"127.0.0.2:8080", "127.0.0.3:8080"}, .prefix = "user/"});
//     while (auto event = watch.next(1s)) …
//
// For one thread, and without one of its own: what has not been asked for waits at the node, as long as its
// log reaches back.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv {

struct WatchOptions {
  std::vector<std::string> nodes;  ///< http endpoints, "host:port". One that lives is enough
  std::string prefix;              ///< of the keys
  std::string after;               ///< the place() of an earlier watch; empty: from now on
  bool keys_only = false;          ///< leaves the values out
};

struct WatchEvent {
  enum class Kind : std::uint8_t {
    open,    ///< from here on nothing is missed: once for each connection
    put,     ///<
    remove,  ///< or expired
    gap,     ///< events were left out: `text` says of which shard and why. Read the keys again
  };
  Kind kind = Kind::open;
  std::string key;
  std::string value;
  Position version;  ///< of the record, or of its removal
  std::string text;  ///< of a gap
};

class Watch {
 public:
  explicit Watch(WatchOptions options);
  ~Watch();
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;

  /// The next event, in the order of its shard. Errors: unavailable, none came within `timeout` (the message
  /// says so) or no node could be asked: call again; bad_request, a node refuses what is asked for.
  Result<WatchEvent> next(std::chrono::milliseconds timeout);
  /// Behind the last event that next() returned: for WatchOptions::after. Empty before the first `open`.
  const std::string& place() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dkv
