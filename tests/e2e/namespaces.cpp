#include "tests/e2e/namespaces.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <regex>
#include <sched.h>
#include <set>
#include <sstream>
#include <system_error>
#include <unistd.h>

namespace dkv::e2e {
namespace {

constexpr int kRefused = 3;  // scripts/namespaces' exit code where namespaces are not permitted
const std::filesystem::path kNamespaces = "/run/netns";

// The prefixes of processes that are no more.
std::set<std::string> dead_prefixes() {
  static const std::regex ours("(dkvtest([0-9]+)n[0-9]+)-.*");
  std::set<std::string> dead;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(kNamespaces, none)) {
    const std::string name = entry.path().filename();
    std::smatch parts;
    if (std::regex_match(name, parts, ours) && is_gone(std::stoi(parts[2]))) dead.insert(parts[1]);
  }
  return dead;
}

// Nodes and their addresses, from what the command line makes of the file.
Layout layout_of(const std::filesystem::path& topology) {
  const Finished shown =
      run({program("distrikv"), "topology", "show", "--plain", "--topology", topology.string()});
  if (shown.code != 0) throw std::runtime_error(shown.err);
  Layout layout = {read_file(topology), {}};
  std::istringstream lines(shown.out);
  std::string node, http;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream(line) >> node >> http;
    layout.hosts[node] = http.substr(0, http.rfind(':'));
  }
  return layout;
}

}  // namespace

NamespaceFile::NamespaceFile(const std::filesystem::path& path)
    : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), path.string());
}

NamespaceFile::~NamespaceFile() { ::close(fd_); }

bool NamespaceFile::enter() const { return ::setns(fd_, CLONE_NEWNET) == 0; }

Finished namespaces_script(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {DKV_SOURCE "/scripts/namespaces"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command,
             {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 120s});
}

std::string next_prefix() {
  for (const std::string& prefix : dead_prefixes()) namespaces_script({"down", "--prefix", prefix});
  static int count = 0;
  return "dkvtest" + std::to_string(::getpid()) + "n" + std::to_string(count++);
}

NodeNetwork::NodeNetwork(const std::filesystem::path& topology_file) : prefix_(next_prefix()) {
  const Finished up = namespaces_script(
      {"up", "--no-build", "--network-only", "--prefix", prefix_, "--topology", topology_file.string()});
  if (up.code == kRefused) throw NamespacesRefused(up.err);
  if (up.code != 0) throw std::runtime_error(up.out + up.err);
}

NodeNetwork::~NodeNetwork() {
  const Finished down = namespaces_script({"down", "--prefix", prefix_});
  if (down.code != 0) std::fprintf(stderr, "%s%s", down.out.c_str(), down.err.c_str());
}

void NodeNetwork::change(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"--prefix", prefix_});
  const Finished done = namespaces_script(arguments);
  if (done.code != 0) throw std::runtime_error(done.out + done.err);
}

InsideNamespace::InsideNamespace(const std::string& name) : home_("/proc/thread-self/ns/net") {
  const NamespaceFile there(kNamespaces / name);
  if (!there.enter()) throw std::system_error(errno, std::generic_category(), "setns " + name);
}

InsideNamespace::~InsideNamespace() {
  if (!home_.enter()) std::perror("setns, on the way back");
}

NamespaceCluster::NamespaceCluster(const std::filesystem::path& topology)
    : Cluster(layout_of(topology)), network_(topology_file()), client_(network_.namespace_of(kClient)) {}

NamespaceCluster::~NamespaceCluster() { end_all(); }

std::vector<std::string> NamespaceCluster::launcher(const std::string& node) const {
  return {"ip", "netns", "exec", network_.namespace_of(node)};
}

}  // namespace dkv::e2e
