#include "actors/member/member_actor.hpp"

#include <algorithm>

#include "actors/runtime/jitter.hpp"
#include "topology/members.hpp"

namespace dkv {

namespace {
// A replica that is counted delays every commit until it has what was written before: so it is counted only
// when it is about this close.
constexpr std::uint64_t kCloseEvents = 10'000;
// Replicas that could take over at the same time are apart by their place in the in-sync set.
Duration take_over_spread(const LeaseTiming& timing) { return timing.grace / 10; }
// A replica that lags cannot be waited for with all writers stopped.
constexpr Duration kHandOverPatience = 5s;
// Who can hear nobody's heartbeat yet, or has slept, gives this many of them time to come.
constexpr int kHeartbeatsToHear = 3;

std::uint64_t to_ns(TimePoint time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
TimePoint from_ns(std::uint64_t ns) { return TimePoint{} + Duration{static_cast<Duration::rep>(ns)}; }

void set_folder(ShardInfo& shard, NodeId node, std::uint64_t incarnation) {
  std::erase_if(shard.folders, [&](const MemberFolder& folder) { return folder.node == node; });
  const auto place =
      std::lower_bound(shard.folders.begin(), shard.folders.end(), node,
                       [](const MemberFolder& folder, NodeId key) { return folder.node < key; });
  shard.folders.insert(place, {node, incarnation});
}

}  // namespace

/// Grace is 1.5 and 1.4 times the lease: enough unless one clock runs so much faster than another.
LeaseTiming timing_of(Failover failover) {
  return failover == Failover::fast ? LeaseTiming{.lease = 350ms, .grace = 500ms, .heartbeat = 50ms}
                                    : LeaseTiming{};
}

MemberActor::MemberActor(Address self, std::shared_ptr<Store> store, MemberOptions options)
    : self_(self), store_(std::move(store)), options_(std::move(options)), lease_(options_.timing.lease) {}

void MemberActor::on_start(TimePoint now, Effects&) { started_ = quiet_since_ = now; }

Actor* MemberActor::part() const {
  if (primary_) return primary_.get();
  return replica_.get();
}

void MemberActor::on_message(Envelope envelope, TimePoint now, Effects& out) {
  const bool taken =
      std::visit([&](auto& message) { return handle(message, envelope.from, now, out); }, envelope.message);
  if (taken || part() == nullptr) return;
  part()->on_message(std::move(envelope), now, out);
}

template <class Other>
bool MemberActor::handle(Other&, const Address&, TimePoint, Effects&) {
  // R10: a taker hears nothing of the one it takes over from.
  constexpr bool kFromPrimary = std::is_same_v<Other, EventFrame> || std::is_same_v<Other, peer::PullReply> ||
                                std::is_same_v<Other, peer::SnapshotReply>;
  return kFromPrimary && taking() && options_.rules.silence;
}

void MemberActor::on_wake(TimePoint now, Effects& out) {
  if (part() != nullptr && part()->wake_at() <= now) part()->on_wake(now, out);
}

TimePoint MemberActor::wake_at() const {
  TimePoint wake = part() == nullptr ? kNever : part()->wake_at();
  if (leading()) wake = std::min(wake, heartbeat_due_);
  if (replica_) wake = std::min({wake, take_over_at(), begins_at(), begins_empty_at()});
  return wake;
}

void MemberActor::on_turn_end(TimePoint now, Effects& out) {
  if (topology_) reconsider(now, out);
  if (leading()) tend_followers(now, out);
  if (part() != nullptr) part()->on_turn_end(now, out);
  if (stepping_down_ && !primary_->copy().is_writing()) become_replica(now, out);
}

// ---- what the register says

bool MemberActor::handle(TopologyChanged& message, const Address&, TimePoint now, Effects& out) {
  learn(message.topology, now, out);
  return true;
}

bool MemberActor::handle(RegisterReach& message, const Address&, TimePoint now, Effects&) {
  isolated_ = message.isolated;
  if (!isolated_) reached_since_ = now;
  return true;
}

bool MemberActor::handle(ChangeSettled& message, const Address&, TimePoint now, Effects& out) {
  if (!pending_ || message.change != pending_->change) return true;
  const Pending settled = *std::exchange(pending_, std::nullopt);
  const bool to_lead = settled.kind == Pending::Kind::begin || settled.kind == Pending::Kind::take ||
                       settled.kind == Pending::Kind::force;
  if (to_lead) {
    const ShardInfo* shard = message.topology ? message.topology->find_shard(self_.shard) : nullptr;
    // R6: an epoch is led by the process that began it, and R12: only if nothing has come after that.
    if (message.outcome == ChangeOutcome::chosen && shard->change == settled.change) {
      begun_epoch_ = shard->epoch;
      begun_first_ = settled.first;
      begun_by_force_ = settled.kind == Pending::Kind::force;
    }
    quiet_since_ = now;  // R9: what came meanwhile was not listened to
  } else if (settled.kind != Pending::Kind::hand_over && admitting_ == settled.node) {
    admitting_.reset();  // the topology says whether it counts
  }
  if (message.outcome == ChangeOutcome::refused) {
    out.log(LogLevel::error,
            "shard " + shard_->name + ": the register refused a change: " + message.error.message);
  }
  if (message.topology) learn(message.topology, now, out);
  if (settled.kind == Pending::Kind::hand_over) hand_over_settled(now, out);
  if (settled.kind == Pending::Kind::force) promotion_settled(message.outcome, out);
  return true;
}

void MemberActor::learn(const TopologyPtr& topology, TimePoint now, Effects& out) {
  if (topology_ && topology->version < topology_->version) return;
  const Epoch epoch_before = shard_ == nullptr ? Epoch{} : shard_->epoch;
  const NodeId primary_before = shard_ == nullptr ? self_.node : shard_->primary;
  topology_ = topology;
  shard_ = topology_->find_shard(self_.shard);
  DKV_ASSERT(shard_ != nullptr);
  if (shard_->epoch != epoch_before) quiet_since_ = now;
  note_hand_over(primary_before, now);
  if (part() == nullptr) {
    replica_ = std::make_unique<ReplicaActor>(self_, store_, options_.copy, options_.replica);
  }
  if (!taking()) part()->on_message({self_, self_, TopologyChanged{topology_}}, now, out);
  if (leading()) update_counted();
}

/// What this member is to do, by all that it knows.
void MemberActor::reconsider(TimePoint now, Effects& out) {
  const bool registered = shard_->primary == self_.node;
  if (leading()) {
    if (!is_deposed()) return;
    return step_down(registered ? "the shard begins a new epoch" : "another node is the shard's primary now",
                     out);
  }
  if (stepping_down_ || pending_ || !replica_->can_lead()) return;
  // R4: who has heard of a newer epoch will soon learn of its topology.
  const bool is_newest = begun_epoch_ == shard_->epoch && begun_epoch_ >= heard_epoch_;
  if (registered && is_newest && begun_epoch_ != Epoch{}) return lead(now, out);
  if (registered && may_begin(now)) {
    if (options_.rules.fresh_epoch) return propose_to_lead(Pending::Kind::begin, now, out);
    begun_epoch_ = std::max(shard_->epoch, Epoch{1});
    return lead(now, out);
  }
  if (now >= take_over_at()) propose_to_lead(Pending::Kind::take, now, out);
}

/// Of a primary: the register has another, or another epoch.
bool MemberActor::is_deposed() const { return shard_->primary != self_.node || shard_->epoch != epoch_; }

// ---- becoming primary, and ceasing to be

/// The folder that the register knows. Nobody's, before it knows any.
bool MemberActor::owns_registered_folder() const {
  return knows_folder(*shard_, self_.node, options_.incarnation);
}

/// The registered primary's process has just started, or lost its epoch. With another folder it has lost what
/// it acknowledged; only where nothing has ever been acknowledged does any folder do, and where nothing is
/// left.
bool MemberActor::may_begin(TimePoint now) const { return now >= begins_at() || now >= begins_empty_at(); }

/// By then any in-sync member that lives would have taken over from a primary that says nothing.
TimePoint MemberActor::nobody_takes_over_at() const {
  const auto turns = static_cast<Duration::rep>(shard_->in_sync.size());
  return std::max(quiet_since_, reached_since_) + 2 * options_.timing.grace +
         turns * take_over_spread(options_.timing);
}

/// As the registered primary, with the registered folder.
TimePoint MemberActor::begins_at() const {
  if (shard_ == nullptr || pending_ || !replica_ || !replica_->can_lead()) return kNever;
  if (shard_->primary != self_.node) return kNever;
  if (!owns_registered_folder() && shard_->epoch != Epoch{}) return kNever;
  // R18, but not for ever, nor when the one before wants it to lead.
  const bool waits = !shard_->in_sync.empty() && !handed_over_at_ && options_.rules.let_go_first;
  if (!waits) return quiet_since_;
  return std::max(quiet_since_, std::min(nobody_takes_over_at(), started_ + options_.lets_others_go_first));
}

/// A volatile shard is a cache: when the processes of all its in-sync members have ended, its primary begins
/// it again, empty, behind a time in which one that still has it would have taken over.
TimePoint MemberActor::begins_empty_at() const {
  if (shard_ == nullptr || !is_volatile() || isolated_ || pending_ || !replica_) return kNever;
  if (shard_->primary != self_.node || owns_registered_folder()) return kNever;
  return shard_->in_sync.empty() ? reached_since_ : nobody_takes_over_at();
}

/// R9, R14. Never, for who may not.
TimePoint MemberActor::take_over_at() const {
  if (shard_ == nullptr || !replica_ || pending_ || isolated_ || shard_->primary == self_.node) return kNever;
  const auto place = std::find(shard_->in_sync.begin(), shard_->in_sync.end(), self_.node);
  const bool may = place != shard_->in_sync.end() && owns_registered_folder();
  if (!replica_->can_lead() || (!may && options_.rules.in_sync_only)) return kNever;
  const TimePoint heard_nothing = quiet_since_ + options_.timing.grace;
  // Who is reached by the keepers again may be so by its primary, which has had no time to say so.
  const TimePoint could_hear = reached_since_ + kHeartbeatsToHear * options_.timing.heartbeat;
  const auto turn = place - shard_->in_sync.begin();
  return std::max(heard_nothing, could_hear) + turn * take_over_spread(options_.timing);
}

void MemberActor::propose_to_lead(Pending::Kind kind, TimePoint now, Effects& out) {
  ShardInfo next = *shard_;
  const std::string shard = "shard " + shard_->name + ": ";
  if (kind == Pending::Kind::take) {
    out.log(LogLevel::warning, shard + "nothing heard from its primary, node " +
                                   topology_->find_node(shard_->primary)->name + ": taking over");
  }
  if (next.primary != self_.node) {
    std::erase(next.replicas, self_.node);
    std::erase(next.in_sync, self_.node);
    next.replicas.push_back(next.primary);
    next.primary = self_.node;
  }
  begun_empty_ = kind == Pending::Kind::begin && now >= begins_empty_at();
  if (begun_empty_) {
    out.log(LogLevel::warning, shard +
                                   "volatile, and all processes that had its data have ended: it begins "
                                   "again, empty");
  }
  // Whoever had this history, or what it had before, no longer has any that counts.
  if (begun_empty_ || kind == Pending::Kind::force) {
    next.in_sync.clear();
    next.folders.clear();
  }
  set_folder(next, self_.node, options_.incarnation);
  propose(kind, std::move(next), true, self_.node, out);
  if (taking()) take_ = pending_->change;
}

/// Only the one before can have made this member primary, if not a change of its own: an earlier process's
/// are all settled since this one's first round (R11). It has stopped for good before it asked for that
/// (R16).
void MemberActor::note_hand_over(NodeId primary_before, TimePoint now) {
  if (shard_->primary != self_.node) {
    handed_over_at_.reset();
  } else if (primary_before != self_.node && shard_->change != take_) {
    handed_over_at_ = now;
  }
}

/// R10: an answer that this member, or an earlier process of it, gave to another primary is a lease still.
/// But none is when the shard never had another, or that one has handed over: it had a lease then, so nobody
/// else had, and gave it up.
TimePoint MemberActor::may_serve_at(TimePoint now) const {
  if (begun_first_ || shard_->replicas.empty()) return now;
  // Nobody here answers for those who count for the old one: they will have heard of this by then.
  if (begun_by_force_) return now + options_.timing.grace;
  if (!options_.rules.silence) return now;
  const TimePoint last = std::max(last_grant_, started_);
  return handed_over_at_ && last <= *handed_over_at_ ? now : last + options_.timing.grace;
}

void MemberActor::propose(Pending::Kind kind, ShardInfo next, bool begins_epoch, NodeId node, Effects& out) {
  // Unlike any other process's, and any other shard's.
  const std::uint64_t number = ++changes_ << 16 ^ std::uint64_t{self_.shard.value} << 48;
  const std::uint64_t id = SplitMix64(options_.process ^ number).next() | 1;
  pending_ = Pending{kind, id, node, shard_->epoch == Epoch{}};
  TopologyChange change{id, {ShardEdit{shard_->change, std::move(next), begins_epoch}}};
  out.send({self_.node, Role::registrar, {}}, ProposeChange{std::move(change)});
}

/// All that this member's log has stays, and is committed in the new epoch.
void MemberActor::lead(TimePoint now, Effects& out) {
  epoch_ = begun_epoch_;
  led_since_ = now;
  lease_ = Lease(options_.timing.lease);
  followers_.clear();
  admitting_.reset();
  counted_ = shard_->in_sync;
  heartbeat_due_ = now;
  serves_from_ = may_serve_at(now);
  able_at_ = std::max(now, serves_from_);
  last_turn_ = awake_since_ = now;
  Inheritance all = replica_->hand_over(out);
  if (begun_empty_) {
    all.remark = "began again empty: it is volatile, and all processes that had its data had ended";
  }
  replica_.reset();
  out.log(LogLevel::info, "shard " + shard_->name + ": primary from now on, in epoch " +
                              std::to_string(epoch_.value) + ", after " + to_string(all.head));
  primary_ = std::make_unique<ShardActor>(self_, std::move(all), options_.shard, epoch_, counted_, out);
}

void MemberActor::step_down(const std::string& why, Effects& out) {
  out.log(LogLevel::warning, "shard " + shard_->name + ": stepping down: " + why);
  primary_->step_down(why + ": ask again", out);
  stepping_down_ = true;
  if (handing_over_ && !is_pending(Pending::Kind::hand_over)) {
    end_hand_over(Errc::unavailable, "not handed over: " + why, out);
  }
}

/// What was executed and not committed is in this copy's memory: it is built anew from the log.
void MemberActor::become_replica(TimePoint now, Effects& out) {
  stepping_down_ = false;
  ++changes_of_part_;
  primary_.reset();
  replica_ = std::make_unique<ReplicaActor>(self_, store_, options_.copy, options_.replica);
  replica_->on_message({self_, self_, TopologyChanged{topology_}}, now, out);
  quiet_since_ = now;
}

// ---- leases

bool MemberActor::handle(peer::Heartbeat& message, const Address& from, TimePoint now, Effects& out) {
  if (!replica_ || shard_ == nullptr) return true;
  if (taking() && options_.rules.silence) return true;
  if (message.epoch < std::max(heard_epoch_, shard_->epoch) && options_.rules.fence) return true;  // R4
  if (message.epoch == shard_->epoch && from.node != shard_->primary) return true;
  heard_epoch_ = std::max(heard_epoch_, message.epoch);
  quiet_since_ = now;
  if (!replica_->makes_progress(now) && options_.rules.quiet) return true;  // R18
  last_grant_ = now;
  out.send(from, peer::LeaseGrant{message.shard, message.epoch, message.process, message.sent_ns,
                                  options_.incarnation});
  return true;
}

bool MemberActor::handle(peer::LeaseGrant& message, const Address& from, TimePoint now, Effects&) {
  if (!leading() || message.epoch != epoch_ || message.process != options_.process) return true;
  const TimePoint sent = from_ns(message.sent_ns);
  if (sent > now) return true;
  Follower& follower = followers_[from.node];
  if (follower.incarnation != message.incarnation) {
    // What another folder had does not count for this one.
    if (follower.incarnation != 0) primary_->forget(from.node);
    if (admitting_ == from.node && !pending_) admitting_.reset();
    follower = {message.incarnation, {}};
    update_counted();
  }
  // Of an in-sync replica that has lost its folder nothing counts: it must be dropped, and admitted anew.
  const bool is_lost =
      contains(shard_->in_sync, from.node) && !knows_folder(*shard_, from.node, message.incarnation);
  if (!is_lost) lease_.granted(from.node, options_.rules.lease_from_sending ? sent : now);
  return true;
}

/// What another folder of that node had does not count for this one, however late it says so.
bool MemberActor::handle(peer::ReplicaAck& message, const Address& from, TimePoint, Effects&) {
  if (!leading()) return false;
  Follower& follower = followers_[from.node];
  if (follower.incarnation == 0) follower.incarnation = message.incarnation;
  if (follower.incarnation != message.incarnation) return true;
  follower.epoch = message.epoch;
  return false;
}

void MemberActor::tend_followers(TimePoint now, Effects& out) {
  if (primary_->has_failed()) return;  // R18: another may take over
  if (now - last_turn_ > kHeartbeatsToHear * options_.timing.heartbeat) awake_since_ = now;
  last_turn_ = now;
  if (now < lease_ends_at(now) && primary_->moves(now)) able_at_ = now;
  if (now >= heartbeat_due_) send_heartbeats(now, out);
  judge_followers(now, out);
  tend_hand_over(now, out);
  primary_->set_lease(lease_ends_at(now));
  primary_->set_handing_over(handing_over_.has_value());
}

/// R18: it could not commit, or has no lease and cannot get the silent dropped, for too long. It asks nobody
/// to wait for it any longer; when it can again before anybody has taken over, it goes on.
bool MemberActor::is_stuck(TimePoint now) const {
  return options_.rules.quiet && now - able_at_ >= options_.timing.patience;
}

void MemberActor::send_heartbeats(TimePoint now, Effects& out) {
  heartbeat_due_ = now + options_.timing.heartbeat;
  if (is_stuck(now)) return;
  for (const NodeId node : shard_->replicas) {
    out.send({node, Role::member, self_.shard},
             peer::Heartbeat{self_.shard, epoch_, options_.process, to_ns(now)});
  }
}

TimePoint MemberActor::lease_ends_at(TimePoint now) const {
  if (now < serves_from_) return {};
  if (is_pending(Pending::Kind::hand_over) && options_.rules.stop_first) return {};  // R16
  return options_.rules.lease_all ? lease_.until(counted_) : kNever;
}

void MemberActor::update_counted() {
  counted_ = shard_->in_sync;
  if (is_pending(Pending::Kind::drop) && !options_.rules.unknown_is_both)
    std::erase(counted_, pending_->node);
  if (admitting_ && options_.rules.count_first && !contains(counted_, *admitting_))
    counted_.push_back(*admitting_);
  primary_->count(options_.rules.all_ack ? counted_ : std::vector<NodeId>{});
}

/// Who is silent is dropped from the in-sync set; who has caught up is counted, then admitted.
void MemberActor::judge_followers(TimePoint now, Effects& out) {
  if (pending_) return;
  // R18: its own disk stands still, so it may have gone quiet itself: who is silent then is who can take
  // over.
  if (!primary_->moves(now) && primary_->waits_for_own_log() && options_.rules.quiet) return;
  for (const NodeId node : shard_->in_sync) {
    const TimePoint could_answer = awake_since_ + kHeartbeatsToHear * options_.timing.heartbeat;
    if (now < std::max({lease_.until(node), led_since_ + options_.timing.lease, could_answer})) continue;
    out.log(LogLevel::warning, "shard " + shard_->name + ": replica " + topology_->find_node(node)->name +
                                   " is silent: dropping it from the in-sync set");
    ShardInfo next = *shard_;
    std::erase(next.in_sync, node);
    propose(Pending::Kind::drop, std::move(next), false, node, out);
    return update_counted();
  }
  if (admitting_ && now >= lease_.until(*admitting_)) {
    admitting_.reset();  // nothing has been proposed for it
    update_counted();
  }
  for (const NodeId node : shard_->replicas) {
    if (admitting_ || contains(shard_->in_sync, node) || !is_close(node) || now >= lease_.until(node))
      continue;
    admitting_ = node;  // R15: in commit and in lease from now on
    admit_from_ = primary_->published().seq;
    update_counted();
  }
  if (!admitting_ || primary_->durable_on(*admitting_) < admit_from_) return;
  ShardInfo next = *shard_;
  next.in_sync.push_back(*admitting_);
  set_folder(next, *admitting_, followers_[*admitting_].incarnation);
  propose(Pending::Kind::admit, std::move(next), false, *admitting_, out);
}

bool MemberActor::is_close(NodeId node) const {
  const auto follower = followers_.find(node);
  if (follower == followers_.end() || follower->second.incarnation == 0 || follower->second.epoch != epoch_)
    return false;
  const Seq durable = primary_->durable_on(node);
  return durable.value + kCloseEvents >= primary_->published().seq.value;
}

// ---- what operators want

void MemberActor::report(const Wish& wish, Errc code, std::string text, Effects& out) const {
  out.send(wish.asker, ControlReport{wish.token, code, std::move(text)});
}

bool MemberActor::handle(HandOver& message, const Address& from, TimePoint now, Effects& out) {
  const Wish wish{from, message.token};
  if (!leading() || !holds_lease(now) || !primary_->moves(now)) {
    report(wish, Errc::unavailable, "this node is not the shard's serving primary just now", out);
  } else if (message.to == self_.node) {
    report(wish, Errc::ok, "this node is the shard's primary already", out);
  } else if (handing_over_) {
    report(wish, Errc::unavailable, "a hand-over is under way already", out);
  } else if (const auto to = heir(message.to, now)) {
    handing_over_ = HandingOver{wish, *to, now + kHandOverPatience};
  } else {
    report(wish, Errc::unavailable,
           message.to == NodeId{} ? "the shard has no in-sync replica that answers, so none can take over"
                                  : "that node has no in-sync replica of the shard that answers",
           out);
  }
  return true;
}

/// Of the in-sync replicas whose folders count and that answer, the one that is wanted, or the one that has
/// most.
std::optional<NodeId> MemberActor::heir(NodeId wanted, TimePoint now) const {
  std::optional<NodeId> best;
  for (const NodeId node : shard_->in_sync) {
    if (now >= lease_.until(node) || (wanted != NodeId{} && node != wanted)) continue;
    if (!best || primary_->durable_on(node) > primary_->durable_on(*best)) best = node;
  }
  return best;
}

/// R16: what was taken before has been answered, and is all on the heir's disk, before the register is asked.
void MemberActor::tend_hand_over(TimePoint now, Effects& out) {
  if (!handing_over_ || is_pending(Pending::Kind::hand_over)) return;
  const NodeId to = handing_over_->to;
  const std::string name = topology_->find_node(to)->name;
  if (!contains(shard_->in_sync, to)) {
    return end_hand_over(Errc::unavailable, name + " is no longer in sync: this node serves on", out);
  }
  if (now >= handing_over_->until) {
    return end_hand_over(Errc::unavailable,
                         name + " did not get everything on its disk within 5 s: this node serves on", out);
  }
  const bool is_level = primary_->is_idle() && primary_->durable_on(to) == primary_->published().seq;
  if (pending_ || now >= lease_ends_at(now) || (!is_level && options_.rules.stop_first)) return;
  ShardInfo next = *shard_;
  for (auto* nodes : {&next.replicas, &next.in_sync}) {
    std::erase(*nodes, to);
    nodes->push_back(self_.node);
  }
  next.primary = to;
  propose(Pending::Kind::hand_over, std::move(next), true, to, out);
}

void MemberActor::end_hand_over(Errc code, std::string text, Effects& out) {
  out.log(LogLevel::info, "shard " + shard_->name + ": hand-over: " + text);
  report(handing_over_->wish, code, std::move(text), out);
  handing_over_.reset();
}

/// What it has come to is in the topology: the heir may have begun an epoch of its own since.
void MemberActor::hand_over_settled(TimePoint now, Effects& out) {
  const std::string name = topology_->find_node(shard_->primary)->name;
  able_at_ = now;
  if (shard_->primary == handing_over_->to) return end_hand_over(Errc::ok, "handed over to " + name, out);
  end_hand_over(Errc::unavailable,
                shard_->primary == self_.node ? "the register did not take it: this node serves on"
                                              : name + " has become primary meanwhile",
                out);
}

/// Empty, or why no operator may make this copy primary.
std::string MemberActor::why_not_promotable() const {
  if (part() == nullptr || isolated_) return "this node does not reach a majority of the cluster's keepers";
  if (!replica_ || pending_) return "the shard is changing its primary just now: try again";
  if (!replica_->can_lead())
    return "this copy is not whole, or not open yet: it can never be primary as it is";
  return {};
}

bool MemberActor::handle(ForcePromotion& message, const Address& from, TimePoint now, Effects& out) {
  const Wish wish{from, message.token};
  if (leading()) {
    report(wish, Errc::ok, "this node is the shard's primary already", out);
  } else if (const std::string why = why_not_promotable(); !why.empty()) {
    report(wish, Errc::unavailable, why, out);
  } else {
    out.log(LogLevel::warning, "shard " + shard_->name + ": an operator forces this copy, up to " +
                                   to_string(replica_->head()) +
                                   ", to be primary: acknowledged writes that "
                                   "it does not have will be lost");
    promotion_ = wish;
    propose_to_lead(Pending::Kind::force, now, out);
  }
  return true;
}

void MemberActor::promotion_settled(ChangeOutcome outcome, Effects& out) {
  const Wish wish = *std::exchange(promotion_, std::nullopt);
  if (outcome != ChangeOutcome::chosen) {
    return report(wish, Errc::unavailable,
                  "the register did not take it, because something else has changed the shard: look at its "
                  "status before you try again",
                  out);
  }
  const Position head = replica_->head();
  report(wish, Errc::ok,
         (head == Position{} ? std::string("primary, with an empty copy: all that the shard held is lost")
                             : "primary, with everything up to " + to_string(head) +
                                   ": what was acknowledged after that and is not in this copy is lost") +
             ". If the old primary still runs, it may answer until it hears of this: what it reads is old, "
             "and what it writes is lost. The other copies will be replaced by copies of this one",
         out);
}

// ---- requests

namespace {
bool needs_primary(const rpc::Request& request) {
  return request.read != ReadMode::replica ||
         std::any_of(request.operations.begin(), request.operations.end(), writes);
}
}  // namespace

/// The router goes by a topology that this member may know more than, or less.
std::optional<Error> MemberActor::why_not(const rpc::Request& request) const {
  if (part() == nullptr) {
    return Error{Errc::unavailable, "this node has not reached a majority of the cluster's keepers yet"};
  }
  // Deposed, it can answer nothing that it takes, and steps down when this turn ends.
  const bool is_stopped =
      stepping_down_ || (leading() && is_deposed()) || (handing_over_ && options_.rules.stop_first);
  if (is_stopped || (replica_ && needs_primary(request)))
    return Error{Errc::unavailable, "the shard is changing its primary: try again in a moment"};
  return std::nullopt;
}

bool MemberActor::handle(ClientRequest& message, const Address&, TimePoint, Effects& out) {
  auto refusal = why_not(message.request);
  if (!refusal) return false;
  out.send({self_.node, Role::client, {}},
           ClientReply{std::move(message.origin), {message.request.request_id, std::move(*refusal)}});
  return true;
}

bool MemberActor::handle(PartRequest& message, const Address&, TimePoint, Effects& out) {
  auto refusal = why_not(message.request);
  if (!refusal) return false;
  out.send({self_.node, Role::router, {}},
           PartReply{message.token, {message.request.request_id, std::move(*refusal)}});
  return true;
}

bool MemberActor::handle(StatusQuery& message, const Address& from, TimePoint, Effects& out) {
  if (part() != nullptr) return false;
  MemberStatus status;
  status.shard = self_.shard;
  status.state = "starting";
  status.problem = "waiting for a majority of the cluster's keepers";
  out.send(from, StatusReport{message.token, std::move(status)});
  return true;
}

}  // namespace dkv
