#include "tests/sim/watchers.hpp"

namespace dkv::sim {

namespace {
constexpr Duration kLooksAfter = 300ms;
constexpr std::uint64_t kMovesPerMillion = 20'000;
}  // namespace

Watchers::Watchers(SimWorld& world, PrefixCheck& history, std::size_t count, std::uint64_t seed,
                   std::function<bool(ShardId)> may_lose, std::function<void(std::string)> violated)
    : world_(world),
      history_(history),
      random_(seed ^ 0x3a7c4),
      may_lose_(std::move(may_lose)),
      violated_(std::move(violated)) {
  constexpr const char* kPrefixes[] = {"", "key-", "key-1", "count-", "nobody's"};
  for (std::size_t i = 0; i < count; ++i) {
    Watcher& watcher = watchers_.emplace_back();
    watcher.name = "watcher " + std::to_string(i);
    watcher.prefix = kPrefixes[i % std::size(kPrefixes)];
  }
  world_.on_news([this](NodeId node, const WatchNews& news) { take(node, news); });
  for (std::size_t i = 0; i < count; ++i) look_after(i);
}

/// Goes to another node when its own has ended, and now and then for no reason.
void Watchers::look_after(std::size_t index) {
  world_.at(world_.now() + random_.between(Duration{1ms}, kLooksAfter), [this, index] { look_after(index); });
  Watcher& watcher = watchers_[index];
  const bool has_node = watcher.node != NodeId{} && world_.is_up(watcher.node) &&
                        world_.generation(watcher.node) == watcher.generation;
  if (has_node && !random_.chance(kMovesPerMillion)) return;
  if (has_node) {
    const Address to{watcher.node, Role::watcher, {}};
    world_.tell({watcher.node, Role::client, {}}, to, CloseWatch{watcher.watch});
  }
  watcher.node = {};
  const auto& nodes = world_.topology().nodes;
  const NodeId node = nodes[random_.below(nodes.size())].id;
  if (!world_.is_up(node)) return;
  watcher.node = node;
  watcher.generation = world_.generation(node);
  open(watcher);
}

void Watchers::open(Watcher& watcher) {
  watcher.watch = ++last_watch_;
  watcher.opened = false;
  if (!watcher.at.empty()) ++resumed_;
  OpenWatch open{watcher.watch, watcher.prefix, {}};
  for (const auto& [shard, position] : watcher.at) open.from.emplace_back(shard, position);
  world_.tell({watcher.node, Role::client, {}}, {watcher.node, Role::watcher, {}}, std::move(open));
}

void Watchers::take(NodeId node, const WatchNews& news) {
  for (Watcher& watcher : watchers_) {
    if (watcher.watch != news.watch || watcher.node != node) continue;
    switch (news.kind) {
      case WatchNews::Kind::opened:
        watcher.opened = true;
        for (const auto& [shard, position] : news.positions) watcher.at.try_emplace(shard, position);
        break;
      case WatchNews::Kind::progress:
        for (const auto& [shard, position] : news.positions) {
          if (auto problem =
                  history_.problem_of(watcher.name, shard, watcher.prefix, watcher.at[shard], {}, position);
              !problem.empty())
            violated_(std::move(problem));
          watcher.at[shard] = position;
        }
        break;
      case WatchNews::Kind::too_old:
      case WatchNews::Kind::diverged:
        ++gaps_;
        if (news.kind == WatchNews::Kind::diverged && !may_lose_(news.shard)) {
          violated_(watcher.name + " was told that " + to_string(watcher.at[news.shard]) +
                    " is not in the history");
        }
        watcher.at[news.shard] = news.upto;
        break;
      case WatchNews::Kind::events:
        take_events(watcher, news);
        break;
    }
    if (news.bytes > 0) take_later(watcher, news.bytes);
  }
}

void Watchers::take_events(Watcher& watcher, const WatchNews& news) {
  events_ += news.events.size();
  // Where it began is told when it is opened; what is told before that follows it.
  const auto known = watcher.at.find(news.shard);
  const Position from =
      known != watcher.at.end() ? known->second : history_.before(news.shard, news.events.front().position);
  if (auto problem =
          history_.problem_of(watcher.name, news.shard, watcher.prefix, from, news.events, news.upto);
      !problem.empty())
    violated_(std::move(problem));
  watcher.at[news.shard] = news.upto;
}

void Watchers::take_later(const Watcher& watcher, std::uint64_t bytes) {
  const Address from{watcher.node, Role::client, {}};
  const Address to{watcher.node, Role::watcher, {}};
  world_.at(world_.now() + random_.between(Duration{1ms}, Duration{2s}),
            [this, from, to, generation = watcher.generation, taken = WatchTaken{watcher.watch, bytes}] {
              if (world_.is_up(from.node) && world_.generation(from.node) == generation)
                world_.tell(from, to, taken);
            });
}

void Watchers::finish(ShardId shard, Position last) {
  for (const Watcher& watcher : watchers_) {
    const auto at = watcher.at.find(shard);
    if (!watcher.opened || at == watcher.at.end()) {
      violated_(watcher.name + " has not begun in the end");
      continue;
    }
    if (auto problem = history_.problem_of(watcher.name, shard, watcher.prefix, at->second, {}, last);
        !problem.empty())
      violated_("in the end " + problem);
  }
}

}  // namespace dkv::sim
