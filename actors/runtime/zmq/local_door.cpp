#include "actors/runtime/zmq/local_door.hpp"

#include <algorithm>
#include <cstring>

namespace dkv::runtime {

namespace {

std::string to_connection(std::uint64_t number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

std::uint64_t to_number(const std::string& connection) {
  std::uint64_t number = 0;
  DKV_ASSERT(connection.size() == sizeof(number));
  std::memcpy(&number, connection.data(), sizeof(number));
  return number;
}

bool has_writes(const rpc::Request& request) {
  return std::any_of(request.operations.begin(), request.operations.end(), writes);
}

/// The reply of one who got none.
rpc::Reply without_reply(std::uint64_t request_id, bool wrote) {
  if (wrote) {
    return {request_id, Error{Errc::unknown_outcome,
                              "no reply in time: the write may or may not have happened, or may yet"}};
  }
  return {request_id, Error{Errc::unavailable, "no reply in time; retry"}};
}

}  // namespace

void LocalDoor::Slot::fill(rpc::Reply value) {
  // Notified under the lock: the waiter may let go of the slot as soon as it sees the reply.
  const std::lock_guard lock(mutex);
  reply = std::move(value);
  filled.notify_one();
}

void LocalDoor::Slot::close() {
  const std::lock_guard lock(mutex);
  closed = true;
  filled.notify_one();
}

bool LocalDoor::Slot::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex);
  return filled.wait_for(lock, timeout, [this] { return closed || reply.has_value(); });
}

void LocalDoor::open(zmq::context_t& context, const std::string& main_inbox) {
  const std::lock_guard lock(mutex_);
  outbox_.emplace(context, main_inbox);
}

void LocalDoor::refuse() {
  const std::lock_guard lock(mutex_);
  refusing_ = true;
}

void LocalDoor::close() {
  std::unordered_map<std::uint64_t, std::shared_ptr<Slot>> left;
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    outbox_.reset();
    left.swap(waiting_);
  }
  for (auto& [number, slot] : left) slot->close();
}

rpc::Reply LocalDoor::call(rpc::Request request, std::chrono::milliseconds timeout) {
  const std::uint64_t request_id = request.request_id;
  const bool wrote = has_writes(request);
  const auto slot = std::make_shared<Slot>();
  auto envelope = std::make_unique<Envelope>(Envelope{
      Address{shared_.options.self, Role::client, {}}, Address{shared_.options.self, Role::router, {}},
      ClientRequest{Origin{kLocalDoor, {}}, std::move(request)}});
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!outbox_ || refusing_) {
      return {request_id, Error{Errc::unavailable, "this node is not running; ask another"}};
    }
    number = ++last_number_;
    std::get<ClientRequest>(envelope->message).origin.connection = to_connection(number);
    waiting_.emplace(number, slot);
    outbox_->post(std::move(envelope));
  }
  if (!slot->wait(timeout)) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(number);
  }
  // The reply may have come between giving up and leaving the list.
  const std::lock_guard lock(slot->mutex);
  if (!slot->reply) return without_reply(request_id, wrote);
  slot->reply->request_id = request_id;
  return std::move(*slot->reply);
}

void LocalDoor::reply(ClientReply reply) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(to_number(reply.origin.connection));
    if (found == waiting_.end()) {
      ++shared_.counters.late_replies;
      return;
    }
    slot = std::move(found->second);
    waiting_.erase(found);
  }
  slot->fill(std::move(reply.reply));
}

std::uint64_t LocalDoor::owed() {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace dkv::runtime
