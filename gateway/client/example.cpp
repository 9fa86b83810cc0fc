// Stores a value and reads it back: example HOST:PORT
#include <cstdio>

#include "gateway/client/client.hpp"

int main(int argc, char** argv) {
  dkv::Client client({.seeds = {argc > 1 ? argv[1] : "127.0.0.2:7001"}, .deadline = std::chrono::seconds(2)});
  if (const auto put = client.put("city", "Delhi"); !put) {
    // unknown_outcome: it may have happened; read the key before you decide.
    std::fprintf(stderr, "not stored: %s\n", put.error().message.c_str());
    return 1;
  }
  const auto got = client.get("city");
  std::printf("%s\n", got ? got->value.c_str() : got.error().message.c_str());
  return got ? 0 : 1;
}
