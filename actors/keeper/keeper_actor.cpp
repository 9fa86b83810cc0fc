#include "actors/keeper/keeper_actor.hpp"

#include <algorithm>

#include "actors/keeper/quorum.hpp"
#include "actors/runtime/jitter.hpp"
#include "topology/codec.hpp"

namespace dkv {

namespace {
/// How soon room on a full disk is noticed.
constexpr Duration kRetryInterval = 500ms;
}  // namespace

KeeperActor::KeeperActor(Address self, std::unique_ptr<Disk> disk, const KeeperOptions& options)
    : self_(self), options_(options), file_(std::move(disk), options.cluster, self.node) {}

void KeeperActor::on_start(TimePoint now, Effects& out) { open(now, out); }

void KeeperActor::open(TimePoint now, Effects& out) {
  const std::uint64_t incarnation = SplitMix64(options_.process ^ self_.node.value).next() | 1;
  auto state = file_.open(incarnation);
  if (!state && state.error().code == Errc::disk_full) return say_full(state.error(), now, out);
  if (!state) return fail(state.error(), out);
  state_ = std::move(*state);
  phase_ = Phase::open;
  retry_at_ = kNever;
  if (file_.was_repaired()) {
    out.log(
        LogLevel::info,
        "keeper: one of its two files was damaged, or its last write was cut short; the other one is whole");
  }
}

void KeeperActor::on_message(Envelope envelope, TimePoint, Effects& out) {
  if (phase_ != Phase::open) return;
  std::visit([&](auto& message) { handle(message, envelope.from, out); }, envelope.message);
}

/// Idempotent: a promise that was lost is asked for again at the same ballot.
void KeeperActor::handle(const peer::RegisterPrepare& message, const Address& from, Effects&) {
  if (message.ballot < state_.promised)
    return answer(from, peer::RegisterNack{message.ballot, state_.promised});
  if (message.ballot > state_.promised) {
    state_.promised = message.ballot;
    if (options_.rules.persist_promises) unsaved_ = true;
  }
  answer(from,
         peer::RegisterPromise{message.ballot, identity(), state_.accepted, topology_unless(message.known)});
}

void KeeperActor::handle(peer::RegisterAccept& message, const Address& from, Effects& out) {
  if (message.ballot < state_.promised)
    return answer(from, peer::RegisterNack{message.ballot, state_.promised});
  if (message.ballot != state_.accepted) {
    const auto topology = decode_topology(message.topology);
    if (!topology) {
      return out.log(LogLevel::error, "keeper: node " + std::to_string(from.node.value) +
                                          " proposed no topology: " + topology.error().message);
    }
    if (!is_named_by(*topology)) return;
    state_.promised = state_.accepted = message.ballot;
    state_.topology = std::move(message.topology);
    if (options_.rules.persist_promises) unsaved_ = true;
  }
  answer(from, peer::RegisterAccepted{message.ballot, identity()});
}

void KeeperActor::handle(const peer::RegisterPoll& message, const Address& from, Effects&) {
  answer(from, peer::RegisterState{message.process, message.request, identity(), state_.accepted,
                                   topology_unless(message.known)});
}

/// What was chosen may be taken over at any time: it is no vote, since a majority has given its own. It is
/// how a new folder learns that it is a keeper's, and with it, in the same write, all that such a one has to
/// know.
void KeeperActor::handle(const TopologyChosen& message, const Address&, Effects& out) {
  const Keeper* named = find_keeper(*message.topology, self_.node);
  if (named == nullptr || named->incarnation != state_.incarnation) return;
  if (message.ballot <= state_.accepted && named->since <= state_.since) return;
  if (named->since > state_.since) {
    out.log(LogLevel::info, "keeper: admitted by topology version " + std::to_string(named->since));
    state_.since = named->since;
  }
  if (message.ballot > state_.accepted) {
    state_.accepted = message.ballot;
    state_.topology = encode(*message.topology);
    state_.promised = std::max(state_.promised, message.ballot);
  }
  unsaved_ = true;
}

bool KeeperActor::is_named_by(const Topology& topology) const {
  return counts(topology, self_.node, identity(), options_.rules);
}

std::string KeeperActor::topology_unless(const Ballot& known) const {
  return state_.accepted == known ? std::string() : state_.topology;
}

void KeeperActor::answer(const Address& from, Message message) {
  answers_.emplace_back(Address{from.node, Role::registrar, {}}, std::move(message));
}

void KeeperActor::on_turn_end(TimePoint now, Effects& out) {
  if (phase_ == Phase::opening && now >= retry_at_) open(now, out);
  const bool may_answer = phase_ == Phase::open && (!unsaved_ || save(now, out));
  if (may_answer) {
    for (auto& [to, message] : answers_) out.send(to, std::move(message));
  }
  answers_.clear();
}

/// False: it is not on disk, so nothing of this turn may be answered.
bool KeeperActor::save(TimePoint now, Effects& out) {
  if (auto saved = file_.save(state_); !saved) {
    saved.error().code == Errc::disk_full ? say_full(saved.error(), now, out) : fail(saved.error(), out);
    return false;
  }
  if (retry_at_ != kNever) out.log(LogLevel::info, "keeper: the disk has room again");
  retry_at_ = kNever;
  unsaved_ = false;
  return true;
}

void KeeperActor::say_full(const Error& error, TimePoint now, Effects& out) {
  if (retry_at_ == kNever)
    out.log(LogLevel::warning, "keeper: the disk is full, it answers nothing: " + error.message);
  retry_at_ = now + kRetryInterval;
}

void KeeperActor::fail(const Error& error, Effects& out) {
  phase_ = Phase::failed;
  retry_at_ = kNever;
  out.log(LogLevel::error, "keeper: it answers nothing any more: " + error.message);
}

}  // namespace dkv
