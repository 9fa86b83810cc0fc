#include "tests/bench/callers.hpp"
#include "tests/bench/raw_http.hpp"

namespace dkv::bench {

namespace {

// A refusal that says "later" is tried again: a get so often, a set too, since nothing was done.
constexpr int kTries = 5;

bool try_later(int status) { return status == 429 || status == 503; }

/// One caller's view of the cluster: where it sends pair `i`.
class Doors {
 public:
  Doors(const Topology& topology, bool direct) : topology_(topology), direct_(direct) {}
  /// Round robin over all nodes, beginning elsewhere at each try.
  const std::string& of(std::size_t i, const std::string& key, int attempt) const {
    if (direct_)
      return topology_.find_node(topology_.find_shard(topology_.slots[slot_of(key).value])->primary)->http;
    return topology_.nodes[(i + static_cast<std::size_t>(attempt)) % topology_.nodes.size()].http;
  }

 private:
  const Topology& topology_;
  bool direct_;
};

/// Whether the pause is over and another try makes sense.
bool may_try_again(int attempt) {
  if (attempt + 1 >= kTries) return false;
  std::this_thread::sleep_for(std::chrono::milliseconds(50 << attempt));
  return true;
}

void set_one(HttpClient& client, const Doors& doors, Plan& plan, std::size_t i, Tally& tally) {
  const std::string key = plan.key(i);
  const std::string value = plan.value(i);
  const auto start = Clock::now();
  for (int attempt = 0;; ++attempt) {
    const auto answer =
        client.request(doors.of(i, key, attempt), "PUT", "/v1/kv/" + key, value, tally.redirects);
    if (answer && (answer->status == 200 || answer->status == 201)) {
      plan.note_write(i, Write::acknowledged);
      return tally.note(start);
    }
    const std::string problem =
        answer ? "HTTP " + std::to_string(answer->status) + " " + answer->body : answer.error().message;
    tally.note_problem(problem);
    const bool unsettled = answer ? answer->status >= 500 && !try_later(answer->status)
                                  : answer.error().code == Errc::unknown_outcome;
    if (unsettled || (answer && answer->body.find("unknown_outcome") != std::string::npos)) {
      plan.note_write(i, Write::unknown);
      ++tally.unknown;
      return;
    }
    if ((answer && !try_later(answer->status)) || !may_try_again(attempt)) {
      ++tally.failed;
      return;
    }
  }
}

void get_one(HttpClient& client, const Doors& doors, Plan& plan, std::size_t i, Tally& tally) {
  const std::string key = plan.key(i);
  const auto start = Clock::now();
  for (int attempt = 0;; ++attempt) {
    // Another node than the one that took the write, so that every door is read through too.
    const auto answer =
        client.request(doors.of(i + 1, key, attempt), "GET", "/v1/kv/" + key, {}, tally.redirects);
    if (answer && (answer->status == 200 || answer->status == 404)) {
      const bool right = answer->status == 200 && answer->body == plan.value(i);
      plan.note_read(i, answer->status == 404 ? Read::missing : right ? Read::right : Read::wrong);
      return tally.note(start);
    }
    tally.note_problem(answer ? "HTTP " + std::to_string(answer->status) + " " + answer->body
                              : answer.error().message);
    if (may_try_again(attempt)) continue;
    plan.note_read(i, Read::failed);
    ++tally.failed;
    return;
  }
}

}  // namespace

PhaseResult run_http(const LoadOptions& options, const Topology& topology, Phase phase, Plan& plan,
                     std::atomic<std::size_t>& progress) {
  return run_callers(options.callers, plan.pairs(), [&](std::size_t, const auto& next, Tally& tally) {
    HttpClient client(options.timeout_ms);
    const Doors doors(topology, options.direct);
    for (std::size_t i = 0; next(i); ++progress) {
      phase == Phase::sets ? set_one(client, doors, plan, i, tally) : get_one(client, doors, plan, i, tally);
    }
  });
}

PhaseResult run_floor(const LoadOptions& options, std::atomic<std::size_t>& progress) {
  return run_callers(options.callers, options.pairs, [&](std::size_t, const auto& next, Tally& tally) {
    HttpClient client(options.timeout_ms);
    for (std::size_t i = 0; next(i); ++progress) {
      const auto start = Clock::now();
      const auto answer = client.request(options.floor, "GET", "/", {}, tally.redirects);
      if (answer) {
        tally.note(start);
      } else {
        tally.note_problem(answer.error().message);
        ++tally.failed;
      }
    }
  });
}

}  // namespace dkv::bench
