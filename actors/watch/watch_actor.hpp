// The watcher: one per node, on a thread of its own. It follows every shard's committed events (R17) at its
// primary, as long as somebody watches through this node, and tells each watch what concerns its prefix, in
// the order of each shard, without a gap that is not told and without repetition. Who takes nothing is told
// nothing until it does, and holds up nobody. README.md in this folder is the contract.
#pragma once

#include <map>
#include <set>
#include <string>

#include "actors/runtime/actor.hpp"
#include "actors/watch/shard_stream.hpp"

namespace dkv {

class WatchActor : public Actor {
 public:
  /// What a watch may leave untaken, about, before it is told no more.
  static constexpr std::uint64_t kMaxUntakenBytes = std::uint64_t{1} << 20;

  /// `process`: different in every run.
  WatchActor(Address self, std::uint64_t process) : self_(self), process_(process) {}

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;
  void on_wake(TimePoint, Effects&) override {}  // what is due is done at the turn's end
  void on_turn_end(TimePoint now, Effects& out) override;
  TimePoint wake_at() const override;

 private:
  /// A watch of a door that says what it has taken.
  struct Watch {
    std::string prefix;
    ShardPositions from;      // as asked for
    std::size_t unbegun = 0;  // shards in which it has not begun
    bool placed = false;      // in streams_: once the topology is known
    bool opened = false;
    std::uint64_t untaken = 0;  // bytes
    bool parked = false;
  };

  void handle(TopologyChanged message, TimePoint now, Effects& out);
  void handle(OpenWatch message, TimePoint now, Effects& out);
  void handle(CloseWatch message, TimePoint now, Effects& out);
  void handle(WatchTaken message, TimePoint now, Effects& out);
  void handle(WatchSubscription message, TimePoint now, Effects& out);
  void handle(peer::ChangesReply message, TimePoint now, Effects& out);
  void handle(RegisterReach message, TimePoint now, Effects& out);
  template <class Other>
  void handle(Other, TimePoint, Effects&) {}

  void place(std::uint64_t number, Watch& watch);
  void open_if_begun(std::uint64_t number, Watch& watch, Effects& out);
  void tell(const ShardStream::News& news, ShardId shard, ShardStream::Told& told, Effects& out);
  void tell_progress(Effects& out);
  ShardPositions positions(std::uint64_t number) const;
  void send(WatchNews news, Effects& out) const;

  Address self_;
  std::uint64_t process_;
  TopologyPtr topology_;
  bool isolated_ = true;
  std::map<ShardId, ShardStream> streams_;
  std::map<std::uint64_t, Watch> watches_;
  std::set<std::string> subscriptions_;  // of the `watch` port
  TimePoint progress_at_ = kNever;
};

}  // namespace dkv
