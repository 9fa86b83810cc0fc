#include "actors/replica/replica_actor.hpp"

#include <algorithm>

#include "actors/shard/epoch_history.hpp"
#include "actors/shard/scan_page.hpp"
#include "messages/limits.hpp"
#include "topology/members.hpp"

namespace dkv {

namespace {
// An unanswered pull is asked again after this, then after twice as long, and so on up to the last: the
// question stays the same, so that an answer that takes long still counts.
constexpr Duration kFirstPullTimeout = 300ms;
constexpr Duration kLastPullTimeout = 2s;
// A pull that brought nothing is not repeated sooner.
constexpr Duration kPullPause = 50ms;
// A history that is not the primary's stays so until somebody does something.
constexpr Duration kDivergedRetry = 1s;
// When idle, so that the primary knows that we live.
constexpr Duration kAckInterval = 100ms;
// The primary's heartbeats come every 100 ms: past this it is not heard.
constexpr Duration kSilenceLimit = 1s;
// Live frames kept while a gap before them is being pulled.
constexpr std::size_t kMaxStashBytes = std::size_t{32} << 20;
// Events taken but not yet applied: a disk slower than the primary's must not fill the memory.
constexpr std::size_t kMaxUnappliedBytes = std::size_t{64} << 20;
// How far behind a replica that had been level may be and still be called caught up: under load it is
// always a little behind.
constexpr std::uint64_t kCaughtUpLag = 100'000;
// A log that takes longer for what it was given stands still, as far as a primary is concerned that waits for
// it.
constexpr Duration kLogPatience = 2s;
// What a session has seen comes here with the next frame or heartbeat, if all is well.
constexpr Duration kSessionPatience = 200ms;
// Sessions' requests that wait at once: with more than that the primary is the better place.
constexpr std::size_t kMaxParked = 1024;
}  // namespace

ReplicaActor::ReplicaActor(Address self, std::shared_ptr<Store> store, CopyOptions copy_options,
                           ReplicaOptions options)
    : self_(self),
      options_(options),
      copy_(self, store, copy_options),
      taker_(self, options.process, options.snapshot_chunk_bytes, store->importing()) {}

void ReplicaActor::on_message(Envelope envelope, TimePoint now, Effects& out) {
  std::visit([&](auto& message) { handle(std::move(message), envelope.from, now, out); }, envelope.message);
}

TimePoint ReplicaActor::wake_at() const {
  TimePoint wake = copy_.wake_at();
  if (!parked_.empty()) wake = std::min(wake, parked_.front().until);
  if (state_ == State::following || state_ == State::resetting) wake = std::min(wake, taker_.wake_at());
  if (state_ != State::following && state_ != State::diverged) return wake;
  if (may_pull()) wake = std::min(wake, pull_due_at_);
  return std::min(wake, acknowledged_at_ + kAckInterval);
}

// ---- start

void ReplicaActor::handle(TopologyChanged message, const Address&, TimePoint now, Effects& out) {
  topology_ = std::move(message.topology);
  const ShardInfo* shard = topology_->find_shard(self_.shard);
  DKV_ASSERT(shard != nullptr);
  if (state_ != State::waiting) return follow(shard->primary, shard->epoch, now, out);
  primary_ = {shard->primary, Role::member, self_.shard};
  highest_epoch_ = shard->epoch;
  state_ = State::opening;
  const Address log{self_.node, Role::log, self_.shard};
  if (taker_.store_is_partial() && !taker_.progress().begun) {
    // The crash may have come between emptying the store and resetting the log.
    out.send(log, ResetLog{copy_.store_applied()});
  } else {
    out.send(log, OpenLog{copy_.store_applied(), copy_.store_reached()});
  }
}

/// R4: what an earlier primary has yet to say is not listened to.
void ReplicaActor::follow(NodeId primary, Epoch epoch, TimePoint now, Effects& out) {
  const bool is_another = primary != primary_.node;
  primary_ = {primary, Role::member, self_.shard};
  if (epoch > highest_epoch_) raise_epoch(epoch, now);
  if (!is_another || state_ == State::opening || state_ == State::failed) return;
  aligned_epoch_ = Epoch{};
  pull_request_ = 0;
  if (primary == self_.node) return;
  out.subscribe(primary);
  want_pull();
}

Inheritance ReplicaActor::hand_over(Effects& out) {
  DKV_ASSERT(can_lead());
  for (Parked& parked : parked_) {
    const Error refusal{Errc::unavailable, "the shard is changing hands: try again in a moment"};
    send_reply(self_.node, std::move(parked.asker), {parked.request.request_id, refusal}, out);
  }
  parked_.clear();
  Inheritance all{std::move(copy_), head_, durable_, commit_, {}, topology_};
  for (Unapplied& one : unapplied_) all.unapplied.push_back(std::move(one.bytes));
  state_ = State::failed;
  return all;
}

void ReplicaActor::handle(LogRecovered message, const Address&, TimePoint now, Effects& out) {
  for (FrameBytes& bytes : message.frames) {
    const auto frame = decode_frame(*bytes);
    DKV_ASSERT(frame.has_value());  // the log has checked it
    commit_ = std::max(commit_, frame->commit);
    unapplied_bytes_ += bytes->size();
    unapplied_.push_back({frame->last(), std::move(bytes)});
    durable_ = frame->last();
  }
  apply_committed();
  const std::string& name = topology_->find_shard(self_.shard)->name;
  recovery_.note(message, {self_.node, Role::log, self_.shard}, name, now, out);
}

void ReplicaActor::handle(LogOpened message, const Address&, TimePoint, Effects& out) {
  blocked_.clear();
  if (state_ == State::resetting) return begin_anew(message.head, out);
  if (state_ == State::cutting) return tail_was_cut(message.head);
  if (state_ != State::opening) return;
  head_ = durable_ = message.head;
  highest_epoch_ = std::max(highest_epoch_, head_.epoch);
  commit_ = std::max(commit_, copy_.store_reached().seq);
  apply_committed();
  state_ = State::following;
  if (primary_.node == self_.node) return;  // until the register says whom to follow
  // Subscribe first, then ask: what is published in between is stashed, not lost.
  out.subscribe(primary_.node);
  want_pull();
}

// ---- following

void ReplicaActor::handle(EventFrame message, const Address&, TimePoint now, Effects& out) {
  if (state_ != State::following) return;
  const auto frame = decode_frame(*message.bytes);
  if (!frame || frame->shard != self_.shard) return;  // garbage: a loss like any other
  if (frame->epoch < highest_epoch_) return;          // R4
  heard_ = now;
  heard_once_ = true;
  primary_head_ = std::max(primary_head_, frame->last().seq);
  if (frame->epoch > highest_epoch_) raise_epoch(frame->epoch, now);
  if (!options_.rules.align_first) aligned_epoch_ = frame->epoch;
  if (aligned_epoch_ != frame->epoch) {  // R3
    want_pull();
    return stash(std::move(message.bytes), *frame);
  }
  commit_ = std::max(commit_, frame->commit);
  take_live(std::move(message.bytes), *frame, out);
  apply_committed();
}

/// A primary began anew: what was kept of its predecessor's frames is of no use, and it is asked at once.
void ReplicaActor::raise_epoch(Epoch epoch, TimePoint now) {
  highest_epoch_ = epoch;
  reached_head_ = false;
  stash_.clear();
  stash_bytes_ = 0;
  pull_due_at_ = now;
  if (taker_.waits_for_first() && !taker_.store_is_partial()) {
    // That our history is in its log, though too old, only its predecessor has said. This one's may be
    // another, or its log may still reach back to ours.
    taker_.give_up();
    want_pull();
  }
}

void ReplicaActor::take_live(FrameBytes bytes, const FrameView& frame, Effects& out) {
  if (frame.events.empty()) {
    // A head that is not ours: something was lost, or is still on its way, or the primary went back.
    if (frame.last() != head_) want_pull();
    return;
  }
  if (frame.last() <= head_) return;  // seen before
  if (frame.prev == head_ || !options_.rules.detect_gaps) return append(std::move(bytes), frame, out);
  if (stash_.empty()) ++gaps_repaired_;
  want_pull();
  stash(std::move(bytes), frame);
}

void ReplicaActor::append(FrameBytes bytes, const FrameView& frame, Effects& out) {
  if (!has_room()) return;  // until there is; then it is pulled
  head_ = frame.last();
  out.send({self_.node, Role::log, self_.shard}, AppendFrame{bytes, head_});
  unapplied_bytes_ += bytes->size();
  unapplied_.push_back({head_, std::move(bytes)});
}

bool ReplicaActor::has_room() const { return !copy_.full() && unapplied_bytes_ < kMaxUnappliedBytes; }

void ReplicaActor::stash(FrameBytes bytes, const FrameView& frame) {
  if (frame.events.empty() || stash_bytes_ + bytes->size() > kMaxStashBytes) return;
  stash_bytes_ += bytes->size();
  const auto [at, added] = stash_.emplace(frame.prev.seq, bytes);
  if (!added) {
    stash_bytes_ -= at->second->size();
    at->second = std::move(bytes);
  }
}

void ReplicaActor::append_stashed(Effects& out) {
  while (!stash_.empty() && stash_.begin()->first <= head_.seq) {
    const auto node = stash_.extract(stash_.begin());
    stash_bytes_ -= node.mapped()->size();
    const auto frame = decode_frame(*node.mapped());
    if (frame->epoch != aligned_epoch_ || frame->prev != head_) continue;
    commit_ = std::max(commit_, frame->commit);
    append(node.mapped(), *frame, out);
  }
}

void ReplicaActor::handle(Durable message, const Address&, TimePoint, Effects&) {
  if (state_ == State::resetting) return;
  durable_ = std::max(durable_, message.last);
  log_moved_ = true;
  blocked_.clear();
  acknowledge_wanted_ = true;
  apply_committed();
}

/// R17. Waiting for our own disk too keeps what readers have seen from going back at a restart.
void ReplicaActor::apply_committed() {
  const Seq upto = options_.rules.committed_only ? std::min(commit_, durable_.seq) : durable_.seq;
  while (!unapplied_.empty() && unapplied_.front().last.seq <= upto) {
    const auto frame = decode_frame(*unapplied_.front().bytes);
    DKV_ASSERT(frame.has_value());  // it was checked when it was taken
    copy_.apply(*frame);
    unapplied_bytes_ -= unapplied_.front().bytes->size();
    unapplied_.pop_front();
  }
}

// ---- pulling

void ReplicaActor::pull(TimePoint now, Effects& out) {
  if (pull_request_ == 0 || pull_from_ != head_) {
    pull_request_ = next_request_++;
    pull_from_ = head_;
    pull_timeout_ = kFirstPullTimeout;
  } else {
    pull_timeout_ = std::min<Duration>(2 * pull_timeout_, kLastPullTimeout);
  }
  peer::PullRequest request;
  request.shard = self_.shard;
  request.process = options_.process;
  request.request = pull_request_;
  request.from = head_;
  request.max_bytes = kMaxPullBytes;
  pull_wanted_ = false;
  pull_due_at_ = now + pull_timeout_;
  out.send(primary_, request);
}

void ReplicaActor::handle(peer::PullReply message, const Address&, TimePoint now, Effects& out) {
  // R5: only an answer to what this process has asked last.
  const bool is_asked = message.process == options_.process && message.request == pull_request_;
  if ((!is_asked || pull_request_ == 0) && options_.rules.cut_safe) return;
  if (state_ != State::following && state_ != State::diverged) return;
  pull_request_ = 0;
  pull_due_at_ = now + kPullPause;
  if (message.outcome == peer::PullOutcome::refused || message.epoch < highest_epoch_) return want_pull();
  heard_ = now;
  heard_once_ = true;
  if (message.epoch > highest_epoch_) raise_epoch(message.epoch, now);
  if (message.outcome == peer::PullOutcome::too_old) {
    return take_snapshot("the primary's log no longer holds what follows " + to_string(head_), now, out);
  }
  if (message.outcome == peer::PullOutcome::diverged) return find_common(std::move(message.epochs), out);
  if (taker_.is_filling() && message.epoch > taker_.progress().until.epoch) {
    // What began this epoch must be known here, to say whether the chunks are of its history.
    if (topology_->find_shard(self_.shard)->epoch != message.epoch) return want_pull();
    if (!copy_counts())
      return take_snapshot("what was copied so far is of a history that counts no more", now, out);
  }
  // R3: what was found in the primary's log must be the head that we have now.
  if (message.epoch != aligned_epoch_ && pull_from_ != head_ && options_.rules.cut_safe) return want_pull();
  state_ = State::following;
  foreign_ = false;
  problem_.clear();
  aligned_epoch_ = message.epoch;
  acknowledge_wanted_ = true;
  commit_ = std::max(commit_, message.commit);
  primary_head_ = std::max(primary_head_, message.head.seq);
  append_pulled(message.frames, out);
  append_stashed(out);
  apply_committed();
  reached_head_ = reached_head_ || head_.seq >= message.head.seq;
  pull_wanted_ = head_.seq < message.head.seq || !stash_.empty();
  if (!message.frames.empty()) pull_due_at_ = now;
}

/// The last events of this log are not in the new primary's: they never were committed, and go.
void ReplicaActor::find_common(std::vector<EpochRange> theirs, Effects& out) {
  state_ = State::cutting;
  aligned_epoch_ = Epoch{};
  stash_.clear();
  stash_bytes_ = 0;
  primary_epochs_ = std::move(theirs);
  out.send({self_.node, Role::log, self_.shard}, ReadEpochs{next_request_++});
}

/// R5: at the first difference, and nothing that is known to be committed.
void ReplicaActor::handle(LogEpochs message, const Address&, TimePoint now, Effects& out) {
  if (state_ != State::cutting) return;
  const auto common = last_common(message.epochs, std::exchange(primary_epochs_, {}));
  if (!common) {
    return take_snapshot(
        "the primary's log and this one, up to " + to_string(head_) + ", have no event in common", now, out);
  }
  if (common->seq < std::min(commit_, message.epochs.back().last)) {
    // What began the primary's epoch may have left this folder out: the topology, which comes later than the
    // primary's frames now and then, says so. Until then nothing of this history is shown.
    if (topology_->find_shard(self_.shard)->epoch < highest_epoch_) return ask_again_later(now);
    if (counts()) return diverge(now, out);
    foreign_ = true;
    out.log(LogLevel::warning, "replica of shard " + topology_->find_shard(self_.shard)->name +
                                   ": its history, up to " + to_string(head_) +
                                   ", was given up: this copy was not in sync when another one was made "
                                   "primary, by force or because "
                                   "none was left");
    return take_snapshot("the primary's history is another one", now, out);
  }
  out.send({self_.node, Role::log, self_.shard}, CutLog{*common});
}

/// Whether what this copy knows to be committed still is. Not when the change that began its primary's epoch
/// left this folder out: what was lost then, an operator has given up, or it was a volatile shard's.
bool ReplicaActor::counts() const {
  const ShardInfo& shard = *topology_->find_shard(self_.shard);
  if (shard.epoch != highest_epoch_) return true;  // what began it is not known here yet
  return knows_folder(shard, self_.node, options_.incarnation);
}

/// Whether the copy under way is of the history that this epoch goes on with. Its giver had all that counted
/// when it gave; so it is, unless that one's folder was left out since, or is another one now.
bool ReplicaActor::copy_counts() const {
  if (counts()) return true;
  if (is_volatile() || copied_from_ == NodeId{}) return false;
  const ShardInfo& shard = *topology_->find_shard(self_.shard);
  return copied_from_ == shard.primary || folder_of(shard, copied_from_) != nullptr;
}

void ReplicaActor::handle(LogReadFailed, const Address&, TimePoint, Effects&) {
  if (state_ != State::cutting) return;
  state_ = State::following;
  want_pull();
}

void ReplicaActor::tail_was_cut(Position head) {
  state_ = State::following;
  head_ = durable_ = head;
  while (!unapplied_.empty() && unapplied_.back().last > head) {
    unapplied_bytes_ -= unapplied_.back().bytes->size();
    unapplied_.pop_back();
  }
  want_pull();
}

void ReplicaActor::diverge(TimePoint now, Effects& out) {
  if (problem_.empty()) {  // else it is said already
    problem_ = "this copy's history, up to " + to_string(head_) +
               ", is not in the primary's log: one of the two data folders is old or was emptied. Find out "
               "which one is right; if it is the primary's, stop this node and empty this shard's folder";
    out.log(LogLevel::error,
            "replica of shard " + topology_->find_shard(self_.shard)->name + ": " + problem_);
  }
  ask_again_later(now);
}

void ReplicaActor::ask_again_later(TimePoint now) {
  state_ = State::diverged;
  aligned_epoch_ = Epoch{};
  pull_due_at_ = now + kDivergedRetry;
  want_pull();
}

void ReplicaActor::append_pulled(std::string_view frames, Effects& out) {
  while (!frames.empty()) {
    const std::size_t size = peek_frame_size(frames, self_.shard);
    if (size == 0 || size > frames.size()) return;  // what is missing is pulled again
    const auto frame = decode_frame(frames.substr(0, size));
    if (!frame || frame->events.empty() || frame->epoch > aligned_epoch_) return;
    if (frame->prev == head_) {
      append(std::make_shared<const std::string>(frames.substr(0, size)), *frame, out);
    } else if (frame->last() > head_) {
      return;
    }
    frames.remove_prefix(size);
  }
}

bool ReplicaActor::may_pull() const {
  return (pull_wanted_ || pull_request_ != 0) && has_room() && !taker_.waits_for_first() &&
         primary_.node != self_.node;
}

bool ReplicaActor::makes_progress(TimePoint now) const {
  const bool follows = state_ == State::following || state_ == State::cutting || state_ == State::opening;
  return follows && !taker_.active() && blocked_.empty() && now - log_moved_at_ < kLogPatience;
}

void ReplicaActor::on_turn_end(TimePoint now, Effects& out) {
  if (durable_ == head_ || std::exchange(log_moved_, false)) log_moved_at_ = now;
  if (state_ == State::following || state_ == State::diverged) {
    if (now >= pull_due_at_ && may_pull()) pull(now, out);
    if (acknowledge_wanted_ || now >= acknowledged_at_ + kAckInterval) acknowledge(now, out);
  }
  if (state_ == State::following || state_ == State::resetting) taker_.end_turn(primary_, now, out);
  if (!parked_.empty()) answer_parked(now, out);
  // All chunks are in, and all events up to the latest: with them in the store it is whole.
  const bool completes_copy = taker_.has_all_chunks() && copy_.last() >= taker_.until();
  copy_.end_turn(commit_, now, out, completes_copy);
}

// ---- a copy from the primary

/// What we have stays until the first chunk comes.
void ReplicaActor::take_snapshot(const std::string& why, TimePoint now, Effects& out) {
  out.log(LogLevel::info, "replica of shard " + topology_->find_shard(self_.shard)->name + ": " + why +
                              "; taking a copy of the whole shard");
  state_ = State::following;
  problem_.clear();
  aligned_epoch_ = Epoch{};
  taker_.begin(now);
}

/// Watchers ask primaries: this one knows of another.
void ReplicaActor::handle(peer::ChangesRequest message, const Address& from, TimePoint, Effects& out) {
  out.send(from, ChangeFeed::answer_to(message, peer::PullOutcome::refused));
}

void ReplicaActor::handle(peer::SnapshotReply message, const Address&, TimePoint now, Effects& out) {
  if (state_ != State::following && state_ != State::resetting) return;
  if (message.outcome == peer::SnapshotOutcome::ok) {
    if (message.epoch < highest_epoch_) return;  // R4
    if (message.epoch > highest_epoch_) raise_epoch(message.epoch, now);
    heard_ = now;
    heard_once_ = true;
    // A new primary's: whether it goes on with the copy that has begun, a pull shows.
    const bool is_news = taker_.is_filling() && message.epoch > taker_.progress().until.epoch;
    if (is_news && aligned_epoch_ != message.epoch) return want_pull();
  }
  if (message.outcome == peer::SnapshotOutcome::ok) copied_from_ = primary_.node;
  if (taker_.take(std::move(message), copy_.store_will_have(), now, out)) forget(out);
}

/// The store is being emptied: what is in memory and in the log has no place any more.
void ReplicaActor::forget(Effects& out) {
  state_ = State::resetting;
  copy_.drop(out);
  unapplied_.clear();
  unapplied_bytes_ = 0;
  pull_request_ = 0;
  aligned_epoch_ = Epoch{};
}

bool ReplicaActor::is_volatile() const {
  return topology_ && topology_->find_shard(self_.shard)->store == StoreKind::memory;
}

void ReplicaActor::handle(ImportBegun message, const Address&, TimePoint, Effects& out) {
  if (state_ != State::resetting || !taker_.emptied(message)) return;
  out.send({self_.node, Role::log, self_.shard}, ResetLog{message.at});
}

/// The log is empty too: from here on this is a replica whose last event is `at`.
void ReplicaActor::begin_anew(Position at, Effects& out) {
  state_ = State::following;
  copy_.restart(at);
  head_ = durable_ = at;
  commit_ = primary_head_ = at.seq;
  reached_head_ = false;
  want_pull();
  taker_.log_was_reset(out);
}

void ReplicaActor::handle(RecordsImported message, const Address&, TimePoint now, Effects& out) {
  taker_.handle(message, now);
  if (!taker_.active()) say_copied(out);
}

void ReplicaActor::say_copied(Effects& out) {
  out.log(LogLevel::info, "replica of shard " + topology_->find_shard(self_.shard)->name +
                              ": the copy is complete, up to " + to_string(copy_.store_applied()));
}

void ReplicaActor::handle(ImportFailed message, const Address&, TimePoint now, Effects&) {
  taker_.handle(message, now);
}

void ReplicaActor::acknowledge(TimePoint now, Effects& out) {
  acknowledged_at_ = now;
  acknowledge_wanted_ = false;
  if (aligned_epoch_ == Epoch{} || aligned_epoch_ != highest_epoch_) return;  // R3, R4
  if (taker_.store_is_partial()) return;  // what is on this disk is no copy of the shard
  out.send(primary_,
           peer::ReplicaAck{self_.shard, aligned_epoch_, options_.rules.sync_first ? durable_ : head_,
                            copy_.last().seq, options_.incarnation});
}

// ---- what can fail

void ReplicaActor::handle(LogBlocked message, const Address&, TimePoint, Effects&) {
  blocked_ = "the disk is full, nothing more is copied until there is room: " + message.error.message;
}

void ReplicaActor::handle(LogFailed message, const Address&, TimePoint, Effects& out) {
  state_ = State::failed;
  problem_ = message.error.message;
  out.log(LogLevel::error, "a replica has stopped: " + problem_);
}

void ReplicaActor::handle(CheckpointWritten message, const Address&, TimePoint, Effects& out) {
  copy_.handle(message, out);
  if (state_ == State::resetting) return;
  if (taker_.checkpointed(message.applied)) say_copied(out);
  out.send({self_.node, Role::log, self_.shard}, TrimLog{message.applied.seq});
}

void ReplicaActor::handle(CheckpointFailed message, const Address&, TimePoint now, Effects& out) {
  copy_.handle(message, now);
  if (!copy_.disk_is_full()) return;
  out.send({self_.node, Role::log, self_.shard}, TrimLog{copy_.store_applied().seq, true});
}

// ---- requests

void ReplicaActor::handle(ClientRequest message, const Address&, TimePoint now, Effects& out) {
  answer_or_park(std::move(message.origin), std::move(message.request), now, out);
}

void ReplicaActor::handle(PartRequest message, const Address&, TimePoint now, Effects& out) {
  answer_or_park(message.token, std::move(message.request), now, out);
}

/// A session sees nothing older than it has seen: it waits briefly, and then it is for the primary.
void ReplicaActor::answer_or_park(Asker asker, rpc::Request request, TimePoint now, Effects& out) {
  const Seen seen =
      request.session ? Seen{request.session->topology_version, request.session->of(self_.shard)} : Seen{};
  if (!answers_reads() || !is_ahead(seen))
    return send_reply(self_.node, std::move(asker), answer(request, now), out);
  if (parked_.size() >= kMaxParked)
    return send_reply(self_.node, std::move(asker), send_to_primary(request), out);
  parked_.push_back({std::move(asker), std::move(request), seen, now + kSessionPatience});
}

/// A session has seen what this copy, or this node's topology, has not come to.
bool ReplicaActor::is_ahead(const Seen& seen) const {
  if (!options_.rules.sessions_wait) return false;
  return copy_.last() < seen.position || topology_->version < seen.topology_version;
}

void ReplicaActor::answer_parked(TimePoint now, Effects& out) {
  for (Parked& parked : std::exchange(parked_, {})) {
    if (!answers_reads() || !is_ahead(parked.seen)) {
      send_reply(self_.node, std::move(parked.asker), answer(parked.request, now), out);
    } else if (now >= parked.until) {
      send_reply(self_.node, std::move(parked.asker), send_to_primary(parked.request), out);
    } else {
      parked_.push_back(std::move(parked));
    }
  }
}

rpc::Reply ReplicaActor::send_to_primary(const rpc::Request& request) const {
  const ShardInfo& shard = *topology_->find_shard(self_.shard);
  return moved_reply(request, std::make_shared<const Moved>(to_primary(*topology_, shard)));
}

rpc::Reply ReplicaActor::answer(const rpc::Request& request, TimePoint now) {
  rpc::Reply reply{request.request_id, {}};
  if (state_ == State::resetting || taker_.store_is_partial()) {
    reply.body = Error{Errc::unavailable, "this replica is being copied from its primary: try again later"};
    return reply;
  }
  if (!answers_reads()) {
    reply.body = Error{Errc::unavailable, problem_.empty() ? "this replica is starting: try again in a moment"
                                                           : "this replica does not answer: " + problem_};
    return reply;
  }
  if (request.session) {
    reply.session =
        std::make_shared<const Session>(Session{topology_->version, {{self_.shard, copy_.last()}}});
  }
  if (request.type == rpc::Type::scan) {
    auto page = scan_page(copy_, *request.scan, now);
    page ? reply.body = std::move(*page) : reply.body = page.error();
    return reply;
  }
  std::vector<OperationResult> results;
  results.reserve(request.operations.size());
  std::size_t room = kMaxReplyValueBytes;
  for (const Operation& operation : request.operations) results.push_back(copy_.read(operation, room, now));
  reply.body = std::move(results);
  return reply;
}

// ---- status

bool ReplicaActor::caught_up(TimePoint now) const {
  return state_ == State::following && !taker_.active() && aligned_epoch_ == highest_epoch_ &&
         reached_head_ && now - heard_ < kSilenceLimit &&
         primary_head_.value - std::min(primary_head_, head_.seq).value < kCaughtUpLag;
}

void ReplicaActor::handle(StatusQuery message, const Address& from, TimePoint now, Effects& out) {
  out.send(from, StatusReport{message.token, status(now)});
}

MemberStatus ReplicaActor::status(TimePoint now) const {
  MemberStatus status;
  status.shard = self_.shard;
  if (topology_) status.shard_name = topology_->find_shard(self_.shard)->name;
  status.ready = caught_up(now);
  status.problem = !problem_.empty() ? problem_ : !blocked_.empty() ? blocked_ : copy_.problem();
  switch (state_) {
    case State::waiting:
      status.state = "starting";
      break;
    case State::opening:
      status.state = "recovering";
      if (status.problem.empty()) status.problem = recovery_.text();
      break;
    case State::following:
      status.state = status.ready ? "following" : "catching_up";
      break;
    case State::resetting:
      break;
    case State::cutting:
      status.state = "aligning";
      break;
    case State::diverged:
      status.state = "diverged";
      break;
    case State::failed:
      status.state = "failed";
      break;
  }
  if ((state_ == State::following && taker_.active()) || state_ == State::resetting) {
    status.state = "copying";
    status.copied_records = taker_.progress().records;
    status.copied_bytes = taker_.progress().bytes;
    if (!taker_.problem().empty()) status.problem = taker_.problem();
  }
  if (state_ == State::following && heard_once_ && now - heard_ >= kSilenceLimit) {
    status.state = "primary_silent";
    status.problem = "nothing heard from the primary for more than a second: is its node running?";
  }
  status.is_volatile = is_volatile();
  status.epoch = highest_epoch_;
  status.head = head_.seq;
  status.durable = durable_.seq;
  status.commit = commit_;
  status.applied = copy_.store_applied().seq;
  status.lag_events = primary_head_.value - std::min(primary_head_, head_.seq).value;
  status.gaps_repaired = gaps_repaired_;
  return status;
}

}  // namespace dkv
