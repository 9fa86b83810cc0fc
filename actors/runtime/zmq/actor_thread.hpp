// One thread of a ZmqWorld and the actors that live on it: the turn.
//
// A turn is: wait for a message or the earliest wake; timers; one burst from every readable socket; hand
// each message to its actor, and what that one sends to others here, until nothing is left; then
// on_turn_end for all who handled something, with the time read anew. Effects are carried out after each
// handler. What on_turn_end sends to actors here is handled in the next turn, which then does not wait.
// While an actor blocks in on_turn_end (a log that syncs) messages gather: they are its next batch.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/actor.hpp"
#include "actors/runtime/zmq/inbox.hpp"
#include "actors/runtime/zmq/ports.hpp"
#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq/watch_port.hpp"

namespace dkv::runtime {

class ActorThread;

/// Which thread of the node an actor lives on. Complete before any thread runs, unchanged afterwards.
using Residents = std::map<Address, ActorThread*>;

class ActorThread {
 public:
  ActorThread(std::string name, std::size_t index, zmq::context_t& context, Shared& shared);

  const std::string& name() const { return name_; }
  const std::string& inbox_address() const { return inbox_address_; }

  /// Whether clients and other nodes wait for what it does: for all but writing checkpoints and watches.
  bool is_waited_for() const;

  // Before the thread runs:
  void add(const Address& address, std::unique_ptr<Actor> actor);
  void open_inbox() { inbox_.emplace(context_, inbox_address_); }
  /// The main thread has the ports; what no actor of the node takes goes there.
  void set_ports(std::unique_ptr<Ports> ports) { ports_ = std::move(ports); }
  /// The watcher's thread has this one.
  void set_watch_port(std::unique_ptr<WatchPort> port) { watch_port_ = std::move(port); }
  void connect(const Residents& residents, ActorThread& main_thread);

  // On the thread, in this order:
  /// Starts the actors and gives them their first topology.
  void begin();
  /// Turns, until asked to stop and nothing is owed any more.
  void run();
  /// Destroys the actors and closes the sockets. After every thread has left run(): what others sent
  /// to this one, and nobody will read, is freed here.
  void finish();

 private:
  struct Resident {
    Address address;
    std::unique_ptr<Actor> actor;
    bool busy = false;  // has handled something in this turn
  };

  void turn();
  void wait();
  std::chrono::milliseconds patience() const;
  void run_timers();
  void gather();
  void drain_inbox();
  void hand_over();
  void deliver(Envelope envelope);
  void end_turn();
  bool may_end();

  template <class Handler>
  void handle(Resident& resident, Handler&& handler);
  void carry_out(Resident& resident);
  bool tell_watchers(const Message& message);
  void route(const Address& from, const Address& to, Message message);
  Resident* find(const Address& address);

  const std::string name_;
  const std::string inbox_address_;
  zmq::context_t& context_;
  Shared& shared_;
  std::vector<Resident> residents_;  // ordered by address
  const Residents* everyone_ = nullptr;
  ActorThread* main_ = nullptr;

  std::optional<Inbox> inbox_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<WatchPort> watch_port_;
  std::map<ActorThread*, Outbox> outboxes_;  // opened at the first message
  std::vector<zmq::pollitem_t> items_;

  std::vector<Envelope> queue_;  // for actors of this thread; those before next_ are done
  std::size_t next_ = 0;
  Effects effects_;
  TimePoint now_{};
  bool stopping_ = false;
  TimePoint give_up_ = kNever;
};

}  // namespace dkv::runtime
