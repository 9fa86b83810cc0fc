// `distrikv-load`: writes random pairs through all nodes of a cluster, reads every key back, compares, and
// says how fast that went. Behind scripts/load-test.
#include <CLI/CLI.hpp>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <unistd.h>

#include "tests/bench/load_run.hpp"
#include "topology/toml.hpp"

namespace dkv::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kAllRight = 0;
constexpr int kLost = 1;
constexpr int kUsage = 2;
constexpr int kUnreachable = 3;
constexpr std::size_t kShownLosses = 10;

/// What the comparison found.
struct Verdict {
  std::vector<std::string> losses;  // acknowledged, and missing or wrong
  std::size_t wrong_unknown = 0;    // never acknowledged, and yet other bytes than were sent
  std::size_t unread = 0;           // acknowledged, but no answer to the read
  std::size_t verified = 0;
};

/// Shows the progress of a phase while it runs: in place on a terminal, else a line now and then.
class Progress {
 public:
  Progress(const char* name, std::size_t total, bool quiet) {
    if (!quiet) thread_ = std::thread([this, name, total] { run(name, total); });
  }
  ~Progress() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<std::size_t> count = 0;

 private:
  void run(const char* name, std::size_t total) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const auto interval = terminal ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000);
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, interval, [this] { return done_; })) {
      std::fprintf(stderr, terminal ? "\r%s %zu of %zu " : "%s %zu of %zu\n", name, count.load(), total);
    }
    if (terminal) std::fprintf(stderr, "\r\033[K");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

PhaseResult run_phase(const LoadOptions& options, const Topology& topology, Phase phase, Plan& plan) {
  Progress progress(phase == Phase::sets ? "sets" : "gets", plan.pairs(), options.json);
  const auto run = options.zmq ? run_zmq : run_http;
  return run(options, topology, phase, plan, progress.count);
}

Verdict compare(const Plan& plan) {
  Verdict verdict;
  for (std::size_t i = 0; i < plan.pairs(); ++i) {
    const Read read = plan.read_of(i);
    if (plan.write_of(i) != Write::acknowledged) {
      if (read == Read::wrong) ++verdict.wrong_unknown;
    } else if (read == Read::right) {
      ++verdict.verified;
    } else if (read == Read::missing || read == Read::wrong) {
      verdict.losses.push_back(plan.key(i) +
                               (read == Read::missing ? ": missing" : ": other bytes than written"));
    } else {
      ++verdict.unread;
    }
  }
  return verdict;
}

double rate_of(const PhaseResult& phase) {
  return phase.seconds > 0 ? static_cast<double>(phase.tally.answered) / phase.seconds : 0;
}

void print_phase(const char* name, PhaseResult& phase) {
  Tally& tally = phase.tally;
  const auto ms = [&](double share) { return tally.percentile_us(share) / 1000.0; };
  std::printf("%-6s %10.0f %10.2f %10.2f %10.2f %10llu %10llu\n", name, rate_of(phase), ms(0.5), ms(0.99),
              ms(0.999), static_cast<unsigned long long>(tally.failed),
              static_cast<unsigned long long>(tally.unknown));
  if (!tally.problem.empty()) std::printf("       first problem: %s\n", tally.problem.c_str());
}

Json json_of(PhaseResult& phase) {
  Tally& tally = phase.tally;
  return {{"ops_per_second", rate_of(phase)},
          {"seconds", phase.seconds},
          {"p50_us", tally.percentile_us(0.5)},
          {"p99_us", tally.percentile_us(0.99)},
          {"p999_us", tally.percentile_us(0.999)},
          {"answered", tally.answered},
          {"redirects", tally.redirects},
          {"failed", tally.failed},
          {"unknown", tally.unknown},
          {"problem", tally.problem}};
}

std::vector<std::size_t> keys_per_shard(const Topology& topology, const Plan& plan) {
  std::vector<std::size_t> counts(topology.shards.size());
  for (std::size_t i = 0; i < plan.pairs(); ++i) {
    const ShardInfo* shard = topology.find_shard(topology.slots[slot_of(plan.key(i)).value]);
    ++counts[static_cast<std::size_t>(shard - topology.shards.data())];
  }
  return counts;
}

void print_shares(const Topology& topology, const Plan& plan) {
  const auto counts = keys_per_shard(topology, plan);
  std::printf("\nkeys per shard:");
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::printf("%s %s %.1f%%", i == 0 ? "" : ",", topology.shards[i].name.c_str(),
                100.0 * static_cast<double>(counts[i]) / static_cast<double>(plan.pairs()));
  }
  std::printf("\n");
}

std::string manner_of(const LoadOptions& options) {
  if (!options.zmq)
    return options.direct ? "HTTP straight to the owners" : "HTTP through all nodes, redirects followed";
  const std::string window = std::to_string(options.pipeline) + " in flight each";
  return options.shared ? "ZeroMQ, all callers pipelined by one client"
                        : "ZeroMQ, one client per caller, " + window;
}

void print_verdict(const Plan& plan, const Verdict& verdict) {
  std::printf("%zu of %zu pairs acknowledged and read back, byte for byte\n", verdict.verified, plan.pairs());
  if (verdict.unread > 0) std::printf("%zu acknowledged pairs could not be read\n", verdict.unread);
  if (verdict.wrong_unknown > 0) {
    std::printf("%zu writes without an acknowledgement left other bytes than were sent\n",
                verdict.wrong_unknown);
  }
  if (verdict.losses.empty()) return;
  std::printf("LOST: %zu acknowledged writes are missing or wrong:\n", verdict.losses.size());
  for (std::size_t i = 0; i < std::min(verdict.losses.size(), kShownLosses); ++i) {
    std::printf("  %s\n", verdict.losses[i].c_str());
  }
}

int exit_code_of(const PhaseResult& sets, const Verdict& verdict) {
  if (!verdict.losses.empty() || verdict.wrong_unknown > 0) return kLost;
  return sets.tally.answered == 0 || verdict.unread > 0 ? kUnreachable : kAllRight;
}

int report(const LoadOptions& options, const Topology& topology, const Plan& plan, PhaseResult& sets,
           PhaseResult& gets, PhaseResult* floor) {
  const Verdict verdict = compare(plan);
  const int code = exit_code_of(sets, verdict);
  if (options.json) {
    Json json{{"manner", manner_of(options)}, {"pairs", options.pairs},
              {"callers", options.callers},   {"value_bytes", options.value_bytes},
              {"seed", options.seed},         {"sets", json_of(sets)},
              {"gets", json_of(gets)}};
    if (floor != nullptr) json["floor"] = json_of(*floor);
    const auto counts = keys_per_shard(topology, plan);
    for (std::size_t i = 0; i < counts.size(); ++i)
      json["keys_per_shard"][topology.shards[i].name] = counts[i];
    json["verified"] = verdict.verified;
    json["unread"] = verdict.unread;
    json["wrong_unknown"] = verdict.wrong_unknown;
    json["lost"] = verdict.losses;
    std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return code;
  }
  std::printf("%zu pairs, %zu callers, %zu-byte values, seed %llu\n%s\n\n", options.pairs, options.callers,
              options.value_bytes, static_cast<unsigned long long>(options.seed), manner_of(options).c_str());
  std::printf("%-6s %10s %10s %10s %10s %10s %10s\n", "", "per s", "p50 ms", "p99 ms", "p99.9 ms", "failed",
              "unknown");
  print_phase("sets", sets);
  print_phase("gets", gets);
  if (floor != nullptr) {
    print_phase("floor", *floor);
    if (floor->tally.answered > 0)
      std::printf("       gets are at %.0f%% of a server that does nothing\n",
                  100 * rate_of(gets) / rate_of(*floor));
  }
  const auto redirects = sets.tally.redirects + gets.tally.redirects;
  if (redirects > 0)
    std::printf("       %llu redirects followed\n", static_cast<unsigned long long>(redirects));
  print_shares(topology, plan);
  print_verdict(plan, verdict);
  return code;
}

int run(const LoadOptions& options) {
  const auto topology = load_topology(options.topology_file);
  if (!topology) {
    std::fprintf(stderr, "distrikv-load: %s\n", topology.error().message.c_str());
    return kUsage;
  }
  Plan plan(options.seed, options.pairs, options.value_bytes);
  PhaseResult sets = run_phase(options, *topology, Phase::sets, plan);
  if (sets.tally.answered == 0) {
    std::fprintf(stderr, "distrikv-load: the cluster took no write: %s\n", sets.tally.problem.c_str());
    return kUnreachable;
  }
  PhaseResult gets = run_phase(options, *topology, Phase::gets, plan);
  PhaseResult floor;
  if (!options.floor.empty()) {
    Progress progress("floor", options.pairs, options.json);
    floor = run_floor(options, progress.count);
  }
  return report(options, *topology, plan, sets, gets, options.floor.empty() ? nullptr : &floor);
}

int main_of(int argc, char** argv) {
  LoadOptions options;
  bool http = false;
  options.seed = std::random_device{}();
  CLI::App app("Writes random pairs through all nodes of a cluster, reads every key back and compares.",
               "distrikv-load");
  app.add_option("--topology", options.topology_file, "the cluster's topology file")
      ->required()
      ->type_name("FILE");
  app.add_option("-n", options.pairs, "pairs")->check(CLI::Range(1, 1000000000))->capture_default_str();
  app.add_option("-c", options.callers, "callers at once")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--value-size", options.value_bytes, "bytes of each value")
      ->check(CLI::Range(0, 16777216))
      ->capture_default_str();
  auto* http_flag = app.add_flag("--http", http, "over HTTP, round robin over all nodes (the default)");
  auto* zmq_flag = app.add_flag("--zmq", options.zmq, "over ZeroMQ")->excludes(http_flag);
  app.add_flag("--direct", options.direct, "HTTP: straight to each key's owner, without redirects")
      ->excludes(zmq_flag);
  app.add_option("--pipeline", options.pipeline, "ZeroMQ: operations that each caller keeps in flight")
      ->check(CLI::Range(1, 4096))
      ->needs(zmq_flag)
      ->capture_default_str();
  app.add_flag("--shared", options.shared, "ZeroMQ: one client pipelines for all callers")->needs(zmq_flag);
  app.add_option("--seed", options.seed, "repeat the pairs of an earlier run (default: random)");
  app.add_option("--timeout-ms", options.timeout_ms, "of one operation")
      ->check(CLI::Range(1, 600000))
      ->capture_default_str();
  app.add_option("--floor", options.floor, "also measure GETs of a plain HTTP server, to compare")
      ->type_name("HOST:PORT");
  app.add_flag("--json", options.json, "print JSON");
  app.footer(
      "\nExamples:\n  distrikv-load --topology topology/india.toml\n"
      "  distrikv-load --topology topology/india.toml -n 100000 --zmq --pipeline 64\n\n"
      "Exit codes: 0 every acknowledged write was read back, 1 one is missing or wrong, 2 wrong usage,\n"
      "3 the cluster could not be reached, or not every acknowledged write could be read.\n");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kAllRight : kUsage;
  }
  return run(options);
}

}  // namespace
}  // namespace dkv::bench

int main(int argc, char** argv) { return dkv::bench::main_of(argc, argv); }
