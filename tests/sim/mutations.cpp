#include "tests/sim/mutations.hpp"

#include "tests/sim/failover_scenarios.hpp"

namespace dkv::sim {

const std::vector<Mutation>& mutations() {
  static const std::vector<Mutation> kAll = {
      {"R1 all-ack", "commit does not wait for replicas",
       [](NodeOptions& o) { o.member_rules.all_ack = false; }, 1},
      {"R2 sync-first", "the primary counts what it has not synced",
       [](NodeOptions& o) { o.shard.sync_first = false; }, 2},
      {"R2 sync-first", "a replica acknowledges what it has not synced",
       [](NodeOptions& o) { o.replica_rules.sync_first = false; }, 0, "both-end-while-a-disk-is-slow"},
      {"R2 sync-first", "a keeper answers before its promise is on disk",
       [](NodeOptions& o) { o.register_rules.persist_promises = false; }, 0,
       "keeper-that-ends-when-it-has-accepted"},
      {"R3 align-first", "frames of a new epoch are taken without a pull in it",
       [](NodeOptions& o) { o.replica_rules.align_first = false; }, 1},
      {"R4 fence", "heartbeats of lower epochs are answered",
       [](NodeOptions& o) { o.member_rules.fence = false; }, 0, "deposed-primary-asks-again"},
      {"R5 cut-safe", "answers to other questions, and other processes, count",
       [](NodeOptions& o) { o.replica_rules.cut_safe = false; }, 0, "late-answer-to-a-pull"},
      {"R6 fresh-epoch", "a primary that restarts goes on in its epoch",
       [](NodeOptions& o) { o.member_rules.fresh_epoch = false; }, 1},
      {"R7 lease-all", "replies leave without a lease",
       [](NodeOptions& o) { o.member_rules.lease_all = false; }, 1},
      {"R8 lease-sent", "a lease counts from when its answer came",
       [](NodeOptions& o) { o.member_rules.lease_from_sending = false; }, 0, "slow-answers"},
      {"R9 grace", "the grace time is shorter than the lease", [](NodeOptions& o) { o.timing.grace = 700ms; },
       0, "isolated-primary"},
      {"R10 silence", "a taker answers heartbeats, and does not wait out its last answer",
       [](NodeOptions& o) { o.member_rules.silence = false; }, 0, "primary-heard-while-taking"},
      {"R11 read-at-start", "members are told before a round of their process's own",
       [](NodeOptions& o) { o.register_rules.read_at_start = false; }, 0, "change-of-an-earlier-process"},
      {"R12 exact-change", "a change is made whatever came meanwhile",
       [](NodeOptions& o) { o.register_rules.exact_change = false; }, 0, "change-made-from-an-old-state"},
      {"R12 exact-change", "less than a majority of keepers is enough",
       [](NodeOptions& o) { o.register_rules.need_majority = false; }, 1},
      {"R13 unknown-is-both", "who asks for a replica to be dropped no longer counts it",
       [](NodeOptions& o) { o.member_rules.unknown_is_both = false; }, 0, "isolated-primary"},
      {"R14 in-sync-only", "any copy takes over", [](NodeOptions& o) { o.member_rules.in_sync_only = false; },
       1},
      {"R15 count-first", "a replica is admitted without having been counted",
       [](NodeOptions& o) { o.member_rules.count_first = false; }, 0, "admitted-unknown-to-its-primary"},
      {"R16 stop-first", "who hands over goes on serving",
       [](NodeOptions& o) { o.member_rules.stop_first = false; }, 0, "hand-over-under-load"},
      {"R17 committed-only", "a replica shows what is on its own disk alone",
       [](NodeOptions& o) { o.replica_rules.committed_only = false; }, 1},
      {"R18 quiet", "who makes no progress gives leases, and goes on with heartbeats",
       [](NodeOptions& o) { o.member_rules.quiet = false; }, 62},
      {"R18 quiet", "a primary that crashes in a loop begins again at once",
       [](NodeOptions& o) { o.member_rules.let_go_first = false; }, 0, "crash-loop"},
      {"R19 once", "an outcome is forgotten at once", [](NodeOptions& o) { o.shard.keep_outcomes = 1ms; }, 1,
       nullptr, true},
      {"R19 once", "what was not done has no outcome",
       [](NodeOptions& o) { o.shard.outcomes_of_all = false; }, 3, nullptr, true},
      {"R20 session", "a replica shows a session whatever it has",
       [](NodeOptions& o) { o.replica_rules.sessions_wait = false; }, 1, nullptr, true},
      {"whole batches", "an atomic batch is cut into a frame for each of its writes",
       [](NodeOptions& o) { o.shard.whole_batches = false; }, 2},
      {"scans wait", "a page of a scan leaves before what it shows is committed",
       [](NodeOptions& o) { o.shard.scans_wait = false; }, 1},
      {"no silent gap", "a replica appends what does not follow its last event",
       [](NodeOptions& o) { o.replica_rules.detect_gaps = false; }, 1},
  };
  return kAll;
}

namespace {
std::optional<Noticed> by_seed(const Mutation& mutation, std::uint64_t seed) {
  FailoverOptions options;
  options.seed = seed;
  options.breaks = mutation.breaks;
  options.repeats = mutation.repeats;
  const FailoverResult result = run_failover(options);
  if (result.violations.empty()) return std::nullopt;
  return Noticed{"seed " + std::to_string(seed), result.violations[0]};
}
}  // namespace

std::optional<Noticed> notice(const Mutation& mutation, std::uint64_t most_seeds) {
  if (mutation.scenario != nullptr) {
    const FailoverResult result = run_scenario(*find_scenario(mutation.scenario), mutation.breaks);
    if (result.violations.empty()) return std::nullopt;
    return Noticed{mutation.scenario, result.violations[0]};
  }
  if (auto noticed = by_seed(mutation, mutation.seed)) return noticed;
  for (std::uint64_t seed = 1; seed <= most_seeds; ++seed) {
    if (auto noticed = by_seed(mutation, seed)) return noticed;
  }
  return std::nullopt;
}

}  // namespace dkv::sim
