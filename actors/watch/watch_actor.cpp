#include "actors/watch/watch_actor.hpp"

#include <algorithm>

namespace dkv {

namespace {
// The `watch` port, among the watches: no door uses this number.
constexpr std::uint64_t kPort = 0;
// How often those are told where they are who are told of no event. It also shows that the watch lives.
constexpr Duration kProgressInterval = 10s;
// What an event counts beside its key and value.
constexpr std::uint64_t kEventBytes = 64;

std::uint64_t bytes_of(const std::vector<WatchedEvent>& events) {
  std::uint64_t bytes = 0;
  for (const WatchedEvent& event : events) bytes += kEventBytes + event.key.size() + event.value.size();
  return bytes;
}

Position find(const ShardPositions& positions, ShardId shard) {
  const auto found =
      std::find_if(positions.begin(), positions.end(), [&](const auto& one) { return one.first == shard; });
  return found == positions.end() ? Position{} : found->second;
}
}  // namespace

void WatchActor::on_message(Envelope envelope, TimePoint now, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), now, out); }, envelope.message);
}

void WatchActor::handle(TopologyChanged message, TimePoint, Effects& out) {
  if (topology_ && message.topology->version < topology_->version) return;
  const TopologyPtr before = std::exchange(topology_, std::move(message.topology));
  for (const ShardInfo& shard : topology_->shards) {
    const auto [stream, is_new] = streams_.try_emplace(shard.id, shard.id, process_);
    if (is_new) {
      if (!subscriptions_.empty()) stream->second.follow(kPort, subscriptions_, {});
      continue;
    }
    const ShardInfo* was = before->find_shard(shard.id);
    if (was == nullptr || was->epoch != shard.epoch || was->primary != shard.primary)
      stream->second.ask_anew();
  }
  for (auto& [number, watch] : watches_) {
    if (watch.placed) continue;
    place(number, watch);
    open_if_begun(number, watch, out);
  }
}

void WatchActor::handle(OpenWatch message, TimePoint now, Effects& out) {
  DKV_ASSERT(message.watch != kPort);
  const auto [place_of, is_new] = watches_.try_emplace(message.watch);
  DKV_ASSERT(is_new);
  Watch& watch = place_of->second;
  watch.prefix = std::move(message.prefix);
  watch.from = std::move(message.from);
  if (progress_at_ == kNever) progress_at_ = now + kProgressInterval;
  if (!topology_) return;
  place(message.watch, watch);
  open_if_begun(message.watch, watch, out);
}

void WatchActor::place(std::uint64_t number, Watch& watch) {
  watch.placed = true;
  for (auto& [shard, stream] : streams_) {
    const Position from = find(watch.from, shard);
    stream.follow(number, {watch.prefix}, from);
    if (from == Position{}) ++watch.unbegun;
  }
}

void WatchActor::open_if_begun(std::uint64_t number, Watch& watch, Effects& out) {
  if (watch.opened || watch.unbegun > 0) return;
  watch.opened = true;
  WatchNews news;
  news.watch = number;
  news.kind = WatchNews::Kind::opened;
  news.positions = positions(number);
  send(std::move(news), out);
}

ShardPositions WatchActor::positions(std::uint64_t number) const {
  ShardPositions positions;
  for (const auto& [shard, stream] : streams_) positions.emplace_back(shard, stream.position(number));
  return positions;
}

void WatchActor::handle(CloseWatch message, TimePoint, Effects&) {
  if (watches_.erase(message.watch) == 0) return;
  for (auto& [shard, stream] : streams_) stream.leave(message.watch);
  if (watches_.empty()) progress_at_ = kNever;
}

void WatchActor::handle(WatchTaken message, TimePoint, Effects&) {
  const auto found = watches_.find(message.watch);
  if (found == watches_.end()) return;
  Watch& watch = found->second;
  watch.untaken -= std::min(watch.untaken, message.bytes);
  if (!watch.parked || watch.untaken > kMaxUntakenBytes / 2) return;
  watch.parked = false;
  for (auto& [shard, stream] : streams_) stream.resume(message.watch);
}

void WatchActor::handle(WatchSubscription message, TimePoint, Effects&) {
  const bool had_any = !subscriptions_.empty();
  if (message.wanted ? !subscriptions_.insert(message.prefix).second
                     : subscriptions_.erase(message.prefix) == 0) {
    return;
  }
  for (auto& [shard, stream] : streams_) {
    if (!had_any) {
      stream.follow(kPort, subscriptions_, {});
    } else if (subscriptions_.empty()) {
      stream.leave(kPort);
    } else if (message.wanted) {
      stream.add_prefix(kPort, message.prefix);
    } else {
      stream.remove_prefix(kPort, message.prefix);
    }
  }
}

void WatchActor::handle(RegisterReach message, TimePoint, Effects&) { isolated_ = message.isolated; }

void WatchActor::handle(peer::ChangesReply message, TimePoint now, Effects& out) {
  const ShardId shard = message.shard;
  const auto stream = streams_.find(shard);
  if (stream == streams_.end()) return;
  ShardStream::News news = stream->second.take(std::move(message), now);
  for (const std::uint64_t number : news.begun) {
    const auto watch = watches_.find(number);
    if (watch == watches_.end()) continue;  // the port
    if (watch->second.parked) stream->second.park(number);
    --watch->second.unbegun;
    open_if_begun(number, watch->second, out);
  }
  for (ShardStream::Told& told : news.told) tell(news, shard, told, out);
}

void WatchActor::tell(const ShardStream::News& news, ShardId shard, ShardStream::Told& told, Effects& out) {
  if (told.watch == kPort) {
    if (!told.events.empty())
      out.send({self_.node, Role::client, {}}, WatchBroadcast{shard, std::move(told.events), news.owner});
    return;
  }
  WatchNews one;
  one.watch = told.watch;
  one.kind = news.kind;
  one.shard = shard;
  if (news.kind != WatchNews::Kind::events) one.shard_name = topology_->find_shard(shard)->name;
  one.upto = streams_.at(shard).position(told.watch);
  one.bytes = kEventBytes + bytes_of(told.events);
  one.events = std::move(told.events);
  one.owner = news.owner;
  Watch& watch = watches_.at(told.watch);
  watch.untaken += one.bytes;
  send(std::move(one), out);
  if (watch.parked || watch.untaken <= kMaxUntakenBytes) return;
  watch.parked = true;
  for (auto& [id, stream] : streams_) stream.park(told.watch);
}

void WatchActor::send(WatchNews news, Effects& out) const {
  out.send({self_.node, Role::client, {}}, std::move(news));
}

void WatchActor::on_turn_end(TimePoint now, Effects& out) {
  if (now >= progress_at_) {
    tell_progress(out);
    progress_at_ = now + kProgressInterval;
  }
  for (auto& [id, stream] : streams_) {
    const ShardInfo& shard = *topology_->find_shard(id);
    if (!isolated_) stream.give_up_foreign(shard.epoch, now);
    stream.ask(shard.primary, now, out);
  }
}

void WatchActor::tell_progress(Effects& out) {
  for (const auto& [number, watch] : watches_) {
    WatchNews news;
    news.watch = number;
    news.kind = WatchNews::Kind::progress;
    // Where it has not begun it has no position to go on from.
    if (watch.opened) news.positions = positions(number);
    send(std::move(news), out);
  }
}

TimePoint WatchActor::wake_at() const {
  TimePoint wake = progress_at_;
  for (const auto& [shard, stream] : streams_) wake = std::min(wake, stream.wake_at());
  return wake;
}

}  // namespace dkv
