// Clients follow a shard's new primary by themselves: while its primaries are killed under load, no read
// fails within the default deadline, and no write but those that were under way. And a primary that cannot
// stay up makes way.
#include <atomic>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "gateway/client/client.hpp"
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kClients = 4;
constexpr int kKills = 3;
constexpr int kCrashLoop = 3;  // as in actors/assembly.hpp

/// Clients that write and read one thing at a time, each its own key.
class Callers {
 public:
  explicit Callers(std::vector<std::string> seeds) {
    for (int i = 0; i < kClients; ++i) threads_.emplace_back([this, seeds, i] { call(seeds, i); });
  }
  ~Callers() { stop(); }

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  bool wait_for_writes(std::uint64_t count) const {
    const std::uint64_t target = written_ + count;
    return eventually(30s, [&] { return written_ >= target; });
  }
  int unknown() const { return unknown_; }
  /// What should not have happened.
  std::vector<std::string> complaints() {
    const std::lock_guard lock(mutex_);
    return complaints_;
  }

 private:
  void call(const std::vector<std::string>& seeds, int number) {
    Client client({.seeds = seeds});
    const std::string key = "caller-" + std::to_string(number);
    for (int i = 0; !stop_; ++i) {
      const auto put = client.put(key, std::to_string(i));
      if (put) {
        ++written_;
      } else if (put.error().code == Errc::unknown_outcome) {
        ++unknown_;
      } else {
        complain("put", put.error());
      }
      const auto got = client.get(key);
      if (!got && got.error().code != Errc::not_found) complain("get", got.error());
    }
  }
  void complain(const std::string& what, const Error& error) {
    const std::lock_guard lock(mutex_);
    complaints_.push_back(what + ": " + error.message);
  }

  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<int> unknown_ = 0;
  std::mutex mutex_;
  std::vector<std::string> complaints_;
  std::vector<std::thread> threads_;
};

TEST_F(City, ClientsGoOnAtTheNewPrimary) {
  start(kCity, 0);
  Callers callers({cluster_.rpc("delhi"), cluster_.rpc("delhi-replica"), cluster_.rpc("witness")});
  for (int i = 0; i < kKills; ++i) {
    ASSERT_TRUE(callers.wait_for_writes(200));
    const std::string victim = primary();
    cluster_.kill(victim);
    const auto killed = Clock::now();
    ASSERT_TRUE(callers.wait_for_writes(1));
    std::printf("written again after %.2f s\n", std::chrono::duration<double>(Clock::now() - killed).count());
    EXPECT_NE(primary(), victim);
    cluster_.start({victim});
    ASSERT_TRUE(becomes_in_sync());
  }
  ASSERT_TRUE(callers.wait_for_writes(200));
  callers.stop();
  EXPECT_EQ(callers.complaints(), std::vector<std::string>{});
  EXPECT_LE(callers.unknown(), kKills * kClients) << "more than what was under way";
}

/// Each process of it begins anew before anybody misses the one before.
TEST_F(City, APrimaryThatCrashesInALoopLetsAnotherLead) {
  start(kCity, 1);
  const std::string victim = primary();
  for (int i = 0; i < kCrashLoop; ++i) {
    write_all(std::to_string(i) + "-");
    ASSERT_EQ(primary(), victim);
    cluster_.kill(victim);
    cluster_.start({victim});
  }
  EXPECT_TRUE(eventually(30s, [&] { return primary() != victim; }));
  EXPECT_TRUE(has_logged(victim, "another may lead its shards first"));
  expect_on_both(std::to_string(kCrashLoop - 1) + "-");
  EXPECT_EQ(cluster_.stop(victim), 0);
  EXPECT_EQ(read_file(cluster_.data(victim) / "starts"), "0\n");
}

}  // namespace
}  // namespace dkv::e2e
