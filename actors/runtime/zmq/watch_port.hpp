// The `watch` port: an XPUB on which anybody may watch keys by their prefix, with nothing but a SUB socket.
// It belongs to the watcher's thread, so that it costs no shard anything. A subscriber that does not read
// loses events, and notices: each event says how many there have been for each subscription that it matches.
// The format is in messages/README.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq/sockets.hpp"

namespace dkv::runtime {

class WatchPort {
 public:
  WatchPort(zmq::context_t& context, Shared& shared);

  Result<void> bind();
  zmq::socket_t& socket() { return socket_; }

  /// One burst of subscriptions, for the node's watcher.
  void drain(std::vector<Envelope>& arrived);
  void publish(const WatchBroadcast& broadcast);

  /// When tidy() is due.
  TimePoint tidy_at() const { return tidy_at_; }
  /// Says again how many events there have been, where some have come since: the last of them may be lost.
  void tidy(TimePoint now);

 private:
  struct Subscription {
    int topics = 0;            // that mean it: everything is both "" and "k"
    std::uint64_t events = 0;  // published
    bool is_new = false;       // some since they were counted out
  };

  bool subscribe(const std::string& prefix);
  bool unsubscribe(const std::string& prefix);
  void count(std::string_view key);
  void send(std::string topic, std::string body);

  Shared& shared_;
  zmq::socket_t socket_;
  std::map<std::string, Subscription, std::less<>> subscriptions_;  // by prefix
  std::map<std::size_t, std::size_t> lengths_;                      // of their prefixes: how many have it
  std::vector<std::pair<std::size_t, std::uint64_t>> counts_;       // of one event; kept for its memory
  std::shared_ptr<Outstanding> unread_ = std::make_shared<Outstanding>();
  TimePoint tidy_at_ = kNever;
};

}  // namespace dkv::runtime
