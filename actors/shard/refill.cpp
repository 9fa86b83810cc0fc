#include "actors/shard/refill.hpp"

#include <algorithm>

namespace dkv {

namespace {
constexpr Duration kAskInterval = 100ms;
// The questions of a choice count from here, those for chunks from 1: no answer is taken for another's.
constexpr std::uint64_t kFirstQuestion = std::uint64_t{1} << 63;
}  // namespace

Refill::Refill(Address self, std::uint64_t process, std::uint64_t chunk_bytes)
    : self_(self),
      process_(process),
      taker_(self, process, chunk_bytes, std::nullopt),
      question_(kFirstQuestion) {}

void Refill::begin(const std::vector<NodeId>& replicas, TimePoint now) {
  replicas_ = replicas;
  choose_anew(now);
}

void Refill::choose_anew(TimePoint now) {
  step_ = Step::choosing;
  ++question_;
  answers_.clear();
  at_ = {};
  ask_due_ = now;
  deadline_ = now + kPatience;
}

bool Refill::take(const Address& from, peer::SnapshotReply message, TimePoint now, Effects& out) {
  if (message.process != process_) return false;
  if (message.outcome != peer::SnapshotOutcome::refused) {
    highest_epoch_ = std::max({highest_epoch_, message.epoch, message.at.epoch});
  }
  const bool known = std::find(replicas_.begin(), replicas_.end(), from.node) != replicas_.end();
  if (step_ == Step::choosing && known && message.request == question_ &&
      message.outcome != peer::SnapshotOutcome::refused) {
    answers_[from.node] = {message.outcome == peer::SnapshotOutcome::ok, message.at};
    return false;
  }
  if (step_ != Step::taking || from != source_ || message.request >= kFirstQuestion) return false;
  const bool gives = message.outcome == peer::SnapshotOutcome::ok;
  const bool has_moved = gives && at_ != Position{} && message.at != at_;
  if (has_moved || message.outcome == peer::SnapshotOutcome::nothing) {
    // There is no stream of events that would bring chunks of different times together.
    choose_anew(now);
    return false;
  }
  if (gives) {
    at_ = message.at;
    deadline_ = now + kPatience;
  }
  return taker_.take(std::move(message), at_, now, out);
}

void Refill::ask_all(TimePoint now, Effects& out) {
  ask_due_ = now + kAskInterval;
  for (const NodeId node : replicas_) {
    if (answers_.contains(node)) continue;
    peer::SnapshotRequest request;
    request.shard = self_.shard;
    request.process = process_;
    request.request = question_;
    request.refill = true;
    out.send({node, Role::member, self_.shard}, std::move(request));
  }
}

/// Takes the copy that has come furthest; without one, the empty one. True when nothing is left to do.
bool Refill::choose(TimePoint now, Effects& out) {
  const Answer* best = nullptr;
  for (const auto& [node, answer] : answers_) {
    if (!answer.has_copy || (best != nullptr && answer.at <= best->at)) continue;
    best = &answer;
    source_ = {node, Role::member, self_.shard};
  }
  if (best != nullptr) {
    step_ = Step::taking;
    deadline_ = now + kPatience;
    taker_.begin(now, true);
    return false;
  }
  deadline_ = kNever;
  if (!taker_.store_is_partial()) {
    step_ = Step::none;
    return true;
  }
  step_ = Step::emptying;
  taker_.take_nothing(out);
  return false;
}

bool Refill::end_turn(TimePoint now, Effects& out) {
  switch (step_) {
    case Step::none:
      return false;
    case Step::choosing:
      if (answers_.size() == replicas_.size() || now >= deadline_) return choose(now, out);
      if (now >= ask_due_) ask_all(now, out);
      return false;
    case Step::taking:
      if (now >= deadline_ && !taker_.is_writing()) choose_anew(now);
      [[fallthrough]];
    case Step::emptying:
      if (step_ != Step::choosing && !taker_.active()) {
        step_ = Step::none;
        return true;
      }
      taker_.end_turn(source_, now, out);
      return false;
  }
  return false;
}

TimePoint Refill::wake_at() const {
  if (step_ == Step::choosing) return std::min(ask_due_, deadline_);
  if (step_ == Step::taking) return std::min(taker_.wake_at(), deadline_);
  return kNever;
}

}  // namespace dkv
