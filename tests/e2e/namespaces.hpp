// A cluster for a test whose links can be cut, one way or both: each node in a network namespace of its own
// (scripts/namespaces, which takes root), with names that are this process's own, so that tests may run side
// by side. The test's thread is in the client's namespace meanwhile: what it connects to, and what it starts,
// reaches the nodes.
//
// A test that is killed leaves no node behind, as they die with it, but its namespaces: the next one that is
// made removes them.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {

/// This machine or this user may not make namespaces, and why: a reason to skip a test.
class NamespacesRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// scripts/namespaces, with the programs under test.
Finished namespaces_script(const std::vector<std::string>& arguments);

/// A prefix for namespaces of this process's own, another one at each call. Removes those of processes that
/// are no more.
std::string next_prefix();

/// The namespaces of a topology, without nodes. Removed by the destructor, when nothing runs in them any
/// more.
class NodeNetwork {
 public:
  /// Errors: NamespacesRefused; anything else that goes wrong is a runtime_error.
  explicit NodeNetwork(const std::filesystem::path& topology_file);
  ~NodeNetwork();
  NodeNetwork(const NodeNetwork&) = delete;
  NodeNetwork& operator=(const NodeNetwork&) = delete;

  std::string namespace_of(const std::string& station) const { return prefix_ + "-" + station; }
  /// `arguments` of scripts/namespaces, about this network. Throws when it fails.
  void change(std::vector<std::string> arguments) const;

 private:
  std::string prefix_;
};

/// An open network namespace.
class NamespaceFile {
 public:
  /// Throws when there is none at `path`.
  explicit NamespaceFile(const std::filesystem::path& path);
  ~NamespaceFile();
  NamespaceFile(const NamespaceFile&) = delete;
  NamespaceFile& operator=(const NamespaceFile&) = delete;
  /// The calling thread's sockets, from now on, are in there. False, and errno: it may not.
  bool enter() const;

 private:
  int fd_;
};

/// While it lives, its thread, and what that starts, is in another network namespace. To be destroyed by the
/// thread that made it.
class InsideNamespace {
 public:
  explicit InsideNamespace(const std::string& name);
  ~InsideNamespace();
  InsideNamespace(const InsideNamespace&) = delete;
  InsideNamespace& operator=(const InsideNamespace&) = delete;

 private:
  NamespaceFile home_;
};

inline constexpr std::string_view kFiveNodes = DKV_SOURCE "/topology/namespaces.toml";

class NamespaceCluster final : public Cluster {
 public:
  /// Of a topology file whose addresses scripts/namespaces takes. Makes the network; starts no nodes.
  /// Errors: NamespacesRefused.
  explicit NamespaceCluster(const std::filesystem::path& topology = kFiveNodes);
  ~NamespaceCluster() override;

  /// The client's end of links, and the other ends of all of a node's links.
  static constexpr const char* kClient = "client";
  static constexpr const char* kAll = "all";

  /// From the return on nothing passes between `a` and `b`; neither side is told. Names of nodes, or kClient;
  /// `b` may be kAll.
  void cut(const std::string& a, const std::string& b) { network_.change({"cut", a, b}); }
  /// Only what `from` sends is lost.
  void cut_one_way(const std::string& from, const std::string& to) {
    network_.change({"cut", "--one-way", from, to});
  }
  /// Mends both ways. What TCP still has to send it sends again, after up to twice the time that the cut
  /// lasted.
  void heal(const std::string& a, const std::string& b) { network_.change({"heal", a, b}); }
  void heal_all() { network_.change({"heal"}); }

  /// Calls `ask` from inside a node's namespace: for one that is cut off from the client.
  template <class Ask>
  auto from_inside(const std::string& node, Ask ask) const {
    const InsideNamespace inside(network_.namespace_of(node));
    return ask();
  }

 protected:
  std::vector<std::string> launcher(const std::string& node) const override;

 private:
  NodeNetwork network_;
  InsideNamespace client_;
};

}  // namespace dkv::e2e
