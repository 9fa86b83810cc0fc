#include "actors/shard/shard_actor.hpp"

#include <algorithm>

#include "messages/limits.hpp"
#include "topology/members.hpp"

namespace dkv {

namespace {
// When idle, so that a replica notices the loss of the last event, and the primary's end.
constexpr Duration kHeartbeatInterval = 100ms;
// Reads of the log for replicas, waiting at once: one per replica is enough.
constexpr std::size_t kMaxPulls = 64;
// For so long commit may stand still while something waits for it: a slow disk's sync, and a network's delay.
constexpr Duration kCommitPatience = 500ms;

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
  const bool sweeps = state_ == State::serving && !handing_over_ && lease_until_ != TimePoint{};
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
  send_reply(self_.node, std::move(waiting.asker), std::move(waiting.reply), out);
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
  if (state_ == State::serving && handing_over_) {
    status.ready = false;
    status.state = "handing_over";
    if (status.problem.empty())
      status.problem = "it hands over to a replica: requests are refused until the register has decided";
  } else if (state_ == State::serving && !status.leased) {
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
