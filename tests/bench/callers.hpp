// Threads of one phase: each takes numbers from a shared counter and keeps a tally of its own.
#pragma once

#include <thread>

#include "tests/bench/load_run.hpp"

namespace dkv::bench {

/// Calls `work(caller, next, tally)` on `count` threads; `next(i)` gives the next number, false at the end.
template <class Work>
PhaseResult run_callers(std::size_t count, std::size_t pairs, Work work) {
  std::atomic<std::size_t> counter = 0;
  const auto next = [&](std::size_t& i) { return (i = counter.fetch_add(1)) < pairs; };
  std::vector<Tally> tallies(count);
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (std::size_t caller = 0; caller < count; ++caller) {
    threads.emplace_back([&, caller] { work(caller, next, tallies[caller]); });
  }
  for (std::thread& thread : threads) thread.join();
  PhaseResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (Tally& tally : tallies) result.tally.merge(tally);
  return result;
}

}  // namespace dkv::bench
