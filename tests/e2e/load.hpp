// Clients of a real cluster, each with a thread of its own, that write, delete and read a few keys which they
// share, and record what they were told.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/process.hpp"
#include "tests/e2e/recording_client.hpp"

namespace dkv::e2e {

class Load {
 public:
  struct Options {
    ClientOptions client;
    std::vector<std::string> keys;
    std::uint64_t seed = 0;
    std::uint32_t clients = 6;
    std::chrono::milliseconds pause{0};  // of a client between two operations
  };

  explicit Load(Options options);
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void start();
  void stop();
  /// Waits until `count` more operations were answered.
  bool wait_for(std::uint64_t count) const;

  /// What all clients were told, and in the end one more, which reads every key. After stop().
  linear::History history();

 private:
  void run(std::uint32_t number);

  Options options_;
  std::vector<std::thread> threads_;
  std::vector<linear::History> histories_;  // by client, each whole once its thread has ended
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> done_ = 0;
};

}  // namespace dkv::e2e
