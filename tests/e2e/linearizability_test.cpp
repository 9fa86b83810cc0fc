// Reads and writes are linearizable per key, whatever happens to the nodes: clients share a few keys while
// one primary after the other is killed, and what they were told must have an order.
//
// DISTRIKV_SEED repeats a run's choices (the processes' own timing stays their own).
#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "tests/e2e/cluster.hpp"
#include "tests/e2e/recording_client.hpp"
#include "tests/linearizability/check.hpp"

namespace dkv::e2e {
namespace {

constexpr std::uint32_t kClients = 6;
constexpr int kKeys = 4;
constexpr int kKills = 5;
constexpr std::uint64_t kOperationsBetweenKills = 1500;  // and up to as many more

/// Clients, each with a thread of its own, from start() to stop().
class Load {
 public:
  Load(const Cluster& cluster, std::vector<std::string> keys, std::uint64_t the_seed)
      : options_{.seeds = {cluster.rpc("delhi"), cluster.rpc("witness")}, .deadline = 500ms},
        keys_(std::move(keys)),
        seed_(the_seed) {
    for (std::uint32_t i = 0; i < kClients; ++i) histories_.emplace_back();
  }
  ~Load() { stop(); }

  void start() {
    for (std::uint32_t i = 0; i < kClients; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  /// Waits until `count` more operations were answered.
  bool wait_for(std::uint64_t count) const {
    const std::uint64_t target = done_ + count;
    return eventually(30s, [&] { return done_ >= target; });
  }

  /// What all clients were told, and one more in the end.
  linear::History history() {
    RecordingClient last(kClients, {.seeds = options_.seeds});
    for (const std::string& key : keys_) EXPECT_NE(last.get(key), linear::Outcome::failed);
    linear::History all = last.history();
    for (const linear::History& history : histories_) all.insert(all.end(), history.begin(), history.end());
    return all;
  }

 private:
  void run(std::uint32_t number) {
    RecordingClient client(number, options_);
    std::mt19937_64 random(seed_ * 1000 + number);
    for (int i = 0; !stop_; ++i) {
      const std::string& key = keys_[random() % keys_.size()];
      const auto outcome = act(client, key, random() % 10, std::to_string(number) + "." + std::to_string(i));
      if (outcome == linear::Outcome::ok || outcome == linear::Outcome::not_found) ++done_;
    }
    histories_[number] = client.history();
  }

  static linear::Outcome act(RecordingClient& client, const std::string& key, std::uint64_t die,
                             const std::string& value) {
    if (die < 5) return client.get(key);
    return die < 9 ? client.put(key, value) : client.remove(key);
  }

  ClientOptions options_;
  std::vector<std::string> keys_;
  std::uint64_t seed_;
  std::vector<std::thread> threads_;
  std::vector<linear::History> histories_;  // by client, each whole once its thread has ended
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> done_ = 0;
};

TEST(Linearizability, OutlivesKillsOfThePrimaryUnderLoad) {
  const std::uint64_t the_seed = chosen_seed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(the_seed));
  std::mt19937_64 random(the_seed);
  Cluster cluster(city());
  ASSERT_TRUE(cluster.start_and_wait(kCity));
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back("key-" + std::to_string(i));
  Load load(cluster, keys, the_seed);
  load.start();
  for (int i = 0; i < kKills; ++i) {
    ASSERT_TRUE(load.wait_for(kOperationsBetweenKills + random() % kOperationsBetweenKills));
    const std::string victim = cluster.wait_for_primary("delhi");
    cluster.kill(victim);
    // Sometimes at once, so that it may lead on itself; sometimes when another has taken over.
    if (random() % 2 == 0) {
      ASSERT_TRUE(load.wait_for(1));
    }
    cluster.start({victim});
    ASSERT_TRUE(cluster.wait_until_ready(kCity));
  }
  ASSERT_TRUE(load.wait_for(kOperationsBetweenKills));
  load.stop();

  const linear::History history = load.history();
  const linear::Judgement judgement = linear::check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
  const auto unknown = std::count_if(history.begin(), history.end(), [](const linear::Operation& one) {
    return one.outcome == linear::Outcome::unknown;
  });
  EXPECT_GT(unknown, 0) << "no kill met a write under way";
  std::printf("%zu operations, %td of unknown outcome, %llu configurations\n", history.size(), unknown,
              static_cast<unsigned long long>(judgement.configurations));
}

}  // namespace
}  // namespace dkv::e2e
