#include "gateway/node/client_pool.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace dkv {
namespace {

using namespace std::chrono_literals;

rpc::Request increment() {
  rpc::Request request;
  request.operations.push_back({OpCode::increment, "k", ""});
  return request;
}

/// Of a cluster in which nobody answers.
class DeadPool : public testing::Test {
 protected:
  void ask(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        const Errc code = pool_.execute(increment(), nullptr).front().code;
        ++(code == Errc::overloaded ? refused_ : asked_);
      });
    }
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  ClientPool pool_{{.seeds = {"127.0.0.1:1"}, .deadline = 5s}, 1, 1'000'000};
  std::vector<std::thread> threads_;
  std::atomic<int> refused_ = 0;
  std::atomic<int> asked_ = 0;
};

TEST_F(DeadPool, RefusesAtOnceWhenManyWaitAlready) {
  ask(40);
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (refused_ < 40 - 1 - 16 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_GE(refused_, 40 - 1 - 16) << "one asks, sixteen wait";
  EXPECT_EQ(asked_, 0) << "and nobody has waited for that";
  pool_.stop();
  join();
}

TEST_F(DeadPool, NobodyWaitsOnceItIsStopped) {
  ask(40);
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (refused_ < 40 - 1 - 16 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  pool_.stop();
  while (refused_ < 40 - 1 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(refused_, 40 - 1);
  EXPECT_EQ(asked_, 0) << "the one that asks is the last";
  join();
}

}  // namespace
}  // namespace dkv
