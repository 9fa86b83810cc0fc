#include "actors/runtime/zmq/actor_thread.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace dkv::runtime {

namespace {

/// Messages that one turn hands over: each that arrived in a burst causes a few more here. Two actors that
/// keep each other busy meet it, so that sockets and timers are still served.
constexpr std::size_t kHandOversPerTurn = 16'384;

/// An actor that threw is in no known state, and a node without one of its actors is half alive.
[[noreturn]] void give_up_loudly(const Shared& shared, const std::string& who, const char* why) {
  const std::string text = who + " threw: " + why + "; ending the process";
  shared.log(LogLevel::error, text);
  std::fprintf(stderr, "%s\n", text.c_str());
  std::abort();
}

}  // namespace

ActorThread::ActorThread(std::string name, std::size_t index, zmq::context_t& context, Shared& shared)
    : name_(std::move(name)),
      inbox_address_("inproc://thread-" + std::to_string(index)),
      context_(context),
      shared_(shared) {}

void ActorThread::add(const Address& address, std::unique_ptr<Actor> actor) {
  const auto place =
      std::lower_bound(residents_.begin(), residents_.end(), address,
                       [](const Resident& one, const Address& key) { return one.address < key; });
  residents_.insert(place, Resident{address, std::move(actor)});
}

bool ActorThread::is_waited_for() const {
  return std::none_of(residents_.begin(), residents_.end(), [](const Resident& one) {
    return one.address.role == Role::checkpoint || one.address.role == Role::watcher;
  });
}

void ActorThread::connect(const Residents& everyone, ActorThread& main_thread) {
  everyone_ = &everyone;
  main_ = &main_thread;
}

void ActorThread::begin() {
  now_ = boot_now();
  for (Resident& one : residents_) {
    handle(one, [&](Actor& actor) { actor.on_start(now_, effects_); });
  }
  for (Resident& one : residents_) {
    if (one.address.role != Role::router) continue;
    handle(one, [&](Actor& actor) {
      const Address world{shared_.options.self, Role::router, {}};
      actor.on_message({world, one.address, TopologyChanged{shared_.options.topology}}, now_, effects_);
    });
  }
  end_turn();
}

void ActorThread::run() {
  while (!may_end()) turn();
}

void ActorThread::finish() {
  outboxes_.clear();
  residents_.clear();
  queue_.clear();
  ports_.reset();
  watch_port_.reset();
  inbox_.reset();
}

bool ActorThread::may_end() {
  if (!stopping_) return false;
  if (ports_ == nullptr) return true;
  return boot_now() >= give_up_ || !ports_->owes_replies();
}

void ActorThread::turn() {
  wait();
  now_ = boot_now();
  if (ports_ != nullptr) ports_->tidy(now_);
  if (watch_port_ != nullptr) watch_port_->tidy(now_);
  run_timers();
  gather();
  now_ = boot_now();
  hand_over();
  end_turn();
}

void ActorThread::wait() {
  items_.clear();
  items_.push_back({inbox_->socket().handle(), 0, ZMQ_POLLIN, 0});
  if (ports_ != nullptr) ports_->add_poll_items(items_);
  if (watch_port_ != nullptr) items_.push_back({watch_port_->socket().handle(), 0, ZMQ_POLLIN, 0});
  const auto timeout = static_cast<long>(patience().count());
  if (zmq_poll(items_.data(), static_cast<int>(items_.size()), timeout) >= 0) return;
  if (zmq_errno() != EINTR) throw zmq::error_t();
  for (zmq::pollitem_t& item : items_) item.revents = 0;
}

/// How long to wait for messages. Negative: for ever.
std::chrono::milliseconds ActorThread::patience() const {
  if (!queue_.empty()) return 0ms;
  TimePoint wake = ports_ == nullptr ? give_up_ : std::min(give_up_, ports_->tidy_at());
  if (watch_port_ != nullptr) wake = std::min(wake, watch_port_->tidy_at());
  for (const Resident& one : residents_) wake = std::min(wake, one.actor->wake_at());
  if (wake == kNever) return -1ms;
  const TimePoint now = boot_now();
  return wake <= now ? 0ms : std::chrono::ceil<std::chrono::milliseconds>(wake - now);
}

void ActorThread::run_timers() {
  for (Resident& one : residents_) {
    if (one.actor->wake_at() <= now_) {
      handle(one, [&](Actor& actor) { actor.on_wake(now_, effects_); });
    }
  }
}

void ActorThread::gather() {
  if ((items_[0].revents & ZMQ_POLLIN) != 0) drain_inbox();
  if (ports_ != nullptr) ports_->drain(items_.data() + 1, items_.size() - 1, queue_);
  if (watch_port_ != nullptr && (items_.back().revents & ZMQ_POLLIN) != 0) watch_port_->drain(queue_);
}

void ActorThread::drain_inbox() {
  std::unique_ptr<Envelope> envelope;
  for (std::size_t count = 0; count < kBurstMessages; ++count) {
    switch (inbox_->take(envelope)) {
      case Inbox::Outcome::nothing:
        return;
      case Inbox::Outcome::message:
        queue_.push_back(std::move(*envelope));
        break;
      case Inbox::Outcome::stop:
        stopping_ = true;
        give_up_ = boot_now() + shared_.options.stop_grace;
        if (ports_ != nullptr) ports_->refuse_requests();
        break;
    }
  }
}

void ActorThread::hand_over() {
  for (std::size_t count = 0; next_ < queue_.size() && count < kHandOversPerTurn; ++count) {
    Envelope envelope = std::move(queue_[next_++]);
    deliver(std::move(envelope));
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = 0;
}

void ActorThread::deliver(Envelope envelope) {
  if (Resident* here = find(envelope.to)) {
    handle(*here, [&](Actor& actor) { actor.on_message(std::move(envelope), now_, effects_); });
  } else {
    route(envelope.from, envelope.to, std::move(envelope.message));
  }
}

void ActorThread::end_turn() {
  now_ = boot_now();
  for (Resident& one : residents_) {
    if (!one.busy) continue;
    handle(one, [&](Actor& actor) { actor.on_turn_end(now_, effects_); });
    one.busy = false;
  }
}

template <class Handler>
void ActorThread::handle(Resident& resident, Handler&& handler) {
  resident.busy = true;
  try {
    handler(*resident.actor);
  } catch (const std::exception& error) {
    give_up_loudly(shared_, to_string(resident.address), error.what());
  } catch (...) {
    give_up_loudly(shared_, to_string(resident.address), "something that is no std::exception");
  }
  carry_out(resident);
}

void ActorThread::carry_out(Resident& resident) {
  for (const Effects::LogLine& line : effects_.lines) shared_.log(line.level, line.text);
  // Only members publish and subscribe, and they live on the main thread.
  DKV_ASSERT(ports_ != nullptr || (effects_.subscriptions.empty() && effects_.publications.empty()));
  for (const NodeId node : effects_.subscriptions) ports_->subscribe(resident.address, node);
  for (const FrameBytes& frame : effects_.publications) ports_->publish(frame);
  for (auto& [to, message] : effects_.sends) route(resident.address, to, std::move(message));
  effects_.clear();
}

void ActorThread::route(const Address& from, const Address& to, Message message) {
  if (find(to) != nullptr) {
    queue_.push_back({from, to, std::move(message)});
    return;
  }
  if (to.role == Role::client && tell_watchers(message)) return;
  const auto elsewhere = everyone_->find(to);
  ActorThread* target = elsewhere == everyone_->end() ? main_ : elsewhere->second;
  if (target == this) {
    ports_->send(to, std::move(message));
    return;
  }
  Outbox& outbox = outboxes_.try_emplace(target, context_, target->inbox_address()).first->second;
  outbox.post(std::make_unique<Envelope>(Envelope{from, to, std::move(message)}));
}

/// What the watcher says leaves its thread right here, and never takes the main thread's time.
bool ActorThread::tell_watchers(const Message& message) {
  if (const auto* news = std::get_if<WatchNews>(&message)) {
    if (shared_.options.on_news) shared_.options.on_news(*news);
    return true;
  }
  const auto* broadcast = std::get_if<WatchBroadcast>(&message);
  if (broadcast == nullptr || watch_port_ == nullptr) return false;
  watch_port_->publish(*broadcast);
  return true;
}

ActorThread::Resident* ActorThread::find(const Address& address) {
  const auto place =
      std::lower_bound(residents_.begin(), residents_.end(), address,
                       [](const Resident& one, const Address& key) { return one.address < key; });
  return place != residents_.end() && place->address == address ? &*place : nullptr;
}

}  // namespace dkv::runtime
