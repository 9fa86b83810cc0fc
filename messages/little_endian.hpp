// Fixed-width little-endian numbers, as the frame header, the log segment and the stored record have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dkv {

/// Writes sizeof(Int) bytes at `out`.
template <class Int>
void put_little_endian(char* out, Int value) {
  for (std::size_t i = 0; i < sizeof(Int); ++i) out[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

template <class Int>
void append_little_endian(std::string& out, Int value) {
  out.resize(out.size() + sizeof(Int));
  put_little_endian(out.data() + out.size() - sizeof(Int), value);
}

/// Reads sizeof(Int) bytes from `at` on, which must be there.
template <class Int>
Int get_little_endian(std::string_view bytes, std::size_t at = 0) {
  Int value = 0;
  for (std::size_t i = 0; i < sizeof(Int); ++i) {
    value |= static_cast<Int>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

}  // namespace dkv
