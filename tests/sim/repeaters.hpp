// Clients of a simulated cluster who send each write by a name until it is answered, and now and then copies
// of it that come when it is long over; each has keys that nobody else writes. So it knows what each answer
// must be: that of a write that was done once, in its turn (R19). And it reads at any copy what it has
// written, by its session: exactly that (R20).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/sim_world.hpp"

namespace dkv::sim {

class Repeaters {
 public:
  /// What their keys begin with.
  static constexpr std::string_view kKeys = "{once-";

  /// On shards that lose nothing; until then.
  Repeaters(SimWorld& world, std::size_t count, std::uint64_t seed, TimePoint until,
            const std::function<bool(ShardId)>& may_lose, std::function<void(std::string)> violated);

  /// Everybody must have come to an answer.
  void finish();

  std::uint64_t writes() const { return writes_; }
  std::uint64_t repeated() const { return repeated_; }            // attempts beyond the first of a write
  std::uint64_t session_reads() const { return session_reads_; }  // that a replica has answered

 private:
  struct Repeater {
    std::string name;
    std::string key;  // and with an "a" and a "b" behind it, which count as one
    ShardId shard;
    NodeId guess;                        // where the primary is
    std::optional<std::int64_t> number;  // what the key holds
    std::int64_t pair = 0;               // what the two hold
    Session session;
    rpc::Request request;  // under way
    std::vector<OperationResult> expected;
    std::uint64_t asked = 0;  // requests
    bool is_waiting = false;
  };

  void act_later(std::size_t index);
  void act(std::size_t index);
  void read_somewhere(std::size_t index);
  void choose_write(Repeater& repeater);
  void add(rpc::Request& request, OpCode code, const std::string& key, std::int64_t amount);
  void attempt(std::size_t index);
  void take(std::size_t index, std::uint64_t attempt, const rpc::Reply& reply);
  void take_read(std::size_t index, const rpc::Reply& reply);
  void guess_again(Repeater& repeater);

  SimWorld& world_;
  Random random_;  // of their own: they draw nothing that others would
  TimePoint until_;
  std::function<void(std::string)> violated_;
  std::vector<Repeater> repeaters_;
  std::uint64_t writes_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t session_reads_ = 0;
};

}  // namespace dkv::sim
