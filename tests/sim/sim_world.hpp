// SimWorld: a whole cluster on one thread, from one seed. Virtual time; a network that delays, drops,
// doubles, reorders and partitions; disks that lose what was not synced; nodes that crash, freeze and
// restart. It runs the same actors as ZmqWorld, by the same rules: threads that take turns, messages
// within a node in order and never lost, everything between nodes encoded and at the network's mercy.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "actors/assembly.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/store.hpp"

namespace dkv::sim {

struct NetworkFaults {
  std::uint64_t drop_per_million = 0;
  std::uint64_t duplicate_per_million = 0;
  std::uint64_t slow_per_million = 0;     // delayed by up to slow_most instead of usual_most
  std::uint64_t corrupt_per_million = 0;  // one bit of it is flipped
  Duration usual_most = 1ms;
  Duration slow_most = 700ms;  // beyond every time-out that asks again
};

/// Of a reply to a single operation.
OperationResult single_result(const rpc::Reply& reply);

class SimWorld {
 public:
  /// Which actors make a node: assemble_node, or what a test wants instead.
  using Assemble = std::function<Result<std::vector<PlacedActor>>(
      const Topology& topology, NodeId node, const NodeOptions& options, const OpenStorage& open_storage,
      const OpenKeeper& open_keeper)>;

  SimWorld(std::uint64_t seed, TopologyPtr topology, NodeOptions options, Assemble assemble = assemble_node);

  /// Starts every node that is down.
  void start_all();
  void start(NodeId node);
  /// Ends a node's process as kill -9 and power loss together do. Its folders stay.
  void crash(NodeId node);
  /// Nothing runs on the node until `until`; what arrives waits.
  void freeze(NodeId node, TimePoint until);
  /// Empties a stopped node's folders.
  void wipe(NodeId node);
  /// The same, but its keeper's folder stays.
  void wipe_members(NodeId node);
  /// From each process's start on, the node's clock shows a time of its own, and runs faster or slower than
  /// true time by at most this much.
  void set_clock_drift(std::uint64_t most_ppm) { drift_ppm_ = most_ppm; }
  /// What passes from one to the other takes so much longer.
  void delay(NodeId from, NodeId to, Duration extra) { delays_[{from, to}] = extra; }
  /// Nothing passes from one to the other (one way) while cut.
  void cut(NodeId from, NodeId to, bool is_cut);
  void set_faults(const NetworkFaults& faults) { faults_ = faults; }
  /// Each of the node's folders takes only so many bytes more.
  void limit_disks(NodeId node, std::size_t room);
  /// There is as much room as anybody wants.
  void unlimit_disks(NodeId node);
  /// From now on a sync of that member's log takes so much longer.
  void stall_disk(NodeId node, ShardId shard, Duration longer) {
    nodes_.at(node).platters[shard].sync_stalls = longer;
  }
  /// Until its next start, syncs of its keeper fail.
  void break_keeper_disk(NodeId node) { nodes_.at(node).platters[ShardId{}].sync_fails = true; }
  /// What a checkpoint takes for each of its records, from now on.
  void slow_stores(Duration record_cost) { store_record_cost_ = record_cost; }
  /// Ends all faults, and starts every node that is down.
  void heal();

  bool is_up(NodeId node) const { return nodes_.at(node).up; }
  TimePoint now() const { return now_; }
  /// What the node's clock shows.
  TimePoint now_at(NodeId node) const { return local_time(nodes_.at(node)); }
  bool is_frozen(NodeId node) const { return nodes_.at(node).frozen_until > now_; }
  /// Different in every process of the node.
  std::uint64_t generation(NodeId node) const { return nodes_.at(node).generation; }
  Random& random() { return random_; }
  const Topology& topology() const { return *topology_; }

  /// Runs everything that is due up to `until`.
  void run_until(TimePoint until);
  /// Calls back at a time.
  void at(TimePoint time, std::function<void()> what);

  /// Gives a request to a node's router. `done` is called with the reply, or never if the node ends first.
  using Done = std::function<void(rpc::Reply)>;
  void ask(NodeId node, rpc::Request request, Done done);

  /// As if an actor on the same node said it.
  void tell(const Address& from, const Address& to, Message message) {
    deliver({from, to, std::move(message)});
  }

  /// The actor at an address, or nullptr when its node is down.
  Actor* actor(const Address& address);

  /// Calls back with what watches are told, on which node.
  using Watcher = std::function<void(NodeId, const WatchNews&)>;
  void on_news(Watcher watcher) { on_news_ = std::move(watcher); }

  /// Calls back with every message, before its actor gets it.
  using Observer = std::function<void(const Envelope&)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  /// A hash over all that was delivered, when and to whom: equal for equal seeds.
  std::uint64_t trace_hash() const { return trace_hash_; }
  /// Warnings and errors that actors logged, oldest first (bounded).
  const std::deque<std::string>& alarms() const { return alarms_; }

 private:
  struct Thread {
    std::vector<Address> actors;
    std::deque<Envelope> inbox;
    TimePoint busy_until{};
    TimePoint turn_at = kNever;  // a turn is due then
    bool started = false;
  };
  struct Node {
    bool up = false;
    std::uint64_t generation = 0;  // of the process
    TimePoint started_at{};
    std::uint64_t crashes = 0;  // of processes in a row that did not last
    TimePoint frozen_until{};
    // Its clock, since `clock_set` in true time.
    TimePoint clock_set{};
    TimePoint clock_at{};
    std::int64_t clock_ppm = 0;
    std::map<Address, std::unique_ptr<Actor>> actors;
    std::map<Address, std::string> thread_of;
    std::map<std::string, Thread> threads;
    std::map<ShardId, Platter> platters;  // of shard 0: its keeper's
    std::map<ShardId, std::shared_ptr<SimStore>> stores;
    std::map<ShardId, std::uint64_t> incarnations;  // of members' folders
    std::map<std::string, Done> waiting;            // by connection
  };
  /// A member's subscription to a publisher: effective once connected, anew after the publisher restarts.
  struct Subscription {
    TimePoint connected_at{};
    std::uint64_t publisher_generation = 0;
    std::uint64_t subscriber_generation = 0;
  };
  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator>(const Event& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };

  TimePoint local_time(const Node& node) const;
  TimePoint true_time(const Node& node, TimePoint local) const;
  void set_clock(Node& node);
  void deliver(Envelope envelope);
  void schedule_turn(NodeId node, const std::string& thread_name, TimePoint at);
  void take_turn(NodeId node, const std::string& thread_name);
  void carry_out(NodeId node, const Address& from, Thread& thread, Effects& effects);
  void send_over_network(const Address& from, const Address& to, Message message);
  void publish(const Address& from, const FrameBytes& frame);
  /// `deliver` is called with whether a bit of it is to be flipped.
  template <class Deliver>
  void through_network(NodeId from, NodeId to, bool may_duplicate, Deliver deliver);
  std::string with_flipped_bit(std::string bytes);
  void connect_subscription(const std::pair<Address, NodeId>& key, Subscription& subscription);
  void trace(const Envelope& envelope);
  void mix(std::uint64_t value);

  Random random_;
  TopologyPtr topology_;
  NodeOptions options_;
  Assemble assemble_;
  NetworkFaults faults_;
  std::uint64_t drift_ppm_ = 0;
  std::map<std::pair<NodeId, NodeId>, Duration> delays_;
  TimePoint now_{};
  Stopwatch watch_;
  Duration store_record_cost_{};
  std::map<NodeId, Node> nodes_;
  std::map<std::pair<Address, NodeId>, Subscription> subscriptions_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t next_order_ = 0;
  std::uint64_t next_connection_ = 1;
  std::uint64_t trace_hash_ = 0;
  std::deque<std::string> alarms_;
  Observer observer_;
  Watcher on_news_;
};

}  // namespace dkv::sim
