// Acknowledged means durable: nodes are killed and restarted under load, again and again, and afterwards
// every acknowledged write must be there, on the primaries and on the replicas.
//
// DISTRIKV_SEED repeats a run's choices of node and moment (the processes' own timing stays their own).
#include <atomic>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

constexpr int kWriters = 6;
constexpr int kKeysPerWriter = 150;
constexpr int kKillRounds = 12;

/// What a key must hold: nullopt is "no such key".
struct Expectation {
  std::string key;
  std::optional<std::string> value;
};

// Writes and deletes keys of its own, through any node, until told to stop. A key whose last write has an
// unknown outcome is given up for a new one: whether that write happened, or will yet, nobody can say.
class Writer {
 public:
  Writer(const Cluster& cluster, int number, std::uint64_t seed)
      : number_(number), random_(seed * 1000 + static_cast<std::uint64_t>(number)), client_(5s) {
    for (const std::string& node : all_nodes()) doors_.push_back(cluster.http(node));
    for (int i = 0; i < kKeysPerWriter; ++i) keys_.push_back({fresh_key(), std::nullopt});
  }

  void run(const std::atomic<bool>& stop) {
    while (!stop) write_one();
  }

  const std::vector<Expectation>& expectations() const { return keys_; }
  int acknowledged() const { return acknowledged_; }
  int unknown() const { return unknown_; }

 private:
  std::string fresh_key() { return "w" + std::to_string(number_) + "-" + std::to_string(next_key_++); }

  void write_one() {
    Expectation& entry = keys_[random_() % keys_.size()];
    const std::string& door = doors_[random_() % doors_.size()];
    const bool remove = random_() % 10 == 0;
    const std::string value = entry.key + "=" + std::to_string(++writes_) + std::string(random_() % 300, '.');
    const HttpResponse answer = remove ? client_.request(door, "DELETE", kv_path(entry.key))
                                       : client_.request(door, "PUT", kv_path(entry.key), value);
    switch (answer.status) {
      case 200:
      case 201:
      case 204:
        ++acknowledged_;
        entry.value = remove ? std::nullopt : std::optional(value);
        break;
      case 404:  // of a delete: an answer like any other, and it must be true
        EXPECT_TRUE(remove) << "a PUT answered 404";
        EXPECT_FALSE(entry.value.has_value()) << entry.key << " was acknowledged and is gone";
        break;
      case HttpResponse::kNotSent:  // the node is down just now
      case 503:                     // or has no primary to serve; by its meaning nothing was done
        pause_between_polls();
        break;
      default:
        ++unknown_;
        entry = {fresh_key(), std::nullopt};
        break;
    }
  }

  const int number_;
  std::mt19937_64 random_;
  HttpClient client_;
  std::vector<std::string> doors_;
  std::vector<Expectation> keys_;
  int next_key_ = 0;
  int writes_ = 0;
  int acknowledged_ = 0;
  int unknown_ = 0;
};

// Lets the load run for a while between kill and restart and after it.
void kill_and_restart(Cluster& cluster, std::mt19937_64& random) {
  const std::vector<std::string> nodes = all_nodes();
  const std::string& victim = nodes[random() % nodes.size()];
  std::this_thread::sleep_for(std::chrono::milliseconds(200 + random() % 800));
  cluster.kill(victim);
  std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
  cluster.start({victim});
  // Now and then it dies again before it has recovered.
  if (random() % 4 == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
    cluster.kill(victim);
    cluster.start({victim});
  }
  ASSERT_TRUE(cluster.wait_until_ready({victim})) << victim;
}

void expect_everywhere(const Cluster& cluster, const Expectation& expected) {
  HttpClient client;
  const std::string target = kv_path(expected.key);
  const HttpResponse primary = client.request(cluster.http("delhi"), "GET", target);
  ASSERT_EQ(primary.status, expected.value ? 200 : 404) << expected.key << " at " << primary.answered_by;
  if (expected.value) {
    ASSERT_EQ(primary.body, *expected.value) << expected.key;
  }
  const std::string city = primary.headers.at("x-shard");
  for (const std::string& member : {city, city + "-replica"}) {
    HttpResponse copy;
    EXPECT_TRUE(eventually(10s,
                           [&] {
                             copy = client.once(cluster.http(member), "GET", target + "?read=replica");
                             return copy.status == primary.status && copy.body == primary.body;
                           }))
        << expected.key << " on " << member << ": " << copy.status << " " << copy.body;
  }
}

TEST(Durability, EveryAcknowledgedWriteSurvivesKillsOfAnyNode) {
  const std::uint64_t the_seed = chosen_seed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(the_seed));
  std::mt19937_64 random(the_seed);
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));

  std::vector<std::unique_ptr<Writer>> writers;
  std::vector<std::thread> threads;
  std::atomic<bool> stop = false;
  for (int i = 0; i < kWriters; ++i) {
    writers.push_back(std::make_unique<Writer>(cluster, i, the_seed));
    threads.emplace_back([&stop, &writer = *writers.back()] { writer.run(stop); });
  }
  for (int round = 0; round < kKillRounds && !testing::Test::HasFatalFailure(); ++round) {
    kill_and_restart(cluster, random);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(cluster.wait_until_ready(all_nodes()));

  int acknowledged = 0;
  int unknown = 0;
  for (const auto& writer : writers) {
    acknowledged += writer->acknowledged();
    unknown += writer->unknown();
    for (const Expectation& expected : writer->expectations()) {
      expect_everywhere(cluster, expected);
      if (testing::Test::HasFailure()) return;
    }
  }
  std::printf("%d writes acknowledged, %d of unknown outcome, %d rounds\n", acknowledged, unknown,
              kKillRounds);
  EXPECT_GT(acknowledged, 1000) << "too little load to show anything";
}

}  // namespace
}  // namespace dkv::e2e
