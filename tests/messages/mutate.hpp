// What every decoder of ours is put through: each truncation, a byte behind the end, and random damage.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace dkv::test {

/// Calls `refuses(bytes)` with every proper prefix of `bytes`; returns the first length for which it says
/// false, or npos.
template <class Refuses>
std::size_t first_accepted_truncation(std::string_view bytes, Refuses refuses) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees a read behind its end.
    if (!refuses(std::string(bytes.substr(0, size)))) return size;
  }
  return std::string::npos;
}

/// One to four random changes: a byte replaced, a piece removed, doubled, or random bytes put in.
inline std::string mutate(std::string bytes, std::mt19937_64& random) {
  for (std::uint64_t changes = 1 + random() % 4; changes > 0; --changes) {
    const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
    const std::size_t length = 1 + random() % 8;
    switch (random() % 4) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, length));
        break;
      default:
        for (std::size_t i = 0; i < length; ++i) bytes.insert(at, 1, static_cast<char>(random()));
    }
  }
  return bytes;
}

/// Passes `rounds` mutations of `bytes` to `decode`, which must only return.
template <class Decode>
void decode_mutations(const std::string& bytes, int rounds, Decode decode) {
  std::mt19937_64 random(bytes.size() * 7919 + 17);
  for (int i = 0; i < rounds; ++i) decode(mutate(bytes, random));
}

}  // namespace dkv::test
