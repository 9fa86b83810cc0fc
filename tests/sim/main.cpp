// distrikv-sim: runs simulated clusters, and replays the seed of one that failed.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/sim/cluster_run.hpp"

int main(int argc, char** argv) {
  CLI::App app(
      "Runs simulated clusters under faults. Everything follows from the seed.\n"
      "Example: distrikv-sim --seed 1 --count 1000");
  std::uint64_t first = 1;
  std::uint64_t count = 1;
  std::uint64_t seconds = 60;
  app.add_option("--seed", first, "the first seed")->capture_default_str();
  app.add_option("--count", count, "how many seeds to run")->capture_default_str();
  app.add_option("--seconds", seconds, "virtual seconds of each run, at least 20")
      ->capture_default_str()
      ->check(CLI::Range(20, 86400));
  std::string broken;
  app.add_option("--break", broken,
                 "break the world on purpose: 'gaps' (a replica that does not detect them) or "
                 "'disk' (syncs that do nothing)")
      ->check(CLI::IsMember({"gaps", "disk"}));
  bool is_volatile = false;
  app.add_flag("--volatile", is_volatile, "shards whose stores are in memory");
  CLI11_PARSE(app, argc, argv);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    dkv::sim::RunOptions options;
    options.seed = seed;
    options.is_volatile = is_volatile;
    options.length = std::chrono::seconds(seconds);
    options.disks_lie = broken == "disk";
    options.replica_rules.detect_gaps = broken != "gaps";
    const auto began = std::chrono::steady_clock::now();
    const auto result = dkv::sim::run_cluster(options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf(
        "seed %llu: trace %016llx, %llu writes, %llu reads, %llu replica reads, %llu faults, "
        "%llu snapshots, %.3f s%s\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.trace_hash),
        static_cast<unsigned long long>(result.acknowledged_writes),
        static_cast<unsigned long long>(result.reads), static_cast<unsigned long long>(result.replica_reads),
        static_cast<unsigned long long>(result.faults), static_cast<unsigned long long>(result.snapshots),
        took.count(), result.violations.empty() ? "" : "  FAILED");
    for (const std::string& violation : result.violations) std::printf("  %s\n", violation.c_str());
    if (!result.violations.empty()) return 1;
  }
  return 0;
}
