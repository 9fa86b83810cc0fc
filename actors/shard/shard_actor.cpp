#include "actors/shard/shard_actor.hpp"

#include <algorithm>

#include "actors/shard/scan_page.hpp"
#include "messages/limits.hpp"
#include "topology/members.hpp"

namespace dkv {

namespace {
// When idle, so that a replica notices the loss of the last event, and the primary's end.
constexpr Duration kHeartbeatInterval = 100ms;
// What a reply takes beside its values: its place in a queue, its results.
constexpr std::size_t kReplyBytes = 256;
constexpr std::size_t kResultBytes = 128;
// What a writer is slowed down by at most: less than clients wait for an answer.
constexpr Duration kLongestPacing = 1s;
// Reads of the log for replicas, waiting at once: one per replica is enough.
constexpr std::size_t kMaxPulls = 64;
// Expired records are removed in steps: so many in a turn, and steps that find fewer no closer than so.
constexpr std::size_t kMostSwept = 128;
constexpr Duration kSweepInterval = 100ms;
// For so long commit may stand still while something waits for it: a slow disk's sync, and a network's delay.
constexpr Duration kCommitPatience = 500ms;

/// Changed nothing, and tells what the key holds.
bool tells_state(Errc code) {
  return code == Errc::not_found || code == Errc::condition_failed || code == Errc::not_a_counter;
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

OperationResult failed(const Error& error) { return OperationResult::failed(error.code, error.message); }

std::uint64_t in_ms(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}
}  // namespace

ShardActor::ShardActor(Address self, Inheritance from, ShardOptions options, Epoch epoch,
                       std::vector<NodeId> counted, Effects& out)
    : self_(self),
      options_(options),
      copy_(std::move(from.copy)),
      topology_(std::move(from.topology)),
      shard_(topology_->find_shard(self.shard)),
      counted_(std::move(counted)),
      remark_(std::move(from.remark)),
      head_(from.head),
      packed_(from.head),
      durable_(from.durable),
      published_(from.head),
      changes_(self, options.max_recent_bytes, from.head) {
  for (const FrameBytes& bytes : from.unapplied) {
    const auto frame = decode_frame(*bytes);
    DKV_ASSERT(frame.has_value());  // it was checked when it was taken
    copy_.apply(*frame);
  }
  commit_ = std::max(from.commit, copy_.store_reached().seq);
  begin_epoch(epoch, out);
}

void ShardActor::begin_epoch(Epoch epoch, Effects& out) {
  // So that a log that finds no room for even the next event knows what it may give back.
  trim_log(false, out);
  if (epoch <= head_.epoch) {
    return fail("the data in this folder is of a newer epoch, " + std::to_string(head_.epoch.value) +
                    ", than the cluster's register gives it, " + std::to_string(epoch.value) +
                    ": it belongs to another cluster, or the keepers' folders are old",
                out);
  }
  epoch_ = epoch;
  append({EventType::epoch_start, {}, {}}, out);
  serves_from_ = head_.seq;
}

void ShardActor::on_message(Envelope envelope, TimePoint now, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), envelope.from, now, out); }, envelope.message);
}

TimePoint ShardActor::wake_at() const {
  // One chunk of a snapshot is read in a turn; the next one in the next.
  if (state_ == State::serving && snapshots_.wanted() && owed_bytes() < options_.max_owed_bytes) return {};
  const TimePoint heartbeat = leads() ? published_at_ + kHeartbeatInterval : kNever;
  const TimePoint paced = paced_.empty() ? kNever : paced_.front().leaves_at;
  const bool sweeps = state_ == State::serving && may_sweep_ && lease_until_ != TimePoint{};
  const TimePoint sweep = sweeps ? std::max(copy_.next_expiry(), sweeps_at_) : kNever;
  const TimePoint changes = state_ == State::serving ? changes_.wake_at() : kNever;
  return std::min({heartbeat, copy_.wake_at(), paced, sweep, changes});
}

void ShardActor::handle(TopologyChanged message, const Address&, TimePoint, Effects&) {
  topology_ = std::move(message.topology);
  shard_ = topology_->find_shard(self_.shard);
  DKV_ASSERT(shard_ != nullptr);
}

// ---- requests

void ShardActor::handle(ClientRequest message, const Address&, TimePoint now, Effects& out) {
  answer(std::move(message.origin), message.request, now, out);
}

void ShardActor::handle(PartRequest message, const Address&, TimePoint now, Effects& out) {
  answer(message.token, message.request, now, out);
}

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
  if (request.type == rpc::Type::scan) return answer_scan(std::move(waiting), *request.scan, out);
  if (request.atomic && std::any_of(request.operations.begin(), request.operations.end(), writes)) {
    if (auto refusal = no_room()) {  // of the whole: it may be tried again as a whole
      waiting.reply.body = std::move(*refusal);
      return reply(std::move(waiting), out);
    }
  }
  prefetch(request.operations);
  const Seq before = head_.seq;
  Seq depends_on;
  std::vector<OperationResult> results = request.atomic
                                             ? execute_atomically(request.operations, depends_on, out)
                                             : execute(request.operations, depends_on, out);
  bool reads = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool is_read = !writes(request.operations[i]) || tells_state(results[i].code);
    (is_read ? reads : waiting.writes) = true;
    waiting.bytes += kResultBytes + results[i].value.size();
  }
  waiting.bytes += kReplyBytes;
  owed_bytes_ += waiting.bytes;
  waiting.reply.body = std::move(results);
  if (head_.seq != before) waiting.leaves_at = std::clamp(copy_.answer_at(), now, now + kLongestPacing);
  // What was read must be committed, however little the writer asks for.
  wait_for(depends_on, reads ? AckMode::committed : request.ack, std::move(waiting));
}

/// It depends on all that has been executed: also on what is not there.
void ShardActor::answer_scan(Waiting waiting, const rpc::Scan& scan, Effects& out) {
  std::vector<std::string> expired;
  auto page = scan_page(copy_, scan, now_, &expired);
  if (const auto refusal = no_room(); page && !expired.empty() && refusal) page = *refusal;
  if (page) {
    for (const std::string& key : expired) expire(key, out);
  }
  waiting.bytes = kReplyBytes;
  if (page) {
    for (const rpc::ScanItem& item : page->items)
      waiting.bytes += kResultBytes + item.key.size() + item.value.size();
    waiting.reply.body = std::move(*page);
  } else {
    waiting.reply.body = page.error();
  }
  owed_bytes_ += waiting.bytes;
  wait_for(head_.seq, AckMode::committed, std::move(waiting));
}

/// Keys are all over the memory: looked up one after the other, each would wait for it.
void ShardActor::prefetch(const std::vector<Operation>& operations) {
  if (operations.size() < 2) return;
  hashed_.clear();
  for (const Operation& operation : operations) hashed_.emplace_back(operation.key);
  copy_.prefetch(hashed_);
}

std::vector<OperationResult> ShardActor::execute(const std::vector<Operation>& operations, Seq& depends_on,
                                                 Effects& out) {
  std::vector<OperationResult> results;
  results.reserve(operations.size());
  std::size_t room = kMaxReplyValueBytes;
  for (const Operation& operation : operations) results.push_back(execute(operation, depends_on, room, out));
  return results;
}

/// Planned first: what is not done as a whole leaves no trace. Its events are in one frame, so that a crash
/// keeps all of them or none, and so does every copy.
std::vector<OperationResult> ShardActor::execute_atomically(const std::vector<Operation>& operations,
                                                            Seq& depends_on, Effects& out) {
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
    results.push_back(execute(operations[i], depends_on, room, out));
    is_done = is_answer(results[i].code);
  }
  plan_ = nullptr;
  if (is_done) {
    append(plan, out);
    return results;
  }
  depends_on = std::min(depends_on, head_.seq);  // it may have seen what will never be
  for (std::size_t i = 0; i + 1 < results.size(); ++i) results[i] = aborted();
  results.resize(operations.size(), aborted());
  return results;
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
  if (!may_sweep_ || now < sweeps_at_ || now < copy_.next_expiry()) return;
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

Position ShardActor::append(const Event& event, Effects& out) {
  add(event);
  if (packer_.size() >= kTargetFrameBytes) seal_frame(out);
  return head_;
}

/// In one frame.
void ShardActor::append(const Plan& plan, Effects& out) {
  if (packer_.size() + plan.bytes() > kTargetFrameBytes) seal_frame(out);
  for (const Plan::Write& write : plan.writes()) {
    add(write.event);
    if (!options_.whole_batches) seal_frame(out);
  }
  if (packer_.size() >= kTargetFrameBytes) seal_frame(out);
}

void ShardActor::add(const Event& event) {
  head_ = {epoch_, Seq{head_.seq.value + 1}};
  copy_.apply(event, head_);
  packer_.add(event);
}

/// Packs what this turn has gathered: once, for the log, for PUB and for the replicas' logs.
void ShardActor::seal_frame(Effects& out) {
  if (packer_.count() == 0) return;
  InFlight frame;
  frame.last = head_;
  frame.bytes = packer_.finish(self_.shard, epoch_, packed_, commit_);
  frame.for_durable = std::exchange(turn_for_durable_, {});
  frame.for_commit = std::exchange(turn_for_commit_, {});
  packed_ = head_;
  in_flight_bytes_ += frame.bytes->size();
  out.send({self_.node, Role::log, self_.shard}, AppendFrame{frame.bytes, frame.last});
  in_flight_.push_back(std::move(frame));
  if (!options_.sync_first) durable_ = head_;
}

void ShardActor::wait_for(Seq depends_on, AckMode ack, Waiting waiting) {
  const bool local = ack == AckMode::local;
  if (depends_on <= (local ? durable_.seq : commit_)) {
    ready_.push_back(std::move(waiting));
  } else if (depends_on > packed_.seq) {
    (local ? turn_for_durable_ : turn_for_commit_).push_back(std::move(waiting));
  } else {
    const auto frame = std::lower_bound(in_flight_.begin(), in_flight_.end(), depends_on,
                                        [](const InFlight& one, Seq seq) { return one.last.seq < seq; });
    DKV_ASSERT(frame != in_flight_.end());
    (local ? frame->for_durable : frame->for_commit).push_back(std::move(waiting));
  }
}

void ShardActor::reply(Waiting waiting, Effects& out) {
  owed_bytes_ -= waiting.bytes;
  if (auto* origin = std::get_if<Origin>(&waiting.asker)) {
    out.send({self_.node, Role::client, {}}, ClientReply{std::move(*origin), std::move(waiting.reply)});
  } else {
    out.send({self_.node, Role::router, {}},
             PartReply{std::get<std::uint64_t>(waiting.asker), std::move(waiting.reply)});
  }
}

// ---- commit

void ShardActor::handle(Durable message, const Address&, TimePoint, Effects&) {
  durable_ = std::max(durable_, message.last);
  blocked_.clear();
}

void ShardActor::on_turn_end(TimePoint now, Effects& out) {
  if (state_ == State::serving) sweep(now, out);
  if (leads()) {
    seal_frame(out);
    publish_durable(out);
    const Seq before = commit_;
    advance_commit();
    if (in_flight_.empty() || commit_ > before) moved_at_ = now;
  }
  if (state_ == State::serving) {
    if (owed_bytes() < options_.max_owed_bytes) snapshots_.read(copy_, head_, epoch_, out);
    snapshots_.release(commit_, out);
    changes_.answer(tellable(), now, next_token_, out);
  }
  if (leads()) {
    const bool idle_commit = in_flight_.empty() && commit_ > published_commit_;
    if (idle_commit || now >= published_at_ + kHeartbeatInterval) publish_heartbeat(now, out);
  }
  if (now < lease_until_) {  // R7
    pace(now);
    for (Waiting& waiting : ready_) reply(std::move(waiting), out);
    ready_.clear();
  } else {
    unpace();
  }
  if (state_ != State::deposed) copy_.end_turn(commit_, now, out);
}

/// Those who write faster than checkpoints do are slowed down by late answers. What waits for that goes on in
/// its order, and all of it when the checkpoint is through.
void ShardActor::pace(TimePoint now) {
  if (paced_.empty() && !copy_.is_frozen()) return;
  std::vector<Waiting> due;
  const auto is_due = [&](const Waiting& waiting) { return waiting.leaves_at <= now || !copy_.is_frozen(); };
  for (; !paced_.empty() && is_due(paced_.front()); paced_.pop_front())
    due.push_back(std::move(paced_.front()));
  for (Waiting& waiting : ready_) {
    const bool overtakes = waiting.leaves_at != TimePoint{} && !paced_.empty();
    if (is_due(waiting) && !overtakes) {
      due.push_back(std::move(waiting));
    } else {
      paced_.push_back(std::move(waiting));
    }
  }
  ready_ = std::move(due);
}

/// There is nothing to be woken for: they wait like all others, in their order.
void ShardActor::unpace() {
  ready_.insert(ready_.begin(), std::move_iterator(paced_.begin()), std::move_iterator(paced_.end()));
  paced_.clear();
}

/// Only what is durable here is published: a replica must never hold what its primary may yet lose.
void ShardActor::publish_durable(Effects& out) {
  const auto first = std::upper_bound(in_flight_.begin(), in_flight_.end(), published_.seq,
                                      [](Seq seq, const InFlight& one) { return seq < one.last.seq; });
  for (auto frame = first; frame != in_flight_.end() && frame->last <= durable_; ++frame) {
    out.publish(frame->bytes);
    if (!options_.committed_only) changes_.committed(frame->bytes, frame->last);
    published_ = frame->last;
    for (Waiting& waiting : frame->for_durable) ready_.push_back(std::move(waiting));
    frame->for_durable.clear();
  }
}

bool ShardActor::moves(TimePoint now) const {
  return state_ == State::serving && (!blocked_.empty() || now - moved_at_ < kCommitPatience);
}

bool ShardActor::is_idle() const {
  return state_ == State::serving && in_flight_.empty() && commit_ == head_.seq && ready_.empty() &&
         paced_.empty() && turn_for_commit_.empty() && turn_for_durable_.empty();
}

/// What the local log and every counted replica have on disk.
Seq ShardActor::in_sync_has() const {
  Seq least = durable_.seq;
  for (const NodeId node : counted_) least = std::min(least, durable_on(node));
  return least;
}

Seq ShardActor::durable_on(NodeId node) const {
  const auto replica = replicas_.find(node);
  return replica == replicas_.end() ? Seq{} : replica->second.durable;
}

/// R1: commit is the least durable position of the local log and every counted replica.
void ShardActor::advance_commit() {
  commit_ = std::max(commit_, in_sync_has());
  while (!in_flight_.empty() && in_flight_.front().last.seq <= commit_) {
    for (Waiting& waiting : in_flight_.front().for_commit) ready_.push_back(std::move(waiting));
    in_flight_bytes_ -= in_flight_.front().bytes->size();
    if (options_.committed_only) changes_.committed(in_flight_.front().bytes, in_flight_.front().last);
    in_flight_.pop_front();
  }
  if (state_ == State::beginning && commit_ >= serves_from_) state_ = State::serving;
}

void ShardActor::publish_heartbeat(TimePoint now, Effects& out) {
  out.publish(FramePacker().finish(self_.shard, epoch_, published_, commit_));
  published_at_ = now;
  published_commit_ = commit_;
}

void ShardActor::handle(LogBlocked message, const Address&, TimePoint, Effects&) {
  blocked_ = "the disk is full, writes are refused until there is room: " + message.error.message;
}

void ShardActor::handle(LogFailed message, const Address&, TimePoint, Effects& out) {
  fail(message.error.message, out);
}

void ShardActor::fail(const std::string& problem, Effects& out) {
  if (state_ == State::failed) return;
  state_ = State::failed;
  problem_ = problem;
  out.log(LogLevel::error, "shard " + shard_->name + " has stopped: " + problem);
  give_up_all("the shard has stopped: " + problem, out);
}

void ShardActor::step_down(const std::string& why, Effects& out) {
  give_up_all(why, out);
  state_ = State::deposed;
}

/// Ends all that waits. Whether a write among it is committed nobody can say here.
void ShardActor::give_up_all(const std::string& why, Effects& out) {
  snapshots_.refuse_all(out);
  changes_.refuse_all(out);
  for (const auto& [token, pull] : pulls_) refuse(pull, out);
  pulls_.clear();
  const auto give_up = [&](std::vector<Waiting>& all) {
    for (Waiting& waiting : all) {
      waiting.reply.body = waiting.writes
                               ? Error{Errc::unknown_outcome, "the write may have happened or not: " + why}
                               : Error{Errc::unavailable, why};
      reply(std::move(waiting), out);
    }
    all.clear();
  };
  unpace();
  give_up(ready_);
  for (InFlight& frame : in_flight_) {
    give_up(frame.for_durable);
    give_up(frame.for_commit);
  }
  give_up(turn_for_durable_);
  give_up(turn_for_commit_);
  in_flight_.clear();
  in_flight_bytes_ = 0;
}

void ShardActor::handle(CheckpointWritten message, const Address&, TimePoint, Effects& out) {
  copy_.handle(message, out);
  trim_log(false, out);
}

void ShardActor::handle(CheckpointFailed message, const Address&, TimePoint now, Effects& out) {
  copy_.handle(message, now);
  if (copy_.disk_is_full()) trim_log(true, out);
}

/// Neither recovery nor a counted replica needs what has been checkpointed and is on its disk.
void ShardActor::trim_log(bool disk_is_full, Effects& out) {
  const Seq upto = std::min(copy_.store_applied().seq, in_sync_has());
  out.send({self_.node, Role::log, self_.shard}, TrimLog{upto, disk_is_full});
}

// ---- replicas

void ShardActor::handle(peer::ReplicaAck message, const Address& from, TimePoint now, Effects&) {
  Progress& replica = replicas_[from.node];
  replica.heard = now;
  // Nobody can have more of this epoch than has been published.
  if (message.epoch == epoch_ && message.durable <= published_) {
    replica.durable = std::max(replica.durable, message.durable.seq);
  }
}

void ShardActor::handle(peer::PullRequest message, const Address& from, TimePoint, Effects& out) {
  if (!leads() || message.from.epoch > epoch_ || pulls_.size() >= kMaxPulls) {
    return refuse({from, message}, out);
  }
  for (const auto& [token, pull] : pulls_) {
    // The same question again, because the answer takes long: it is on its way.
    if (pull.asker == from && pull.request.process == message.process &&
        pull.request.request == message.request)
      return;
  }
  const std::uint64_t token = next_token_++;
  const ReadLog read{token, message.from, std::min<std::uint64_t>(message.max_bytes, kMaxPullBytes)};
  pulls_.emplace(token, Pull{from, std::move(message)});
  out.send({self_.node, Role::log, self_.shard}, read);
}

void ShardActor::refuse(const Pull& pull, Effects& out) {
  peer::PullReply refusal;
  refusal.shard = self_.shard;
  refusal.process = pull.request.process;
  refusal.request = pull.request.request;
  refusal.outcome = peer::PullOutcome::refused;
  out.send(pull.asker, std::move(refusal));
}

/// The newest event that watchers may be told of (R17): once it serves, one of its own epoch, where a frame
/// ends.
Position ShardActor::tellable() const {
  return options_.committed_only ? Position{epoch_, commit_} : published_;
}

void ShardActor::handle(peer::ChangesRequest message, const Address& from, TimePoint now, Effects& out) {
  // Who has seen a later epoch asks another primary than this one knows of. (All that is committed of epochs
  // up to its own a primary that serves has.)
  if (state_ != State::serving || message.from.epoch > epoch_)
    return out.send(from, ChangeFeed::answer_to(message, peer::PullOutcome::refused));
  changes_.ask(from, std::move(message), now, out);
}

void ShardActor::handle(LogReadFailed message, const Address&, TimePoint, Effects& out) {
  const bool is_watchers = changes_.take(message, tellable(), out);
  const auto pull = pulls_.find(message.token);
  if (!is_watchers && pull == pulls_.end()) return;
  if (problem_ != message.error.message) out.log(LogLevel::error, message.error.message);
  problem_ = message.error.message;
  if (is_watchers) return;
  refuse(pull->second, out);
  pulls_.erase(pull);
}

void ShardActor::handle(LogRead message, const Address&, TimePoint, Effects& out) {
  if (changes_.take(message, tellable(), out)) return;
  const auto pull = pulls_.find(message.token);
  if (pull == pulls_.end()) return;
  peer::PullReply answer;
  answer.shard = self_.shard;
  answer.process = pull->second.request.process;
  answer.request = pull->second.request.request;
  constexpr peer::PullOutcome kOutcomes[] = {peer::PullOutcome::ok, peer::PullOutcome::too_old,
                                             peer::PullOutcome::diverged};
  answer.outcome = kOutcomes[static_cast<std::size_t>(message.reach)];
  answer.epoch = epoch_;
  answer.head = message.head;
  answer.commit = commit_;
  answer.frames = std::move(message.frames);
  answer.epochs = std::move(message.epochs);
  out.send(pull->second.asker, std::move(answer));
  pulls_.erase(pull);
}

void ShardActor::handle(peer::SnapshotRequest message, const Address& from, TimePoint now, Effects& out) {
  if (state_ != State::serving) {
    return out.send(from, SnapshotReads::answer_to(message, peer::SnapshotOutcome::refused));
  }
  // While it takes a copy it has nothing that counts, and acknowledges nothing.
  replicas_[from.node] = {Seq{}, now};
  snapshots_.ask(from, std::move(message), out);
}

// ---- status

void ShardActor::handle(StatusQuery message, const Address& from, TimePoint now, Effects& out) {
  out.send(from, StatusReport{message.token, status(now)});
}

MemberStatus ShardActor::status(TimePoint now) const {
  MemberStatus status;
  status.shard = self_.shard;
  status.primary = true;
  status.leased = now < lease_until_;
  status.ready = state_ == State::serving && status.leased;
  constexpr const char* kNames[] = {"starting", "serving", "failed", "stepping_down"};
  status.state = kNames[static_cast<std::size_t>(state_)];
  status.problem = !problem_.empty() ? problem_ : !blocked_.empty() ? blocked_ : copy_.problem();
  if (status.problem.empty()) status.problem = remark_;
  if (state_ == State::serving && !status.leased) {
    status.state = "no_lease";
    if (status.problem.empty())
      status.problem =
          "a replica that counts gives no lease: nothing is answered until it does, or a majority of "
          "the keepers has dropped it";
  }
  if (status.leased && lease_until_ != kNever) status.lease_ms = in_ms(lease_until_ - now);
  status.is_volatile = shard_->store == StoreKind::memory;
  status.epoch = epoch_;
  status.head = head_.seq;
  status.durable = durable_.seq;
  status.commit = commit_;
  status.applied = copy_.store_applied().seq;
  status.shard_name = shard_->name;
  for (const NodeId node : shard_->replicas) {
    ReplicaStatus& replica = status.replicas.emplace_back();
    replica.node = topology_->find_node(node)->name;
    replica.in_sync = contains(shard_->in_sync, node);
    replica.counted = contains(counted_, node);
    const auto progress = replicas_.find(node);
    replica.heard = progress != replicas_.end();
    if (replica.heard) {
      replica.durable = progress->second.durable;
      replica.silent_ms = in_ms(now - progress->second.heard);
    }
    replica.lag_events = head_.seq.value - std::min(head_.seq, replica.durable).value;
  }
  return status;
}

}  // namespace dkv
