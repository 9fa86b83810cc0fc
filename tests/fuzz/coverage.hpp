// What GCC's -fsanitize-coverage=trace-pc tells, handed on to libFuzzer: a counter for each branch.
#pragma once

#include <cstddef>

namespace dkv::fuzz {

/// How many different branches were taken since the process began.
std::size_t branches_taken();

}  // namespace dkv::fuzz
