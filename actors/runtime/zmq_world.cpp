#include "actors/runtime/zmq_world.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <optional>
#include <pthread.h>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "actors/runtime/zmq/actor_thread.hpp"
#include "actors/runtime/zmq/local_door.hpp"
#include "actors/runtime/zmq/ports.hpp"
#include "actors/runtime/zmq/time_slice.hpp"
#include "actors/runtime/zmq/watch_door.hpp"

namespace dkv {

namespace {

/// Two per thread, one per subscription, some for the ports: far from it, far above libzmq's 1,023.
constexpr int kMaxSockets = 16'384;
/// What Linux takes of a thread's name.
constexpr std::size_t kMaxThreadName = 15;

}  // namespace

class ZmqWorld::Impl {
 public:
  explicit Impl(ZmqWorldOptions options) : shared_{std::move(options), {}}, door_(shared_) {
    DKV_ASSERT(shared_.options.topology != nullptr);
    DKV_ASSERT(shared_.options.topology->find_node(shared_.options.self) != nullptr);
    context_.set(zmq::ctxopt::max_sockets, kMaxSockets);
    thread(kMainThread);
  }

  void spawn(const std::string& name, const Address& address, std::unique_ptr<Actor> actor);
  Result<void> start();
  void stop();

  // The context outlives every socket, and what libzmq's own threads still refer to outlives the context.
  runtime::Shared shared_;
  zmq::context_t context_;
  runtime::LocalDoor door_;
  runtime::WatchDoor watch_door_;

 private:
  runtime::ActorThread& thread(const std::string& name);
  runtime::ActorThread& main_thread() { return *threads_.front(); }
  void live(runtime::ActorThread& thread);

  std::vector<std::unique_ptr<runtime::ActorThread>> threads_;  // the main thread first
  runtime::Residents residents_;
  std::vector<std::unique_ptr<runtime::Outbox>> stops_;  // the way to tell each thread to stop
  std::vector<std::thread> running_;
  std::optional<std::latch> started_;
  std::optional<std::latch> main_ended_;
  std::optional<std::latch> all_ended_;
};

runtime::ActorThread& ZmqWorld::Impl::thread(const std::string& name) {
  for (const auto& one : threads_) {
    if (one->name() == name) return *one;
  }
  threads_.push_back(std::make_unique<runtime::ActorThread>(name, threads_.size(), context_, shared_));
  return *threads_.back();
}

void ZmqWorld::Impl::spawn(const std::string& name, const Address& address, std::unique_ptr<Actor> actor) {
  DKV_ASSERT(running_.empty() && address.node == shared_.options.self);
  runtime::ActorThread& home = thread(name);
  DKV_ASSERT(residents_.emplace(address, &home).second);
  home.add(address, std::move(actor));
}

Result<void> ZmqWorld::Impl::start() {
  DKV_ASSERT(running_.empty());
  auto ports = std::make_unique<runtime::Ports>(context_, shared_, door_);
  if (auto bound = ports->bind(); !bound) return bound;
  main_thread().set_ports(std::move(ports));
  const Address watcher{shared_.options.self, Role::watcher, {}};
  const auto watchers_home = residents_.find(watcher);
  if (watchers_home != residents_.end()) {
    auto port = std::make_unique<runtime::WatchPort>(context_, shared_);
    if (auto bound = port->bind(); !bound) return bound;
    watchers_home->second->set_watch_port(std::move(port));
  }

  const auto count = static_cast<std::ptrdiff_t>(threads_.size());
  started_.emplace(count);
  main_ended_.emplace(1);
  all_ended_.emplace(count);
  for (const auto& one : threads_) {
    one->open_inbox();
    one->connect(residents_, main_thread());
    stops_.push_back(std::make_unique<runtime::Outbox>(context_, one->inbox_address()));
  }
  for (const auto& one : threads_) {
    running_.emplace_back([this, &one = *one] { live(one); });
  }
  started_->wait();
  door_.open(context_, main_thread().inbox_address());
  if (watchers_home != residents_.end())
    watch_door_.open(context_, watchers_home->second->inbox_address(), watcher);
  return {};
}

void ZmqWorld::Impl::live(runtime::ActorThread& thread) {
  ::pthread_setname_np(::pthread_self(), thread.name().substr(0, kMaxThreadName).c_str());
  if (thread.is_waited_for()) runtime::ask_for_short_slices();
  try {
    thread.begin();
    started_->count_down();
    thread.run();
  } catch (const std::exception& error) {
    // Out of descriptors or memory; no socket call of ours fails otherwise.
    const std::string text =
        "the thread " + thread.name() + " failed: " + error.what() + "; ending the process";
    shared_.log(LogLevel::error, text);
    std::fprintf(stderr, "%s\n", text.c_str());
    std::abort();
  }
  if (&thread == &main_thread()) main_ended_->count_down();
  all_ended_->arrive_and_wait();
  thread.finish();
}

void ZmqWorld::Impl::stop() {
  if (running_.empty()) return;
  watch_door_.close();
  // The main thread first: the replies that it still owes need the others.
  stops_.front()->post_stop();
  main_ended_->wait();
  door_.close();
  for (std::size_t i = 1; i < stops_.size(); ++i) stops_[i]->post_stop();
  for (std::thread& one : running_) one.join();
  running_.clear();
  stops_.clear();
  context_.close();
}

ZmqWorld::ZmqWorld(ZmqWorldOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

ZmqWorld::~ZmqWorld() { stop(); }

void ZmqWorld::spawn(const std::string& thread, const Address& address, std::unique_ptr<Actor> actor) {
  impl_->spawn(thread, address, std::move(actor));
}

Result<void> ZmqWorld::start() { return impl_->start(); }

void ZmqWorld::stop() { impl_->stop(); }

rpc::Reply ZmqWorld::call(rpc::Request request, std::chrono::milliseconds timeout) {
  return impl_->door_.call(std::move(request), timeout);
}

void ZmqWorld::tell_watcher(Message message) { impl_->watch_door_.post(std::move(message)); }

WorldCounters ZmqWorld::counters() const {
  const runtime::Counters& from = impl_->shared_.counters;
  WorldCounters counters;
  counters.requests_refused = from.requests_refused;
  counters.replies_dropped = from.replies_dropped;
  counters.late_replies = from.late_replies;
  counters.peer_refused = from.peer_refused;
  counters.peer_unsent = from.peer_unsent;
  counters.frames_refused = from.frames_refused;
  counters.frames_unsent = from.frames_unsent;
  counters.undeliverable = from.undeliverable;
  return counters;
}

}  // namespace dkv
