#include <map>

#include "gateway/client/client.hpp"
#include "tests/bench/callers.hpp"

namespace dkv::bench {

namespace {

using namespace std::chrono_literals;

void settle(Phase phase, Plan& plan, std::size_t i, const OperationResult& result, Clock::time_point start,
            Tally& tally) {
  if (phase == Phase::sets) {
    if (result.code == Errc::ok) {
      plan.note_write(i, Write::acknowledged);
      return tally.note(start);
    }
    tally.note_problem(std::string(name_of(result.code)) + ": " + result.message);
    // Only these say that nothing was done.
    const bool refused = result.code == Errc::unavailable || result.code == Errc::overloaded ||
                         result.code == Errc::disk_full || result.code == Errc::bad_request ||
                         result.code == Errc::too_large;
    plan.note_write(i, refused ? Write::none : Write::unknown);
    ++(refused ? tally.failed : tally.unknown);
    return;
  }
  if (result.code == Errc::ok || result.code == Errc::not_found) {
    const bool found = result.code == Errc::ok;
    plan.note_read(i, !found ? Read::missing : result.value == plan.value(i) ? Read::right : Read::wrong);
    return tally.note(start);
  }
  tally.note_problem(std::string(name_of(result.code)) + ": " + result.message);
  plan.note_read(i, Read::failed);
  ++tally.failed;
}

/// One client that keeps `window` operations in flight until there are no more.
template <class Next>
void pump(const ClientOptions& options, std::size_t window, Phase phase, Plan& plan, const Next& next,
          Tally& tally, std::atomic<std::size_t>& progress) {
  struct Sent {
    std::size_t pair;
    Clock::time_point start;
  };
  Client client(options);
  std::map<Ticket, Sent> sent;
  std::size_t i = 0;
  bool more = true;
  for (;;) {
    while (more && sent.size() < window && (more = next(i))) {
      const std::string key = plan.key(i);
      const std::string value = phase == Phase::sets ? plan.value(i) : std::string();
      const Operation operation{phase == Phase::sets ? OpCode::put : OpCode::get, key, value};
      const auto start = Clock::now();
      sent.emplace(client.submit(std::span(&operation, 1)), Sent{i, start});
    }
    if (sent.empty()) return;
    auto completion = client.wait_any(1h);
    DKV_ASSERT(completion.has_value());
    const auto done = sent.extract(completion->ticket);
    settle(phase, plan, done.mapped().pair, completion->results.front(), done.mapped().start, tally);
    ++progress;
  }
}

}  // namespace

PhaseResult run_zmq(const LoadOptions& options, const Topology& topology, Phase phase, Plan& plan,
                    std::atomic<std::size_t>& progress) {
  ClientOptions client;
  client.deadline = std::chrono::milliseconds(options.timeout_ms);
  for (const NodeInfo& node : topology.nodes) client.seeds.push_back(node.rpc);
  const std::size_t threads = options.shared ? 1 : options.callers;
  const std::size_t window = options.shared ? options.callers * options.pipeline : options.pipeline;
  return run_callers(threads, plan.pairs(), [&](std::size_t, const auto& next, Tally& tally) {
    pump(client, window, phase, plan, next, tally, progress);
  });
}

}  // namespace dkv::bench
