// distrikv-sim: runs simulated clusters, and replays the seed of one that failed.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/sim/failover_run.hpp"
#include "tests/sim/failover_scenarios.hpp"
#include "tests/sim/mutations.hpp"

namespace {

using namespace dkv::sim;
using ull = unsigned long long;

struct Options {
  std::uint64_t first = 1;
  std::uint64_t count = 1;
  std::uint64_t step = 1;
  std::uint64_t seconds = 60;
  bool only_failures = false;
  bool watches = false;
  bool repeats = false;
};

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

bool judge(const std::vector<std::string>& violations) {
  for (const std::string& violation : violations) std::printf("  %s\n", violation.c_str());
  std::fflush(stdout);
  return violations.empty();
}

bool run_one(const Options& asked, std::uint64_t seed) {
  FailoverOptions options;
  options.seed = seed;
  options.length = std::chrono::seconds(asked.seconds);
  options.watches = asked.watches;
  options.repeats = asked.repeats;
  const auto began = std::chrono::steady_clock::now();
  const FailoverResult result = run_failover(options);
  if (asked.only_failures && result.violations.empty()) return true;
  std::printf(
      "seed %llu: trace %016llx, %llu writes, %llu reads, %llu replica reads, %llu pages, %llu replica "
      "pages, %llu scans, %llu continued, %llu faults, %llu take-overs, %llu hand-overs, %llu wiped, %llu "
      "copies, %.3f s%s\n",
      ull{seed}, ull{result.trace_hash}, ull{result.acknowledged_writes}, ull{result.reads},
      ull{result.replica_reads}, ull{result.pages}, ull{result.replica_pages}, ull{result.scans},
      ull{result.scans_continued}, ull{result.faults}, ull{result.take_overs}, ull{result.hand_overs},
      ull{result.wiped}, ull{result.copies}, seconds_since(began),
      result.violations.empty() ? "" : "  FAILED");
  return judge(result.violations);
}

bool run_one_scenario(const Scenario& scenario) {
  const FailoverResult result = run_scenario(scenario);
  std::printf("%-34s %s\n", scenario.name, result.violations.empty() ? "holds" : "FAILED");
  return judge(result.violations);
}

bool print_mutations() {
  bool all = true;
  std::printf("%-20s %-64s %-32s %s\n", "RULE", "MUTATION", "NOTICED BY", "AS");
  for (const Mutation& mutation : mutations()) {
    const auto noticed = notice(mutation, 300);
    all = all && noticed;
    const std::string what = noticed ? noticed->what.substr(0, noticed->what.find('\n')) : "NOT NOTICED";
    std::printf("%-20s %-64s %-32s %s\n", mutation.rule, mutation.what, noticed ? noticed->how.c_str() : "-",
                what.c_str());
    std::fflush(stdout);
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Runs simulated clusters under faults. Everything follows from the seed.\n"
      "Example: distrikv-sim --seed 1 --count 1000");
  Options options;
  app.add_option("--seed", options.first, "the first seed")->capture_default_str();
  app.add_option("--count", options.count, "how many seeds to run")->capture_default_str();
  app.add_option("--step", options.step, "from one seed to the next")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "virtual seconds of each run, at least 30")
      ->capture_default_str()
      ->check(CLI::Range(30, 86400));
  app.add_flag("--watches", options.watches, "with clients who watch, too");
  app.add_flag("--repeats", options.repeats, "with clients who send writes again and read by sessions, too");
  app.add_flag("--only-failures", options.only_failures, "say nothing of seeds that hold");
  bool mutations_wanted = false;
  app.add_flag("--mutations", mutations_wanted,
               "break each safety rule in turn, and print by which seed or scenario that is noticed");
  std::string scenario;
  app.add_option("--scenario", scenario, "run this scripted life instead, or 'all' of them");
  CLI11_PARSE(app, argc, argv);
  if (mutations_wanted) return print_mutations() ? 0 : 1;
  if (!scenario.empty()) {
    bool held = true;
    for (const Scenario& one : scenarios()) {
      if (scenario == "all" || scenario == one.name) held = run_one_scenario(one) && held;
    }
    return held ? 0 : 1;
  }
  for (std::uint64_t i = 0; i < options.count; ++i) {
    if (!run_one(options, options.first + i * options.step)) return 1;
  }
  if (options.only_failures) std::printf("%llu seeds held\n", ull{options.count});
  return 0;
}
