// What a primary does with its clients' requests: the part of the shard actor that executes operations. When
// a reply leaves is the other part's business (shard_actor.cpp).
#include <algorithm>

#include "actors/shard/scan_page.hpp"
#include "actors/shard/shard_actor.hpp"
#include "messages/limits.hpp"
#include "messages/once.hpp"
#include "topology/topology.hpp"

namespace dkv {

namespace {
// What a reply takes beside its values: its place in a queue, its results.
constexpr std::size_t kReplyBytes = 256;
constexpr std::size_t kResultBytes = 128;
// What a writer is slowed down by at most: less than clients wait for an answer.
constexpr Duration kLongestPacing = 1s;
// Expired records are removed in steps: so many in a turn, and steps that find fewer no closer than so.
constexpr std::size_t kMostSwept = 128;
constexpr Duration kSweepInterval = 100ms;

/// Changed nothing, and tells what the key holds.
bool tells_state(Errc code) {
  return code == Errc::not_found || code == Errc::condition_failed || code == Errc::not_a_counter ||
         code == Errc::reused;
}

bool holds(const Condition& condition, const std::optional<Position>& present) {
  switch (condition.kind) {
    case Condition::Kind::none:
      return true;
    case Condition::Kind::version:
      return present == condition.version;
    case Condition::Kind::exists:
      return present.has_value();
    case Condition::Kind::missing:
      return !present.has_value();
  }
  return false;
}

/// Of what a named write's outcome holds, what this asker wants to know.
std::vector<OperationResult> as_asked(std::vector<OperationResult> results,
                                      std::span<const Operation> operations) {
  for (std::size_t i = 0; i < results.size(); ++i)
    results[i].created = results[i].created && operations[i].report_created;
  return results;
}

OperationResult failed(const Error& error) { return OperationResult::failed(error.code, error.message); }
}  // namespace

void ShardActor::answer(Asker asker, rpc::Request& request, TimePoint now, Effects& out) {
  Waiting waiting{std::move(asker), false, 0, {request.request_id, {}}, {}};
  if (state_ != State::serving) {
    waiting.reply.body =
        Error{Errc::unavailable, state_ == State::failed ? "the shard has stopped: " + problem_
                                                         : "the shard is starting: try again in a moment"};
    return reply(std::move(waiting), out);
  }
  if (owed_bytes() >= options_.max_owed_bytes) {
    waiting.reply.body =
        Error{Errc::overloaded, "too many replies are waiting to leave: try again in a moment"};
    return reply(std::move(waiting), out);
  }
  now_ = now;
  if (request.type == rpc::Type::scan) return answer_scan(std::move(waiting), request, out);
  if (request.atomic && std::any_of(request.operations.begin(), request.operations.end(), writes)) {
    const std::optional<Error> refusal = no_room();
    if (refusal && !has_outcome(request)) {  // of the whole: it may be tried again as a whole
      waiting.reply.body = *refusal;
      return reply(std::move(waiting), out);
    }
  }
  prefetch(request.operations);
  const Seq before = head_.seq;
  Seq depends_on;
  const OnceId batch{request.client_id, request.number};
  std::vector<OperationResult> results = request.atomic
                                             ? execute_atomically(request.operations, batch, depends_on, out)
                                             : execute(request, depends_on, out);
  bool reads = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Operation& operation = request.operations[i];
    const bool is_read = !writes(operation) || tells_state(results[i].code);
    const bool is_once = writes(operation) && (batch || OnceId{request.client_id, operation.number});
    if (is_read) reads = true;
    if (!is_read || is_once) waiting.writes = true;
    waiting.bytes += kResultBytes + results[i].value.size();
  }
  if (request.session) waiting.reply.session = seen(depends_on);
  waiting.bytes += kReplyBytes;
  owed_bytes_ += waiting.bytes;
  waiting.reply.body = std::move(results);
  if (head_.seq != before) waiting.leaves_at = std::clamp(copy_.answer_at(), now, now + kLongestPacing);
  // What was read must be committed, however little the writer asks for.
  wait_for(depends_on, reads ? AckMode::committed : request.ack, std::move(waiting));
}

/// What a session has seen by an answer that depends on this. What no memtable knows is in the store, be it
/// that the key has been removed.
std::shared_ptr<const Session> ShardActor::seen(Seq depends_on) const {
  const Position at{epoch_, std::max(depends_on, copy_.store_applied().seq)};
  return std::make_shared<const Session>(Session{topology_->version, {{self_.shard, at}}});
}

/// It depends on all that has been executed: also on what is not there.
void ShardActor::answer_scan(Waiting waiting, const rpc::Request& request, Effects& out) {
  std::vector<std::string> expired;
  auto page = scan_page(copy_, *request.scan, now_, &expired);
  if (const auto refusal = no_room(); page && !expired.empty() && refusal) page = *refusal;
  if (page) {
    for (const std::string& key : expired) expire(key, out);
  }
  if (request.session) waiting.reply.session = seen(head_.seq);  // the removals too
  waiting.bytes = kReplyBytes;
  if (page) {
    for (const rpc::ScanItem& item : page->items)
      waiting.bytes += kResultBytes + item.key.size() + item.value.size();
    waiting.reply.body = std::move(*page);
  } else {
    waiting.reply.body = page.error();
  }
  owed_bytes_ += waiting.bytes;
  wait_for(options_.scans_wait ? head_.seq : Seq{}, AckMode::committed, std::move(waiting));
}

/// Keys are all over the memory: looked up one after the other, each would wait for it.
void ShardActor::prefetch(const std::vector<Operation>& operations) {
  if (operations.size() < 2) return;
  hashed_.clear();
  for (const Operation& operation : operations) hashed_.emplace_back(operation.key);
  copy_.prefetch(hashed_);
}

std::vector<OperationResult> ShardActor::execute(const rpc::Request& request, Seq& depends_on, Effects& out) {
  std::vector<OperationResult> results;
  results.reserve(request.operations.size());
  std::size_t room = kMaxReplyValueBytes;
  for (const Operation& operation : request.operations) {
    const OnceId id{request.client_id, operation.number};
    if (id && writes(operation)) {
      results.push_back(std::move(execute_atomically({&operation, 1}, id, depends_on, out).front()));
    } else {
      results.push_back(execute(operation, depends_on, room, out));
    }
  }
  return results;
}

/// Planned first: what is not done as a whole leaves no trace, but for its outcome if it has a name. Its
/// events are in one frame, so that a crash keeps all of them or none, and so does every copy.
std::vector<OperationResult> ShardActor::execute_atomically(std::span<const Operation> operations, OnceId id,
                                                            Seq& depends_on, Effects& out) {
  const std::string outcome = id ? outcome_key(slot_of(operations.front().key).value, id) : std::string();
  const std::uint64_t question = id ? fingerprint(operations) : 0;
  std::vector<Operation> named;
  if (id) {
    if (auto first = recall(outcome, question, operations.size(), depends_on))
      return as_asked(std::move(*first), operations);
    // Whoever asks again may want to be told more.
    named.assign(operations.begin(), operations.end());
    for (Operation& operation : named) operation.report_created = operation.code == OpCode::put;
  }
  // What is over is removed first, also when the batch comes to nothing.
  if (now_ >= copy_.next_expiry() && !no_room()) {
    for (const Operation& operation : operations) {
      if (!look_up(operation.key, Store::Check::header, out)) break;
    }
  }
  Plan plan(epoch_, head_.seq);
  plan_ = &plan;
  std::vector<OperationResult> results;
  std::size_t room = kMaxReplyValueBytes;
  bool is_done = true;
  for (std::size_t i = 0; i < operations.size() && is_done; ++i) {
    results.push_back(execute(id ? named[i] : operations[i], depends_on, room, out));
    // A touch logs a value that is in no request: all of it must fit into a frame.
    if (is_answer(results[i].code) && plan.frame_bytes() > kMaxRequestBytes)
      results[i] = OperationResult::failed(Errc::too_large, "the batch would write more than 17 MiB");
    is_done = is_answer(results[i].code);
  }
  plan_ = nullptr;
  // A refusal speaks of this attempt alone: the next may be done.
  const bool is_decided = is_done || tells_state(results.back().code);
  if (!is_done) {
    plan = Plan(epoch_, head_.seq);
    depends_on = std::min(depends_on, head_.seq);  // it may have seen what will never be
    for (std::size_t i = 0; i + 1 < results.size(); ++i) results[i] = aborted();
    results.resize(operations.size(), aborted());
  }
  if (id && is_decided && (is_done || options_.outcomes_of_all)) {
    // Of what was not done too: an attempt that is on its way yet must not be done after its sender was told
    // so.
    const std::string kept = encode(Outcome{question, results});
    const std::uint64_t until = std::min(copy_.wall_ms(now_) + in_ms(options_.keep_outcomes), kMaxTimeMs);
    const Position at = plan.add_copy({EventType::put, outcome, kept, until});
    depends_on = std::max(depends_on, at.seq);
    append(plan, out);
  } else if (is_done) {
    append(plan, out);
  }
  return id ? as_asked(std::move(results), operations) : results;
}

/// Of an atomic batch: it can be answered without being done.
bool ShardActor::has_outcome(const rpc::Request& batch) {
  const OnceId id{batch.client_id, batch.number};
  if (!id) return false;
  const auto found =
      copy_.look_up(outcome_key(slot_of(batch.operations.front().key).value, id), Store::Check::header);
  return found && found->version && !copy_.is_over(found->expires_ms, now_);
}

/// What was answered when this was asked first, as long as it is kept.
std::optional<std::vector<OperationResult>> ShardActor::recall(const std::string& outcome,
                                                               std::uint64_t question, std::size_t count,
                                                               Seq& depends_on) {
  const auto all = [&](Errc code, const std::string& why) {
    return std::vector<OperationResult>(count, OperationResult::failed(code, why));
  };
  const auto found = copy_.get(outcome);
  if (!found) return all(found.error().code, found.error().message);
  // What is over the next one replaces.
  if (!*found || copy_.is_over((*found)->expires_ms, now_)) return std::nullopt;
  depends_on = std::max(depends_on, (*found)->version.seq);
  auto kept = decode_outcome((*found)->value);
  if (!kept) return all(Errc::corrupt, "the first outcome of this write is not readable");
  if (kept->fingerprint != question || kept->results.size() != count)
    return all(Errc::reused,
               "another write was sent by this name (Idempotency-Key, or client id and number)");
  return std::move(kept->results);
}

OperationResult ShardActor::execute(const Operation& operation, Seq& depends_on, std::size_t& room,
                                    Effects& out) {
  if (auto checked = check(operation, options_.max_value_bytes); !checked) {
    return failed(checked.error());
  }
  if (writes(operation)) return write(operation, depends_on, out);
  OperationResult result = read(operation, room, out);
  // The event that it saw: the record's, or the removal's. A key that no memtable knows has nothing
  // uncommitted about it.
  depends_on = std::max(depends_on, result.version.seq);
  return result;
}

/// Why nothing can be written just now.
std::optional<Error> ShardActor::no_room() const {
  if (!blocked_.empty() || (copy_.full() && copy_.disk_is_full()))
    return Error{Errc::disk_full, "the disk is full: writes are refused until there is room"};
  if (in_flight_bytes_ + packer_.size() > options_.max_in_flight_bytes || copy_.full())
    return Error{Errc::overloaded, "the disk is behind with writing: try again in a moment"};
  return std::nullopt;
}

OperationResult ShardActor::write(const Operation& operation, Seq& depends_on, Effects& out) {
  if (const auto refusal = no_room()) return failed(*refusal);
  OperationResult result = operation.code == OpCode::increment ? increment(operation, depends_on, out)
                           : operation.code == OpCode::touch   ? touch(operation, depends_on, out)
                                                               : put_or_remove(operation, depends_on, out);
  if (result.code == Errc::ok) depends_on = result.version.seq;
  return result;
}

OperationResult ShardActor::put_or_remove(const Operation& operation, Seq& depends_on, Effects& out) {
  const bool is_put = operation.code == OpCode::put;
  const bool is_conditional = operation.condition.kind != Condition::Kind::none;
  const bool keeps_ttl = operation.ttl.kind == Ttl::Kind::keep;
  OperationResult result;
  Event event{is_put ? EventType::put : EventType::remove, operation.key, operation.value,
              expiry_of(operation.ttl)};
  if (!is_put || operation.report_created || is_conditional || keeps_ttl) {
    // A damaged record may be replaced and removed, but nothing else is decided by it.
    const auto before = look_up(
        operation.key, is_conditional || keeps_ttl ? Store::Check::record : Store::Check::header, out);
    if (!before) return failed(before.error());
    if (!holds(operation.condition, before->version)) {
      depends_on = std::max(depends_on, before->changed);
      result.version = before->version.value_or(Position{});
      result.code = Errc::condition_failed;
      result.message =
          before->version ? "the key has a record of version " + to_string(result.version) : "no such key";
      return result;
    }
    if (!is_put && !before->version) {
      depends_on = std::max(depends_on, before->changed);
      return OperationResult::failed(Errc::not_found, "no such key");
    }
    result.created = operation.report_created && !before->version;
    if (keeps_ttl) event.expires_ms = before->expires_ms;
  }
  result.version = plan_ != nullptr ? plan_->add(event) : append(event, out);
  return result;
}

/// Logged as the put that it comes to, so that whoever replays it need not know what was there. It goes on as
/// long as it would have.
OperationResult ShardActor::increment(const Operation& operation, Seq& depends_on, Effects& out) {
  const auto before = find(operation.key, kMaxCounterBytes, depends_on, out);
  if (!before) return failed(before.error());
  // One that is longer is left out, and nothing is no number.
  const auto number = *before ? parse_counter((*before)->value) : std::optional<std::int64_t>(0);
  std::int64_t sum = 0;
  if (!number || __builtin_add_overflow(*number, operation.amount, &sum)) {
    depends_on = std::max(depends_on, (*before)->version.seq);
    return OperationResult::failed(Errc::not_a_counter,
                                   number ? "the sum would not fit into a signed 64-bit integer"
                                          : "the value is not a signed 64-bit integer in decimal");
  }
  OperationResult result;
  result.value = std::to_string(sum);
  const std::uint64_t expires_ms = *before ? (*before)->expires_ms : 0;
  result.version = write_down({EventType::put, operation.key, result.value, expires_ms}, out);
  return result;
}

/// Logged as a put of the same value.
OperationResult ShardActor::touch(const Operation& operation, Seq& depends_on, Effects& out) {
  const auto before = find(operation.key, SIZE_MAX, depends_on, out);
  if (!before) return failed(before.error());
  if (!*before) {
    const auto missing = look_up(operation.key, Store::Check::header, out);
    if (!missing) return failed(missing.error());
    depends_on = std::max(depends_on, missing->changed);
    return OperationResult::failed(Errc::not_found, "no such key");
  }
  OperationResult result;
  result.version =
      write_down({EventType::put, operation.key, (*before)->value, expiry_of(operation.ttl)}, out);
  return result;
}

std::uint64_t ShardActor::expiry_of(const Ttl& ttl) const {
  return ttl.kind == Ttl::Kind::limited ? std::min(copy_.wall_ms(now_) + ttl.ms, kMaxTimeMs) : 0;
}

/// Of a key whose time seems to be over. By a record that is whole: none is removed because of a flipped bit.
bool ShardActor::is_really_over(std::string_view key) {
  const auto checked = copy_.look_up(key, Store::Check::record);
  return checked && copy_.is_over(checked->expires_ms, now_);
}

/// Whoever is told that the key is missing may rely on it, whatever another primary's clock says: it is
/// written down first.
Position ShardActor::expire(std::string_view key, Effects& out) {
  return write_down({EventType::remove, key, {}}, out);
}

/// In bounded steps, and only where writes have room.
void ShardActor::sweep(TimePoint now, Effects& out) {
  if (handing_over_ || now < sweeps_at_ || now < copy_.next_expiry()) return;
  sweeps_at_ = now + kSweepInterval;
  if (now >= lease_until_ || no_room()) return;
  const auto all = copy_.take_expired(now, kMostSwept, [&](std::string_view key) { expire(key, out); });
  if (!all)
    out.log(LogLevel::error,
            "shard " + shard_->name + ": expired records cannot be found: " + all.error().message);
  if (all && !*all) sweeps_at_ = now;  // there are more
}

/// In the batch's plan, where there is one. Its value may end with this operation.
Position ShardActor::write_down(const Event& event, Effects& out) {
  return plan_ != nullptr ? plan_->add_copy(event) : append(event, out);
}

// What an atomic batch sees: what it has planned, and else what everybody does.

const Plan::Write* ShardActor::planned(std::string_view key) const {
  return plan_ == nullptr ? nullptr : plan_->find(key);
}

OperationResult ShardActor::read(const Operation& operation, std::size_t& room, Effects& out) {
  const Plan::Write* write = planned(operation.key);
  OperationResult result;
  if (write == nullptr) {
    bool expired = false;
    result = copy_.read(operation, room, now_, &expired);
    if (!expired) return result;
    if (!is_really_over(operation.key))
      return OperationResult::failed(Errc::corrupt, "the record fails its check");
    if (const auto refusal = no_room()) return failed(*refusal);
    result = OperationResult::failed(Errc::not_found, "no such key");
    result.version = expire(operation.key, out);
    return result;
  }
  if (write->event.type == EventType::remove) {
    result = OperationResult::failed(Errc::not_found, "no such key");
  } else if (write->event.value.size() > room) {
    return too_large_for_one_reply();
  } else {
    room -= write->event.value.size();
    result.value = write->event.value;
    result.ttl_ms = copy_.ttl_ms(write->event.expires_ms, now_);
  }
  result.version = write->version;
  return result;
}

Result<ShardCopy::Presence> ShardActor::look_up(std::string_view key, Store::Check check, Effects& out) {
  const Plan::Write* write = planned(key);
  if (write == nullptr) {
    auto found = copy_.look_up(key, check);
    if (!found || !found->version || !copy_.is_over(found->expires_ms, now_)) return found;
    if (!is_really_over(key)) return found;
    return ShardCopy::Presence{std::nullopt, expire(key, out).seq};
  }
  const bool is_there = write->event.type == EventType::put;
  return ShardCopy::Presence{is_there ? std::optional(write->version) : std::nullopt, write->version.seq,
                             write->event.expires_ms};
}

Result<std::optional<StoredRecord>> ShardActor::find(std::string_view key, std::size_t most_bytes,
                                                     Seq& depends_on, Effects& out) {
  const Plan::Write* write = planned(key);
  if (write == nullptr) {
    auto found = copy_.get(key, most_bytes);
    if (!found || !*found || !copy_.is_over((*found)->expires_ms, now_)) return found;
    if (!is_really_over(key)) return found;
    depends_on = std::max(depends_on, expire(key, out).seq);
    return std::optional<StoredRecord>{};
  }
  if (write->event.type == EventType::remove) return std::optional<StoredRecord>{};
  const Event& event = write->event;
  return std::optional(StoredRecord::of({key, write->version, event.value, event.expires_ms}, most_bytes));
}

}  // namespace dkv
