#include "tests/linearizability/explain.hpp"

#include <algorithm>
#include <cstdio>

namespace dkv::linear {

namespace {

constexpr std::size_t kShownBytes = 40;
constexpr std::size_t kShownOperations = 25;
constexpr std::size_t kShownOrder = 12;

class Explanation {
 public:
  Explanation(const KeyHistory& history, const Search& search) : history_(history), search_(search) {}

  std::string text() const {
    return headline() + operations() + longest_order() + "then none of these can be next:\n" + obstacles();
  }

 private:
  std::string headline() const {
    return "key " + show(history_.front()->key) + " is not linearizable: the first " +
           std::to_string(search_.places().size()) + " of its " + std::to_string(history_.size()) +
           " operations have no order since " + std::to_string(search_.last_answered()) +
           " was answered\n  operation  client         asked      answered (ms)\n";
  }

  std::string operations() const {
    const std::vector<std::size_t>& places = search_.places();
    const std::size_t skipped = places.size() - std::min(places.size(), kShownOperations);
    std::string text;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (i >= skipped || is_wanted(*history_[places[i]])) text += line(places[i]);
    }
    if (skipped > 0)
      text = "  (of the first " + std::to_string(skipped) + " only what was read later)\n" + text;
    return text;
  }

  /// It put what one of the blocked reads found, or was told the version that one of the blocked was told.
  bool is_wanted(const Operation& one) const {
    return std::any_of(search_.blocked().begin(), search_.blocked().end(), [&](const auto& blocked) {
      const Operation& other = *history_[blocked.place];
      return (has_found_value(other) && may_have_left(one, other.found)) ||
             (one.version && one.version == other.version);
    });
  }

  static bool has_found_value(const Operation& one) {
    return one.code == OpCode::get && one.outcome == Outcome::ok;
  }

  static bool may_have_left(const Operation& one, const std::string& value) {
    if (one.outcome != Outcome::ok && one.outcome != Outcome::unknown) return false;
    if (one.code == OpCode::increment)
      return one.outcome == Outcome::unknown ? number_in(value).has_value() : one.found == value;
    return one.code == OpCode::put && one.value == value;
  }

  std::string line(std::size_t place) const {
    const Operation& operation = *history_[place];
    char start[64];
    std::snprintf(start, sizeof start, "  %9zu  %6u  %12.3f  ", place, operation.client,
                  milliseconds(operation.invoked));
    char end[32] = "           -";
    if (!search_.is_pending(place))
      std::snprintf(end, sizeof end, "%12.3f", milliseconds(*operation.returned));
    return start + std::string(end) + "  " + asked(operation) + " -> " + told(place) + "\n";
  }

  double milliseconds(Time time) const {
    return std::chrono::duration<double, std::milli>(time - history_.front()->invoked).count();
  }

  static std::string asked(const Operation& operation) {
    if (operation.code == OpCode::get) return "get";
    if (operation.code == OpCode::increment) return "increment by " + std::to_string(operation.amount);
    return (operation.code == OpCode::remove ? "remove" : "put " + show(operation.value)) +
           condition(operation.condition);
  }

  static std::string condition(const Condition& condition) {
    switch (condition.kind) {
      case Condition::Kind::none:
        break;
      case Condition::Kind::version:
        return " if version " + to_string(condition.version);
      case Condition::Kind::exists:
        return " if it exists";
      case Condition::Kind::missing:
        return " if missing";
    }
    return "";
  }

  std::string told(std::size_t place) const {
    const Operation& operation = *history_[place];
    if (search_.is_pending(place)) return operation.outcome == Outcome::unknown ? "unknown" : "(not yet)";
    if (operation.outcome == Outcome::not_found) return "not found";
    if (operation.outcome == Outcome::not_a_counter) return "not a counter";
    if (operation.outcome == Outcome::condition_failed) {
      return "condition failed, " +
             (*operation.version == Position{} ? "missing" : "version " + to_string(*operation.version));
    }
    const bool tells_value = operation.code == OpCode::get || operation.code == OpCode::increment;
    std::string text = tells_value ? show(operation.found) : "ok";
    if (operation.created) text += *operation.created ? ", created" : ", not created";
    if (operation.version) text += ", version " + to_string(*operation.version);
    return text;
  }

  std::string longest_order() const {
    const std::vector<std::size_t>& order = search_.longest();
    std::string text = "the longest order found:";
    const std::size_t skipped = order.size() - std::min(order.size(), kShownOrder);
    if (skipped > 0) text += " (" + std::to_string(skipped) + " before)";
    for (std::size_t i = skipped; i < order.size(); ++i) text += " " + std::to_string(order[i]);
    return text + (order.empty() ? " none;" : ";") + " after it the key " + state() + ";\n";
  }

  std::string state() const {
    const auto& order = search_.longest();
    const auto last = std::find_if(order.rbegin(), order.rend(), [&](std::size_t place) {
      const Operation& one = *history_[place];
      return one.code != OpCode::get && (search_.is_pending(place) || one.outcome == Outcome::ok);
    });
    if (last == order.rend() || history_[*last]->code == OpCode::remove) return "is missing";
    if (const auto number = search_.number_after_longest()) return "holds " + show(std::to_string(*number));
    return "holds " + show(history_[*last]->value);
  }

  std::string obstacles() const {
    std::string text;
    for (const auto& [place, obstacle] : search_.blocked()) {
      text += "  " + std::to_string(place) + " " + asked(*history_[place]) + " -> " + told(place) + ": " +
              reason(*history_[place], obstacle) + "\n";
    }
    return text;
  }

  std::string reason(const Operation& operation, Obstacle obstacle) const {
    const bool was_left = std::any_of(history_.begin(), history_.end(), [&](const Operation* one) {
      return may_have_left(*one, operation.found);
    });
    if (has_found_value(operation) && !was_left) return "nobody put that value";
    switch (obstacle) {
      case Obstacle::none:
        break;
      case Obstacle::is_missing:
        return "the key is missing";
      case Obstacle::is_present:
        return "the key is there";
      case Obstacle::other_value:
        return "the key holds another value";
      case Obstacle::other_version:
        return "the value has another version";
      case Obstacle::version_passed:
        return "a version as new was told before";
      case Obstacle::not_a_number:
        return "the key holds no number that it could be added to";
      case Obstacle::is_a_number:
        return "the key holds a number that it could be added to";
      case Obstacle::impossible_told:
        return "such an operation is never told that";
    }
    return "it leads nowhere";
  }

  const KeyHistory& history_;
  const Search& search_;
};

}  // namespace

std::string explain(const KeyHistory& history, const Search& search) {
  return Explanation(history, search).text();
}

std::string show(std::string_view bytes) {
  std::string text = "'";
  for (const char byte : bytes.substr(0, kShownBytes)) text += byte >= ' ' && byte <= '~' ? byte : '.';
  text += "'";
  if (bytes.size() > kShownBytes) text += "... (" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

}  // namespace dkv::linear
