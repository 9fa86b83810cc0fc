#include "tests/linearizability/check.hpp"

#include <algorithm>
#include <map>

#include "tests/linearizability/explain.hpp"

namespace dkv::linear {

namespace {

/// A longer order than so many find might say more, but nobody wants to wait for it.
constexpr std::uint64_t kConfigurationsToExplain = 200'000;

/// The fewest answers after which there is no order. A search that ends undecided counts as one that found
/// an order: then the beginning is not the shortest, but still one that has none.
std::size_t fewest_answers_without_order(const KeyHistory& history, const Limits& limits) {
  std::size_t fits = 0;
  std::size_t fails = Search::count_answers(history);
  while (fails - fits > 1) {
    const std::size_t middle = fits + (fails - fits) / 2;
    const bool violated = Search(history, middle).run(limits.configurations) == Verdict::violated;
    (violated ? fails : fits) = middle;
  }
  return fails;
}

std::string explanation_of(const KeyHistory& history, const Limits& limits) {
  Search search(history, fewest_answers_without_order(history, limits));
  const Verdict verdict = search.run_to_explain(kConfigurationsToExplain);
  DKV_ASSERT(verdict != Verdict::linearizable);
  return explain(history, search);
}

Verdict judge(const KeyHistory& history, const Limits& limits, Judgement& judgement) {
  Search search(history, Search::count_answers(history));
  const Verdict verdict = search.run(limits.configurations);
  judgement.configurations += search.configurations();
  return verdict;
}

}  // namespace

Judgement check(std::span<const Operation> history, Limits limits) {
  std::map<std::string_view, KeyHistory> keys;
  for (const Operation& operation : history) keys[operation.key].push_back(&operation);
  Judgement judgement;
  for (auto& [key, operations] : keys) {
    std::stable_sort(operations.begin(), operations.end(),
                     [](const Operation* a, const Operation* b) { return a->invoked < b->invoked; });
    const Verdict verdict = judge(operations, limits, judgement);
    if (verdict == Verdict::linearizable) continue;
    judgement.problems.push_back(
        {std::string(key), verdict,
         verdict == Verdict::violated
             ? explanation_of(operations, limits)
             : "key " + show(key) + ": undecided after " + std::to_string(limits.configurations) +
                   " configurations: too much is under way at once in this history to judge it\n"});
  }
  return judgement;
}

std::string Judgement::text() const {
  std::string text;
  for (const Problem& problem : problems) text += problem.explanation;
  return text;
}

}  // namespace dkv::linear
