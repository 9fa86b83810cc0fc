// Carries batches of operations to the right nodes and their results back: routing, retries, deadlines.
// Client is its face; the rules of what may be retried live here:
//
// - MOVED, unavailable and overloaded say that nothing was done: such an operation is sent again, with
//   growing pauses, until its batch's deadline.
// - A frame of reads alone that is not answered within the try time is sent again, by a fresh topology.
// - A frame that holds a write is sent once. Without an answer by the deadline its writes are
//   unknown_outcome; only a frame that never left this process may go elsewhere.
// - But a frame of writes that have names (CallOptions::once, exactly_once) is sent again like one of reads:
// the shard
//   does them once. What may have been done by a try that was not answered is unknown_outcome at the
//   deadline, whatever later tries were told.
// - What was sent on a connection that is lost will not be answered: its writes are unknown_outcome as soon
//   as that is noticed, its reads are sent again.
// - While an operation waits for its answer for long, or is refused, the topology is asked for, of all nodes
//   in turn: a newer one names the new primary, to which all goes that may be sent again.
//
// Terms: a *batch* is what submit() was given; a *flight* is one frame on its way. What is submitted for one
// shard gathers into a common frame until somebody waits (or the frame is long enough), since a frame costs
// both sides more than an operation does. And while one is on its way, the next gathers on until that is
// answered, for a millisecond at most (Nagle's idea, RFC 896): callers who ask one thing at a time would
// otherwise stay parted into many small frames for ever once they are. Reads and writes gather apart, and
// what is submitted leaves in its order: a frame of the other kind, to the same shard, is closed first.
//
// One thread only. Limits: Options::max_in_flight flights.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/client/batch_table.hpp"
#include "gateway/client/options.hpp"
#include "gateway/client/route_table.hpp"
#include "messages/rpc.hpp"

namespace dkv::client {

class Dispatcher {
 public:
  explicit Dispatcher(ClientOptions options);

  /// Starts a batch; keys and values are copied. It leaves with the next flush() or turn(), or earlier.
  /// Waits while too many flights are on their way.
  Ticket submit(std::span<const Operation> operations, CallOptions how, bool atomic = false);
  /// Sends what has gathered.
  void flush();
  /// Does what is due, then waits for something to happen, at most until `until`.
  void turn(Time until);
  /// Whether the ticket's batch is neither finished nor unknown.
  bool is_pending(Ticket ticket) const { return batches_.contains(ticket); }
  bool has_pending() const { return !batches_.empty(); }
  std::optional<Completion> take(Ticket ticket);
  /// The next one into `completion`, whose memory another batch will use. False when there is none.
  bool take_any(Completion& completion);

  /// The newest topology known, nullptr before the first.
  TopologyPtr topology() const { return routes_ ? routes_->topology() : nullptr; }
  /// Has it fetched (again) from any node; topology_wanted() ends when that is done.
  void want_topology();
  bool topology_wanted() const { return asks_left_ > 0; }
  /// Goes by this topology from now on, if it is newer than what is known.
  void on_topology(const rpc::TopologyReply& reply);
  /// What went wrong most recently, for people.
  const std::string& last_problem() const { return last_problem_; }

  /// Asks nodes, all at once, each at most until `deadline`, what is no matter of any key's: not
  /// for operations. Nothing is asked twice. Errors: what the node answers; unavailable where it was not
  /// asked or did not answer; unknown_outcome for a control request that was sent and not answered.
  struct Question {
    std::string endpoint;
    rpc::Request request;
  };
  std::vector<Result<rpc::Reply>> ask_each(std::vector<Question> questions, Time deadline);

 private:
  /// One shard's share of a batch, when somebody said where to send it.
  struct Target {
    Peer peer;
    ShardId shard;
    auto operator<=>(const Target&) const = default;
  };
  /// Operations of a batch: so many of its `order`, which are this share's alone.
  struct Share {
    Ticket ticket;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::optional<Target> target;
  };
  /// A frame that is still open for more.
  struct Gathering {
    Target target;
    bool writes = false;
    ReadMode read = ReadMode::linearizable;
    AckMode ack = AckMode::committed;
    std::vector<Share> shares;
    std::size_t operations = 0;
    std::size_t bytes = 0;
    Time since;  // its first operation
    bool atomic = false;
    OnceId once{};  // of an atomic batch its name; else of all its operations the client id
  };
  enum class Kind : std::uint8_t { operations, topology, direct };
  struct Flight {
    Kind kind = Kind::operations;
    Peer peer;
    Time expires;  // end of its try
    bool writes = false;
    bool once = false;  // and may be sent again
    std::vector<Share> shares;
    std::vector<OpCode> codes;  // of their operations
    std::size_t answer = 0;     // of ask_each(): its place in answers_
  };
  using Flights = std::map<std::uint64_t, Flight>;

  // Sending.
  Batch& new_batch(std::size_t operations, std::size_t bytes);
  void dispatch(const Share& share);
  void dispatch(Batch& batch, const Share& share);
  void part(Batch& batch, const Share& share);
  Target target_of(const Batch& batch, std::uint32_t place);
  void send_atomic(const Batch& batch, const Share& share, bool has_writes);
  void gather(const Batch& batch, const Share& share);
  Gathering& gathering_for(const Target& target, bool writes, const Batch& batch);
  void send(Gathering& gathering);
  void send_due(Time now);
  bool is_flying(const Gathering& gathering) const;
  void name(Batch& batch, OnceId once);
  std::shared_ptr<const Session> session_of(const Gathering& gathering);
  void ask_for_topology(Time now);
  Time doubt_at() const;
  Time next_ask() const;
  Peer whom_to_ask();
  void give_up_lost(Time now);
  void give_up_lost(Flights& flights, Time now);
  bool fly(Peer peer, std::uint64_t id, std::string bytes);

  // Receiving.
  bool something_expires(Time now) const;
  void take_what_came(Time now);
  void on_message(Peer peer, std::string_view bytes);
  void on_reply(const Flight& flight, rpc::Reply reply);
  void on_results(const Flight& flight, std::span<OperationResult> results);
  void on_share(Peer teller, const Share& share, std::span<OperationResult> results, bool overflow);
  void on_refusal(const Flight& flight, const Error& error);
  void reroute();
  bool is_well_placed(const Flight& flight);
  std::optional<Target> follow(const Moved& moved, Peer teller);

  // Time.
  void expire_flights(Time now);
  void expire_batches(Time now);
  void retry_due(Time now);
  Time next_wake(Time until) const;

  // Ends of operations and batches.
  void finish(Batch& batch, std::uint32_t place, OperationResult&& result);
  void fail_unfinished(Ticket ticket, Batch& batch);
  void abandon(Flights& flights, Ticket ticket, Batch& batch);
  void finish_unanswered(Batch& batch, const Share& share, const std::string& why, bool unsent);
  void retry_all(const Flight& flight, const std::string& problem, bool at_once);
  void retry_unanswered(const Flight& flight, bool unsent);
  void complete_if_done(Batch& batch);
  void retry_later(Batch& batch, const Share& share, bool at_once);
  static std::span<const std::uint32_t> places_of(const Batch& batch, const Share& share);
  static Share share_of(Ticket ticket, Batch& batch, std::span<const std::uint32_t> places);
  std::chrono::milliseconds pause(std::uint32_t setbacks);

  ClientOptions options_;
  std::chrono::milliseconds try_time_;
  std::chrono::milliseconds patience_;  // with an answer, before the topology is asked for
  Transport transport_;
  std::vector<Peer> seeds_;
  std::unique_ptr<RouteTable> routes_;
  std::string last_problem_;

  // Request ids grow, and each kind of flight has one time-out: the first of each map expires first.
  BatchTable batches_;
  std::vector<std::vector<OperationResult>> spare_results_;  // empty ones with memory, for the next batches
  std::vector<Gathering> gathering_;
  std::vector<std::pair<Target, std::uint32_t>> targets_;  // part()'s own
  Flights flights_;
  Flights overdue_;  // past their try: writes that may only wait for the batch's deadline; ask_each()'s
  std::multimap<Time, Share> retries_;
  std::vector<Share> unrouted_;  // waiting for the first topology
  std::deque<Completion> completed_;
  std::vector<std::optional<Result<rpc::Reply>>> answers_;  // of ask_each()

  std::uint64_t last_request_ = 0;
  OnceId next_once_;            // of exactly_once
  std::uint64_t rotation_ = 0;  // takes turns among nodes, replicas
  std::uint64_t random_;
  std::size_t asks_left_ = 0;      // nodes still to be asked for a topology
  std::optional<Peer> ask_first_;  // it spoke of a topology that is newer than ours
  Time next_ask_{};
};

}  // namespace dkv::client
