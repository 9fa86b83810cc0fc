#include "tests/linearizability/search.hpp"

#include <algorithm>
#include <tuple>

#include "messages/result.hpp"

namespace dkv::linear {

namespace {

constexpr std::size_t kHead = 0;

/// SplitMix64's mixing function: every bit of the input changes half of the output's.
std::uint64_t mixed(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Told something that counts. Such an operation happened between its call and its answer.
bool is_known(const Operation& operation) {
  return operation.outcome == Outcome::ok || operation.outcome == Outcome::not_found;
}

/// May have had an effect that others saw.
bool may_matter(const Operation& operation) {
  return is_known(operation) || (operation.outcome == Outcome::unknown && operation.code != OpCode::get);
}

/// What the key must hold for the step to be told what it was, if only one thing will do.
std::optional<ValueId> found_by(const Step& step) {
  if (step.outcome == Outcome::not_found) return kMissing;
  return step.code == OpCode::get ? std::optional(step.value) : std::nullopt;
}

/// What the key holds after a write.
std::optional<ValueId> left_by(const Step& step) {
  if (step.outcome == Outcome::not_found || step.code == OpCode::get) return std::nullopt;
  return step.code == OpCode::put ? step.value : kMissing;
}

}  // namespace

void Search::Fingerprint::toggle(std::size_t place) {
  high ^= mixed(2 * place);
  low ^= mixed(2 * place + 1);
}

std::size_t Search::Hash::operator()(const Configuration& configuration) const {
  const State& state = configuration.state;
  return configuration.happened.low ^
         mixed(state.newest.seq.value ^
               mixed(state.newest.epoch.value ^ mixed(std::uint64_t{state.value} << 1 | state.is_exact)));
}

// ---- taking in a history

std::vector<Search::Event> Search::events_of(const KeyHistory& history) {
  std::vector<Event> events;
  for (std::size_t place = 0; place < history.size(); ++place) {
    const Operation& operation = *history[place];
    if (!may_matter(operation)) continue;
    events.push_back({operation.invoked, false, place});
    if (!is_known(operation)) continue;
    DKV_ASSERT(operation.returned && *operation.returned >= operation.invoked);
    events.push_back({*operation.returned, true, place});
  }
  // Calls before answers of the same time: those are concurrent.
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.at, a.is_answer, a.place) < std::tie(b.at, b.is_answer, b.place);
  });
  return events;
}

std::size_t Search::count_answers(const KeyHistory& history) {
  return static_cast<std::size_t>(
      std::count_if(history.begin(), history.end(), [](const Operation* one) { return is_known(*one); }));
}

Search::Search(const KeyHistory& history, std::size_t answers) : is_known_(history.size()) {
  const std::vector<Event> events = events_of(history);
  std::size_t end = 0;
  for (; end < events.size() && answers > 0; ++end) {
    if (!events[end].is_answer) continue;
    is_known_[events[end].place] = true;
    --answers;
  }
  number_values(history);
  take_in(history, {events.data(), end});
  order_versions();
  count_values();
}

void Search::number_values(const KeyHistory& history) {
  for (std::size_t place = 0; place < history.size(); ++place) {
    const Operation& operation = *history[place];
    if (is_known_[place] && operation.code == OpCode::get && operation.outcome == Outcome::ok)
      ids_.emplace_back(operation.found, 0);
  }
  std::sort(ids_.begin(), ids_.end());
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  for (std::size_t i = 0; i < ids_.size(); ++i) ids_[i].second = static_cast<ValueId>(kNeverRead + 1 + i);
}

Step Search::step_of(const Operation& operation, bool is_known) const {
  Step step;
  step.code = operation.code;
  if (operation.code != OpCode::remove) {
    const std::string& value = operation.code == OpCode::get ? operation.found : operation.value;
    const auto id =
        std::lower_bound(ids_.begin(), ids_.end(), std::pair<std::string_view, ValueId>(value, 0));
    step.value = id != ids_.end() && id->first == value ? id->second : kNeverRead;
  }
  if (!is_known) return step;
  step.outcome = operation.outcome;
  step.created = operation.created;
  step.version = operation.version;
  return step;
}

void Search::take_in(const KeyHistory& history, std::span<const Event> events) {
  nodes_.push_back({});
  std::vector<std::size_t> calls(history.size());
  for (std::uint64_t rank = 0; rank < events.size(); ++rank) {
    const auto& [at, is_answer, place] = events[rank];
    const Operation& operation = *history[place];
    if (is_answer) {
      const std::size_t call = calls[place];
      nodes_[call].answer = append({nodes_[call].entry, false, rank, 0, 0, 0});
    } else if (is_known_[place]) {
      entries_.push_back({place, step_of(operation, true), 0, false});
      calls[place] = append({entries_.size() - 1, true, rank, 0, 0, 0});
      places_.push_back(place);
    } else if (operation.code != OpCode::get) {
      add_pending(operation, place, rank);
      places_.push_back(place);
    }
  }
  left_ = entries_.size();
}

void Search::add_pending(const Operation& operation, std::size_t place, std::uint64_t rank) {
  const Step step = step_of(operation, false);
  auto alike = std::find_if(alike_.begin(), alike_.end(), [&](const Alike& one) {
    return one.step.code == step.code && one.step.value == step.value;
  });
  if (alike == alike_.end()) alike = alike_.insert(alike_.end(), {step, {}, 0});
  alike->writes.push_back({place, rank});
}

void Search::order_versions() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].step.version) by_version_.push_back(i);
  }
  std::sort(by_version_.begin(), by_version_.end(), [&](std::size_t a, std::size_t b) {
    return *entries_[a].step.version < *entries_[b].step.version;
  });
  for (std::size_t i = 0; i < by_version_.size(); ++i) entries_[by_version_[i]].turn = i;
}

void Search::count_values() {
  readers_left_.resize(kNeverRead + 1 + ids_.size());
  writers_left_.resize(readers_left_.size());
  for (const Entry& entry : entries_) {
    if (const auto value = found_by(entry.step)) ++readers_left_[*value];
    if (const auto value = left_by(entry.step)) ++writers_left_[*value];
  }
  for (const Alike& alike : alike_) writers_left_[*left_by(alike.step)] += alike.writes.size();
}

std::size_t Search::append(Node node) {
  const std::size_t added = nodes_.size();
  node.previous = added - 1;
  nodes_.back().next = added;
  nodes_.push_back(node);
  return added;
}

bool Search::is_pending(std::size_t place) const { return !is_known_[place]; }

// ---- the search

Verdict Search::run(std::uint64_t most_configurations) { return search(most_configurations); }

Verdict Search::run_to_explain(std::uint64_t most_configurations) {
  explains_ = true;
  return search(most_configurations);
}

Verdict Search::search(std::uint64_t most_configurations) {
  if (!explains_ && has_value_from_nowhere()) return Verdict::violated;
  reads_in_the_beginning_ = let_reads_happen();
  std::size_t at = nodes_[kHead].next;
  std::vector<Way> ways;
  bool is_new = true;  // `at` was just come to; else `ways` holds what is still to be tried there
  while (left_ > 0) {
    if (seen_.size() > most_configurations) return Verdict::undecided;
    if (nodes_[at].is_call) {
      if (is_new) ways = ways_to(at);
      is_new = true;
      at = advance(at, std::move(ways)) ? nodes_[kHead].next : nodes_[at].next;
      continue;
    }
    // An operation was answered before anything further was asked, and cannot happen.
    if (explains_) remember_if_longest();
    if (moves_.empty()) return Verdict::violated;
    Move last = take_back();
    at = last.node;
    ways = std::move(last.untried);
    is_new = false;
  }
  return Verdict::linearizable;
}

/// Something found a value that nobody wrote: no need to search.
bool Search::has_value_from_nowhere() const {
  for (ValueId value = kNeverRead; value < readers_left_.size(); ++value) {
    if (readers_left_[value] > 0 && writers_left_[value] == 0) return true;
  }
  return false;
}

/// Of an operation that has not happened: all that were called after it have to happen after that one.
std::uint64_t Search::first_answer() const {
  std::size_t at = nodes_[kHead].next;
  while (nodes_[at].is_call) at = nodes_[at].next;
  return nodes_[at].rank;
}

std::vector<Search::Way> Search::ways_to(std::size_t node) const {
  const Step& step = entries_[nodes_[node].entry].step;
  if (!explains_ && is_too_early(step)) return {};
  State after = state_;
  if (apply(step, after) == Obstacle::none) {
    if (!explains_ && loses_a_value(after)) return {};
    return {{std::nullopt, after}};
  }
  std::vector<Way> ways;
  const std::uint64_t bound = alike_.empty() ? 0 : first_answer();
  for (std::size_t i = 0; i < alike_.size(); ++i) {
    const Alike& alike = alike_[i];
    if (alike.happened == alike.writes.size() || alike.writes[alike.happened].rank > bound) continue;
    after = state_;
    if (apply(alike.step, after) != Obstacle::none || apply(step, after) != Obstacle::none) continue;
    if (explains_ || !loses_a_value(after)) ways.push_back({i, after});
  }
  return ways;
}

/// Something with a lower version has not happened, and could not any more.
bool Search::is_too_early(const Step& step) const {
  return step.version && *entries_[by_version_[lowest_version_]].step.version < *step.version;
}

/// Something has not happened that must find what the key holds now, and never could any more.
bool Search::loses_a_value(const State& after) const {
  const ValueId value = state_.value;
  return after.value != value && readers_left_[value] > 0 && writers_left_[value] == 0;
}

/// Lets the operation happen in the first way that leads to a new configuration. False: none does.
bool Search::advance(std::size_t node, std::vector<Way> ways) {
  while (!ways.empty()) {
    Move move{node, ways.back(), state_, {}, {}};
    ways.pop_back();
    happen(move);
    moves_.push_back(std::move(move));
    if (seen_.insert({happened_, state_}).second) {
      moves_.back().untried = std::move(ways);
      return true;
    }
    take_back();
  }
  return false;
}

void Search::happen(Move& move) {
  if (move.way.helper) {
    Alike& alike = alike_[*move.way.helper];
    happened_.toggle(alike.writes[alike.happened++].place);
    --writers_left_[*left_by(alike.step)];
  }
  state_ = move.way.after;
  take_out(move.node);
  move.reads = let_reads_happen();
}

Search::Move Search::take_back() {
  Move move = std::move(moves_.back());
  moves_.pop_back();
  for (auto read = move.reads.rbegin(); read != move.reads.rend(); ++read) put_back(*read);
  put_back(move.node);
  state_ = move.before;
  if (move.way.helper) {
    Alike& alike = alike_[*move.way.helper];
    happened_.toggle(alike.writes[--alike.happened].place);
    ++writers_left_[*left_by(alike.step)];
  }
  return move;
}

/// All that may happen now and changes nothing, not even what is known of the version.
std::vector<std::size_t> Search::let_reads_happen() {
  std::vector<std::size_t> reads;
  std::size_t at = nodes_[kHead].next;
  while (at != kHead && nodes_[at].is_call) {
    const Step& step = entries_[nodes_[at].entry].step;
    State after = state_;
    if (left_by(step) || apply(step, after) != Obstacle::none || after != state_) {
      at = nodes_[at].next;
      continue;
    }
    take_out(at);
    reads.push_back(at);
    // Its answer is gone too: what that was in the way of may happen now.
    at = nodes_[nodes_[at].previous].next;
  }
  return reads;
}

void Search::take_out(std::size_t call) {
  Entry& entry = entries_[nodes_[call].entry];
  happened_.toggle(entry.place);
  entry.happened = true;
  while (lowest_version_ < by_version_.size() && entries_[by_version_[lowest_version_]].happened)
    ++lowest_version_;
  if (const auto value = found_by(entry.step)) --readers_left_[*value];
  if (const auto value = left_by(entry.step)) --writers_left_[*value];
  unlink(call);
  --left_;
}

/// REQUIRES: what was taken out later is back.
void Search::put_back(std::size_t call) {
  Entry& entry = entries_[nodes_[call].entry];
  happened_.toggle(entry.place);
  entry.happened = false;
  if (entry.step.version) lowest_version_ = std::min(lowest_version_, entry.turn);
  if (const auto value = found_by(entry.step)) ++readers_left_[*value];
  if (const auto value = left_by(entry.step)) ++writers_left_[*value];
  relink(call);
  ++left_;
}

/// Takes a call and its answer out of the list. They keep their own links, for relink().
void Search::unlink(std::size_t call) {
  for (const std::size_t node : {call, nodes_[call].answer}) {
    nodes_[nodes_[node].previous].next = nodes_[node].next;
    if (nodes_[node].next != kHead) nodes_[nodes_[node].next].previous = nodes_[node].previous;
  }
}

void Search::relink(std::size_t call) {
  for (const std::size_t node : {nodes_[call].answer, call}) {
    nodes_[nodes_[node].previous].next = node;
    if (nodes_[node].next != kHead) nodes_[nodes_[node].next].previous = node;
  }
}

std::size_t Search::last_answered() const {
  const Node* last = nullptr;
  for (const Node& node : nodes_) {
    if (&node != &nodes_[kHead] && !node.is_call) last = &node;
  }
  DKV_ASSERT(last != nullptr);
  return entries_[last->entry].place;
}

void Search::remember_if_longest() {
  if (!blocked_.empty() && entries_.size() - left_ <= longest_happened_) return;
  longest_happened_ = entries_.size() - left_;
  longest_.clear();
  const auto place_of = [&](std::size_t call) { return entries_[nodes_[call].entry].place; };
  std::vector<std::size_t> helped(alike_.size(), 0);
  for (const std::size_t read : reads_in_the_beginning_) longest_.push_back(place_of(read));
  for (const Move& move : moves_) {
    if (move.way.helper)
      longest_.push_back(alike_[*move.way.helper].writes[helped[*move.way.helper]++].place);
    longest_.push_back(place_of(move.node));
    for (const std::size_t read : move.reads) longest_.push_back(place_of(read));
  }
  blocked_.clear();
  for (std::size_t at = nodes_[kHead].next; nodes_[at].is_call; at = nodes_[at].next) {
    const Entry& entry = entries_[nodes_[at].entry];
    State after = state_;
    blocked_.push_back({entry.place, apply(entry.step, after)});
  }
}

}  // namespace dkv::linear
