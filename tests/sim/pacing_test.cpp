// Writers who are faster than checkpoints, in simulation: slowed down and not refused, while what they are
// told stays true over crashes, in its order, and memory within its limit. DKV_SIM_SEEDS sets how many seeds
// are run.
#include <gtest/gtest.h>
#include <iostream>

#include "actors/member/member_actor.hpp"
#include "tests/actors/conversation.hpp"
#include "tests/sim/failover_cluster.hpp"
#include "tests/sim/seeds.hpp"

namespace dkv::sim {
namespace {

constexpr std::uint64_t kWriters = 8;  // what they have under way is little beside the room
constexpr std::size_t kMaxBytes = 180 << 10;
// With its value, and what a memtable takes beside it.
constexpr std::size_t kRecordBytes = 1000;
const Address kPrimary{test::kPrimaryNode, Role::member, test::kShard};

NodeOptions limits() {
  NodeOptions options;
  options.copy.freeze_bytes = 60 << 10;
  options.copy.max_bytes = kMaxBytes;
  return options;
}

/// Nobody else can keep its writers waiting.
TopologyPtr one_member() {
  auto topology = simulated_nodes(4711, 1, 1, 1);
  topology->shards = {{test::kShard, "city", 1, test::kPrimaryNode, {}, {}}};
  topology->slots.fill(test::kShard);
  return topology;
}

/// Writes its own key over and over, two writes under way at a time.
struct Writer {
  std::uint64_t asked = 0;         // the value of its last write
  std::uint64_t acknowledged = 0;  // the highest that was answered with ok
  Seq last_seq;
};

class Pacing {
 public:
  explicit Pacing(std::uint64_t seed) : world_(seed, one_member(), limits()) {
    // Some 180 records, all but a few of keys that are written once: a checkpoint takes a third of a second,
    // in which writers who are not slowed down take all the room there is.
    world_.slow_stores(Duration{2ms});
    world_.start_all();
    world_.run_until(world_.now() + 500ms);
    for (std::uint64_t i = 0; i < kWriters; ++i) {
      write(i);
      write(i);
    }
    watch();
  }

  void run_for(Duration time) { world_.run_until(world_.now() + time); }
  void crash() {
    world_.crash(test::kPrimaryNode);
    run_for(100ms);
    world_.start(test::kPrimaryNode);
    // Whom it ended for will never hear.
    run_for(500ms);
    for (std::uint64_t i = 0; i < kWriters; ++i) {
      writers_[i].last_seq = {};
      write(i);
      write(i);
    }
  }
  void stop_writing() { stopped_ = true; }

  /// Every write that was acknowledged is there, or one that its writer asked for after it.
  void check_content() {
    for (std::uint64_t i = 0; i < kWriters; ++i) {
      std::uint64_t found = 0;
      bool answered = false;
      world_.ask(test::kPrimaryNode, test::get(key(i)), [&](rpc::Reply reply) {
        const OperationResult result = single_result(reply);
        answered = result.code == Errc::ok;
        if (answered) found = std::stoull(result.value);
      });
      run_for(1s);
      ASSERT_TRUE(answered);
      EXPECT_GE(found, writers_[i].acknowledged) << key(i);
      EXPECT_LE(found, writers_[i].asked) << key(i);
    }
  }

  std::uint64_t written = 0;
  std::uint64_t refused = 0;  // as overloaded: one checkpoint in five fails, as if the disk were full
  Duration slowest{};
  std::uint64_t paced = 0;  // answers that took longer than a disk does
  std::size_t most_bytes = 0;

 private:
  static std::string key(std::uint64_t writer) { return "writer-" + std::to_string(writer); }

  void write(std::uint64_t i) {
    Writer& writer = writers_[i];
    const std::uint64_t number = ++writer.asked;
    std::string value = std::to_string(number);
    value.resize(value.size() + 200, ' ');
    const TimePoint asked_at = world_.now();
    // A key of its own beside it, so that memtables grow.
    auto request = test::request_of(
        {{OpCode::put, {key(i), value}}, {OpCode::put, {key(i) + "/" + value.substr(0, 8), value}}});
    world_.ask(test::kPrimaryNode, std::move(request), [this, i, number, asked_at](rpc::Reply reply) {
      const Duration took = world_.now() - asked_at;
      const auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
      if (results == nullptr || results->front().code != Errc::ok) {
        if (results != nullptr && results->front().code == Errc::overloaded) ++refused;
        return world_.at(world_.now() + 20ms, [this, i] { again(i); });
      }
      Writer& who = writers_[i];
      EXPECT_GT(results->front().version.seq, who.last_seq) << "an answer overtook the one before it";
      who.last_seq = results->front().version.seq;
      who.acknowledged = std::max(who.acknowledged, number);
      ++written;
      slowest = std::max(slowest, took);
      if (took > 20ms) ++paced;
      again(i);
    });
  }

  void again(std::uint64_t i) {
    if (!stopped_) write(i);
  }

  void watch() {
    const auto* member = dynamic_cast<MemberActor*>(world_.actor(kPrimary));
    if (member != nullptr && member->primary() != nullptr)
      most_bytes = std::max(most_bytes, member->primary()->copy().unwritten_bytes());
    world_.at(world_.now() + 1ms, [this] { watch(); });
  }

  SimWorld world_;
  std::map<std::uint64_t, Writer> writers_;
  bool stopped_ = false;
};

TEST(SimulatedPacing, SlowsWritersDownInsteadOfRefusingThem) {
  for (std::uint64_t seed = 1; seed <= seed_count() / 30 + 1; ++seed) {
    Pacing run(seed);
    run.run_for(3s);  // the first checkpoint says how long one takes
    run.refused = run.written = run.paced = 0;
    run.slowest = {};
    run.run_for(20s);
    EXPECT_GT(run.written, 500U) << "seed " << seed;
    EXPECT_GT(run.paced, run.written / 4) << "seed " << seed;
    EXPECT_LE(run.refused, run.written / 50) << "seed " << seed;
    EXPECT_LE(run.slowest, 1100ms) << "seed " << seed;
    EXPECT_LE(run.most_bytes, kMaxBytes + 2 * kRecordBytes) << "seed " << seed;
    run.stop_writing();
    run.run_for(3s);
    run.check_content();
  }
}

TEST(SimulatedPacing, LosesNothingThatWasAcknowledgedOverCrashes) {
  for (std::uint64_t seed = 1; seed <= seed_count() / 30 + 1; ++seed) {
    Pacing run(seed);
    for (int i = 0; i < 4; ++i) {
      run.run_for(Duration{1700ms} + Duration{1ms} * static_cast<int>(seed * 37 % 1000));
      run.crash();
    }
    EXPECT_LE(run.most_bytes, kMaxBytes + 2 * kRecordBytes) << "seed " << seed;
    run.stop_writing();
    run.run_for(5s);
    run.check_content();
  }
}

}  // namespace
}  // namespace dkv::sim
