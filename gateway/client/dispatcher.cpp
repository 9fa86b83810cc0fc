#include "gateway/client/dispatcher.hpp"

#include <algorithm>
#include <random>

#include "messages/limits.hpp"
#include "topology/atomic_batch.hpp"
#include "topology/codec.hpp"

namespace dkv::client {

namespace {

using namespace std::chrono_literals;

// Between asking one node for the topology and the next: the first may be dead, or only slow.
constexpr auto kAskPause = 100ms;
// The same while an answer is long in coming: its shard may have another primary by now, or soon.
constexpr auto kDoubtPause = 200ms;
// How long an answer may take before that is worth asking.
constexpr std::chrono::milliseconds kLongestPatience = 200ms;
constexpr auto kFirstPause = 5ms;
constexpr auto kLongestPause = 250ms;
// A key that moves more often than this in one batch is going round in circles: pauses begin.
constexpr std::uint32_t kMovesAtOnce = 3;
// At most what an operation takes in a request beside its key and value (a put with a condition and a time to
// live: 42 bytes), and a request beside its operations.
constexpr std::size_t kOperationOverhead = 48;
constexpr std::size_t kRequestOverhead = 64;
// A node that never stops talking must not keep time from passing.
constexpr int kMostRounds = 64;
// A gathered frame does not wait for more than this: further operations cost the same in the next one.
constexpr std::size_t kGatheredOperations = 256;
// Nor does a batch of so many, which is a frame worth sending by itself.
constexpr std::size_t kLongBatch = 64;
constexpr auto kLongestGathering = 1ms;
// An outcome is kept for ten minutes from when a shard came to it: so long a write may be sent again.
constexpr auto kOnceWindow = 9min;
constexpr std::size_t kGatheredBytes = std::size_t{64} << 10;
// Memory for results that is kept for the next batches; and how many of them in one.
constexpr std::size_t kMaxSpares = 4096;
constexpr std::size_t kMaxSpareResults = 64;

OperationResult unknown_outcome(const Batch& batch, const std::string& why) {
  return OperationResult::failed(
      Errc::unknown_outcome,
      why + ": the write may have happened, or may yet; " +
          (batch.once ? "it may be sent again by the same name" : "read the key before deciding"));
}

/// Of one attempt, which says nothing of those before.
bool is_failure(Errc code) {
  return code == Errc::disk_full || code == Errc::io_error || code == Errc::corrupt || code == Errc::internal;
}

bool nothing_was_done(Errc code) {
  return code == Errc::moved || code == Errc::unavailable || code == Errc::overloaded;
}

/// Of no other client: twice by chance in 2^63.
OnceId first_once() {
  std::random_device random;
  return {(std::uint64_t{random()} << 32 | random()) | 1, 1};
}

std::chrono::milliseconds try_time_of(std::chrono::milliseconds deadline) {
  return std::clamp<std::chrono::milliseconds>(deadline / 4, 20ms, 1s);
}

}  // namespace

Dispatcher::Dispatcher(ClientOptions options)
    : options_(std::move(options)),
      try_time_(try_time_of(options_.deadline)),
      patience_(std::min(kLongestPatience, try_time_ / 2)),
      transport_(static_cast<int>(options_.max_in_flight) + 1024),
      last_problem_("no node was named"),
      // Spreads pauses and first choices of many clients; nothing depends on how random it is.
      next_once_(options_.exactly_once ? first_once() : OnceId{}),
      random_(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) ^
              reinterpret_cast<std::uintptr_t>(this)) {
  for (const std::string& seed : options_.seeds) {
    if (const auto peer = transport_.peer(seed)) seeds_.push_back(*peer);
  }
  rotation_ = random_ % 997;
}

Ticket Dispatcher::submit(std::span<const Operation> operations, CallOptions how, bool atomic) {
  while (flights_.size() + overdue_.size() + unrouted_.size() >= options_.max_in_flight ||
         batches_.is_full()) {
    turn(Clock::now() + 1h);
  }
  std::size_t bytes = 0;
  for (const Operation& operation : operations) bytes += operation.key.size() + operation.value.size();
  Batch& batch = new_batch(operations.size(), bytes);
  const Ticket ticket = batch.ticket;
  batch.read = how.read;
  batch.ack = how.ack.value_or(options_.ack);
  batch.atomic = atomic;
  batch.value_room = atomic ? SIZE_MAX : how.most_value_bytes;
  batch.operations.assign(operations.begin(), operations.end());
  batch.session = std::move(how.session);
  name(batch, how.once);
  if (batch.once && batch.once.number > UINT64_MAX - operations.size()) {
    for (std::uint32_t place = 0; place < operations.size(); ++place)
      finish(batch, place,
             OperationResult::failed(Errc::bad_request, "the number leaves none for the operations"));
  } else if (atomic) {
    auto refused = refuse_batch(operations, kMaxValueBytes, static_cast<bool>(batch.once));
    for (std::uint32_t place = 0; place < refused.size(); ++place)
      finish(batch, place, std::move(refused[place]));
  }
  const auto keep = [&](std::string_view text) {
    const std::size_t start = batch.storage.size();
    batch.storage.append(text);
    return std::string_view(batch.storage.data() + start, text.size());
  };
  for (std::uint32_t place = 0; place < operations.size(); ++place) {
    if (batch.finished[place]) continue;
    Operation& operation = batch.operations[place];
    if (operation.code != OpCode::put) operation.value = {};
    if (auto legal = check(operation, kMaxValueBytes); !legal) {
      finish(batch, place, OperationResult::failed(legal.error().code, legal.error().message));
      continue;
    }
    operation.key = keep(operation.key);
    operation.value = keep(operation.value);
    batch.order.push_back(place);
  }
  if (batch.order.empty()) {
    complete_if_done(batch);
  } else {
    dispatch(batch, {ticket, 0, static_cast<std::uint32_t>(batch.order.size()), {}});
  }
  return ticket;
}

/// Its writes may be sent again, if they have a name.
void Dispatcher::name(Batch& batch, OnceId once) {
  batch.once = once ? once : OnceId{};
  const bool has_writes = std::any_of(batch.operations.begin(), batch.operations.end(), writes);
  const bool has_gets = !std::all_of(batch.operations.begin(), batch.operations.end(), writes);
  if (!once && next_once_ && has_writes && !(batch.atomic && has_gets)) {
    batch.once = next_once_;
    next_once_.number += batch.operations.size();
  }
  batch.unanswered.assign(batch.once ? batch.operations.size() : 0, false);
  for (std::size_t i = 0; i < batch.operations.size(); ++i)
    batch.operations[i].number = batch.once && !batch.atomic ? batch.once.number + i : 0;
}

/// An empty batch with room for so much.
Batch& Dispatcher::new_batch(std::size_t operations, std::size_t bytes) {
  Batch& batch = batches_.begin();
  if (!spare_results_.empty()) {
    batch.results = std::move(spare_results_.back());
    spare_results_.pop_back();
  }
  batch.storage.clear();
  batch.storage.reserve(bytes);
  batch.results.resize(operations);
  batch.finished.assign(operations, false);
  batch.unfinished = operations;
  batch.deadline = Clock::now() + options_.deadline;
  batch.order.clear();
  batch.order.reserve(operations);
  batch.setbacks = batch.moves = 0;
  batch.flights.clear();
  return batch;
}

// ---- sending ----

void Dispatcher::dispatch(const Share& share) {
  Batch* const batch = batches_.find(share.ticket);
  if (batch == nullptr) return;
  const bool is_too_late = batch->once && Clock::now() > batch->deadline - options_.deadline + kOnceWindow;
  if (!is_too_late) return dispatch(*batch, share);
  finish_unanswered(*batch, share, "it was sent for nine minutes", true);
  complete_if_done(*batch);
}

void Dispatcher::dispatch(Batch& batch, const Share& share) {
  if (share.target) return gather(batch, share);
  if (!routes_) {
    if (!topology_wanted()) want_topology();
    unrouted_.push_back(share);
    return;
  }
  ++rotation_;
  const auto places = places_of(batch, share);
  const Target first = target_of(batch, places.front());
  const bool together = std::all_of(places.begin() + 1, places.end(),
                                    [&](std::uint32_t place) { return target_of(batch, place) == first; });
  if (!together) return part(batch, share);
  gather(batch, {share.ticket, share.first, share.count, first});
}

/// Takes apart what goes to several places; those of one keep their order.
void Dispatcher::part(Batch& batch, const Share& share) {
  targets_.clear();
  for (const std::uint32_t place : places_of(batch, share))
    targets_.emplace_back(target_of(batch, place), place);
  std::stable_sort(targets_.begin(), targets_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::uint32_t i = 0; i < share.count; ++i) batch.order[share.first + i] = targets_[i].second;
  for (std::uint32_t from = 0; from < share.count;) {
    std::uint32_t to = from + 1;
    while (to < share.count && targets_[to].first == targets_[from].first) ++to;
    gather(batch, {share.ticket, share.first + from, to - from, targets_[from].first});
    from = to;
  }
}

Dispatcher::Target Dispatcher::target_of(const Batch& batch, std::uint32_t place) {
  const Operation& operation = batch.operations[place];
  const Route& route = routes_->route_of(operation.key);
  if (batch.read == ReadMode::replica && operation.code == OpCode::get && !batch.atomic) {
    return {route.members[rotation_ % route.members.size()], route.shard};
  }
  return {route.primary, route.shard};
}

/// The open frame for this shard; one of another kind is closed, so that nothing overtakes what it holds.
Dispatcher::Gathering& Dispatcher::gathering_for(const Target& target, bool writes, const Batch& batch) {
  for (Gathering& open : gathering_) {
    if (open.target != target) continue;
    const bool is_alike = open.writes == writes && open.read == batch.read && open.ack == batch.ack &&
                          open.once.client_id == batch.once.client_id;
    if (is_alike) return open;
    send(open);
    open.writes = writes;
    open.read = batch.read;
    open.ack = batch.ack;
    open.once = batch.once;
    return open;
  }
  return gathering_.emplace_back(
      Gathering{target, writes, batch.read, batch.ack, {}, 0, 0, {}, false, batch.once});
}

/// In a frame of its own, behind what was gathered for the same shard before.
void Dispatcher::send_atomic(const Batch& batch, const Share& share, bool has_writes) {
  for (Gathering& open : gathering_) {
    if (open.target == *share.target) send(open);
  }
  Gathering alone{*share.target, has_writes, batch.read, batch.ack, {share},
                  share.count,   0,          {},         true,      batch.once};
  send(alone);
}

/// Adds operations to the frame for their shard, which is cut by the limits of a request.
void Dispatcher::gather(const Batch& batch, const Share& share) {
  const auto places = places_of(batch, share);
  const bool has_writes = std::any_of(places.begin(), places.end(),
                                      [&](std::uint32_t place) { return writes(batch.operations[place]); });
  if (batch.atomic) return send_atomic(batch, share, has_writes);
  Gathering& open = gathering_for(*share.target, has_writes, batch);
  Share part{share.ticket, share.first, 0, share.target};
  for (std::uint32_t i = 0; i < share.count; ++i) {
    // By its number: a send() that fails adds to the order.
    const Operation& operation = batch.operations[batch.order[share.first + i]];
    const std::size_t size = operation.key.size() + operation.value.size() + kOperationOverhead;
    const bool too_long = open.bytes + size + kRequestOverhead > kMaxRequestBytes;
    if (open.operations > 0 && (open.operations == kMaxOperations || too_long)) {
      if (part.count > 0) open.shares.push_back(part);
      part.first += std::exchange(part.count, 0);
      send(open);
    }
    ++part.count;
    if (open.operations == 0) open.since = Clock::now();
    ++open.operations;
    open.bytes += size;
  }
  open.shares.push_back(part);
  const bool is_long = part.count >= kLongBatch;
  if (is_long || open.operations >= kGatheredOperations || open.bytes >= kGatheredBytes) send(open);
}

/// Whether a frame of the same kind to the same node is on its way. Looks at the newest few: an older one has
/// waited for long enough not to be waited for.
bool Dispatcher::is_flying(const Gathering& gathering) const {
  constexpr int kNewest = 16;
  int looked = 0;
  for (auto at = flights_.rbegin(); at != flights_.rend() && looked < kNewest; ++at, ++looked) {
    const Flight& flight = at->second;
    if (flight.peer == gathering.target.peer && flight.writes == gathering.writes &&
        flight.kind == Kind::operations) {
      return true;
    }
  }
  return false;
}

void Dispatcher::send_due(Time now) {
  for (Gathering& open : gathering_) {
    if (open.operations > 0 && (now >= open.since + kLongestGathering || !is_flying(open))) send(open);
  }
}

void Dispatcher::flush() {
  for (Gathering& open : gathering_) send(open);
}

/// Sends an open frame and leaves it empty.
void Dispatcher::send(Gathering& open) {
  rpc::Request request;
  request.request_id = ++last_request_;
  request.read = open.read;
  request.ack = open.ack;
  request.atomic = open.atomic;
  request.client_id = open.once.client_id;
  if (open.atomic) request.number = open.once.number;
  request.session = session_of(open);
  const bool once = static_cast<bool>(open.once);
  Flight flight{Kind::operations, open.target.peer, Clock::now() + try_time_, open.writes, once, {}, {}, 0};
  request.operations.reserve(open.operations);
  flight.codes.reserve(open.operations);
  flight.shares.reserve(open.shares.size());
  for (const Share& share : open.shares) {
    Batch* batch = batches_.find(share.ticket);
    if (batch == nullptr) continue;  // its time was up
    batch->flights.push_back(request.request_id);
    for (const std::uint32_t place : places_of(*batch, share)) {
      request.operations.push_back(batch->operations[place]);
      flight.codes.push_back(batch->operations[place].code);
    }
    flight.shares.push_back(share);
  }
  open.shares.clear();
  open.operations = open.bytes = 0;
  if (flight.shares.empty()) return;
  if (fly(flight.peer, request.request_id, rpc::encode(request))) {
    flights_.emplace_hint(flights_.end(), request.request_id, std::move(flight));
  } else {
    retry_all(flight, last_problem_, false);
  }
}

/// What the sessions of its batches have seen, together; nothing where none has one.
std::shared_ptr<const Session> Dispatcher::session_of(const Gathering& gathering) {
  std::shared_ptr<Session> all;
  for (const Share& share : gathering.shares) {
    const Batch* batch = batches_.find(share.ticket);
    if (batch == nullptr || !batch->session) continue;
    if (!all) all = std::make_shared<Session>();
    const ShardId shard = gathering.target.shard;
    all->take({batch->session->topology_version, {{shard, batch->session->of(shard)}}});
  }
  return all;
}

bool Dispatcher::fly(Peer peer, std::uint64_t id, std::string bytes) {
  if (auto sent = transport_.send(peer, id, std::move(bytes)); !sent) {
    last_problem_ = sent.error().message;
    return false;
  }
  return true;
}

void Dispatcher::want_topology() {
  asks_left_ = seeds_.size() + (routes_ ? routes_->nodes().size() : 0);
  next_ask_ = std::max(next_ask_, Clock::now());
}

/// Since when an operation has waited for too long not to ask whether its shard's primary is another one.
Time Dispatcher::doubt_at() const {
  const auto oldest = std::find_if(flights_.begin(), flights_.end(),
                                   [](const auto& flight) { return flight.second.kind == Kind::operations; });
  const bool waits = std::any_of(overdue_.begin(), overdue_.end(),
                                 [](const auto& flight) { return flight.second.kind == Kind::operations; });
  if (waits) return {};
  return oldest == flights_.end() ? Time::max() : oldest->second.expires - try_time_ + patience_;
}

Time Dispatcher::next_ask() const { return topology_wanted() ? next_ask_ : std::max(next_ask_, doubt_at()); }

/// The next in turn that could answer: a node that nothing can be sent to is of no use.
Peer Dispatcher::whom_to_ask() {
  if (ask_first_) return *std::exchange(ask_first_, std::nullopt);
  const std::size_t known = routes_ ? routes_->nodes().size() : 0;
  Peer peer;
  for (std::size_t i = 0; i < seeds_.size() + known; ++i) {
    const std::size_t choice = ++rotation_ % (seeds_.size() + known);
    peer = choice < known ? routes_->nodes()[choice] : seeds_[choice - known];
    if (!transport_.has_unsent(peer)) break;
  }
  return peer;
}

void Dispatcher::ask_for_topology(Time now) {
  if (now < next_ask() || seeds_.size() + (routes_ ? routes_->nodes().size() : 0) == 0) return;
  if (now >= doubt_at()) give_up_lost(now);
  const bool wanted = topology_wanted();
  const Peer peer = whom_to_ask();
  next_ask_ = now + (wanted ? kAskPause : kDoubtPause);
  if (wanted) --asks_left_;
  // Without any topology there is nothing else to do than to go on asking.
  if (asks_left_ == 0 && !routes_ && !unrouted_.empty()) asks_left_ = seeds_.size();

  rpc::Request request;
  request.type = rpc::Type::topology;
  request.request_id = ++last_request_;
  Flight flight{Kind::topology, peer, now + try_time_, false, false, {}, {}, 0};
  if (fly(peer, request.request_id, rpc::encode(request))) {
    flights_.emplace_hint(flights_.end(), request.request_id, std::move(flight));
  }
}

std::vector<Result<rpc::Reply>> Dispatcher::ask_each(std::vector<Question> questions, Time deadline) {
  answers_.assign(questions.size(), std::nullopt);
  std::vector<std::uint64_t> ids;
  for (std::uint32_t place = 0; place < questions.size(); ++place) {
    Question& question = questions[place];
    const auto peer = transport_.peer(question.endpoint);
    question.request.request_id = ++last_request_;
    ids.push_back(last_request_);
    Flight flight{Kind::direct, peer ? *peer : Peer{}, deadline, false, false, {}, {}, place};
    if (!peer || !fly(*peer, last_request_, rpc::encode(question.request))) {
      answers_[place] = Error{Errc::unavailable, peer ? last_problem_ : peer.error().message};
    } else {
      overdue_.emplace(last_request_, std::move(flight));
    }
  }
  const auto open = [this] {
    return std::any_of(answers_.begin(), answers_.end(), [](const auto& answer) { return !answer; });
  };
  while (open() && Clock::now() < deadline) turn(deadline);

  std::vector<Result<rpc::Reply>> answers;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (const auto flight = overdue_.find(ids[i]); flight != overdue_.end()) {
      const bool unsent = transport_.withdraw(flight->second.peer, ids[i]);
      overdue_.erase(flight);
      const bool may_be_done = !unsent && questions[i].request.type == rpc::Type::control;
      answers_[i] = Error{may_be_done ? Errc::unknown_outcome : Errc::unavailable,
                          (unsent ? "no connection to " : "no answer from ") + questions[i].endpoint};
    }
    answers.push_back(std::move(*answers_[i]));
  }
  answers_.clear();
  return answers;
}

// ---- receiving ----

void Dispatcher::turn(Time until) {
  const Time now = Clock::now();
  const std::size_t completed = completed_.size();
  if (something_expires(now)) take_what_came(now);
  expire_flights(now);
  expire_batches(now);
  retry_due(now);
  ask_for_topology(now);
  send_due(now);
  // Somebody may be waiting for just what a deadline has ended.
  const bool news = completed_.size() != completed;
  transport_.receive(news ? now : next_wake(until),
                     [this](Peer peer, std::string_view bytes) { on_message(peer, bytes); });
}

bool Dispatcher::something_expires(Time now) const {
  return (!flights_.empty() && flights_.begin()->second.expires <= now) ||
         (!batches_.empty() && batches_.oldest()->deadline <= now);
}

/// An answer that has arrived counts, however late its asker looks.
void Dispatcher::take_what_came(Time now) {
  bool more = true;
  for (int round = 0; more && round < kMostRounds; ++round) {
    more = false;
    transport_.receive(now, [&](Peer peer, std::string_view bytes) {
      more = true;
      on_message(peer, bytes);
    });
  }
}

void Dispatcher::on_message(Peer peer, std::string_view bytes) {
  // Whatever is not the answer of the asked node to something still open is none of our business: late
  // answers, and garbage.
  const auto id = rpc::peek_request_id(bytes);
  if (!id) return;
  Flights* holder = &flights_;
  auto found = flights_.find(*id);
  if (found == flights_.end()) {
    holder = &overdue_;
    found = overdue_.find(*id);
    if (found == overdue_.end()) return;
  }
  if (found->second.peer != peer) return;
  auto reply = rpc::decode_reply(bytes, found->second.codes);
  if (!reply && reply.error().code != Errc::wrong_version) return;
  const Flight flight = std::move(holder->extract(found).mapped());
  if (!reply) return on_refusal(flight, reply.error());
  on_reply(flight, std::move(*reply));
}

void Dispatcher::on_reply(const Flight& flight, rpc::Reply reply) {
  if (const auto* error = std::get_if<Error>(&reply.body)) return on_refusal(flight, *error);
  if (flight.kind == Kind::direct) {
    answers_[flight.answer] = std::move(reply);
    return;
  }
  if (auto* results = std::get_if<std::vector<OperationResult>>(&reply.body)) {
    for (const Share& share : flight.shares) {
      const Batch* batch = batches_.find(share.ticket);
      if (batch != nullptr && batch->session && reply.session) batch->session->take(*reply.session);
    }
    if (flight.kind == Kind::operations) return on_results(flight, *results);
  } else if (const auto* topology = std::get_if<rpc::TopologyReply>(&reply.body)) {
    if (flight.kind == Kind::topology) return on_topology(*topology);
  }
  on_refusal(flight,
             {Errc::internal, transport_.endpoint(flight.peer) + " answered something else than was asked"});
}

void Dispatcher::on_refusal(const Flight& flight, const Error& error) {
  last_problem_ = transport_.endpoint(flight.peer) + ": " + error.message;
  if (flight.kind == Kind::direct) answers_[flight.answer] = error;
  if (flight.kind != Kind::operations) return;
  std::vector<OperationResult> results(flight.codes.size(),
                                       OperationResult::failed(error.code, last_problem_));
  on_results(flight, results);
}

void Dispatcher::on_results(const Flight& flight, std::span<OperationResult> results) {
  // A frame's values may be too many for one reply: then some gets are answered and the others refused,
  // though each alone would be answered.
  const bool overflow = std::any_of(results.begin(), results.end(),
                                    [](const OperationResult& result) { return !result.value.empty(); });
  for (const Share& share : flight.shares) {
    on_share(flight.peer, share, results.first(share.count), overflow);
    results = results.subspan(share.count);
  }
}

void Dispatcher::on_share(Peer teller, const Share& share, std::span<OperationResult> results,
                          bool overflow) {
  Batch* const found = batches_.find(share.ticket);
  if (found == nullptr) return;
  Batch& batch = *found;
  std::vector<std::uint32_t> later;
  std::map<Target, std::vector<std::uint32_t>> elsewhere;
  std::vector<std::uint32_t> crowded_out;
  bool refused = false;
  for (std::uint32_t i = 0; i < share.count; ++i) {
    const std::uint32_t place = batch.order[share.first + i];
    OperationResult& result = results[i];
    const bool is_crowded_out =
        overflow && result.code == Errc::too_large && batch.operations[place].code == OpCode::get;
    if (is_crowded_out && batch.value_room > 0) {
      batch.results[place] = std::move(result);
      crowded_out.push_back(place);
      continue;
    }
    // A read that was given up together with a write, when its primary stepped down; or a write with a name.
    const bool is_read = !writes(batch.operations[place]) && !batch.atomic;
    const bool is_open = result.code == Errc::unknown_outcome && (is_read || batch.once);
    const bool may_be_done = batch.once && batch.unanswered[place];
    if (is_open && batch.once && writes(batch.operations[place])) batch.unanswered[place] = true;
    if (may_be_done && is_failure(result.code)) result = unknown_outcome(batch, result.message);
    if (!nothing_was_done(result.code) && !is_open) {
      finish(batch, place, std::move(result));
      continue;
    }
    std::optional<Target> target;
    if (result.code == Errc::moved) target = follow(*result.moved, teller);
    if (result.code == Errc::unavailable || is_open) refused = true;
    batch.results[place] = std::move(result);
    (target ? elsewhere[*target] : later).push_back(place);
  }
  if (refused) want_topology();
  for (const auto& [target, places] : elsewhere) {
    Share moved = share_of(share.ticket, batch, places);
    moved.target = target;
    retry_later(batch, moved, ++batch.moves <= kMovesAtOnce);
  }
  if (!later.empty()) retry_later(batch, share_of(share.ticket, batch, later), false);
  // Each round answers at least one.
  if (!crowded_out.empty()) retry_later(batch, share_of(share.ticket, batch, crowded_out), true);
  complete_if_done(batch);
}

/// Where to send what moved, or nothing when our own topology knows better.
std::optional<Dispatcher::Target> Dispatcher::follow(const Moved& moved, Peer teller) {
  const std::uint64_t ours = routes_ ? routes_->topology()->version : 0;
  if (moved.topology_version < ours) return std::nullopt;
  if (moved.topology_version > ours) {
    want_topology();
    ask_first_ = teller;
  }
  const auto peer = transport_.peer(moved.rpc_endpoint);
  if (!peer) return std::nullopt;
  return Target{*peer, moved.shard};
}

void Dispatcher::on_topology(const rpc::TopologyReply& reply) {
  auto decoded = decode_topology(reply.encoded);
  if (!decoded) {
    last_problem_ = decoded.error().message;
    return;
  }
  if (routes_) {
    const Topology& ours = *routes_->topology();
    if (decoded->id != ours.id) {
      last_problem_ = "the nodes named belong to different clusters";
      return;
    }
    if (decoded->version <= ours.version) return;
  }
  auto routes = RouteTable::make(std::make_shared<const Topology>(std::move(*decoded)), transport_);
  if (!routes) {
    last_problem_ = routes.error().message;
    return;
  }
  routes_ = std::make_unique<RouteTable>(std::move(*routes));
  asks_left_ = 0;
  for (const Share& share : std::exchange(unrouted_, {})) dispatch(share);
  reroute();
}

/// What still waits for a connection may have a better place to go by now; so may reads, which may be sent
/// twice.
void Dispatcher::reroute() {
  for (auto at = flights_.begin(); at != flights_.end();) {
    const auto flight = at++;
    if (flight->second.kind != Kind::operations) continue;
    const bool unsent = transport_.withdraw(flight->second.peer, flight->first);
    const bool is_sent_once = flight->second.writes && !flight->second.once;
    if (!unsent && (is_sent_once || is_well_placed(flight->second))) continue;
    const Flight lost = std::move(flights_.extract(flight).mapped());
    retry_unanswered(lost, unsent);
  }
}

/// Whether a frame of reads is with a node that they would be sent to now.
bool Dispatcher::is_well_placed(const Flight& flight) {
  for (const Share& share : flight.shares) {
    const Batch* batch = batches_.find(share.ticket);
    if (batch == nullptr) continue;
    const Route& route = routes_->route_of(batch->operations[places_of(*batch, share).front()].key);
    if (batch->read != ReadMode::replica) return route.primary == flight.peer;
    return std::find(route.members.begin(), route.members.end(), flight.peer) != route.members.end();
  }
  return true;
}

// ---- time ----

void Dispatcher::expire_flights(Time now) {
  while (!flights_.empty() && flights_.begin()->second.expires <= now) {
    auto node = flights_.extract(flights_.begin());
    Flight& flight = node.mapped();
    const bool unsent = transport_.withdraw(flight.peer, node.key());
    const std::string& endpoint = transport_.endpoint(flight.peer);
    last_problem_ = (unsent ? "no connection to " : "no answer from ") + endpoint;
    if (flight.kind != Kind::operations) continue;
    want_topology();
    if (!unsent && flight.writes && !flight.once) {
      overdue_.insert(std::move(node));
    } else {
      retry_unanswered(flight, unsent);
    }
  }
}

/// Of what has waited for long: that whose connection is gone.
void Dispatcher::give_up_lost(Time now) {
  take_what_came(now);
  give_up_lost(flights_, now);
  give_up_lost(overdue_, now);
}

void Dispatcher::give_up_lost(Flights& flights, Time now) {
  for (auto at = flights.begin(); at != flights.end();) {
    const auto here = at++;
    const Peer peer = here->second.peer;
    const bool is_recent = here->second.expires - try_time_ + patience_ > now;
    if (here->second.kind != Kind::operations || is_recent || transport_.is_connected(peer)) continue;
    const bool unsent = transport_.withdraw(peer, here->first);
    const Flight lost = std::move(flights.extract(here).mapped());
    last_problem_ =
        (unsent ? "no connection to " : "the connection was lost to ") + transport_.endpoint(peer);
    if (unsent || !lost.writes || lost.once) {
      retry_unanswered(lost, unsent);
      continue;
    }
    for (const Share& share : lost.shares) {
      Batch* batch = batches_.find(share.ticket);
      if (batch == nullptr) continue;
      finish_unanswered(*batch, share, last_problem_, false);
      complete_if_done(*batch);
    }
  }
}

void Dispatcher::expire_batches(Time now) {
  const std::size_t before = batches_.size();
  while (!batches_.empty() && batches_.oldest()->deadline <= now) {
    Batch& oldest = *batches_.oldest();
    fail_unfinished(oldest.ticket, oldest);
    complete_if_done(oldest);
  }
  if (batches_.size() == before) return;
  std::erase_if(unrouted_, [this](const Share& share) { return batches_.find(share.ticket) == nullptr; });
}

void Dispatcher::retry_due(Time now) {
  while (!retries_.empty() && retries_.begin()->first <= now) {
    dispatch(retries_.extract(retries_.begin()).mapped());
  }
}

Time Dispatcher::next_wake(Time until) const {
  Time wake = until;
  if (!flights_.empty()) wake = std::min(wake, flights_.begin()->second.expires);
  if (!batches_.empty()) wake = std::min(wake, batches_.oldest()->deadline);
  if (!retries_.empty()) wake = std::min(wake, retries_.begin()->first);
  wake = std::min(wake, next_ask());
  for (const Gathering& open : gathering_) {
    if (open.operations > 0) wake = std::min(wake, open.since + kLongestGathering);
  }
  return wake;
}

// ---- ends ----

void Dispatcher::finish(Batch& batch, std::uint32_t place, OperationResult&& result) {
  if (batch.finished[place]) return;
  batch.finished[place] = true;
  if (batch.operations[place].code == OpCode::get) {
    if (result.value.size() > batch.value_room) {
      result = too_large_for_one_reply();
      batch.value_room = 0;  // no other round brings more
    }
    batch.value_room -= result.value.size();
  }
  OperationResult& kept = batch.results[place];
  if (result.code == Errc::ok && kept.code == Errc::ok && result.value.empty()) {
    // Most writes, whose texts are empty and stay so.
    kept.created = result.created;
    kept.version = result.version;
  } else {
    kept = std::move(result);
  }
  --batch.unfinished;
}

void Dispatcher::fail_unfinished(Ticket ticket, Batch& batch) {
  abandon(flights_, ticket, batch);
  abandon(overdue_, ticket, batch);
  for (std::uint32_t place = 0; place < batch.results.size(); ++place) {
    if (batch.finished[place]) continue;
    // Its last try failed without having done anything, or it had none for want of a topology.
    OperationResult& last = batch.results[place];
    std::string why =
        last.code == Errc::ok
            ? (routes_ ? "it was not sent in time" : "no node told us the topology: " + last_problem_)
        : last.code == Errc::moved ? "the key kept being moved, last to " + last.moved->node_name
                                   : std::move(last.message);
    if (batch.once && batch.unanswered[place]) {
      finish(batch, place, unknown_outcome(batch, why));
      continue;
    }
    const Errc code = last.code == Errc::overloaded ? Errc::overloaded : Errc::unavailable;
    finish(batch, place, OperationResult::failed(code, std::move(why)));
  }
}

/// Ends a batch, whose time is up, in every flight that it shares.
void Dispatcher::abandon(Flights& flights, Ticket ticket, Batch& batch) {
  for (const std::uint64_t id : batch.flights) {
    const auto here = flights.find(id);
    if (here == flights.end()) continue;
    auto& shares = here->second.shares;
    const bool unsent = transport_.withdraw(here->second.peer, id);
    const std::string& endpoint = transport_.endpoint(here->second.peer);
    const std::string why =
        unsent ? "no connection to " + endpoint : "no answer from " + endpoint + " in time";
    for (const Share& share : shares) {
      if (share.ticket == ticket) finish_unanswered(batch, share, why, unsent);
    }
    // What others have in it is still waited for, unless it was withdrawn from under them.
    const bool shared = std::any_of(shares.begin(), shares.end(), [&](const Share& share) {
      return share.ticket != ticket && batches_.find(share.ticket) != nullptr;
    });
    if (shared && !unsent) continue;
    const Flight flight = std::move(flights.extract(here).mapped());
    if (shared) retry_all(flight, "no connection to " + endpoint, true);
  }
}

void Dispatcher::finish_unanswered(Batch& batch, const Share& share, const std::string& why, bool unsent) {
  // What an atomic batch reads has no outcome of its own: who is told that nothing was done may do all of it
  // again.
  const bool unknown_as_one =
      batch.atomic && std::any_of(batch.operations.begin(), batch.operations.end(), writes);
  for (const std::uint32_t place : places_of(batch, share)) {
    const bool was_sent = !unsent || (batch.once && batch.unanswered[place]);
    const bool unknown = was_sent && (unknown_as_one || writes(batch.operations[place]));
    finish(batch, place,
           unknown ? unknown_outcome(batch, why) : OperationResult::failed(Errc::unavailable, why));
  }
}

/// Sent without an answer, unless it was not sent at all; and it may be sent again.
void Dispatcher::retry_unanswered(const Flight& flight, bool unsent) {
  for (const Share& share : flight.shares) {
    Batch* batch = batches_.find(share.ticket);
    if (unsent || batch == nullptr || !batch->once) continue;
    for (const std::uint32_t place : places_of(*batch, share)) {
      if (writes(batch->operations[place])) batch->unanswered[place] = true;
    }
  }
  retry_all(flight, last_problem_, true);
}

/// Nothing of this flight was done, or only reads were, or it is done once.
void Dispatcher::retry_all(const Flight& flight, const std::string& problem, bool at_once) {
  for (const Share& share : flight.shares) {
    Batch* batch = batches_.find(share.ticket);
    if (batch == nullptr) continue;
    std::vector<std::uint32_t> open;
    for (const std::uint32_t place : places_of(*batch, share)) {
      if (batch->finished[place]) continue;
      batch->results[place] = OperationResult::failed(Errc::unavailable, problem);
      open.push_back(place);
    }
    if (!open.empty()) retry_later(*batch, share_of(share.ticket, *batch, open), at_once);
  }
}

void Dispatcher::complete_if_done(Batch& batch) {
  if (batch.unfinished > 0) return;
  completed_.push_back({batch.ticket, std::move(batch.results)});
  batches_.end(batch);
}

void Dispatcher::retry_later(Batch& batch, const Share& share, bool at_once) {
  const Time when = Clock::now() + (at_once ? 0ms : pause(batch.setbacks++));
  retries_.emplace(when, share);
}

/// The places of the share's operations. Until the next share_of() of the same batch.
std::span<const std::uint32_t> Dispatcher::places_of(const Batch& batch, const Share& share) {
  return std::span(batch.order).subspan(share.first, share.count);
}

Dispatcher::Share Dispatcher::share_of(Ticket ticket, Batch& batch, std::span<const std::uint32_t> places) {
  const auto first = static_cast<std::uint32_t>(batch.order.size());
  batch.order.insert(batch.order.end(), places.begin(), places.end());
  return {ticket, first, static_cast<std::uint32_t>(places.size()), {}};
}

/// Doubles with each setback, and spreads, so that the clients of a recovering shard do not come in step.
std::chrono::milliseconds Dispatcher::pause(std::uint32_t setbacks) {
  const auto longest =
      std::min<std::chrono::milliseconds>(kFirstPause * (1 << std::min(setbacks, 10U)), kLongestPause);
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const auto half = longest.count() / 2;
  return std::chrono::milliseconds(half + 1 +
                                   static_cast<std::int64_t>(random_ % static_cast<std::uint64_t>(half + 1)));
}

bool Dispatcher::take_any(Completion& completion) {
  if (completed_.empty()) return false;
  std::swap(completion, completed_.front());
  auto& old = completed_.front().results;
  if (old.capacity() > 0 && old.capacity() <= kMaxSpareResults && spare_results_.size() < kMaxSpares) {
    old.clear();
    spare_results_.push_back(std::move(old));
  }
  completed_.pop_front();
  return true;
}

std::optional<Completion> Dispatcher::take(Ticket ticket) {
  const auto found = std::find_if(completed_.begin(), completed_.end(),
                                  [&](const auto& one) { return one.ticket == ticket; });
  if (found == completed_.end()) return std::nullopt;
  Completion completion = std::move(*found);
  completed_.erase(found);
  return completion;
}

}  // namespace dkv::client
