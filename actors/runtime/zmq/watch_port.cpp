#include "actors/runtime/zmq/watch_port.hpp"

#include "messages/limits.hpp"

namespace dkv::runtime {

namespace {
/// Events that wait for one subscriber, and bytes of those of 10 kB and more, for all together.
constexpr int kEventQueue = 10'000;
constexpr std::uint64_t kMaxUnreadEventBytes = std::uint64_t{64} << 20;
/// Who subscribes sends a topic, nothing larger.
constexpr std::size_t kMaxPrefixBytes = 1'024;
constexpr Duration kCountsInterval = 1s;
}  // namespace

WatchPort::WatchPort(zmq::context_t& context, Shared& shared)
    : shared_(shared), socket_(context, zmq::socket_type::xpub) {
  harden(socket_, kMaxPrefixBytes);
  add_heartbeats(socket_);
  socket_.set(zmq::sockopt::sndhwm, kEventQueue);
}

Result<void> WatchPort::bind() { return runtime::bind(socket_, shared_.self().watch, "watch"); }

/// libzmq tells of the first subscriber to a topic, and when its last one has gone.
void WatchPort::drain(std::vector<Envelope>& arrived) {
  const Address watcher{shared_.options.self, Role::watcher, {}};
  const Address door{shared_.options.self, Role::client, {}};
  zmq::message_t part;
  for (Burst burst; !burst.full() && receive(socket_, part);) {
    burst.took(part.size());
    const std::string_view text = view(part);
    // Anything else is another topic's, or none of ours.
    if (text.empty() || (text[0] != 0 && text[0] != 1) || (text.size() > 1 && text[1] != kWatchTopic))
      continue;
    const bool wanted = text[0] == 1;
    const std::string prefix(text.substr(std::min<std::size_t>(text.size(), 2)));
    if (wanted ? subscribe(prefix) : unsubscribe(prefix))
      arrived.push_back({door, watcher, WatchSubscription{prefix, wanted}});
  }
}

/// Whether it is a new one.
bool WatchPort::subscribe(const std::string& prefix) {
  if (++subscriptions_[prefix].topics > 1) return false;
  ++lengths_[prefix.size()];
  return true;
}

/// Whether nobody subscribes to it any more.
bool WatchPort::unsubscribe(const std::string& prefix) {
  const auto subscription = subscriptions_.find(prefix);
  if (subscription == subscriptions_.end() || --subscription->second.topics > 0) return false;
  subscriptions_.erase(subscription);
  if (const auto length = lengths_.find(prefix.size()); --length->second == 0) lengths_.erase(length);
  return true;
}

void WatchPort::publish(const WatchBroadcast& broadcast) {
  for (const WatchedEvent& event : broadcast.events) {
    count(event.key);
    if (counts_.empty()) continue;  // its last subscriber has just gone
    send(watch_topic(event.key), encode_watch_event(broadcast.shard, event, counts_));
  }
  if (tidy_at_ == kNever) tidy_at_ = boot_now() + kCountsInterval;
}

/// One event more, of all that it matches.
void WatchPort::count(std::string_view key) {
  counts_.clear();
  for (const auto& [length, number] : lengths_) {
    if (length > key.size()) return;
    const auto found = subscriptions_.find(key.substr(0, length));
    if (found == subscriptions_.end()) continue;
    found->second.is_new = true;
    counts_.emplace_back(length, ++found->second.events);
  }
}

void WatchPort::tidy(TimePoint now) {
  if (now < tidy_at_) return;
  tidy_at_ = kNever;
  for (auto& [prefix, subscription] : subscriptions_) {
    if (!std::exchange(subscription.is_new, false)) continue;
    send(watch_topic(prefix), encode_watch_counts({{prefix.size(), subscription.events}}));
  }
}

void WatchPort::send(std::string topic, std::string body) {
  if (body.size() >= kZeroCopyBytes && unread_->bytes() + body.size() > kMaxUnreadEventBytes) {
    ++shared_.counters.frames_unsent;
    return;
  }
  // XPUB never reports a full queue: it drops for that subscriber.
  if (runtime::send(socket_, make_message(std::move(topic)), true) == Sent::yes)
    runtime::send(socket_, make_message(std::move(body), unread_));
}

}  // namespace dkv::runtime
