#include "tests/sim/failover_cluster.hpp"

#include <algorithm>
#include <array>

#include "tests/linearizability/check.hpp"

namespace dkv::sim {

namespace {
constexpr Duration kClientTimeout = 900ms;
constexpr Duration kLeaseCheckInterval = 3ms;
constexpr Duration kPrefixCheckInterval = 500ms;
constexpr Duration kLastReadsBefore = 4s;
constexpr std::size_t kMaxViolations = 20;
constexpr std::size_t kPairs = 4;
constexpr std::size_t kCounters = 3;
constexpr std::size_t kBrief = 2;
// What the clocks of two primaries may be apart, and what a sweep may take.
constexpr Duration kExpirySlack = 2s;

std::string counter(std::size_t number) { return "count-" + std::to_string(number); }
/// A key whose records live for a short time.
std::string brief(std::size_t number) { return "brief-" + std::to_string(number); }
/// Two keys of a slot that are written as one.
std::array<std::string, 2> keys_of_pair(std::size_t pair) {
  const std::string tag = "{pair-" + std::to_string(pair) + "}";
  return {tag + "a", tag + "b"};
}
constexpr std::uint64_t kScanner = 500;      // the first of those who scan
constexpr std::uint64_t kOneClient = 1'000;  // the first of those that ask once

/// Of the warnings and errors that actors log, those that faults explain.
bool is_expected(const std::string& alarm) {
  constexpr const char* kExpected[] = {
      "the disk is full",          // limit_disks
      "taking over",               // crashes, freezes, cuts
      "stepping down",             //
      "in-sync set",               //
      "has lost its folder",       // wipes
      "volatile, and all",         // crashes of all members of a volatile shard
      "an operator forces",        // asked for
      "was given up: this copy",   // after either
      "ignored a damaged message"  // corruption
  };
  return std::any_of(std::begin(kExpected), std::end(kExpected),
                     [&](const char* part) { return alarm.find(part) != std::string::npos; });
}
}  // namespace

FailoverCluster::FailoverCluster(std::uint64_t seed, TopologyPtr topology, const NodeOptions& options)
    : world_(seed, std::move(topology), options) {
  for (const ShardInfo& shard : world_.topology().shards) guess_[shard.id] = shard.primary;
  world_.observe([this](const Envelope& envelope) { watch(envelope); });
  check_leases();
  check_prefixes();
}

void FailoverCluster::violated(std::string what) {
  if (result_.violations.size() < kMaxViolations) result_.violations.push_back(std::move(what));
}

void FailoverCluster::run_until(const std::string& what, Duration most, const std::function<bool()>& holds) {
  for (const TimePoint end = world_.now() + most; world_.now() < end; run_for(1ms)) {
    if (holds()) return;
  }
  violated("it did not come to this: " + what);
}

void FailoverCluster::watch(const Envelope& envelope) {
  if (const auto* append = std::get_if<AppendFrame>(&envelope.message)) {
    prefixes_.appended(envelope.to.shard, append->bytes);
  } else if (const auto* report = std::get_if<ControlReport>(&envelope.message)) {
    report_ = *report;
    if (report->code == Errc::ok && report->text.starts_with("handed over")) ++result_.hand_overs;
  } else if (std::holds_alternative<BeginImport>(envelope.message)) {
    ++result_.copies;
  }
}

// ---- who has which part

MemberActor* FailoverCluster::member(NodeId node, ShardId shard) {
  return dynamic_cast<MemberActor*>(world_.actor({node, Role::member, shard}));
}

NodeId FailoverCluster::leader(ShardId shard) {
  for (const NodeInfo& node : world_.topology().nodes) {
    const MemberActor* one = member(node.id, shard);
    if (one != nullptr && one->holds_lease(world_.now_at(node.id))) return node.id;
  }
  return {};
}

TopologyPtr FailoverCluster::newest() {
  TopologyPtr newest;
  for (const NodeInfo& node : world_.topology().nodes) {
    for (const ShardInfo& shard : world_.topology().shards) {
      const MemberActor* one = member(node.id, shard.id);
      if (one == nullptr || !one->topology()) continue;
      if (!newest || one->topology()->version > newest->version) newest = one->topology();
    }
  }
  return newest ? newest : std::make_shared<const Topology>(world_.topology());
}

const ShardInfo& FailoverCluster::shard_of(const std::string& key) const {
  return *world_.topology().find_shard(world_.topology().slots[slot_of(key).value]);
}

/// Acknowledged writes may be lost there: it is a cache, or an operator has forced it.
bool FailoverCluster::is_weak(ShardId shard) const {
  return lossy_.contains(shard) || world_.topology().find_shard(shard)->store == StoreKind::memory;
}

// ---- clients

void FailoverCluster::start_clients(std::size_t clients, std::size_t keys, TimePoint until) {
  keys_ = keys;
  clients_end_ = until;
  for (std::size_t client = 0; client < clients; ++client) schedule_client(client);
}

void FailoverCluster::schedule_client(std::size_t client) {
  if (client >= kOneClient) return;
  world_.at(world_.now() + random().between(Duration{5ms}, Duration{60ms}), [this, client] { act(client); });
}

void FailoverCluster::act(std::size_t client) {
  if (world_.now() >= clients_end_) return;
  const std::string key = "key-" + std::to_string(random().below(keys_));
  switch (random().below(20)) {
    case 18:
      return put_for_a_while(client, brief(random().below(kBrief)));
    case 19:
      return ask(client, Operation{OpCode::get, brief(random().below(kBrief)), {}});
    case 12:
      return write_pair(client);
    case 13:
      return read_pair(client);
    case 14:
    case 15:
      return ask(client, conditional(key, new_value()));
    case 16:
      return ask(client, Operation{OpCode::increment,
                                   counter(random().below(kCounters)),
                                   {},
                                   false,
                                   {},
                                   static_cast<std::int64_t>(random().below(5)) - 1});
    case 17:
      return ask(client, Operation{OpCode::get, counter(random().below(kCounters)), {}});
    case 0:
    case 1:
    case 2:
      return ask(client, Operation{OpCode::get, key, {}});
    case 3:
      return ask(client, Operation{OpCode::remove, key, {}});
    case 4:
    case 5:
      return read_at_replica(client, key);
    default:
      return ask(client, Operation{OpCode::put, key, new_value(), true});
  }
}

std::string FailoverCluster::new_value() { return "value-" + std::to_string(++written_); }

/// By what any client was last told of the key, so that it often holds.
Operation FailoverCluster::conditional(const std::string& key, const std::string& value) {
  using Kind = Condition::Kind;
  Operation operation{OpCode::put, key, value, true};
  switch (random().below(6)) {
    case 0:
      operation.condition = {Kind::missing};
      break;
    case 1:
      operation.condition = {Kind::exists};
      break;
    case 2:
      operation.code = OpCode::remove;
      [[fallthrough]];
    default:
      operation.condition = {Kind::version, told_[key]};
      break;
  }
  return operation;
}

void FailoverCluster::put_for_a_while(std::size_t client, const std::string& key) {
  const std::string value = new_value();
  Operation operation{OpCode::put, key, value, true};
  operation.ttl = {Ttl::Kind::limited, random().between(std::uint64_t{1}, std::uint64_t{3000})};
  ask(client, operation);
}

void FailoverCluster::put(NodeId node, const std::string& key, const std::string& value) {
  ask(kOneClient + ++written_, Operation{OpCode::put, key, value, true}, node);
}

void FailoverCluster::get(NodeId node, const std::string& key) {
  ask(kOneClient + ++written_, Operation{OpCode::get, key, {}}, node);
}

namespace {
/// Owns its key and value, which `operation` names.
rpc::Request request_for(std::uint64_t id, Operation operation) {
  const auto buffer = std::make_shared<std::pair<std::string, std::string>>(operation.key, operation.value);
  operation.key = buffer->first;
  operation.value = operation.code == OpCode::put ? std::string_view(buffer->second) : std::string_view();
  rpc::Request request;
  request.request_id = id;
  request.operations.push_back(operation);
  request.owner = buffer;
  return request;
}
}  // namespace

void FailoverCluster::ask(std::size_t client, const Operation& operation, std::optional<NodeId> at) {
  const std::string key(operation.key);
  const ShardId shard = shard_of(key).id;
  const std::size_t place = history_.size();
  rpc::Request request = request_for(++requests_, operation);
  if (operation.code == OpCode::put) weak_reads_.asked_to_put(key, std::string(operation.value));
  history_.push_back(linear::asked(static_cast<std::uint32_t>(client), request.operations[0], time()));
  if (operation.ttl.kind == Ttl::Kind::limited) ttls_[place] = std::chrono::milliseconds(operation.ttl.ms);
  auto open = std::make_shared<bool>(true);
  world_.ask(at.value_or(guess_[shard]), std::move(request),
             [this, client, open, place, shard](const rpc::Reply& reply) {
               if (!std::exchange(*open, false)) return;
               note(place, shard, single_result(reply));
               schedule_client(client);
             });
  world_.at(world_.now() + kClientTimeout, [this, client, open, shard] {
    if (!std::exchange(*open, false)) return;
    guess_again(shard);
    schedule_client(client);
  });
}

void FailoverCluster::note(std::size_t place, ShardId shard, const OperationResult& result) {
  linear::Operation& call = history_[place];
  linear::answered(call, result, true, time());
  if (const auto ttl = ttls_.find(place); ttl != ttls_.end() && call.outcome == linear::Outcome::ok)
    over_by_[call.value] = time() + ttl->second + kExpirySlack;
  if (result.version != Position{}) told_[call.key] = result.version;
  if (call.code == OpCode::get && result.code == Errc::ok) note_late_read(call);
  if (result.code == Errc::moved) {
    guess_[shard] = world_.topology().find_node(result.moved->node_name)->id;
  } else if (result.code == Errc::unavailable || result.code == Errc::unknown_outcome) {
    result_.unknown_outcomes += result.code == Errc::unknown_outcome;
    guess_again(shard);
  } else if (result.code == Errc::disk_full) {
    ++result_.refused_for_room;
  } else if (call.code != OpCode::get && result.code == Errc::ok) {
    ++result_.acknowledged_writes;
    result_.conditions_held += call.condition != Condition{};
  } else if (result.code == Errc::condition_failed) {
    ++result_.conditions_failed;
  } else if (call.code == OpCode::get && (result.code == Errc::ok || result.code == Errc::not_found)) {
    ++result_.reads;
    if (is_weak(shard) && call.key.starts_with("key-"))
      note_weak_read("reader " + std::to_string(place), call.key, result);
  }
}

/// Whoever reads what should have been gone for long.
void FailoverCluster::note_late_read(const linear::Operation& read) {
  const auto over = over_by_.find(read.found);
  if (over != over_by_.end() && read.invoked > over->second)
    violated(read.key + " still held '" + read.found + "' long after its time");
}

/// Of a put whose record lives for a while: what expiry may do to it, as somebody's delete that may happen at
/// any time from then on.
void FailoverCluster::add_expiries() {
  for (const auto& [place, ttl] : ttls_) {
    const linear::Operation put = history_[place];
    if (put.outcome != linear::Outcome::ok && put.outcome != linear::Outcome::unknown) continue;
    const Operation remove{OpCode::remove, put.key, {}};
    linear::Operation expiry =
        linear::asked(put.client, remove, put.invoked + std::max(ttl - kExpirySlack, Duration{}));
    if (put.version) expiry.condition = {Condition::Kind::version, *put.version};
    history_.push_back(std::move(expiry));
  }
}

/// Any copy, also one that leads: something that was written and, at one process in one part, never older
/// than what that has shown before.
void FailoverCluster::read_at_replica(std::size_t client, const std::string& key) {
  const ShardInfo& shard = shard_of(key);
  const std::size_t place = random().below(shard.replicas.size() + 1);
  const NodeId node = place == 0 ? shard.primary : shard.replicas[place - 1];
  const auto name = [this, node, id = shard.id] {
    const MemberActor* one = member(node, id);
    return "replica " + std::to_string(node.value) + ", process " + std::to_string(world_.generation(node)) +
           ", part " +
           std::to_string(
               one == nullptr ? 0 : one->changes_of_part() + (one->primary() == nullptr ? 0 : 1'000'000));
  };
  rpc::Request request = request_for(++requests_, Operation{OpCode::get, key, {}});
  request.read = ReadMode::replica;
  const std::string before = name();
  const bool is_replica = member(node, shard.id) != nullptr && member(node, shard.id)->replica() != nullptr;
  world_.ask(node, std::move(request), [this, key, name, before, is_replica](const rpc::Reply& reply) {
    const OperationResult result = single_result(reply);
    if (result.code != Errc::ok && result.code != Errc::not_found) return;
    ++result_.replica_reads;
    if (is_replica && name() == before) note_weak_read(before, key, result);
  });
  schedule_client(client);
}

void FailoverCluster::note_weak_read(const std::string& reader, const std::string& key,
                                     const OperationResult& result) {
  if (std::string problem = weak_reads_.problem_of(reader, key, result); !problem.empty())
    violated(std::move(problem));
}

// Two keys of a slot that are written as one, and so are never seen apart: by nobody, at no copy, after no
// crash.

namespace {
rpc::Request request_for_pair(std::uint64_t id, std::size_t pair, OpCode code, const std::string& value) {
  const auto [a, b] = keys_of_pair(pair);
  auto owner = std::make_shared<std::array<std::string, 3>>(std::array{a, b, value});
  rpc::Request request;
  request.request_id = id;
  for (const std::size_t key : {0, 1}) request.operations.push_back({code, (*owner)[key], (*owner)[2]});
  request.owner = owner;
  return request;
}
}  // namespace

void FailoverCluster::write_pair(std::size_t client) {
  const std::size_t pair = random().below(kPairs);
  const std::uint64_t id = ++requests_;
  rpc::Request request = request_for_pair(id, pair, OpCode::put, std::to_string(id));
  request.atomic = true;
  const NodeId node = guess_[shard_of(std::string(request.operations[0].key)).id];
  const std::size_t place = history_.size();
  for (const Operation& put : request.operations)
    history_.push_back(linear::asked(static_cast<std::uint32_t>(client), put, time()));
  world_.ask(node, std::move(request), [this, place](const rpc::Reply& reply) {
    const auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
    if (results == nullptr) return;
    for (std::size_t i = 0; i < 2; ++i) linear::answered(history_[place + i], results->at(i), false, time());
    result_.atomic_batches += results->front().code == Errc::ok;
  });
  schedule_client(client);
}

void FailoverCluster::read_pair(std::size_t client) {
  const std::size_t pair = random().below(kPairs);
  rpc::Request request = request_for_pair(++requests_, pair, OpCode::get, "");
  const ShardInfo& shard = shard_of(std::string(request.operations[0].key));
  const std::size_t place = random().below(shard.replicas.size() + 1);
  const NodeId node = place == 0 ? guess_[shard.id] : shard.replicas[place - 1];
  if (place != 0) request.read = ReadMode::replica;
  world_.ask(node, std::move(request), [this, pair](const rpc::Reply& reply) {
    const auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
    if (results == nullptr) return;
    const OperationResult& a = results->at(0);
    const OperationResult& b = results->at(1);
    const bool are_answers = (a.code == Errc::ok || a.code == Errc::not_found) &&
                             (b.code == Errc::ok || b.code == Errc::not_found);
    if (are_answers && (a.code != b.code || a.value != b.value))
      violated("pair " + std::to_string(pair) + " was seen apart: '" + a.value + "' and '" + b.value + "'");
  });
  schedule_client(client);
}

// Scans.

void FailoverCluster::start_scanners(std::size_t scanners, std::uint64_t seed, TimePoint until) {
  ScannersOptions options;
  options.count = scanners;
  options.seed = seed;
  options.until = until;
  for (const ShardInfo& shard : world_.topology().shards) options.keys[shard.id];
  for (const std::string& key : all_keys()) options.keys[shard_of(key).id].push_back(key);
  options.is_lasting = [](const std::string& key) {
    return key.starts_with("count-") || key.starts_with("{pair-");
  };
  options.may_lose = [this](ShardId shard) { return is_weak(shard); };
  options.tell = [this](std::size_t scanner, const std::string& key, const OperationResult& result,
                        TimePoint asked) { note_scanned(kScanner + scanner, key, result, asked); };
  options.violated = [this](std::string what) { violated(std::move(what)); };
  scanners_ = std::make_unique<Scanners>(world_, prefixes_, std::move(options));
}

/// That clients use.
std::vector<std::string> FailoverCluster::all_keys() const {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < keys_; ++i) keys.push_back("key-" + std::to_string(i));
  for (std::size_t i = 0; i < kCounters; ++i) keys.push_back(counter(i));
  for (std::size_t i = 0; i < kBrief; ++i) keys.push_back(brief(i));
  for (std::size_t i = 0; i < kPairs; ++i) {
    for (std::string& key : keys_of_pair(i)) keys.push_back(std::move(key));
  }
  return keys;
}

/// A page is as many reads.
void FailoverCluster::note_scanned(std::size_t client, const std::string& key, const OperationResult& result,
                                   TimePoint asked) {
  if (key.starts_with(Repeaters::kKeys)) return;  // who write them know best
  linear::Operation read =
      linear::asked(static_cast<std::uint32_t>(client), OpCode::get, key, "", asked.time_since_epoch());
  linear::answered(read, result, false, time());
  if (result.code == Errc::ok) note_late_read(read);
  history_.push_back(std::move(read));
}

void FailoverCluster::count_scans() {
  result_.pages = scanners_->pages();
  result_.replica_pages = scanners_->replica_pages();
  result_.scans = scanners_->scans();
  result_.scans_continued = scanners_->continued();
}

/// Any node may know.
void FailoverCluster::guess_again(ShardId shard) {
  const auto& nodes = world_.topology().nodes;
  guess_[shard] = nodes[random().below(nodes.size())].id;
}

void FailoverCluster::read_in_the_end(const std::string& key) {
  const NodeId node = leader(shard_of(key).id);
  if (node == NodeId{}) return violated("in the end nobody leads the shard of " + key);
  get(node, key);
}

// ---- what an operator does

void FailoverCluster::hand_over(ShardId shard, NodeId from, NodeId to) {
  world_.tell({from, Role::router, {}}, {from, Role::member, shard}, HandOver{++requests_, to});
}

void FailoverCluster::force_promotion(ShardId shard, NodeId node) {
  expect_losses(shard);
  world_.tell({node, Role::router, {}}, {node, Role::member, shard}, ForcePromotion{++requests_});
}

// ---- cuts

void FailoverCluster::set_cut(NodeId a, NodeId b, bool there, bool back, bool is_cut) {
  if (there) world_.cut(a, b, is_cut);
  if (back) world_.cut(b, a, is_cut);
}

void FailoverCluster::cut_off(NodeId node, bool is_cut) {
  for (const NodeInfo& other : world_.topology().nodes) {
    if (other.id != node) set_cut(node, other.id, true, true, is_cut);
  }
}

// ---- what must hold at any time

/// Never two who may acknowledge.
void FailoverCluster::check_leases() {
  for (const ShardInfo& shard : world_.topology().shards) {
    const MemberActor* holder = nullptr;
    for (const NodeInfo& node : world_.topology().nodes) {
      const MemberActor* one = member(node.id, shard.id);
      if (one == nullptr || world_.is_frozen(node.id) || !one->holds_lease(world_.now_at(node.id))) continue;
      if (holder != nullptr) {
        violated("two primaries of " + shard.name + " with a lease, in epochs " +
                 std::to_string(holder->epoch().value) + " and " + std::to_string(one->epoch().value));
      }
      holder = one;
      note_epoch(shard.id, node.id, one->epoch());
    }
  }
  world_.at(world_.now() + kLeaseCheckInterval, [this] { check_leases(); });
}

void FailoverCluster::note_epoch(ShardId shard, NodeId node, Epoch epoch) {
  auto& [newest, leader] = led_[shard];
  if (epoch < newest) violated("an epoch went back in shard " + std::to_string(shard.value));
  if (epoch <= newest) return;
  ++result_.epochs;
  if (leader != node && newest != Epoch{}) ++result_.take_overs;
  newest = epoch;
  leader = node;
}

/// A replica is the shard after the first n events of its history, record for record.
void FailoverCluster::check_prefixes() {
  for (const ShardInfo& shard : world_.topology().shards) {
    for (const NodeInfo& node : world_.topology().nodes) {
      const MemberActor* one = member(node.id, shard.id);
      if (one == nullptr || one->replica() == nullptr || !one->replica()->answers_reads()) continue;
      const std::string name = shard.name + "'s replica on " + node.name;
      if (auto problem = prefixes_.problem_of(name, shard.id, one->replica()->copy()); !problem.empty())
        violated(std::move(problem));
    }
  }
  world_.at(world_.now() + kPrefixCheckInterval, [this] { check_prefixes(); });
}

// ---- what must hold in the end

void FailoverCluster::finish(Duration rest) {
  world_.heal();
  run_for(rest);
  for (const std::string& key : all_keys()) read_in_the_end(key);
  run_for(kLastReadsBefore);
  check_final_state();
  if (watchers_) judge_watchers();
  if (repeaters_) judge_repeaters();
  if (scanners_) count_scans();
  check_alarms();
  add_expiries();
  judge_history();
  result_.trace_hash = world_.trace_hash();
}

void FailoverCluster::start_watchers(std::size_t watchers, std::uint64_t seed) {
  watchers_ = std::make_unique<Watchers>(
      world_, prefixes_, watchers, seed, [this](ShardId shard) { return is_weak(shard); },
      [this](std::string what) { violated(std::move(what)); });
}

void FailoverCluster::start_repeaters(std::size_t repeaters, std::uint64_t seed, TimePoint until) {
  repeaters_ = std::make_unique<Repeaters>(
      world_, repeaters, seed, until, [this](ShardId shard) { return is_weak(shard); },
      [this](std::string what) { violated(std::move(what)); });
}

void FailoverCluster::judge_repeaters() {
  repeaters_->finish();
  result_.named_writes = repeaters_->writes();
  result_.repeated = repeaters_->repeated();
  result_.session_reads = repeaters_->session_reads();
}

void FailoverCluster::judge_watchers() {
  for (const ShardInfo& shard : world_.topology().shards) {
    const NodeId node = leader(shard.id);
    if (node != NodeId{}) watchers_->finish(shard.id, member(node, shard.id)->primary()->copy().last());
  }
  result_.watched = watchers_->events();
  result_.resumed = watchers_->resumed();
  result_.gaps = watchers_->gaps();
}

void FailoverCluster::check_final_state() {
  for (const ShardInfo& shard : world_.topology().shards) {
    const NodeId node = leader(shard.id);
    if (node == NodeId{}) {
      violated("in the end nobody leads " + shard.name);
      continue;
    }
    ShardActor& primary = *member(node, shard.id)->primary();
    if (!is_weak(shard.id)) {
      if (auto problem = prefixes_.undone(shard.id, primary.copy().last()); !problem.empty())
        violated(std::move(problem));
    }
    for (const NodeInfo& other : world_.topology().nodes) {
      const MemberActor* one = member(other.id, shard.id);
      if (one == nullptr || one->primary() != nullptr) continue;
      check_replica(other.id, *one->replica(), primary, node, shard.name + "'s replica on " + other.name);
    }
  }
}

void FailoverCluster::check_replica(NodeId node, ReplicaActor& replica, ShardActor& primary, NodeId leader,
                                    const std::string& name) {
  if (!replica.answers_reads())
    violated(name + " does not answer reads in the end: " + status_of(node, replica));
  if (replica.head() != primary.copy().last()) {
    violated(name + " ends at " + to_string(replica.head()) + ", its primary at " +
             to_string(primary.copy().last()) + ": " + status_of(node, replica) + "; " +
             status_of(leader, primary));
  }
  for (std::size_t i = 0; i < keys_; ++i) {
    const std::string key = "key-" + std::to_string(i);
    const auto ours = replica.copy().get(key);
    const auto theirs = primary.copy().get(key);
    const bool same = ours->has_value() == theirs->has_value() &&
                      (!ours->has_value() || (*ours)->version == (*theirs)->version);
    if (!same) violated(name + " differs from its primary in " + key);
  }
}

/// In its own words.
std::string FailoverCluster::status_of(NodeId node, Actor& member) {
  Effects said;
  member.on_message({{}, {}, StatusQuery{}}, world_.now_at(node), said);
  const MemberStatus status = std::get<StatusReport>(said.sends.at(0).second).status;
  return status.state + " " + status.problem + " head " + std::to_string(status.head.value) + " durable " +
         std::to_string(status.durable.value) + " commit " + std::to_string(status.commit.value) +
         " applied " + std::to_string(status.applied.value);
}

void FailoverCluster::check_alarms() {
  for (const std::string& alarm : world_.alarms()) {
    if (!is_expected(alarm)) violated("alarm: " + alarm);
  }
}

void FailoverCluster::judge_history() {
  linear::History strong;
  for (const linear::Operation& call : history_) {
    if (!is_weak(shard_of(call.key).id)) strong.push_back(call);
  }
  const linear::Judgement judgement = linear::check(strong);
  for (const linear::Problem& problem : judgement.problems)
    violated("not linearizable: " + problem.key + "\n" + problem.explanation);
}

// ---- what it is made of

std::shared_ptr<Topology> simulated_nodes(std::uint64_t id, std::size_t nodes, std::size_t first_keeper,
                                          std::size_t keepers) {
  auto topology = std::make_shared<Topology>();
  topology->name = "simulated";
  topology->id = id;
  for (std::size_t i = 1; i <= nodes; ++i) {
    NodeInfo node;
    node.id = NodeId{static_cast<std::uint32_t>(i)};
    node.name = "node-" + std::to_string(i);
    const std::string host = "10.0.0." + std::to_string(i) + ":";
    node.http = host + "8080";
    node.rpc = host + "7001";
    node.events = host + "7002";
    node.peer = host + "7003";
    node.watch = host + "7004";
    topology->nodes.push_back(node);
  }
  for (std::size_t i = 0; i < keepers; ++i)
    topology->keepers.push_back({topology->nodes.at(first_keeper - 1 + i).id});
  return topology;
}

}  // namespace dkv::sim
