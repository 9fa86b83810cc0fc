#include "tests/fuzz/coverage.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

// How the linker calls the beginning of the program: what is counted is the same wherever that is loaded.
extern "C" const char __executable_start[];  // NOLINT: not our name

namespace dkv::fuzz {
namespace {

// 31,000 branches share them, of which a target takes 3,000 at most. libFuzzer goes through all after every
// input.
constexpr int kCounterBits = 16;

// libFuzzer finds them by the section's name, and sets them to zero before each input.
[[gnu::section("__libfuzzer_extra_counters")]] std::uint8_t counters[1U << kCounterBits];
bool taken[1U << kCounterBits];

}  // namespace

std::size_t branches_taken() {
  return static_cast<std::size_t>(std::count(std::begin(taken), std::end(taken), true));
}

}  // namespace dkv::fuzz

// Comparisons of floats, which LLVM's libraries are not told of.
extern "C" void __sanitizer_cov_trace_cmpf(float, float) {}
extern "C" void __sanitizer_cov_trace_cmpd(double, double) {}

extern "C" void __wrap___sanitizer_cov_trace_pc() {
  const auto offset = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)) -
                      reinterpret_cast<std::uintptr_t>(__executable_start);
  const auto i = (std::uint64_t{offset} * 0x9E3779B97F4A7C15U) >> (64 - dkv::fuzz::kCounterBits);
  ++dkv::fuzz::counters[i];
  dkv::fuzz::taken[i] = true;
}
