// A simulated cluster that heals itself, with clients, and with all that must hold in one: what clients are
// told is linearizable, no two members of a shard hold a lease at once, epochs never go back, what a replica
// shows is what was committed, and when all is healed everything converges. Faults are whoever drives it to
// cause: at random (failover_run) or by a script (failover_scenarios).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/linearizability/history.hpp"
#include "tests/sim/prefix_check.hpp"
#include "tests/sim/repeaters.hpp"
#include "tests/sim/replica_reads.hpp"
#include "tests/sim/scanners.hpp"
#include "tests/sim/sim_world.hpp"
#include "tests/sim/watchers.hpp"

namespace dkv::sim {

/// By how much a node's clock may run fast or slow in these simulations, and what the product is good for:
/// two clocks drift apart by twice this.
inline constexpr std::uint64_t kDriftBoundPpm = 10'000;

struct FailoverResult {
  std::uint64_t trace_hash = 0;
  std::uint64_t acknowledged_writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t replica_reads = 0;
  std::uint64_t atomic_batches = 0;  // done
  std::uint64_t conditions_held = 0;
  std::uint64_t conditions_failed = 0;
  std::uint64_t unknown_outcomes = 0;
  std::uint64_t refused_for_room = 0;  // writes, while a disk was full
  std::uint64_t faults = 0;
  std::uint64_t epochs = 0;         // begun
  std::uint64_t take_overs = 0;     // of them, by another node
  std::uint64_t hand_overs = 0;     // asked for by an operator, and done
  std::uint64_t wiped = 0;          // nodes that lost their folders
  std::uint64_t copies = 0;         // of whole shards, begun by a replica
  std::uint64_t watched = 0;        // events that watchers were told of
  std::uint64_t resumed = 0;        // watches
  std::uint64_t gaps = 0;           // that watchers were told of
  std::uint64_t named_writes = 0;   // by repeaters
  std::uint64_t repeated = 0;       // their attempts beyond the first
  std::uint64_t session_reads = 0;  // answered
  std::uint64_t pages = 0;          // of linearizable scans
  std::uint64_t replica_pages = 0;
  std::uint64_t scans = 0;            // to their end
  std::uint64_t scans_continued = 0;  // of them, at another primary
  std::vector<std::string> violations;
};

class FailoverCluster {
 public:
  FailoverCluster(std::uint64_t seed, TopologyPtr topology, const NodeOptions& options);

  SimWorld& world() { return world_; }
  Random& random() { return world_.random(); }
  const FailoverResult& result() const { return result_; }
  FailoverResult& result() { return result_; }
  void violated(std::string what);
  void run_for(Duration time) { world_.run_until(world_.now() + time); }
  /// Until `what` holds, looking every millisecond; a violation when it does not within `most`.
  void run_until(const std::string& what, Duration most, const std::function<bool()>& holds);

  // Who has which part.

  MemberActor* member(NodeId node, ShardId shard);
  /// The member of that shard which holds a lease, or zero.
  NodeId leader(ShardId shard);
  /// The newest that any member knows.
  TopologyPtr newest();
  const ShardInfo& newest_of(ShardId shard) { return *newest()->find_shard(shard); }

  // Clients: each asks one thing after the other until `until`.

  void start_clients(std::size_t clients, std::size_t keys, TimePoint until);
  /// Clients who watch, until the end.
  void start_watchers(std::size_t watchers, std::uint64_t seed);
  /// Clients who send their writes until they are answered, until then.
  void start_repeaters(std::size_t repeaters, std::uint64_t seed, TimePoint until);
  /// Clients who scan what start_clients()'s write, until then.
  void start_scanners(std::size_t scanners, std::uint64_t seed, TimePoint until);
  /// One operation at one node, whose outcome counts as any client's.
  void put(NodeId node, const std::string& key, const std::string& value);
  void get(NodeId node, const std::string& key);

  // What an operator does.

  void hand_over(ShardId shard, NodeId from, NodeId to);
  void force_promotion(ShardId shard, NodeId node);
  /// The last answer to either.
  const std::optional<ControlReport>& report() const { return report_; }
  /// From now on what was acknowledged may be lost, for an operator said so.
  void expect_losses(ShardId shard) { lossy_.insert(shard); }

  void set_cut(NodeId a, NodeId b, bool there, bool back, bool is_cut);
  /// To and from every other node.
  void cut_off(NodeId node, bool is_cut);

  /// Heals all, lets it come to rest, and judges everything. Once.
  void finish(Duration rest = 16s);

 private:
  void watch(const Envelope& envelope);
  void check_leases();
  void check_prefixes();
  void note_epoch(ShardId shard, NodeId node, Epoch epoch);
  void schedule_client(std::size_t client);
  void act(std::size_t client);
  void ask(std::size_t client, const Operation& operation, std::optional<NodeId> at = std::nullopt);
  std::string new_value();
  Operation conditional(const std::string& key, const std::string& value);
  void note(std::size_t place, ShardId shard, const OperationResult& result);
  void note_weak_read(const std::string& reader, const std::string& key, const OperationResult& result);
  void read_at_replica(std::size_t client, const std::string& key);
  void write_pair(std::size_t client);
  void read_pair(std::size_t client);
  std::vector<std::string> all_keys() const;
  void note_scanned(std::size_t client, const std::string& key, const OperationResult& result,
                    TimePoint asked);
  void put_for_a_while(std::size_t client, const std::string& key);
  void note_late_read(const linear::Operation& read);
  void add_expiries();
  void guess_again(ShardId shard);
  void read_in_the_end(const std::string& key);
  void check_final_state();
  void judge_watchers();
  void judge_repeaters();
  void count_scans();
  void check_replica(NodeId node, ReplicaActor& replica, ShardActor& primary, NodeId leader,
                     const std::string& name);
  void check_alarms();
  void judge_history();
  std::string status_of(NodeId node, Actor& member);
  const ShardInfo& shard_of(const std::string& key) const;
  bool is_weak(ShardId shard) const;
  linear::Time time() const { return world_.now().time_since_epoch(); }

  SimWorld world_;
  linear::History history_;
  ReplicaReads weak_reads_;
  PrefixCheck prefixes_;
  std::unique_ptr<Watchers> watchers_;
  std::unique_ptr<Repeaters> repeaters_;
  std::unique_ptr<Scanners> scanners_;
  FailoverResult result_;
  std::map<std::string, Position> told_;  // the version of each key that any client was told last
  std::map<std::size_t, Duration> ttls_;  // of puts, by their place in the history
  std::map<std::string, linear::Time>
      over_by_;                      // when no value of a key that lived for a while may be read any more
  std::map<ShardId, NodeId> guess_;  // all clients': where its primary is
  std::map<ShardId, std::pair<Epoch, NodeId>> led_;
  std::set<ShardId> lossy_;
  std::optional<ControlReport> report_;
  std::size_t keys_ = 10;  // that are looked at in the end
  TimePoint clients_end_{};
  std::uint64_t written_ = 0;
  std::uint64_t requests_ = 0;
};

/// Nodes with that many as keepers, beginning at `first_keeper`; no shards yet.
std::shared_ptr<Topology> simulated_nodes(std::uint64_t id, std::size_t nodes, std::size_t first_keeper,
                                          std::size_t keepers);

}  // namespace dkv::sim
