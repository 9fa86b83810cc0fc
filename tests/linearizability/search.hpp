// The search for an order of one key's operations: depth first, each configuration (which operations have
// happened, and what the key holds) once.
//
// Operations of known outcome are tried in the order of their calls, as in Wing and Gong's algorithm. Writes
// of unknown outcome are not tried for themselves: thousands of them may be pending for ever, and each
// would double the search. One is made to happen only right before an operation that cannot happen without
// it. Nothing is lost by that: an order in which a write happens earlier stays one when the write moves to
// right before the first operation that needs it, or is left out when none does. And of several that would
// do the same (two removes) only the oldest that has not happened is tried: the others can do what it can.
//
// An unknown write that depends on what it finds (an increment, one with a condition) may need others before
// it: a chain of them before one operation. Its links happen one by one, so that chains with the same outcome
// are one configuration. Only chains without a needless link are tried. A put or remove must not have been
// possible before the link before it, or that one could be left out: it would leave the same, or something of
// which less is known, and the less is known of the version the more can follow. So one that does not depend
// can only be the first. And increments that follow each other are tried in one order only, if that cannot
// matter.
//
// An operation that can happen at once needs no chain, for it leaves the same after one. There is one
// exception: a condition that failed because of a version that nothing else tells can be about any record.
//
// What else keeps it short, without losing an order: a read that fits the state happens at once (it changes
// nothing); an operation that would take away a value that is still to be read, and that nobody can write
// again, is not tried; nor one whose version is above another's that has not happened; nor increments whose
// sum is not the one that is missing.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "tests/linearizability/check.hpp"
#include "tests/linearizability/model.hpp"
#include "tests/linearizability/sums.hpp"

namespace dkv::linear {

/// One key's operations, in the order of their calls.
using KeyHistory = std::vector<const Operation*>;

class Search {
 public:
  /// The history up to and including the `answers`-th answer to an operation of known outcome: what was
  /// asked before and is answered later counts as unknown.
  Search(const KeyHistory& history, std::size_t answers);

  /// All answers that a Search can be cut at.
  static std::size_t count_answers(const KeyHistory& history);

  /// Once. Errors: undecided, when there are more configurations.
  Verdict run(std::uint64_t most_configurations);
  /// The same, slower: it does not look ahead, so that it comes to where an operation cannot happen, and
  /// remembers the longest order found. Also when it ends undecided.
  Verdict run_to_explain(std::uint64_t most_configurations);
  std::uint64_t configurations() const { return seen_.size(); }

  /// After run_to_explain(): the longest order found, as places in the history, ...
  const std::vector<std::size_t>& longest() const { return longest_; }
  /// ... and everything that could have been next, but for this.
  struct Blocked {
    std::size_t place;
    Obstacle obstacle;
  };
  const std::vector<Blocked>& blocked() const { return blocked_; }
  /// The number that the key holds after the longest order, if it is one and the key has increments.
  std::optional<std::int64_t> number_after_longest() const { return number_after_longest_; }
  /// What takes part: all that was asked in time and had, or may have had, an effect or an answer.
  const std::vector<std::size_t>& places() const { return places_; }
  /// The place of the operation whose answer is the last before the cut. REQUIRES: there is one.
  std::size_t last_answered() const;
  /// Whether the operation's answer, if it had one, lies beyond the cut.
  bool is_pending(std::size_t place) const;

 private:
  /// An operation of known outcome: its call and answer in the list of those that have not happened yet.
  struct Entry {
    std::size_t place = 0;
    Step step;
    std::size_t turn = 0;  // in by_version_, if it was told a version
    bool happened = false;
  };
  /// A call or an answer, by time; the first of the list is a sentinel.
  struct Node {
    std::size_t entry = 0;
    bool is_call = false;
    std::uint64_t rank = 0;  // among all calls and answers
    std::size_t previous = 0;
    std::size_t next = 0;
    std::size_t answer = 0;  // of a call: the node of its answer
  };
  /// Unknown writes that do the same, in the order of their calls. The first `happened` of them have.
  struct Alike {
    Step step;
    struct One {
      std::size_t place;
      std::uint64_t rank;
    };
    std::vector<One> writes;
    std::size_t happened = 0;
  };
  /// How an operation can be the next: at once, or after one of the unknown writes; or how it may come to
  /// that, by one of them for now: a link of a chain.
  struct Way {
    std::optional<std::size_t> helper;  // of alike_
    State after;
    bool is_link = false;
  };
  struct Move {
    std::size_t node;  // of a link: that of the operation that the chain is for
    Way way;
    State before;
    std::vector<Way> untried;
    std::vector<std::size_t> reads;  // that fit what it left, and happened with it
  };
  /// The set of those that have happened is kept as a 128-bit fingerprint: two sets of one history that
  /// share theirs are less likely than a machine that errs. (Lowe keeps the set itself, which for long
  /// histories is most of the time and the memory.)
  struct Fingerprint {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool operator==(const Fingerprint&) const = default;
    void toggle(std::size_t place);
  };
  struct Configuration {
    Fingerprint happened;
    State state;
    std::size_t chain_for = 0;  // node; 0: for none
    bool operator==(const Configuration&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Configuration& configuration) const;
  };
  struct Event {
    Time at;
    bool is_answer;
    std::size_t place;
  };

  static std::vector<Event> events_of(const KeyHistory& history);
  void take_in(const KeyHistory& history, std::span<const Event> events);
  void number_values(const KeyHistory& history);
  ValueId value_of(const std::string& text);
  Step step_of(const Operation& operation, bool is_known);
  void find_what_told(Step& step, const Operation& operation);
  void order_versions();
  void name_versions();
  void sort_dependents();
  void see_how_far_numbers_go();
  void count_values();
  void add_pending(const Operation& operation, std::size_t place, std::uint64_t rank);
  std::size_t append(Node node);

  Verdict search(std::uint64_t most_configurations);
  bool has_value_from_nowhere() const;
  std::uint64_t first_answer() const;
  std::vector<Way> ways_to(std::size_t node) const;
  void add_ways_with_help(const Step& step, std::vector<Way>& ways) const;
  bool is_in_chain() const { return !moves_.empty() && moves_.back().way.is_link; }
  /// One of them may happen before the first answer that is still to come, and after `others` of them.
  static bool can_happen(const Alike& alike, std::uint64_t bound, std::size_t others = 0) {
    const std::size_t next = alike.happened + others;
    return next < alike.writes.size() && alike.writes[next].rank <= bound;
  }
  std::size_t available(const Alike& alike, std::uint64_t bound) const;
  bool may_be_next_link(std::size_t helper) const;
  bool was_possible_in_chain(const Step& step) const;
  bool some_chain_could_end_with(const Step& step, std::uint64_t bound) const;
  bool leads_on(std::size_t link, const State& after, const Step& step, std::uint64_t bound) const;
  bool increments_help(std::size_t link, const State& after, const Step& step, std::uint64_t bound) const;
  std::optional<std::int64_t> number_wanted(const Step& step) const;
  bool some_condition_waits(std::uint64_t bound) const;
  bool counting_is_vain(const Step& step) const;
  void count_available(std::uint64_t bound) const;
  bool comes_after(std::size_t increment, std::size_t link) const;
  bool is_increment(std::size_t helper) const { return alike_[helper].step.code == OpCode::increment; }
  Obstacle apply(const Step& step, State& state) const { return linear::apply(step, state, numbers_); }
  bool is_too_early(const Step& step) const;
  bool is_dead_end(const State& after, const Step* by) const;
  bool loses_a_value(const State& after, const Step* by) const;
  bool can_come_about(ValueId value) const;
  bool advance(std::size_t node, std::vector<Way> ways);
  void happen(Move& move);
  Move take_back();
  void help(std::size_t helper);
  void take_help_back(std::size_t helper);
  std::vector<std::size_t> let_reads_happen();
  void take_out(std::size_t call);
  void put_back(std::size_t call);
  void unlink(std::size_t call);
  void relink(std::size_t call);
  void remember_if_longest();

  std::vector<std::size_t> places_;
  std::vector<bool> is_known_;                             // by place
  std::vector<std::pair<std::string_view, ValueId>> ids_;  // of values that were read, sorted
  std::vector<Entry> entries_;
  std::vector<Node> nodes_;
  std::vector<Alike> alike_;
  bool has_increments_ = false;           // of any outcome
  mutable Numbers numbers_;               // more arise, which changes no other
  std::vector<std::size_t> conditional_;  // places in alike_
  std::vector<std::size_t> counting_;     // the increments', in alike_
  mutable Sums sums_;                // of increments that may happen now: remembered, for it changes seldom
  bool near_the_end_ = false;        // of 64 bits: increments might overflow
  std::size_t increments_left_ = 0;  // in alike_, that have not happened
  std::vector<std::size_t> by_version_;  // entries that were told one

  // By value: what still has to find it, and what could still bring it about.
  std::vector<std::size_t> readers_left_;
  std::vector<std::size_t> writers_left_;
  std::size_t lowest_version_ = 0;  // in by_version_: all before have happened
  std::vector<std::size_t> reads_in_the_beginning_;
  bool explains_ = false;
  std::size_t left_ = 0;  // entries that have not happened
  State state_;
  Fingerprint happened_;
  std::vector<Move> moves_;
  std::unordered_set<Configuration, Hash> seen_;

  std::size_t longest_happened_ = 0;
  std::vector<std::size_t> longest_;
  std::vector<Blocked> blocked_;
  std::optional<std::int64_t> number_after_longest_;
};

}  // namespace dkv::linear
