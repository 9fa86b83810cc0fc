// A thread's inbox (PULL) and the way into it (PUSH), over inproc. A message moves as one pointer in an
// eight-byte frame, and ownership goes with it.
//
// Without high-water marks: the protocols of the actors bound what is in flight (a door gives up to a
// burst per turn, a log answers what it was given), and a queue that could fill up would make one actor
// wait for another.
#pragma once

#include <memory>
#include <string>
#include <zmq.hpp>

#include "actors/runtime/message.hpp"

namespace dkv::runtime {

class Inbox {
 public:
  /// Binds `address`.
  Inbox(zmq::context_t& context, const std::string& address);
  /// Frees what nobody read.
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  zmq::socket_t& socket() { return socket_; }

  enum class Outcome : std::uint8_t { nothing, message, stop };
  Outcome take(std::unique_ptr<Envelope>& envelope);

 private:
  zmq::socket_t socket_;
};

class Outbox {
 public:
  Outbox(zmq::context_t& context, const std::string& address);

  /// Never waits. What cannot be delivered because the inbox is gone is freed.
  void post(std::unique_ptr<Envelope> envelope);
  /// Asks the thread behind the inbox to end.
  void post_stop();

 private:
  bool send_pointer(Envelope* pointer);

  zmq::socket_t socket_;
};

}  // namespace dkv::runtime
