// Every decoder of ours as a function that takes any bytes: it must return, and what it took must be the same
// once more when it is encoded and decoded again. main.cpp runs them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dkv::fuzz {

struct Target {
  const char* name;  // also of its folder in corpus/
  void (*run)(std::string_view bytes);
};

/// The decoders of messages/, of topology/ with the HTTP door, and of what is on disk.
extern const std::vector<Target> kMessages;
extern const std::vector<Target> kHttp;
extern const std::vector<Target> kDisk;

std::vector<Target> all_targets();

/// Ends the process, which whoever runs it takes for a finding.
void require(bool holds, const char* what);

/// XXH3-64, for inputs whose checksum is put right: else nothing random would ever get past it.
std::uint64_t checksum_of(std::string_view bytes);

/// Bytes in a memory block of exactly their size, so that AddressSanitizer sees a read behind their end.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) { bytes_.shrink_to_fit(); }
  operator std::string_view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::vector<char> bytes_;
};

}  // namespace dkv::fuzz
