#include "tests/bench/engine/trickle.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include "gateway/client/client.hpp"
#include "tests/bench/engine/outcome.hpp"
#include "tests/bench/engine/pairs.hpp"

namespace dkv::bench {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kKeys = 1000;
constexpr std::size_t kValueBytes = 100;
// Of a start, while the cluster may still settle.
constexpr std::chrono::milliseconds kStartDeadline = 20s;

std::int64_t ns_of(Clock::time_point time) { return time.time_since_epoch() / 1ns; }

void print(const nlohmann::ordered_json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

bool input_has_ended() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  char unused = 0;
  return ::poll(&input, 1, 0) > 0 && ::read(STDIN_FILENO, &unused, 1) <= 0;
}

/// Keys of the shard's.
Result<std::vector<std::string>> keys_of(const std::string& shard,
                                         const std::vector<std::string>& endpoints) {
  ClientOptions options;
  options.seeds = endpoints;
  options.deadline = kStartDeadline;
  const auto topology = Client(options).topology();
  if (!topology) return topology.error();
  const ShardInfo* wanted = (*topology)->find_shard(shard);
  if (wanted == nullptr) return Error{Errc::bad_request, "there is no shard " + shard};
  std::vector<std::string> keys;
  for (std::uint64_t number = 0; keys.size() < kKeys; ++number) {
    std::string key(kKeyBytes, '\0');
    write_key(key.data(), number);
    if ((*topology)->slots[slot_of(key).value] == wanted->id) keys.push_back(std::move(key));
  }
  return keys;
}

class Writer {
 public:
  Writer(const Trickle& trickle, std::vector<std::string> keys)
      : every_(trickle.every_ms), client_({.seeds = trickle.endpoints}), keys_(std::move(keys)) {}

  void run() {
    for (auto next = Clock::now(); !input_has_ended();) {
      if (Clock::now() >= next) {
        begin();
        next += every_;
      }
      take_until(next);
    }
    while (pending_ > 0) take_until(Clock::now() + 1s);
    print(
        {{"acknowledged", acknowledged_}, {"unknown", unknown_}, {"failed", failed_}, {"problem", problem_}});
  }

 private:
  void begin() {
    const Operation put{OpCode::put, keys_[begun_ % keys_.size()], values_.next()};
    client_.submit(std::span(&put, 1));
    ++begun_;
    ++pending_;
  }

  void take_until(Clock::time_point end) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (pending_ == 0) return std::this_thread::sleep_until(end);
    const auto completion = client_.wait_any(std::max(left, 0ms));
    if (completion) settle(completion->results.front());
  }

  void settle(const OperationResult& result) {
    const auto now = Clock::now();
    --pending_;
    if (result.code != Errc::ok) {
      ++(result.code == Errc::unknown_outcome ? unknown_ : failed_);
      problem_ = result.message;
      return;
    }
    ++acknowledged_;
    if (result.version.epoch <= epoch_) return;
    epoch_ = result.version.epoch;
    print({{"epoch", epoch_.value}, {"at_ns", ns_of(now)}});
  }

  std::chrono::milliseconds every_;
  Client client_;
  std::vector<std::string> keys_;
  Values values_{1, kValueBytes};
  Epoch epoch_;
  std::uint64_t begun_ = 0;
  std::uint64_t pending_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t unknown_ = 0;
  std::uint64_t failed_ = 0;
  std::string problem_;  // the last one's
};

}  // namespace

Result<void> run_trickle(const Trickle& trickle) {
  auto keys = keys_of(trickle.shard, trickle.endpoints);
  if (!keys) return keys.error();
  Writer(trickle, std::move(*keys)).run();
  return {};
}

}  // namespace dkv::bench
