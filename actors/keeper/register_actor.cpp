#include "actors/keeper/register_actor.hpp"

#include <algorithm>

#include "topology/codec.hpp"

namespace dkv {

namespace {

/// What was lost on the way is asked for again.
constexpr Duration kAskAgainInterval = 100ms;
/// Then a new ballot: some seven times what two phases with syncs of 20 ms take.
constexpr Duration kRoundTimeout = 600ms;
/// The pause behind a failed round is random, of up to this, doubled by each failure in a row.
constexpr Duration kLeastBackoff = 20ms;
constexpr Duration kMostBackoff = 1s;
constexpr Duration kPollInterval = 1s;
constexpr Duration kFirstPollInterval = 200ms;  // until it is ready
/// One poll may be lost; a third without answers in a row is isolation.
constexpr Duration kIsolatedAfter = 2500ms;
/// All nodes see at once that a repair is needed; one of them is enough.
constexpr Duration kRepairSpread = 1s;
/// After so many polls that show no majority at one ballot, something was left half done.
constexpr unsigned kMostUnclearPolls = 2;
/// And after so many, with too few keepers that have their folders, that a person is needed.
constexpr unsigned kHopelessPolls = 5;
constexpr std::size_t kMaxReads = 1024;

}  // namespace

RegisterActor::RegisterActor(Address self, TopologyPtr file, RegisterOptions options)
    : self_(self),
      file_(std::move(file)),
      options_(std::move(options)),
      random_(options_.process ^ std::uint64_t{self.node.value} << 32),
      changes_(options_.rules) {
  DKV_ASSERT(file_->version == 1 && file_->change == 0);
}

void RegisterActor::on_start(TimePoint now, Effects&) {
  started_ = next_poll_at_ = now;
  next_round_at_ = now + random_.up_to(kLeastBackoff);
}

void RegisterActor::on_message(Envelope envelope, TimePoint now, Effects& out) {
  std::visit([&](auto& message) { handle(message, envelope.from, now, out); }, envelope.message);
}

// ---- what local actors ask

void RegisterActor::handle(ProposeChange& message, const Address& from, TimePoint, Effects& out) {
  const std::uint64_t id = message.change.id;
  auto added = changes_.add(from, std::move(message.change));
  if (!added) out.send(from, ChangeSettled{id, ChangeOutcome::refused, known_.topology, added.error()});
}

void RegisterActor::handle(ReadRegister& message, const Address& from, TimePoint, Effects& out) {
  if (reads_.size() >= kMaxReads) {
    return out.log(LogLevel::error, "register: more reads wait than there can be actors; one was dropped");
  }
  reads_.push_back({from, message.token, rounds_begun_});
}

void RegisterActor::handle(StatusQuery& message, const Address& from, TimePoint now, Effects& out) {
  RegisterReport report{message.token, isolated_, {}};
  for (const Keeper& keeper : file_->keepers) {
    const auto heard = heard_.find(keeper.node);
    const Duration silent = now - (heard == heard_.end() ? started_ : heard->second);
    report.keepers.push_back(
        {file_->find_node(keeper.node)->name, heard != heard_.end() && silent < kIsolatedAfter,
         static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(silent).count())});
  }
  out.send(from, std::move(report));
}

// ---- a round

TimePoint RegisterActor::round_due_at() const {
  if (round_) return kNever;
  const TimePoint due = is_needed() ? next_round_at_ : kNever;
  return repair_at_ == kNever ? due : std::min(due, std::max(repair_at_, next_round_at_));
}

void RegisterActor::begin_round(TimePoint now, Effects& out) {
  ++rounds_begun_;
  repair_at_ = kNever;
  const Ballot ballot{++highest_counter_, self_.node, options_.rules.fresh_ballots ? options_.process : 0};
  round_.emplace(ballot, known_, file_, options_.rules);
  round_ends_at_ = now + kRoundTimeout;
  ask_again(now, out);
}

void RegisterActor::ask_again(TimePoint now, Effects& out) {
  ask_again_at_ = now + kAskAgainInterval;
  for (const NodeId keeper : round_->silent()) {
    if (round_->accepting()) {
      out.send(keeper_at(keeper), peer::RegisterAccept{round_->ballot(), round_->proposed_bytes()});
    } else {
      out.send(keeper_at(keeper), peer::RegisterPrepare{round_->ballot(), round_->known()});
    }
  }
}

void RegisterActor::handle(peer::RegisterPromise& message, const Address& from, TimePoint now, Effects& out) {
  heard(from.node, message.keeper, now);
  if (!round_) return;
  if (auto taken = round_->take(from.node, message); !taken) {
    return out.log(LogLevel::error, "register: the keeper of node " + std::to_string(from.node.value) +
                                        " promised with what is no topology: " + taken.error().message);
  }
  if (round_->may_propose()) propose(now, out);
}

void RegisterActor::handle(peer::RegisterAccepted& message, const Address& from, TimePoint now,
                           Effects& out) {
  heard(from.node, message.keeper, now);
  if (!round_) return;
  round_->take(from.node, message);
  if (round_->is_chosen()) finish_round(out);
}

void RegisterActor::handle(peer::RegisterNack& message, const Address& from, TimePoint now, Effects& out) {
  highest_counter_ = std::max(highest_counter_, message.promised.counter);
  if (!round_) return;
  round_->take(from.node, message);
  if (round_->is_lost()) give_up_round(now, out);
}

void RegisterActor::propose(TimePoint now, Effects& out) {
  if (!round_->newest()) {
    round_->propose(std::make_shared<const Topology>(first_topology()));
    return ask_again(now, out);
  }
  const TopologyPtr from = round_->newest();
  auto next = std::make_shared<Topology>(successor_of(*from, random_.next() | 1));
  PendingChanges::Settled refused;
  const bool admitted = admit(*next, *from, out);
  const bool changed = changes_.make_in(*next, *from, refused);
  settle(std::move(refused), out);
  // Nothing to change: what is there is proposed again, which settles what an earlier ballot left open.
  round_->propose(admitted || changed ? TopologyPtr(std::move(next)) : from);
  ask_again(now, out);
}

/// The file's, with the keepers' folders as they are.
Topology RegisterActor::first_topology() const {
  Topology first = *file_;
  first.change = SplitMix64(options_.process ^ round_->ballot().counter).next() | 1;
  for (Keeper& keeper : first.keepers) keeper.incarnation = round_->folders().at(keeper.node).incarnation;
  return first;
}

/// Keepers that have promised from a folder that is not the one named are given its place: the others, a
/// majority without them, decide it here.
bool RegisterActor::admit(Topology& next, const Topology& from, Effects& out) const {
  bool any = false;
  for (Keeper& keeper : next.keepers) {
    const auto now = round_->folders().find(keeper.node);
    if (now == round_->folders().end() ||
        now->second.incarnation == find_keeper(from, keeper.node)->incarnation)
      continue;
    keeper.incarnation = now->second.incarnation;
    keeper.since = next.version;
    any = true;
    out.log(LogLevel::warning, "register: the keeper of node " + std::to_string(keeper.node.value) +
                                   " has lost its folder; proposing to admit its new one");
  }
  return any;
}

void RegisterActor::finish_round(Effects& out) {
  const Round round = std::move(*round_);
  round_.reset();
  failures_ = 0;
  unclear_polls_ = 0;
  const Balloted chosen{round.ballot(), round.proposed()};
  const bool is_news = round.proposed() != round.newest();
  learn(chosen, out);
  if (is_news) push(chosen, out);
  if (!ready_) {
    ready_ = true;
    announce(out);
  }
  settle(changes_.settle(chosen.topology), out);
  std::erase_if(reads_, [&](const Read& read) {
    if (read.rounds_before >= rounds_begun_) return false;
    out.send(read.asker, RegisterRead{read.token, known_.topology});
    return true;
  });
}

void RegisterActor::give_up_round(TimePoint now, Effects& out) {
  const bool waits_for_all = !round_->accepting() && !round_->newest() && !round_->silent().empty();
  if (waits_for_all && failures_ > 2 && !std::exchange(said_waiting_, true)) {
    out.log(LogLevel::info, "register: it begins once every keeper can be reached; not yet: " +
                                std::to_string(round_->silent().size()));
  }
  round_.reset();
  ++failures_;
  const Duration most = std::min(kMostBackoff, kLeastBackoff * (1 << std::min(failures_, 6U)));
  next_round_at_ = now + random_.up_to(most);
}

void RegisterActor::tend_round(TimePoint now, Effects& out) {
  if (round_ && now >= round_ends_at_) give_up_round(now, out);
  if (round_ && now >= ask_again_at_) ask_again(now, out);
  if (now >= round_due_at()) begin_round(now, out);
}

// ---- learning

/// Once it is ready it tells its listeners; before that, it has only heard of it.
void RegisterActor::learn(const Balloted& chosen, Effects& out) {
  highest_counter_ = std::max(highest_counter_, chosen.ballot.counter);
  if (chosen.ballot <= known_.ballot) return;
  if (known_.topology && chosen.topology->version < known_.topology->version) {
    return out.log(LogLevel::error,
                   "register: it went back from version " + std::to_string(known_.topology->version) +
                       " to " + std::to_string(chosen.topology->version) + ": promises were forgotten");
  }
  const bool is_newer = !known_.topology || chosen.topology->version > known_.topology->version;
  known_ = chosen;
  if (!is_newer) return;
  settle(changes_.learn(known_.topology), out);
  if (find_keeper(*file_, self_.node) != nullptr)
    out.send(keeper_at(self_.node), TopologyChosen{known_.ballot, known_.topology});
  if (ready_ || !options_.rules.read_at_start) announce(out);
}

/// The newest, with the addresses that the file has now: the register keeps those of the day it began on, and
/// a cluster may have moved since.
TopologyPtr RegisterActor::with_addresses() const {
  auto topology = std::make_shared<Topology>(*known_.topology);
  for (NodeInfo& node : topology->nodes) {
    const NodeInfo* in_file = file_->find_node(node.name);
    if (in_file != nullptr && in_file->id == node.id) node = *in_file;
  }
  return topology;
}

void RegisterActor::announce(Effects& out) {
  const TopologyPtr topology = with_addresses();
  for (const Address& listener : options_.listeners) out.send(listener, TopologyChanged{topology});
}

void RegisterActor::push(const Balloted& chosen, Effects& out) {
  const std::string bytes = encode(*chosen.topology);
  for (const NodeInfo& node : chosen.topology->nodes) {
    if (node.id != self_.node)
      out.send({node.id, Role::registrar, {}}, peer::RegisterChosen{chosen.ballot, bytes});
  }
}

void RegisterActor::settle(PendingChanges::Settled settled, Effects& out) {
  for (auto& [asker, message] : settled) {
    message.topology =
        known_.topology;  // what others got chosen since a round began is newer than its result
    out.send(asker, std::move(message));
  }
}

void RegisterActor::handle(peer::RegisterChosen& message, const Address& from, TimePoint, Effects& out) {
  if (message.ballot <= known_.ballot) return;
  const auto topology = topology_of(message.ballot, message.topology, known_, file_->id);
  if (!topology) {
    return out.log(LogLevel::error, "register: node " + std::to_string(from.node.value) +
                                        " says that no topology was chosen: " + topology.error().message);
  }
  learn({message.ballot, *topology}, out);
}

void RegisterActor::begin_poll(TimePoint now, Effects& out) {
  next_poll_at_ = now + (ready_ ? kPollInterval - random_.up_to(kPollInterval / 10) : kFirstPollInterval);
  poll_ = Poll(poll_.request() + 1, known_);
  for (const Keeper& keeper : file_->keepers) {
    out.send(keeper_at(keeper.node), peer::RegisterPoll{options_.process, poll_.request(), poll_.known()});
  }
}

void RegisterActor::handle(peer::RegisterState& message, const Address& from, TimePoint now, Effects& out) {
  heard(from.node, message.keeper, now);
  if (message.process != options_.process) return;
  if (auto taken = poll_.take(from.node, message, file_->id); !taken) {
    return out.log(LogLevel::error, "register: the keeper of node " + std::to_string(from.node.value) +
                                        " has accepted what is no topology: " + taken.error().message);
  }
  if (const auto chosen = poll_.chosen(options_.rules)) learn(*chosen, out);
  // Its keeper was told when this was chosen; but a full disk may have kept it from taking it in.
  const Keeper* own =
      from.node == self_.node && known_.topology ? find_keeper(*known_.topology, self_.node) : nullptr;
  if (own != nullptr && own->incarnation == message.keeper.incarnation && own->since > message.keeper.since)
    out.send(keeper_at(self_.node), TopologyChosen{known_.ballot, known_.topology});
}

/// Of the last poll, when its time is over.
void RegisterActor::judge_poll(TimePoint now, Effects& out) {
  if (!ready_ || poll_.answers() < majority()) return;
  const std::size_t strangers = poll_.strangers(*known_.topology).size();
  if (poll_.chosen(options_.rules)) {
    unclear_polls_ = 0;
    if (strangers > 0) want_repair(now);
    return;
  }
  ++unclear_polls_;
  if (unclear_polls_ >= kMostUnclearPolls) want_repair(now);
  const bool has_majority = file_->keepers.size() - strangers >= majority();
  if (unclear_polls_ >= kHopelessPolls && !has_majority && !std::exchange(said_no_majority_, true)) {
    out.log(LogLevel::error,
            "register: so many keepers have lost their folders that no majority is left to admit them: the "
            "topology can no longer be changed");
  }
}

void RegisterActor::want_repair(TimePoint now) {
  if (repair_at_ == kNever) repair_at_ = now + random_.up_to(kRepairSpread);
}

void RegisterActor::heard(NodeId keeper, const peer::KeeperIdentity& identity, TimePoint now) {
  if (known_.topology && !counts(*known_.topology, keeper, identity, options_.rules)) return;
  heard_[keeper] = now;
}

void RegisterActor::watch_reach(TimePoint now, Effects& out) {
  const auto reached = std::count_if(heard_.begin(), heard_.end(),
                                     [&](const auto& one) { return now - one.second < kIsolatedAfter; });
  const bool isolated = static_cast<std::size_t>(reached) < majority();
  if (isolated == isolated_) return;
  isolated_ = isolated;
  for (const Address& listener : options_.listeners) out.send(listener, RegisterReach{isolated_});
}

// ---- time

void RegisterActor::on_turn_end(TimePoint now, Effects& out) {
  tend_round(now, out);
  if (now >= next_poll_at_) {
    judge_poll(now, out);
    begin_poll(now, out);
  }
  watch_reach(now, out);
}

TimePoint RegisterActor::wake_at() const {
  const TimePoint round = round_ ? std::min(round_ends_at_, ask_again_at_) : round_due_at();
  return std::min(round, next_poll_at_);
}

}  // namespace dkv
