#include "tests/fuzz/target.hpp"

#include <cstdio>
#include <cstdlib>
#include <xxhash.h>

namespace dkv::fuzz {

std::vector<Target> all_targets() {
  std::vector<Target> all;
  for (const auto* some : {&kMessages, &kHttp, &kDisk}) all.insert(all.end(), some->begin(), some->end());
  return all;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "this does not hold: %s\n", what);
  std::abort();
}

std::uint64_t checksum_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace dkv::fuzz
