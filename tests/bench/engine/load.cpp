#include "tests/bench/engine/load.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "gateway/client/client.hpp"

namespace dkv::bench {

namespace {

using namespace std::chrono_literals;

constexpr auto kPoll = 100ms;
// Back-pressure is part of what is measured: the client waits and asks again, and that is no failure.
constexpr auto kDeadline = 120s;
constexpr std::size_t kFillBatch = 1000;
constexpr std::size_t kFillCallers = 16;

ClientOptions options_for(const std::string& endpoint, AckMode ack = AckMode::committed,
                          bool exactly_once = false) {
  ClientOptions options;
  options.ack = ack;
  options.exactly_once = exactly_once;
  options.seeds = {endpoint};
  options.deadline = kDeadline;
  return options;
}

/// Makes operations in buffers of its own, good until the next call.
class Feed {
 public:
  Feed(const KeySpace& space, bool gets, std::size_t batch, std::uint64_t seed)
      : space_(space), gets_(gets), random_(seed), values_(~seed, space.value_bytes) {
    keys_.resize(batch * kKeyBytes);
    operations_.resize(batch);
  }

  /// A batch of random keys.
  std::span<const Operation> random() {
    for (std::size_t i = 0; i < operations_.size(); ++i) set(i, random_.below(space_.keys));
    return operations_;
  }

  /// The next keys in order; nothing after the last.
  std::span<const Operation> in_order() {
    const auto count = std::min<std::uint64_t>(operations_.size(), space_.keys - next_);
    for (std::size_t i = 0; i < count; ++i) set(i, next_++);
    return std::span(operations_).first(count);
  }

 private:
  void set(std::size_t place, std::uint64_t number) {
    char* const key = keys_.data() + place * kKeyBytes;
    write_key(key, number);
    operations_[place] = {
        gets_ ? OpCode::get : OpCode::put, {key, kKeyBytes}, gets_ ? std::string_view{} : values_.next()};
  }

  KeySpace space_;
  bool gets_;
  Random random_;
  Values values_;
  std::string keys_;
  std::vector<Operation> operations_;
  std::uint64_t next_ = 0;
};

/// When each batch under way was started. A ring instead of a map, since this is in the path of every
/// operation: a client uses its tickets' last bits again before it takes new ones.
class Starts {
 public:
  void put(Ticket ticket, Clock::time_point start) {
    Entry& entry = ring_[ticket.value % kEntries];
    DKV_ASSERT(entry.ticket == 0);  // else a batch has been under way for 65,536 others
    entry = {ticket.value, start};
  }
  Clock::time_point take(Ticket ticket) {
    Entry& entry = ring_[ticket.value % kEntries];
    DKV_ASSERT(entry.ticket == ticket.value);
    entry.ticket = 0;
    return entry.start;
  }

 private:
  static constexpr std::size_t kEntries = 65536;
  struct Entry {
    std::uint64_t ticket = 0;
    Clock::time_point start;
  };
  std::vector<Entry> ring_{kEntries};
};

/// One client with its callers.
class Driver {
 public:
  /// Each result is to have a value of so many bytes: none of a put.
  Driver(const std::string& endpoint, AckMode ack, bool exactly_once, std::size_t value_bytes)
      : client_(options_for(endpoint, ack, exactly_once)), value_bytes_(value_bytes) {}

  /// Keeps `callers` batches of `next()` under way until it gives an empty one, and waits for the rest.
  template <class Next>
  Result<Outcome> run(std::size_t callers, Next next) {
    std::size_t idle = callers;
    std::size_t busy = 0;
    for (;;) {
      for (; idle > 0; --idle, ++busy) {
        const std::span<const Operation> operations = next();
        if (operations.empty()) break;
        // Read before submit(), which may wait.
        const auto start = Clock::now();
        starts_.put(client_.submit(operations), start);
      }
      if (busy == 0) return outcome_;
      auto found = client_.wait_any(1h, completion_);
      const auto now = Clock::now();
      for (; found; found = client_.wait_any(0ms, completion_), --busy, ++idle) {
        if (auto good = settle(completion_, now); !good) return good.error();
      }
    }
  }

 private:
  Result<void> settle(const Completion& completion, Clock::time_point now) {
    const auto spent = now - starts_.take(completion.ticket);
    for (const OperationResult& result : completion.results) {
      if (result.code != Errc::ok) return Error{result.code, result.message};
      if (result.value.size() != value_bytes_)
        return Error{Errc::corrupt, "a value of another length than was written"};
    }
    const std::uint64_t count = completion.results.size();
    outcome_.ops += count;
    ++outcome_.batches;
    outcome_.latency.add(static_cast<std::uint64_t>(std::max<std::int64_t>(spent.count(), 0)), count);
    return {};
  }

  Client client_;
  std::size_t value_bytes_;
  Starts starts_;
  Completion completion_;
  Outcome outcome_;
};

/// Sees a node's checkpoints by what it says of itself.
class CheckpointWatch {
 public:
  explicit CheckpointWatch(std::string endpoint)
      : client_(options_for(endpoint)), endpoint_(std::move(endpoint)) {}

  /// The number of those that ended since the first call.
  std::uint64_t count() {
    const auto status = client_.status(endpoint_);
    if (!status) return count_;
    std::uint64_t applied = 0;
    for (const MemberStatus& member : status->members) applied += member.applied.value;
    if (known_ && applied != applied_) ++count_;
    known_ = true;
    applied_ = applied;
    return count_;
  }

 private:
  Client client_;
  std::string endpoint_;
  bool known_ = false;
  std::uint64_t applied_ = 0;
  std::uint64_t count_ = 0;
};

/// Waits until the load has lasted long enough, or a caller has failed. Returns the checkpoints seen.
std::uint64_t wait_for_end(const Load& load, const std::atomic<bool>& failed) {
  const auto start = Clock::now();
  const auto passed = [&](double seconds) {
    return Clock::now() - start >= std::chrono::duration<double>(seconds);
  };
  CheckpointWatch watch(load.endpoint);
  std::uint64_t seen = 0;
  while (!failed) {
    if (!load.gets) seen = watch.count();
    if (passed(load.seconds) && (seen >= load.checkpoints || passed(load.seconds * kMostTimes))) break;
    std::this_thread::sleep_for(kPoll);
  }
  return seen;
}

}  // namespace

Result<Outcome> run_load(const Load& load) {
  const std::size_t clients = load.separate ? load.callers : 1;
  const std::size_t callers_of_each = load.callers / clients;
  std::atomic<bool> stop = false;
  std::atomic<bool> failed = false;
  std::vector<Result<Outcome>> parts(clients, Outcome{});
  std::vector<std::thread> threads;
  const Meter meter;
  for (std::size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      Driver driver(load.endpoint, load.ack, load.exactly_once, load.gets ? load.space.value_bytes : 0);
      Feed feed(load.space, load.gets, load.batch, std::random_device{}() + i);
      parts[i] =
          driver.run(callers_of_each, [&] { return stop ? std::span<const Operation>{} : feed.random(); });
      if (!parts[i]) failed = true;
    });
  }
  const std::uint64_t checkpoints = wait_for_end(load, failed);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Outcome whole;
  meter.finish(whole);
  whole.checkpoints = checkpoints;
  for (const Result<Outcome>& part : parts) {
    if (!part) return part.error();
    whole.ops += part->ops;
    whole.batches += part->batches;
    whole.latency.merge(part->latency);
  }
  return whole;
}

Result<Outcome> fill(const std::string& endpoint, const KeySpace& space) {
  Driver driver(endpoint, AckMode::committed, false, 0);
  Feed feed(space, false, kFillBatch, 1);
  const Meter meter;
  auto outcome = driver.run(kFillCallers, [&] { return feed.in_order(); });
  if (!outcome) return outcome;
  CheckpointWatch watch(endpoint);
  auto still_since = Clock::now();
  for (std::uint64_t seen = watch.count(); Clock::now() - still_since < 1s;) {
    std::this_thread::sleep_for(kPoll);
    if (const std::uint64_t count = watch.count(); count != seen) {
      seen = count;
      still_since = Clock::now();
    }
  }
  meter.finish(*outcome);
  return outcome;
}

}  // namespace dkv::bench
