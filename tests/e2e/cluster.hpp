// A real cluster for a test: the nodes of topology/india.toml, or a smaller one, as processes, on a loopback
// network of the test's own (127.x.y.0/24), so that tests may run side by side and beside a user's cluster.
// Data and logs are in a temporary folder. A failed test prints the ends of the logs. namespaces.hpp has one
// whose links can be cut.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/http_client.hpp"
#include "tests/e2e/process.hpp"

namespace dkv::e2e {

/// The programs under test.
std::string program(const std::string& name);

/// Nodes of india.toml: the primaries, and all.
inline const std::vector<std::string> kCities = {"delhi", "mumbai", "hyderabad", "chennai"};
std::vector<std::string> all_nodes();

/// "127.x.y.": a network of this process's own, another one at each call. Made from the process id, so
/// that neighbouring processes share none; 127.0 is left to users.
std::string next_network();

/// What a test's choices follow from: DISTRIKV_SEED of the environment, or else by chance.
std::uint64_t chosen_seed();

/// How long a node may take to become ready before a test calls it broken: far beyond what it needs.
inline constexpr auto kReadyTimeout = 30s;

/// What a cluster is made of: its topology file's text, and each node's address in it.
struct Layout {
  std::string topology;
  std::map<std::string, std::string> hosts;
};

/// The four cities of india.toml.
Layout india();
/// One shard, delhi, on the nodes delhi and delhi-replica, and a third node, witness, which is the only
/// keeper and is left alone: so either of the two may die.
Layout city();
inline const std::vector<std::string> kCity = {"delhi", "delhi-replica", "witness"};

class Cluster {
 public:
  /// Writes the topology file; starts nothing.
  explicit Cluster(Layout layout = india());
  virtual ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// In the topology file, before anything is started: `key = "value"` for a shard.
  void set_shard_key(const std::string& shard, const std::string& line);

  /// Starts nodes without waiting.
  void start(const std::vector<std::string>& nodes);
  /// Waits until /readyz answers 200 on all of them. False after kReadyTimeout, or when one has ended.
  bool wait_until_ready(const std::vector<std::string>& nodes);
  bool start_and_wait(const std::vector<std::string>& nodes);
  /// Waits until a replica that is ready has all that its primary has by then, committed and on its own disk.
  bool wait_until_level(const std::string& primary, const std::string& replica,
                        const std::string& shard) const;
  /// kill -9.
  void kill(const std::string& node);
  /// SIGTERM; the exit code, -1 when it did not end within 10 s (then it is killed).
  int stop(const std::string& node);
  bool is_running(const std::string& node);
  /// SIGSTOP: returns once the node stands still. Its connections stay open, and its kernel takes bytes.
  void freeze(const std::string& node) { processes_.at(node).freeze(); }
  /// SIGCONT.
  void thaw(const std::string& node) { processes_.at(node).thaw(); }
  Process& process(const std::string& node) { return processes_.at(node); }

  /// Empties the data folder of a node that does not run.
  void wipe(const std::string& node);

  std::filesystem::path topology_file() const { return folder_.path() / "topology.toml"; }
  std::filesystem::path data(const std::string& node) const { return folder_.path() / node / "data"; }
  std::filesystem::path log(const std::string& node) const { return folder_.path() / node / "log"; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  /// What runs a node by hand, for tests that change one argument.
  std::vector<std::string> command(const std::string& node) const;
  /// Given to every node that is started from now on.
  void set_options(std::vector<std::string> options) { options_ = std::move(options); }

  std::string http(const std::string& node) const { return endpoint(node, 8080); }
  std::string rpc(const std::string& node) const { return endpoint(node, 7001); }
  std::string events(const std::string& node) const { return endpoint(node, 7002); }
  std::string peer(const std::string& node) const { return endpoint(node, 7003); }
  std::string watch(const std::string& node) const { return endpoint(node, 7004); }

  /// /v1/status of a node, of its first local shard copy, and of its copy of `shard`. Throws when it does
  /// not answer.
  nlohmann::json status(const std::string& node) const;
  nlohmann::json member_status(const std::string& node) const;
  nlohmann::json member_status(const std::string& node, const std::string& shard) const;
  /// The shard's primary, once one serves; the test ends with an exception when none does in time.
  std::string wait_for_primary(const std::string& shard);

 protected:
  /// What a node's program is started through: stands before it on the command line.
  virtual std::vector<std::string> launcher(const std::string&) const { return {}; }
  /// kill -9 for all, for destructors that take away what nodes run in.
  void end_all() { processes_.clear(); }

 private:
  std::string endpoint(const std::string& node, int port) const;

  TemporaryFolder folder_;
  std::map<std::string, std::string> hosts_;
  std::vector<std::string> options_;
  std::map<std::string, Process> processes_;
};

/// A key of the shard `shard`: `prefix` and the first number that fits, found by asking `endpoint`.
std::string key_of_shard(const std::string& endpoint, const std::string& shard, const std::string& prefix);

}  // namespace dkv::e2e
