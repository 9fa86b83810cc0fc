#include "tests/e2e/load.hpp"

#include <gtest/gtest.h>
#include <random>

namespace dkv::e2e {

namespace {

linear::Outcome act(RecordingClient& client, const std::string& key, std::uint64_t die,
                    const std::string& value) {
  if (die < 5) return client.get(key);
  return die < 9 ? client.put(key, value) : client.remove(key);
}

}  // namespace

Load::Load(Options options) : options_(std::move(options)), histories_(options_.clients) {}

void Load::start() {
  for (std::uint32_t i = 0; i < options_.clients; ++i) threads_.emplace_back([this, i] { run(i); });
}

void Load::stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Load::wait_for(std::uint64_t count) const {
  const std::uint64_t target = done_ + count;
  return eventually(30s, [&] { return done_ >= target; });
}

linear::History Load::history() {
  RecordingClient last(options_.clients, {.seeds = options_.client.seeds});
  for (const std::string& key : options_.keys) EXPECT_NE(last.get(key), linear::Outcome::failed);
  linear::History all = last.history();
  for (const linear::History& history : histories_) all.insert(all.end(), history.begin(), history.end());
  return all;
}

void Load::run(std::uint32_t number) {
  RecordingClient client(number, options_.client);
  std::mt19937_64 random(options_.seed * 1000 + number);
  for (int i = 0; !stop_; ++i) {
    const std::string& key = options_.keys[random() % options_.keys.size()];
    const auto outcome = act(client, key, random() % 10, std::to_string(number) + "." + std::to_string(i));
    if (outcome == linear::Outcome::ok || outcome == linear::Outcome::not_found) ++done_;
    if (options_.pause > 0ms) std::this_thread::sleep_for(options_.pause);
  }
  histories_[number] = client.history();
}

}  // namespace dkv::e2e
