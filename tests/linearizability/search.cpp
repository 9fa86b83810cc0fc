#include "tests/linearizability/search.hpp"

#include <algorithm>
#include <cmath>
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
bool is_known(const Operation& operation) { return is_known(operation.outcome); }

/// May have had an effect that others saw.
bool may_matter(const Operation& operation) {
  return is_known(operation) || (operation.outcome == Outcome::unknown && operation.code != OpCode::get);
}

/// What the key holds after a write, if that is always the same.
std::optional<ValueId> left_by(const Step& step) {
  const bool may_write = step.outcome == Outcome::ok || step.outcome == Outcome::unknown;
  if (!may_write || step.code == OpCode::get) return std::nullopt;
  if (step.code == OpCode::remove) return kMissing;
  if (step.code == OpCode::increment && step.outcome == Outcome::unknown) return std::nullopt;
  return step.value;
}

/// An unknown write that may do something else, or nothing, for what it finds.
bool is_dependent(const Step& step) {
  return step.code == OpCode::increment || step.condition.kind != Condition::Kind::none;
}

/// A condition that failed, nothing tells on which value.
bool is_open(const Step& step) {
  return step.outcome == Outcome::condition_failed && step.version && !step.finds;
}

/// How many still have to find a value, or leave it. Numbers that arise later have nobody.
std::size_t count(const std::vector<std::size_t>& by_value, ValueId value) {
  return value < by_value.size() ? by_value[value] : 0;
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
               mixed(state.newest.epoch.value ^ mixed(std::uint64_t{state.value} << 1 | state.is_exact))) ^
         configuration.chain_for;
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
  return static_cast<std::size_t>(std::count_if(history.begin(), history.end(),
                                                [](const Operation* one) { return is_known(one->outcome); }));
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
  sort_dependents();
  order_versions();
  name_versions();
  see_how_far_numbers_go();
  count_values();
}

void Search::number_values(const KeyHistory& history) {
  for (std::size_t place = 0; place < history.size(); ++place) {
    const Operation& operation = *history[place];
    has_increments_ = has_increments_ || operation.code == OpCode::increment;
    if (is_known_[place] && operation.code == OpCode::get && operation.outcome == Outcome::ok)
      ids_.emplace_back(operation.found, 0);
  }
  std::sort(ids_.begin(), ids_.end());
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  for (std::size_t i = 0; i < ids_.size(); ++i) ids_[i].second = static_cast<ValueId>(kNeverRead + 1 + i);
  numbers_ = Numbers(static_cast<ValueId>(kNeverRead + 1 + ids_.size()));
}

/// Increments can tell numbers apart that no read found.
ValueId Search::value_of(const std::string& text) {
  if (const auto number = has_increments_ ? number_in(text) : std::nullopt) return numbers_.value_of(*number);
  const auto id = std::lower_bound(ids_.begin(), ids_.end(), std::pair<std::string_view, ValueId>(text, 0));
  return id != ids_.end() && id->first == text ? id->second : kNeverRead;
}

Step Search::step_of(const Operation& operation, bool is_known) {
  Step step;
  step.code = operation.code;
  step.condition = operation.condition;
  step.amount = operation.amount;
  if (operation.code == OpCode::put) step.value = value_of(operation.value);
  if (!is_known) return step;
  step.outcome = operation.outcome;
  step.created = operation.created;
  step.version = operation.version;
  find_what_told(step, operation);
  return step;
}

void Search::find_what_told(Step& step, const Operation& operation) {
  DKV_ASSERT(step.outcome != Outcome::condition_failed || step.version);
  const bool found_none = step.outcome == Outcome::condition_failed && *step.version == Position{};
  const bool tells_version = step.outcome == Outcome::ok || step.outcome == Outcome::condition_failed;
  if (found_none || !tells_version) step.version.reset();
  if (found_none || step.outcome == Outcome::not_found) step.finds = kMissing;
  if (step.outcome != Outcome::ok) return;
  if (step.code == OpCode::get) step.finds = value_of(operation.found);
  if (step.code != OpCode::increment) return;
  step.value = value_of(operation.found);
  const std::optional<std::int64_t> number = numbers_.number_of(step.value);
  std::int64_t before = 0;
  // Before its own amount the key may have been missing, or have held 0.
  if (number && !__builtin_sub_overflow(*number, step.amount, &before) && before != 0)
    step.finds = numbers_.value_of(before);
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
    return one.step.code == step.code && one.step.value == step.value &&
           one.step.condition == step.condition && one.step.amount == step.amount;
  });
  if (alike == alike_.end()) alike = alike_.insert(alike_.end(), {step, {}, 0});
  alike->writes.push_back({place, rank});
  if (step.code == OpCode::increment) ++increments_left_;
}

void Search::sort_dependents() {
  for (std::size_t i = 0; i < alike_.size(); ++i) {
    if (alike_[i].step.condition.kind != Condition::Kind::none) conditional_.push_back(i);
    if (is_increment(i)) counting_.push_back(i);
  }
}

void Search::order_versions() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].step.version) by_version_.push_back(i);
  }
  std::sort(by_version_.begin(), by_version_.end(), [&](std::size_t a, std::size_t b) {
    const Step& one = entries_[a].step;
    const Step& other = entries_[b].step;
    // The write before those that read it.
    return std::pair(*one.version, !left_by(one)) < std::pair(*other.version, !left_by(other));
  });
  for (std::size_t i = 0; i < by_version_.size(); ++i) entries_[by_version_[i]].turn = i;
}

/// A version names one value: a condition that failed because of one found that.
void Search::name_versions() {
  std::map<Position, ValueId> values;
  for (const Entry& entry : entries_) {
    const Step& step = entry.step;
    if (!step.version || step.outcome != Outcome::ok || step.code == OpCode::remove) continue;
    values.try_emplace(*step.version, step.code == OpCode::get ? *step.finds : step.value);
  }
  for (Entry& entry : entries_) {
    Step& step = entry.step;
    if (!is_open(step)) continue;
    if (const auto named = values.find(*step.version); named != values.end()) step.finds = named->second;
  }
}

/// Far from the ends of 64 bits increments never overflow, so that their order does not matter.
void Search::see_how_far_numbers_go() {
  const auto size_of = [](std::int64_t number) { return std::abs(static_cast<double>(number)); };
  double farthest = 0;
  for (ValueId value = kNeverRead; value < numbers_.end(); ++value)
    farthest = std::max(farthest, size_of(numbers_.number_of(value).value_or(0)));
  for (const Entry& entry : entries_) farthest += size_of(entry.step.amount);
  for (const Alike& alike : alike_)
    farthest += size_of(alike.step.amount) * static_cast<double>(alike.writes.size());
  near_the_end_ = farthest > 2e18;  // far enough for differences too
}

void Search::count_values() {
  readers_left_.resize(numbers_.end());
  writers_left_.resize(readers_left_.size());
  for (const Entry& entry : entries_) {
    if (const auto value = entry.step.finds) ++readers_left_[*value];
    if (const auto value = left_by(entry.step)) ++writers_left_[*value];
  }
  for (const Alike& alike : alike_) {
    if (const auto value = left_by(alike.step)) writers_left_[*value] += alike.writes.size();
  }
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
      const bool is_new_configuration = advance(at, std::move(ways));
      if (is_new_configuration && !is_in_chain()) at = nodes_[kHead].next;
      if (!is_new_configuration && !is_in_chain()) at = nodes_[at].next;
      if (is_new_configuration || !is_in_chain()) continue;
      // A chain that leads no further.
    } else if (explains_) {
      // An operation was answered before anything further was asked, and cannot happen.
      remember_if_longest();
    }
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
    if (readers_left_[value] > 0 && !can_come_about(value)) return true;
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
  std::vector<Way> ways;
  State after = state_;
  const bool can_at_once = !is_in_chain() && apply(step, after) == Obstacle::none;
  if (!can_at_once || (is_open(step) && after != state_)) add_ways_with_help(step, ways);
  if (can_at_once && !is_dead_end(after, &step)) ways.push_back({std::nullopt, after});
  return ways;  // the last is tried first
}

void Search::add_ways_with_help(const Step& step, std::vector<Way>& ways) const {
  if (alike_.empty()) return;
  const std::uint64_t bound = first_answer();
  const bool has_dependents = !conditional_.empty() || !counting_.empty();
  const bool may_take_a_chain = has_dependents && some_chain_could_end_with(step, bound);
  if (may_take_a_chain) count_available(bound);
  const bool no_count = may_take_a_chain && !some_condition_waits(bound) && counting_is_vain(step);
  std::vector<Way> complete;
  for (std::size_t i = 0; i < alike_.size(); ++i) {
    if (!can_happen(alike_[i], bound) || (no_count && is_increment(i)) || !may_be_next_link(i)) continue;
    State link = state_;
    if (apply(alike_[i].step, link) != Obstacle::none || link == state_) continue;
    State end = link;
    const bool fits = apply(step, end) == Obstacle::none;
    if (fits && !is_dead_end(end, &step)) complete.push_back({i, end});
    if (!may_take_a_chain || (fits && !is_open(step)) || is_dead_end(link, nullptr)) continue;
    if (leads_on(i, link, step, bound)) ways.push_back({i, link, true});
  }
  ways.insert(ways.end(), complete.begin(), complete.end());
}

/// How many of them may happen before the first answer that is still to come.
std::size_t Search::available(const Alike& alike, std::uint64_t bound) const {
  const auto next = alike.writes.begin() + static_cast<std::ptrdiff_t>(alike.happened);
  const auto end = std::find_if(next, alike.writes.end(), [&](const auto& one) { return one.rank > bound; });
  return static_cast<std::size_t>(end - next);
}

bool Search::may_be_next_link(std::size_t helper) const {
  if (!is_in_chain()) return true;
  if (is_increment(helper)) return comes_after(helper, *moves_.back().way.helper);
  return !was_possible_in_chain(alike_[helper].step);
}

/// Increments that follow each other do so in the order of their places in alike_.
bool Search::comes_after(std::size_t increment, std::size_t link) const {
  return !is_increment(link) || increment >= link || near_the_end_;
}

/// Before the last link, or one before that.
bool Search::was_possible_in_chain(const Step& step) const {
  for (auto link = moves_.rbegin(); link != moves_.rend() && link->way.is_link; ++link) {
    State before = link->before;
    if (apply(step, before) == Obstacle::none) return true;
  }
  return false;
}

/// The last link of a chain leaves what the operation has to find.
bool Search::some_chain_could_end_with(const Step& step, std::uint64_t bound) const {
  if (!step.finds) return true;
  return std::any_of(alike_.begin(), alike_.end(), [&](const Alike& alike) {
    if (!is_dependent(alike.step) || !can_happen(alike, bound)) return false;
    if (alike.step.code == OpCode::increment)
      return *step.finds != kMissing && numbers_.number_of(*step.finds);
    return left_by(alike.step) == step.finds;
  });
}

/// The number that increments have to arrive at, so that the operation can happen; none: not just one will
/// do.
std::optional<std::int64_t> Search::number_wanted(const Step& step) const {
  if (step.finds && *step.finds != kMissing) return numbers_.number_of(*step.finds);
  const bool counted = step.code == OpCode::increment && step.outcome == Outcome::ok;
  return counted && !step.finds ? std::optional<std::int64_t>(0) : std::nullopt;
}

bool Search::some_condition_waits(std::uint64_t bound) const {
  return std::any_of(conditional_.begin(), conditional_.end(),
                     [&](std::size_t i) { return can_happen(alike_[i], bound); });
}

/// No increments lead from here to what the operation needs, and they could be of no other use. REQUIRES:
/// sums_ are those available.
bool Search::counting_is_vain(const Step& step) const {
  const std::optional<std::int64_t> wanted = number_wanted(step);
  const std::optional<std::int64_t> number = numbers_.number_of(state_.value);
  std::int64_t gap = 0;
  if (!wanted || !number || __builtin_sub_overflow(*wanted, *number, &gap)) return false;
  return !sums_.can_be(gap, 0);
}

/// After this link, which leaves `after`, there may be another: a look ahead by one.
bool Search::leads_on(std::size_t link, const State& after, const Step& step, std::uint64_t bound) const {
  const bool some_next = std::any_of(conditional_.begin(), conditional_.end(), [&](std::size_t i) {
    const Step& next = alike_[i].step;
    State now = state_;
    State then = after;
    return can_happen(alike_[i], bound, i == link ? 1 : 0) && apply(next, then) == Obstacle::none &&
           apply(next, now) != Obstacle::none && !was_possible_in_chain(next);
  });
  if (some_next) return true;
  const bool can_count = increments_left_ > (is_increment(link) ? 1U : 0U) && numbers_.number_of(after.value);
  return can_count && increments_help(link, after, step, bound);
}

/// What increments after this link leave is what the operation needs, or what another link may need.
bool Search::increments_help(std::size_t link, const State& after, const Step& step,
                             std::uint64_t bound) const {
  if (is_open(step)) return true;
  // The first one brings a record about, of a version that nobody knows.
  const std::optional<std::int64_t> wanted = number_wanted(step);
  if (!is_increment(link) && (!step.finds || some_condition_waits(bound))) return true;
  if (step.outcome == Outcome::not_a_counter) return near_the_end_;
  std::int64_t gap = 0;
  if (!wanted) return false;
  if (__builtin_sub_overflow(*wanted, *numbers_.number_of(after.value), &gap)) return near_the_end_;
  if (!is_increment(link) || near_the_end_) return sums_.can_be(gap, 0);
  // Some more of these, and of those behind them.
  const auto place =
      static_cast<std::size_t>(std::find(counting_.begin(), counting_.end(), link) - counting_.begin());
  const auto& [amount, times] = sums_.amounts()[place];
  for (std::size_t more = 0; more < times; ++more) {
    if (sums_.can_be(gap - static_cast<std::int64_t>(more) * amount, place + 1)) return true;
  }
  return false;
}

void Search::count_available(std::uint64_t bound) const {
  std::vector<Sums::Amount> amounts;
  for (const std::size_t i : counting_)
    amounts.push_back({alike_[i].step.amount, available(alike_[i], bound)});
  sums_.take(amounts);
}

/// Something with a lower version has not happened, and could not any more.
bool Search::is_too_early(const Step& step) const {
  return step.version && *entries_[by_version_[lowest_version_]].step.version < *step.version;
}

/// Something has not happened that never could after this. `by`: the operation that leaves `after`, if any
/// has.
bool Search::is_dead_end(const State& after, const Step* by) const {
  if (explains_) return false;
  if (loses_a_value(after, by)) return true;
  if (lowest_version_ == by_version_.size()) return false;
  // Nor can anything have been of the version of a write that has not happened.
  const Step& lowest = entries_[by_version_[lowest_version_]].step;
  return *lowest.version < after.newest ||
         (*lowest.version == after.newest && left_by(lowest) && &lowest != by);
}

/// Something else has not happened that must find what the key holds now.
bool Search::loses_a_value(const State& after, const Step* by) const {
  const ValueId value = state_.value;
  if (after.value == value) return false;
  const std::size_t own = by != nullptr && by->finds == value ? 1 : 0;
  return count(readers_left_, value) > own && !can_come_about(value);
}

bool Search::can_come_about(ValueId value) const {
  if (count(writers_left_, value) > 0) return true;
  return increments_left_ > 0 && value != kMissing && numbers_.number_of(value);
}

/// Lets the operation happen in the first way that leads to a new configuration. False: none does.
bool Search::advance(std::size_t node, std::vector<Way> ways) {
  while (!ways.empty()) {
    Move move{node, ways.back(), state_, {}, {}};
    ways.pop_back();
    happen(move);
    moves_.push_back(std::move(move));
    if (seen_.insert({happened_, state_, is_in_chain() ? node : kHead}).second) {
      moves_.back().untried = std::move(ways);
      return true;
    }
    take_back();
  }
  return false;
}

void Search::happen(Move& move) {
  if (move.way.helper) help(*move.way.helper);
  state_ = move.way.after;
  if (move.way.is_link) return;
  take_out(move.node);
  move.reads = let_reads_happen();
}

void Search::help(std::size_t helper) {
  Alike& alike = alike_[helper];
  happened_.toggle(alike.writes[alike.happened++].place);
  if (const auto value = left_by(alike.step)) --writers_left_[*value];
  if (is_increment(helper)) --increments_left_;
}

void Search::take_help_back(std::size_t helper) {
  Alike& alike = alike_[helper];
  happened_.toggle(alike.writes[--alike.happened].place);
  if (const auto value = left_by(alike.step)) ++writers_left_[*value];
  if (is_increment(helper)) ++increments_left_;
}

Search::Move Search::take_back() {
  Move move = std::move(moves_.back());
  moves_.pop_back();
  for (auto read = move.reads.rbegin(); read != move.reads.rend(); ++read) put_back(*read);
  if (!move.way.is_link) put_back(move.node);
  state_ = move.before;
  if (move.way.helper) take_help_back(*move.way.helper);
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
  if (const auto value = entry.step.finds) --readers_left_[*value];
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
  if (const auto value = entry.step.finds) ++readers_left_[*value];
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
    if (move.way.is_link) continue;
    longest_.push_back(place_of(move.node));
    for (const std::size_t read : move.reads) longest_.push_back(place_of(read));
  }
  number_after_longest_.reset();
  if (has_increments_ && state_.value != kMissing) number_after_longest_ = numbers_.number_of(state_.value);
  blocked_.clear();
  for (std::size_t at = nodes_[kHead].next; nodes_[at].is_call; at = nodes_[at].next) {
    const Entry& entry = entries_[nodes_[at].entry];
    State after = state_;
    blocked_.push_back({entry.place, apply(entry.step, after)});
  }
}

}  // namespace dkv::linear
