#include "tests/sim/sim_world.hpp"

#include <algorithm>

namespace dkv::sim {

namespace {
constexpr Duration kTurnCost = 5us;
constexpr Duration kHandOverMost = 50us;  // between threads of a node
constexpr std::size_t kBurst = 256;
constexpr std::size_t kMaxAlarms = 100;
}  // namespace

OperationResult single_result(const rpc::Reply& reply) {
  if (const auto* error = std::get_if<Error>(&reply.body))
    return OperationResult::failed(error->code, error->message);
  return std::get<std::vector<OperationResult>>(reply.body).at(0);
}

SimWorld::SimWorld(std::uint64_t seed, TopologyPtr topology, NodeOptions options, Assemble assemble)
    : random_(seed), topology_(std::move(topology)), options_(options), assemble_(std::move(assemble)) {
  now_ = TimePoint{} + 1s;
  for (const NodeInfo& node : topology_->nodes) nodes_[node.id];
}

// ---- processes

void SimWorld::start_all() {
  for (const auto& [id, node] : nodes_) {
    if (!node.up) start(id);
  }
}

void SimWorld::start(NodeId id) {
  Node& node = nodes_.at(id);
  DKV_ASSERT(!node.up);
  node.up = true;
  ++node.generation;
  node.frozen_until = {};
  set_clock(node);
  NodeOptions options = options_;
  options.process = random_.next();
  // Wall clocks are about right, and then drift.
  options.copy.clock_offset = now_ - local_time(node);
  options.crash_loop = node.crashes >= kCrashLoop;
  node.started_at = now_;
  const auto open_storage = [&](const ShardInfo& shard) -> Result<MemberStorage> {
    auto& store = node.stores[shard.id];
    if (!store) store = std::make_shared<SimStore>(random_, watch_, store_record_cost_);
    std::uint64_t& incarnation = node.incarnations[shard.id];
    if (incarnation == 0) incarnation = random_.next() | 1;
    return MemberStorage{std::make_unique<SimDisk>(node.platters[shard.id], watch_, random_), store,
                         incarnation};
  };
  const auto open_keeper = [&]() -> Result<std::unique_ptr<Disk>> {
    Platter& platter = node.platters[ShardId{}];
    platter.sync_fails = false;
    return std::unique_ptr<Disk>(std::make_unique<SimDisk>(platter, watch_, random_));
  };
  auto placed = assemble_(*topology_, id, options, open_storage, open_keeper);
  DKV_ASSERT(placed.has_value());
  for (PlacedActor& one : *placed) {
    node.thread_of[one.address] = one.thread;
    node.threads[one.thread].actors.push_back(one.address);
    node.actors[one.address] = std::move(one.actor);
  }
  const Address router{id, Role::router, {}};
  deliver({router, router, TopologyChanged{topology_}});
  for (const auto& [name, thread] : node.threads) schedule_turn(id, name, now_);
}

void SimWorld::crash(NodeId id) {
  Node& node = nodes_.at(id);
  if (!node.up) return;
  node.up = false;
  node.crashes = now_ - node.started_at < kSteadyTime ? node.crashes + 1 : 0;
  ++node.generation;
  node.actors.clear();
  node.thread_of.clear();
  node.threads.clear();
  node.waiting.clear();
  for (auto& [shard, platter] : node.platters) {
    platter.take_back_names(now_);
    platter.crash(now_, random_);
  }
  std::erase_if(subscriptions_, [&](const auto& entry) { return entry.first.first.node == id; });
  mix(id.value);
}

void SimWorld::freeze(NodeId id, TimePoint until) { nodes_.at(id).frozen_until = until; }

void SimWorld::wipe(NodeId id) {
  wipe_members(id);
  nodes_.at(id).platters.clear();
}

void SimWorld::wipe_members(NodeId id) {
  Node& node = nodes_.at(id);
  DKV_ASSERT(!node.up);
  std::erase_if(node.platters, [](const auto& folder) { return folder.first != ShardId{}; });
  node.incarnations.clear();
  node.stores.clear();
}

void SimWorld::cut(NodeId from, NodeId to, bool is_cut) {
  is_cut ? static_cast<void>(cuts_.insert({from, to})) : static_cast<void>(cuts_.erase({from, to}));
}

void SimWorld::limit_disks(NodeId id, std::size_t room) {
  for (auto& [shard, platter] : nodes_.at(id).platters) platter.capacity = platter.size() + room;
}

void SimWorld::unlimit_disks(NodeId id) {
  for (auto& [shard, platter] : nodes_.at(id).platters) platter.capacity = SIZE_MAX;
}

void SimWorld::heal() {
  faults_ = {};
  cuts_.clear();
  delays_.clear();
  for (const auto& [id, node] : nodes_) unlimit_disks(id);
  start_all();
}

Actor* SimWorld::actor(const Address& address) {
  Node& node = nodes_.at(address.node);
  const auto found = node.actors.find(address);
  return found == node.actors.end() ? nullptr : found->second.get();
}

// ---- time

TimePoint SimWorld::local_time(const Node& node) const {
  const Duration since = now_ - node.clock_set;
  const auto ns = since.count();
  return node.clock_at + since +
         Duration{ns / 1'000'000 * node.clock_ppm + ns % 1'000'000 * node.clock_ppm / 1'000'000};
}

/// Not before its clock shows that.
TimePoint SimWorld::true_time(const Node& node, TimePoint local) const {
  if (local == kNever) return kNever;
  const Duration shown = local - node.clock_at;
  if (node.clock_ppm == 0) return node.clock_set + shown;
  const double since = static_cast<double>(shown.count()) / (1 + static_cast<double>(node.clock_ppm) / 1e6);
  return node.clock_set + Duration{static_cast<Duration::rep>(since) + 2};  // past what was rounded off
}

void SimWorld::set_clock(Node& node) {
  if (drift_ppm_ == 0) return;
  node.clock_set = now_;
  node.clock_at = TimePoint{} + random_.between(Duration{1s}, Duration{3600s});
  node.clock_ppm =
      static_cast<std::int64_t>(random_.below(2 * drift_ppm_ + 1)) - static_cast<std::int64_t>(drift_ppm_);
}

void SimWorld::at(TimePoint time, std::function<void()> what) {
  events_.push({std::max(time, now_), next_order_++, std::move(what)});
}

void SimWorld::run_until(TimePoint until) {
  while (!events_.empty() && events_.top().at <= until) {
    // The queue gives const access only; the event is taken out before it runs.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.at;
    event.what();
  }
  now_ = until;
}

// ---- turns

void SimWorld::deliver(Envelope envelope) {
  Node& node = nodes_.at(envelope.to.node);
  const auto thread = node.thread_of.find(envelope.to);
  if (thread == node.thread_of.end()) return;
  const NodeId id = envelope.to.node;
  node.threads.at(thread->second).inbox.push_back(std::move(envelope));
  schedule_turn(id, thread->second, now_);
}

void SimWorld::schedule_turn(NodeId id, const std::string& thread_name, TimePoint at) {
  Node& node = nodes_.at(id);
  Thread& thread = node.threads.at(thread_name);
  at = std::max({at, now_, thread.busy_until, node.frozen_until});
  if (thread.turn_at <= at) return;
  thread.turn_at = at;
  this->at(at, [this, id, thread_name, at, generation = node.generation] {
    Node& same = nodes_.at(id);
    if (same.generation != generation || same.threads.at(thread_name).turn_at != at) return;
    if (same.frozen_until > now_) {
      same.threads.at(thread_name).turn_at = kNever;
      return schedule_turn(id, thread_name, same.frozen_until);
    }
    take_turn(id, thread_name);
  });
}

void SimWorld::take_turn(NodeId id, const std::string& thread_name) {
  Node& node = nodes_.at(id);
  Thread& thread = node.threads.at(thread_name);
  thread.turn_at = kNever;
  watch_ = {now_, kTurnCost};
  const TimePoint local = local_time(node);
  Effects effects;
  std::vector<Address> touched;
  const auto touch = [&](const Address& address) {
    if (std::find(touched.begin(), touched.end(), address) == touched.end()) touched.push_back(address);
  };
  if (!std::exchange(thread.started, true)) {
    for (const Address& address : thread.actors) {
      touch(address);
      node.actors.at(address)->on_start(local, effects);
      carry_out(id, address, thread, effects);
    }
  }
  for (const Address& address : thread.actors) {
    Actor& actor = *node.actors.at(address);
    if (actor.wake_at() > local) continue;
    touch(address);
    actor.on_wake(local, effects);
    carry_out(id, address, thread, effects);
  }
  for (std::size_t i = 0; i < kBurst && !thread.inbox.empty(); ++i) {
    Envelope envelope = std::move(thread.inbox.front());
    thread.inbox.pop_front();
    trace(envelope);
    const Address to = envelope.to;
    touch(to);
    node.actors.at(to)->on_message(std::move(envelope), local, effects);
    carry_out(id, to, thread, effects);
  }
  for (const Address& address : touched) {
    node.actors.at(address)->on_turn_end(local, effects);
    carry_out(id, address, thread, effects);
  }
  thread.busy_until = now_ + watch_.spent;
  TimePoint next = thread.inbox.empty() ? kNever : thread.busy_until;
  for (const Address& address : thread.actors)
    next = std::min(next, true_time(node, node.actors.at(address)->wake_at()));
  if (next != kNever) schedule_turn(id, thread_name, next);
}

/// What a turn sends leaves when the turn is over: after what it waited for.
void SimWorld::carry_out(NodeId id, const Address& from, Thread& thread, Effects& effects) {
  Node& node = nodes_.at(id);
  const TimePoint leaves = now_ + watch_.spent;
  for (auto& [to, message] : effects.sends) {
    if (const auto* news = std::get_if<WatchNews>(&message)) {
      if (on_news_) on_news_(id, *news);
    } else if (to.role == Role::client) {
      auto& reply = std::get<ClientReply>(message);
      const auto waiting = node.waiting.find(reply.origin.connection);
      if (waiting == node.waiting.end()) continue;
      this->at(leaves, [this, id, generation = node.generation, done = std::move(waiting->second),
                        answer = std::move(reply.reply)] {
        if (nodes_.at(id).generation == generation) done(answer);
      });
      node.waiting.erase(waiting);
    } else if (to.node != id) {
      send_over_network(from, to, std::move(message));
    } else if (node.thread_of.contains(to) && &node.threads.at(node.thread_of.at(to)) == &thread) {
      thread.inbox.push_back({from, to, std::move(message)});
    } else {
      // In order: a later hand-over between the same two never overtakes. The queue keeps insertion order
      // for equal times, so the delay depends on the time alone.
      const TimePoint arrives = leaves + kHandOverMost;
      auto envelope = std::make_shared<Envelope>(Envelope{from, to, std::move(message)});
      this->at(arrives, [this, envelope, generation = node.generation] {
        if (nodes_.at(envelope->to.node).generation == generation) deliver(std::move(*envelope));
      });
    }
  }
  for (const FrameBytes& frame : effects.publications) publish(from, frame);
  for (const NodeId publisher : effects.subscriptions) {
    Subscription& subscription = subscriptions_[{from, publisher}];
    subscription.subscriber_generation = node.generation;
    connect_subscription({from, publisher}, subscription);
  }
  for (const Effects::LogLine& line : effects.lines) {
    if (line.level == LogLevel::info || alarms_.size() >= kMaxAlarms) continue;
    alarms_.push_back("node " + std::to_string(id.value) + ": " + line.text);
  }
  effects.clear();
}

// ---- network

template <class Deliver>
void SimWorld::through_network(NodeId from, NodeId to, bool may_duplicate, Deliver deliver_one) {
  if (cuts_.contains({from, to}) || random_.chance(faults_.drop_per_million)) return;
  const int copies = may_duplicate && random_.chance(faults_.duplicate_per_million) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Duration most = random_.chance(faults_.slow_per_million) ? faults_.slow_most : faults_.usual_most;
    const auto extra = delays_.find({from, to});
    const Duration later = extra == delays_.end() ? Duration{} : extra->second;
    const bool corrupt = faults_.corrupt_per_million > 0 && random_.chance(faults_.corrupt_per_million);
    this->at(now_ + watch_.spent + later + random_.between(Duration{50us}, most),
             [deliver_one, corrupt] { deliver_one(corrupt); });
  }
}

std::string SimWorld::with_flipped_bit(std::string bytes) {
  const std::uint64_t bit = random_.below(8 * bytes.size());
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

void SimWorld::send_over_network(const Address& from, const Address& to, Message message) {
  peer::Message sent{from.node, topology_->id, {}};
  std::visit(
      [&](auto& body) {
        if constexpr (std::is_constructible_v<peer::Body, decltype(body)>) {
          sent.body = std::move(body);
        } else {
          DKV_ASSERT(!"a message between nodes that has no encoding");
        }
      },
      message);
  const auto bytes = std::make_shared<const std::string>(peer::encode(sent));
  through_network(from.node, to.node, true, [this, from, to, bytes](bool corrupt) {
    auto received = peer::decode(corrupt ? with_flipped_bit(*bytes) : *bytes);
    DKV_ASSERT(received.has_value() != corrupt);
    if (corrupt) return;
    std::visit([&](auto& body) { deliver({from, to, std::move(body)}); }, received->body);
  });
}

void SimWorld::connect_subscription(const std::pair<Address, NodeId>& key, Subscription& subscription) {
  subscription.publisher_generation = nodes_.at(key.second).generation;
  // A slow joiner: what is published before is not sent.
  subscription.connected_at = now_ + random_.between(Duration{1ms}, Duration{300ms});
}

void SimWorld::publish(const Address& from, const FrameBytes& frame) {
  for (auto& [key, subscription] : subscriptions_) {
    if (key.second != from.node || key.first.shard != from.shard) continue;
    if (subscription.publisher_generation != nodes_.at(from.node).generation)
      connect_subscription(key, subscription);
    if (subscription.connected_at > now_) continue;
    const Address to = key.first;
    through_network(from.node, to.node, true,
                    [this, from, to, frame, generation = subscription.subscriber_generation](bool corrupt) {
                      if (nodes_.at(to.node).generation != generation) return;
                      auto bytes =
                          corrupt ? std::make_shared<const std::string>(with_flipped_bit(*frame)) : frame;
                      deliver({from, to, EventFrame{std::move(bytes)}});
                    });
  }
}

// ---- clients

void SimWorld::ask(NodeId id, rpc::Request request, Done done) {
  Node& node = nodes_.at(id);
  if (!node.up) return;
  Origin origin{0, std::to_string(next_connection_++)};
  node.waiting[origin.connection] = std::move(done);
  const Address router{id, Role::router, {}};
  deliver({{id, Role::client, {}}, router, ClientRequest{std::move(origin), std::move(request)}});
}

// ---- trace

void SimWorld::mix(std::uint64_t value) { trace_hash_ = Random(trace_hash_ ^ value).next(); }

void SimWorld::trace(const Envelope& envelope) {
  if (observer_) observer_(envelope);
  mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  mix(std::uint64_t{envelope.to.node.value} << 32 | envelope.to.shard.value);
  mix(std::uint64_t{static_cast<std::uint8_t>(envelope.to.role)} << 32 | envelope.message.index());
  if (const auto* frame = std::get_if<EventFrame>(&envelope.message)) {
    for (const char byte : frame->bytes->substr(8, 12)) mix(static_cast<unsigned char>(byte));
  }
}

}  // namespace dkv::sim
