// Writing msgpack into a std::string, by msgpack-c's packer. Only the codecs in messages/ and the
// topology's include this.
#pragma once

#include <cstdint>
#include <msgpack/pack.hpp>
#include <string>
#include <string_view>

namespace dkv {

/// Appends what the packer writes to a string that somebody else owns.
struct StringSink {
  std::string& out;
  void write(const char* data, std::size_t size) { out.append(data, size); }
};

class Packer {
 public:
  explicit Packer(std::string& out) : sink_{out}, packer_(sink_) {}

  Packer& array(std::size_t count) {
    packer_.pack_array(static_cast<std::uint32_t>(count));
    return *this;
  }
  Packer& uint(std::uint64_t value) {
    packer_.pack_uint64(value);
    return *this;
  }
  Packer& boolean(bool value) {
    value ? packer_.pack_true() : packer_.pack_false();
    return *this;
  }
  /// Any bytes: keys and values.
  Packer& bytes(std::string_view value) {
    packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
    packer_.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
    return *this;
  }
  /// UTF-8: names and messages for people.
  Packer& text(std::string_view value) {
    packer_.pack_str(static_cast<std::uint32_t>(value.size()));
    packer_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
    return *this;
  }

 private:
  StringSink sink_;
  msgpack::packer<StringSink> packer_;
};

}  // namespace dkv
