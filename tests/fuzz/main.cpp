// Runs libFuzzer on every target, each in a process of its own, always in the same way for the same seed.
// What is found goes into a file, and the tool says how to repeat it. libFuzzer's own words go to standard
// error.
//
//   distrikv-fuzz [--runs N] [--seed N] [--keep FOLDER] CORPUS [TARGET...]   N (20,000) inputs for each
//   distrikv-fuzz --input FILE TARGET                                        repeats a finding
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/coverage.hpp"
#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerRunDriver(int* count, char*** words, int (*run)(const std::uint8_t*, std::size_t));

// UBSan ends a process by a signal, which libFuzzer takes for a finding; else it would just be gone.
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace dkv::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxInputBytes = 4096;

struct Options {
  std::string runs = "20000";
  std::string seed = "1";
  std::string keep;   // where inputs that reach something new are kept; nowhere if empty
  std::string input;  // the only one to run, if any
  std::vector<std::string> words;
};

// Of the process that fuzzes.
const Target* running = nullptr;
std::size_t seeds = 0;
std::size_t executions = 0;
std::size_t taken_by_seeds = 0;

int run_one(const std::uint8_t* bytes, std::size_t size) {
  // libFuzzer begins with an empty input, and then those it is given.
  if (++executions == seeds + 2) taken_by_seeds = branches_taken();
  const Exact exact({reinterpret_cast<const char*>(bytes), size});
  running->run(exact);
  return 0;
}

void print_result() {
  std::printf("%-16s %6zu executions, %zu of them the corpus: %zu branches, then %zu\n", running->name,
              executions, seeds, taken_by_seeds, branches_taken());
  std::fflush(stdout);
}

std::string finding_of(const Target& target) { return std::string("finding-") + target.name; }

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// Does not return. The files are named one by one, in order: libFuzzer takes those of a folder in any.
void fuzz(const Target& target, const std::vector<std::string>& files, const Options& options) {
  running = &target;
  seeds = files.size();
  std::atexit(print_result);
  std::string list;
  for (const std::string& file : files) list += (list.empty() ? "" : ",") + file;
  std::vector<std::string> words = {"distrikv-fuzz",
                                    "-runs=" + options.runs,
                                    "-seed=" + options.seed,
                                    "-seed_inputs=" + list,
                                    "-max_len=" + std::to_string(kMaxInputBytes),
                                    "-timeout=30",
                                    "-exact_artifact_path=" + finding_of(target)};
  if (!options.keep.empty()) {
    // libFuzzer writes into the first folder it is given, and reads it as well.
    const fs::path folder = fs::path(options.keep) / target.name;
    fs::create_directories(folder);
    seeds += files_in(folder).size();
    words.push_back(folder);
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  char** first = pointers.data();
  std::exit(LLVMFuzzerRunDriver(&count, &first, run_one));
}

/// False: there is a finding, or no corpus.
bool fuzz_in_child(const Target& target, const Options& options) {
  const fs::path corpus = fs::path(options.words.front()) / target.name;
  const std::vector<std::string> files = files_in(corpus);
  if (files.empty()) {
    std::fprintf(stderr, "%s has no files\n", corpus.c_str());
    return false;
  }
  fs::remove(finding_of(target));
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) fuzz(target, files, options);
  int status = -1;
  if (child < 0 || ::waitpid(child, &status, 0) < 0) std::perror("distrikv-fuzz");
  if (status == 0) return true;
  const std::string finding = finding_of(target);
  std::printf("\n%s: failed, see above. The input is in %s; distrikv-fuzz --input %s %s repeats it\n",
              target.name, finding.c_str(), finding.c_str(), target.name);
  return false;
}

void run_file(const Target& target, const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const Exact exact(bytes);
  target.run(exact);
  std::printf("%s: nothing is wrong with %s (%zu bytes)\n", target.name, file.c_str(), bytes.size());
}

int usage() {
  std::fprintf(stderr,
               "usage: distrikv-fuzz [--runs N] [--seed N] [--keep FOLDER] CORPUS [TARGET...]\n"
               "       distrikv-fuzz --input FILE TARGET\n");
  return 2;
}

bool read_options(const std::vector<std::string>& words, Options& options) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string* value = words[i] == "--runs"    ? &options.runs
                         : words[i] == "--seed"  ? &options.seed
                         : words[i] == "--keep"  ? &options.keep
                         : words[i] == "--input" ? &options.input
                                                 : nullptr;
    if (value == nullptr) {
      if (words[i].starts_with("--")) return false;
      options.words.push_back(words[i]);
    } else {
      if (++i == words.size()) return false;
      *value = words[i];
    }
  }
  return !options.words.empty();
}

int main(const std::vector<std::string>& words) {
  Options options;
  if (!read_options(words, options)) return usage();
  std::vector<std::string> wanted = options.words;
  if (options.input.empty()) wanted.erase(wanted.begin());
  std::size_t found = 0;
  bool is_good = true;
  for (const Target& target : all_targets()) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), target.name) == wanted.end()) continue;
    ++found;
    if (!options.input.empty())
      run_file(target, options.input);
    else
      is_good &= fuzz_in_child(target, options);
  }
  if (found == 0 || (!wanted.empty() && found != wanted.size())) return usage();
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace dkv::fuzz

int main(int count, char** words) { return dkv::fuzz::main({words + 1, words + count}); }
