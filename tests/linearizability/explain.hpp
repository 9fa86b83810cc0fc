// A key's history that has no order, as text for people.
#pragma once

#include <string>
#include <string_view>

#include "tests/linearizability/search.hpp"

namespace dkv::linear {

/// What was asked and told, one operation per line, the longest order that was found, and why nothing can
/// follow in it. Long histories and values are shortened. `search` has run to explain.
std::string explain(const KeyHistory& history, const Search& search);

/// In quotes, printable, at most some 40 characters.
std::string show(std::string_view bytes);

}  // namespace dkv::linear
