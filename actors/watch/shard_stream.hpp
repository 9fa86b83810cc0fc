// One shard's committed events, for those who follow it through this node. Most of them are at the same
// place, the shard's newest event; who comes back, or has been slow, is behind it. A *cursor* goes through
// the history, one question to the primary at a time, for all who are where it is. Who is behind waits for
// one that comes by, or gets one of its own, and two that meet become one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "actors/watch/prefix_index.hpp"

namespace dkv {

/// One watch in one shard.
struct Follower {
  enum class State : std::uint8_t {
    fresh,      // it begins at the newest committed event, which is being asked for
    waiting,    // for a cursor at `from`
    following,  // is where `cursor` is
    parked      // at `from`, until resume()
  };
  std::uint64_t watch = 0;
  std::set<std::string> prefixes{};
  State state = State::fresh;
  Position from{};
  std::uint64_t cursor = 0;
  bool is_lost = false;  // fresh again: where it was is in no history of this shard
  std::size_t told = 0;  // while an answer is taken: its place among those who are told something, from 1
};

class ShardStream {
 public:
  /// Of which log, and who asks.
  ShardStream(ShardId shard, std::uint64_t process) : shard_(shard), process_(process) {}

  /// `watch` wants what follows `from`; zero: what follows the newest event there is.
  void follow(std::uint64_t watch, std::set<std::string> prefixes, Position from);
  void leave(std::uint64_t watch);
  void add_prefix(std::uint64_t watch, const std::string& prefix);
  void remove_prefix(std::uint64_t watch, const std::string& prefix);
  /// Nothing more is told to it, and nothing lost.
  void park(std::uint64_t watch);
  void resume(std::uint64_t watch);
  /// All up to here has been told. Zero while it is not known where it begins.
  Position position(std::uint64_t watch) const;

  /// The shard has another primary: questions are asked anew.
  void ask_anew();
  /// Those who are in an epoch after `newest`, the newest there is, have been in another history: they are to
  /// be told so when they have been refused for long.
  void give_up_foreign(Epoch newest, TimePoint now);
  /// Sends the questions that are due to the primary's node.
  void ask(NodeId primary, TimePoint now, Effects& out);
  TimePoint wake_at() const;

  /// What an answer means to those who follow. All that is told of a watch goes up to position().
  struct Told {
    std::uint64_t watch = 0;
    std::vector<WatchedEvent> events;
  };
  struct News {
    std::vector<std::uint64_t> begun;  // no more fresh
    WatchNews::Kind kind = WatchNews::Kind::events;
    std::vector<Told> told;
    std::shared_ptr<const std::string> owner;  // of the events' bytes
  };
  News take(peer::ChangesReply reply, TimePoint now);

 private:
  /// A question to the primary.
  struct Question {
    std::uint64_t request = 0;  // 0: none is on its way
    TimePoint at{};             // when to ask (again)
  };
  using Followers = std::map<std::uint64_t, Follower*>;  // by watch
  struct Cursor {
    Position at;
    PrefixIndex index;
    Followers followers;
    Question question;
    TimePoint refused_since = kNever;
  };
  using Cursors = std::map<std::uint64_t, Cursor>;

  void ask_due(Question& question, Position from, NodeId primary, TimePoint now, Effects& out);
  void place(Follower& follower, Position at);
  void join(Follower& follower, std::uint64_t number, Cursor& cursor);
  void remove_from_place(Follower& follower);
  void begin_cursors();
  void begin_fresh(const peer::ChangesReply& reply, TimePoint now, News& news);
  void skip(Cursors::iterator cursor, const peer::ChangesReply& reply, News& news);
  void go_through(Cursors::iterator cursor, std::string frames, TimePoint now, News& news);
  bool go_through(Cursor& cursor, std::uint64_t number, const FrameView& frame, News& news);
  void let_join(Cursor& cursor, std::uint64_t number);
  bool meet(Cursors::iterator cursor);
  void merge(Cursors::iterator from, Cursors::iterator into);

  ShardId shard_;
  std::uint64_t process_;
  std::uint64_t last_request_ = 0;
  std::uint64_t last_cursor_ = 0;
  std::map<std::uint64_t, Follower> followers_;  // by watch
  Cursors cursors_;
  std::multimap<Position, Follower*> waiting_;
  Followers fresh_;        // not asked for yet
  Followers asked_fresh_;  // by fresh_question_
  Question fresh_question_;
};

}  // namespace dkv
