#include "actors/runtime/zmq/inbox.hpp"

#include <cstring>

#include "actors/runtime/zmq/hand_over.hpp"
#include "actors/runtime/zmq/sockets.hpp"

#ifdef DKV_THREAD_SANITIZER
// Asked for by ThreadSanitizer at start: memory that libzmq touches through intercepted calls (malloc,
// memcpy, recv) is not to be judged, since its atomics are not seen. It prints addresses through libstdc++.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libzmq.so\n"
         "race:std::basic_streambuf<char, std::char_traits<char> >::xsputn\n";
}
#endif

namespace dkv::runtime {

Inbox::Inbox(zmq::context_t& context, const std::string& address) : socket_(context, zmq::socket_type::pull) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.bind(address);
}

Inbox::~Inbox() {
  std::unique_ptr<Envelope> left_over;
  while (take(left_over) != Outcome::nothing) {
  }
}

Inbox::Outcome Inbox::take(std::unique_ptr<Envelope>& envelope) {
  zmq::message_t part;
  if (!receive(socket_, part)) return Outcome::nothing;
  Envelope* pointer = nullptr;
  DKV_ASSERT(part.size() == sizeof(pointer));
  std::memcpy(&pointer, part.data(), sizeof(pointer));
  if (pointer == nullptr) return Outcome::stop;
  after_hand_over(pointer);
  envelope.reset(pointer);
  return Outcome::message;
}

Outbox::Outbox(zmq::context_t& context, const std::string& address)
    : socket_(context, zmq::socket_type::push) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::sndhwm, 0);
  socket_.connect(address);
}

bool Outbox::send_pointer(Envelope* pointer) {
  return send(socket_, zmq::message_t(&pointer, sizeof(pointer))) == Sent::yes;
}

void Outbox::post(std::unique_ptr<Envelope> envelope) {
  before_hand_over(envelope.get());
  if (send_pointer(envelope.get())) static_cast<void>(envelope.release());
}

void Outbox::post_stop() { send_pointer(nullptr); }

}  // namespace dkv::runtime
