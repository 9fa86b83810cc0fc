// distrikvd: runs one node of a cluster. README.md in this folder has the options, the signals and the
// exit codes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <malloc.h>
#include <memory>
#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/resource.h>
#include <time.h>

#include "gateway/node/node.hpp"
#include "gateway/standard_streams.hpp"
#include "messages/limits.hpp"
#include "topology/toml.hpp"

namespace dkv {
namespace {

constexpr int kClean = 0;
constexpr int kInternalFailure = 1;
constexpr int kUsage = 2;
constexpr int kNotOurs = 3;  // a port or data folder in use, of another node, not writable

/// How often a node looks whether it still has something to serve.
constexpr timespec kHealthInterval{1, 0};

struct Options {
  std::string topology;
  std::string node;
  std::string data;
  std::string log_level = "info";
  NodeOptions limits;
};

constexpr std::uint64_t kMiB = 1 << 20;

/// Before the first thread, so that all inherit it: signals are taken by sigtimedwait only.
sigset_t block_signals() {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return stops;
}

/// Connections and sockets are descriptors: take as many as we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// Large values go back to the system when they are freed. Left to itself glibc raises this threshold with
/// the first large block and then keeps what the threads have freed: 60 answers of 16 MiB held 750 MB.
void give_large_blocks_back() {
  constexpr int kLargeBlockBytes = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
}

void set_up_logging(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("distrikvd");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

/// One line per event, whatever the text holds.
void log_line(LogLevel level, std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  switch (level) {
    case LogLevel::info:
      return spdlog::info("{}", line);
    case LogLevel::warning:
      return spdlog::warn("{}", line);
    case LogLevel::error:
      return spdlog::error("{}", line);
  }
}

std::string names_of(const std::vector<NodeInfo>& nodes) {
  std::string names;
  for (const NodeInfo& node : nodes) names += (names.empty() ? "" : ", ") + node.name;
  return names;
}

int exit_code(const Node::Failure& failure) {
  if (failure.of_data_folder || failure.error.code == Errc::in_use) return kNotOurs;
  // An address that is not of this machine.
  return failure.error.code == Errc::bad_request ? kUsage : kInternalFailure;
}

/// Until a signal, or until nothing is left to serve.
int wait_for_end(Node& node, const sigset_t& stops) {
  for (;;) {
    const int number = sigtimedwait(&stops, nullptr, &kHealthInterval);
    if (number > 0) {
      log_line(LogLevel::info, std::string("stopping on ") + (number == SIGTERM ? "SIGTERM" : "SIGINT"));
      return kClean;
    }
    if (errno == EAGAIN && node.has_failed()) {
      log_line(LogLevel::error, "every copy on this node has failed, see above; ending");
      return kInternalFailure;
    }
  }
}

int run(const Options& options) {
  give_large_blocks_back();
  const sigset_t stops = block_signals();
  raise_descriptor_limit();
  set_up_logging(options.log_level);
  auto topology = load_topology(options.topology);
  if (!topology) {
    log_line(LogLevel::error, topology.error().message);
    return kUsage;
  }
  if (topology->find_node(options.node) == nullptr) {
    log_line(LogLevel::error,
             options.topology + " has no node '" + options.node + "'; it has " + names_of(topology->nodes));
    return kUsage;
  }
  Node::Failure failure;
  auto node = Node::start({std::make_shared<const Topology>(std::move(*topology)), options.node, options.data,
                           options.limits, log_line},
                          failure);
  if (node == nullptr) {
    log_line(LogLevel::error, failure.error.message);
    return exit_code(failure);
  }
  log_line(LogLevel::info, "ready: " + node->description());
  const int code = wait_for_end(*node, stops);
  node.reset();
  log_line(LogLevel::info, "stopped");
  return code;
}

template <class Bytes>
void add_limit(CLI::App& app, const char* name, Bytes& value, std::uint64_t least, std::uint64_t most,
               const std::string& what) {
  app.add_option(name, value, what)
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(least, most))
      ->option_text("SIZE=" + std::to_string(value / kMiB) + "MiB")
      ->group("Limits, of each shard copy on this node (SIZE in bytes, or with KiB, MiB, GiB)");
}

void add_limits(CLI::App& app, NodeOptions& limits) {
  constexpr std::uint64_t kMost = kMiB << 20;
  add_limit(app, "--memtable", limits.copy.freeze_bytes, kMiB, kMost,
            "records gather in memory up to this size; then they go to the store in one checkpoint");
  add_limit(app, "--memtable-log", limits.copy.freeze_log_bytes, kMiB, kMost,
            "... or when their log has this size: what a restart has to read again");
  add_limit(app, "--memtable-max", limits.copy.max_bytes, kMiB, kMost,
            "when a checkpoint takes long: past this, writes are refused as overloaded");
  add_limit(app, "--log-segment", limits.log_segment_bytes, kMiB, kMiB << 10, "size of one log file");
  add_limit(app, "--log-retain", limits.log_retain_bytes, 0, kMost,
            "log kept for replicas that were away, beyond what a restart needs");
  add_limit(app, "--in-flight", limits.shard.max_in_flight_bytes, kMiB, kMiB << 10,
            "writes on their way to disk; past this, more are refused as overloaded");
  add_limit(app, "--owed-replies", limits.shard.max_owed_bytes, kMiB, kMost,
            "replies waiting to leave; past this, requests are refused as overloaded");
  add_limit(app, "--max-value", limits.shard.max_value_bytes, 1, kMaxValueBytes, "size of a value");
}

/// What is wrong with limits that are each right, or nothing.
std::string contradiction(const NodeOptions& limits) {
  if (limits.copy.max_bytes < limits.copy.freeze_bytes) return "--memtable-max is less than --memtable";
  if (limits.shard.max_in_flight_bytes < limits.shard.max_value_bytes)
    return "--in-flight is less than --max-value: the largest values could never be written";
  return {};
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("--topology", options.topology, "The cluster's topology file (TOML)")->required();
  app.add_option("--node", options.node, "Which of its nodes to run")->required();
  app.add_option("--data", options.data, "The node's data folder; made if it is missing")
      ->required()
      ->check([](const std::string& folder) { return folder.empty() ? "must name a folder" : ""; });
  app.add_option("--log-level", options.log_level, "The least that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  add_limits(app, options.limits);
  app.set_version_flag("--version", "distrikvd " DKV_VERSION);
  app.footer("Exit codes: 0 clean, 1 internal failure, 2 usage or topology file, 3 port or data folder.");
}

}  // namespace
}  // namespace dkv

int main(int argc, char** argv) {
  dkv::keep_standard_streams();
  dkv::Options options;
  CLI::App app("Runs one node of a distri-kv cluster.", "distrikvd");
  dkv::add_options(app, options);
  try {
    app.parse(argc, argv);
    if (const auto wrong = dkv::contradiction(options.limits); !wrong.empty())
      throw CLI::ValidationError(wrong);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? dkv::kClean : dkv::kUsage;
  }
  try {
    return dkv::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "distrikvd failed: %s\n", error.what());
    return dkv::kInternalFailure;
  }
}
