// Runs every target on its corpus and on random changes of it: the same ones each time, for scripts/test. A
// finding ends the process, and what led to it is then in a file.
//
//   distrikv-fuzz [--runs N] [--seed N] CORPUS [TARGET...]     runs N changes of each target (20,000)
//   distrikv-fuzz --input FILE TARGET                          repeats a finding
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/target.hpp"
#include "tests/messages/mutate.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace dkv::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxInputBytes = 4096;

// What is under way, for a process that ends.
const char* running = "";
std::string_view input;

void keep_input() {
  const std::string file = std::string("finding-") + running;
  std::ofstream(file, std::ios::binary).write(input.data(), static_cast<std::streamsize>(input.size()));
  std::fprintf(stderr, "\n%s: the input is in %s; distrikv-fuzz --input %s %s repeats it\n", running,
               file.c_str(), file.c_str(), running);
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void run(const Target& target, std::string_view bytes) {
  running = target.name;
  const Exact exact(bytes);
  input = exact;
  target.run(input);
}

/// Changes of one of the corpus, or of the beginning of one and the end of another.
std::string next_input(const std::vector<std::string>& corpus, std::mt19937_64& random) {
  std::string bytes = corpus[random() % corpus.size()];
  if (random() % 8 == 0) {
    const std::string& other = corpus[random() % corpus.size()];
    bytes.resize(random() % (bytes.size() + 1));
    bytes += other.substr(random() % (other.size() + 1));
  }
  bytes = test::mutate(std::move(bytes), random);
  if (bytes.size() > kMaxInputBytes) bytes.resize(kMaxInputBytes);
  return bytes;
}

/// False: there is no corpus.
bool run_all(const Target& target, const fs::path& folder, std::uint64_t runs, std::uint64_t seed) {
  std::vector<fs::path> files;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder / target.name, missing))
    files.push_back(entry.path());
  if (files.empty()) return false;
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const fs::path& file : files) {
    corpus.push_back(read(file));
    run(target, corpus.back());
  }
  std::mt19937_64 random(seed);
  for (std::uint64_t i = 0; i < runs; ++i) run(target, next_input(corpus, random));
  std::printf("%-16s %6llu executions, %zu of them the corpus\n", target.name,
              static_cast<unsigned long long>(runs + corpus.size()), corpus.size());
  std::fflush(stdout);
  return true;
}

int usage() {
  std::fprintf(stderr,
               "usage: distrikv-fuzz [--runs N] [--seed N] CORPUS [TARGET...] | --input FILE TARGET\n");
  return 2;
}

int main(std::vector<std::string> words) {
  std::uint64_t runs = 20'000;
  std::uint64_t seed = 1;
  std::string only_input;
  while (words.size() > 1 && words.front().starts_with("--")) {
    if (words[0] == "--runs")
      runs = std::strtoull(words[1].c_str(), nullptr, 10);
    else if (words[0] == "--seed")
      seed = std::strtoull(words[1].c_str(), nullptr, 10);
    else if (words[0] == "--input")
      only_input = words[1];
    else
      return usage();
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty()) return usage();
  std::string folder;
  if (only_input.empty()) {
    folder = words.front();
    words.erase(words.begin());
  }
  std::size_t found = 0;
  for (const Target& target : all_targets()) {
    if (!words.empty() && std::find(words.begin(), words.end(), target.name) == words.end()) continue;
    ++found;
    if (!only_input.empty()) {
      run(target, read(only_input));
    } else if (!run_all(target, folder, runs, seed)) {
      std::fprintf(stderr, "%s/%s has no files\n", folder.c_str(), target.name);
      return 1;
    }
  }
  return found == 0 || (!words.empty() && found != words.size()) ? usage() : 0;
}

}  // namespace
}  // namespace dkv::fuzz

int main(int count, char** words) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(dkv::fuzz::keep_input);
#endif
  std::signal(SIGABRT, [](int) {
    dkv::fuzz::keep_input();
    std::_Exit(1);
  });
  return dkv::fuzz::main({words + 1, words + count});
}
