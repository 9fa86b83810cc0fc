// The actor: a state machine. It takes a message and the time, and returns effects; it holds no socket,
// thread, clock or random source. A world (ZmqWorld, SimWorld) carries the effects out. See
// actors/README.md for how to write one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "actors/runtime/message.hpp"
#include "actors/runtime/time.hpp"

namespace dkv {

enum class LogLevel : std::uint8_t { info, warning, error };

/// What an actor wants done. Carried out, in order, after the handler returns.
class Effects {
 public:
  struct LogLine {
    LogLevel level;
    std::string text;
  };

  /// A message to an actor or client. Between nodes it may be lost, delayed, doubled or overtaken.
  void send(const Address& to, Message message) { sends.push_back({to, std::move(message)}); }
  /// A frame to all who subscribed to its topic on this node. May be lost.
  void publish(FrameBytes frame) { publications.push_back(std::move(frame)); }
  /// From now on, and until the process ends, deliver `node`'s frames of the asking member's shard to it.
  void subscribe(NodeId node) { subscriptions.push_back(node); }
  /// A line for the operator.
  void log(LogLevel level, std::string text) { lines.push_back({level, std::move(text)}); }

  void clear() {
    sends.clear();
    publications.clear();
    subscriptions.clear();
    lines.clear();
  }

  std::vector<std::pair<Address, Message>> sends;
  std::vector<FrameBytes> publications;
  std::vector<NodeId> subscriptions;
  std::vector<LogLine> lines;
};

/// Handling is run-to-completion, and equal inputs give equal effects: no iteration over unordered
/// containers where the order can be seen, no std::hash, no standard distributions.
class Actor {
 public:
  virtual ~Actor() = default;

  /// Once, before any message.
  virtual void on_start(TimePoint, Effects&) {}
  virtual void on_message(Envelope envelope, TimePoint now, Effects& out) = 0;
  /// The time given by wake_at() has come. Before the messages of its turn.
  virtual void on_wake(TimePoint, Effects&) {}
  /// After a bounded batch of messages: the place for what a batch shares. `now` is read after the last.
  virtual void on_turn_end(TimePoint, Effects&) {}
  /// When on_wake() is wanted next. Asked after every turn.
  virtual TimePoint wake_at() const { return kNever; }
};

/// Overload set for std::visit over Message.
template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace dkv
