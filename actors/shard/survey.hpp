// What a check of a stopped member's files tells, whatever it checks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dkv {

/// Something that is not as it was written.
struct Problem {
  std::string file;  // its name, in the folder that was checked
  std::optional<std::uint64_t> offset;
  std::string what;
};

/// All are counted, the first are kept: a dead disk has millions of them.
struct Problems {
  static constexpr std::size_t kKept = 20;
  std::vector<Problem> first;
  std::uint64_t count = 0;

  void add(Problem problem) {
    if (++count <= kKept) first.push_back(std::move(problem));
  }
};

/// Called now and then during a check, with the bytes that have been read since the last time.
using CheckProgress = std::function<void(std::uint64_t bytes)>;

}  // namespace dkv
