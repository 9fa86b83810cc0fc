// Child processes for the end-to-end tests: the real programs, in process groups of their own. A child
// dies with the thread that started it, so that an interrupted test leaves no node behind.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dkv::e2e {

using namespace std::chrono_literals;

/// A running child. Move-only; the destructor kills and reaps it.
class Process {
 public:
  /// Starts `arguments` (the first is the program, looked up in PATH); standard input is /dev/null,
  /// output and errors are appended to `log`. A program that cannot be run ends with 127.
  Process(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  /// False once it has ended.
  bool is_running();
  void signal(int number) const;
  /// SIGSTOP, and waits until it stands still; throws when it does not within 10 s. SIGCONT.
  void freeze() const;
  void thaw() const;
  /// Waits for its end: the exit code, or 128 + the signal that ended it. nullopt: it still runs.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  /// SIGKILL, and reaps it.
  void kill();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_;
};

/// It has ended: there is none of this id, or a zombie that nobody has reaped yet.
bool is_gone(pid_t pid);

struct Finished {
  int code = -1;  // as Process::wait; -1: killed here after the timeout
  std::string out;
  std::string err;
};

struct RunOptions {
  std::string input;                     // standard input
  std::vector<std::string> environment;  // "NAME=value", on top of ours
  std::chrono::milliseconds timeout = 60s;
};

/// Runs a program to its end and returns what it said.
Finished run(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// A folder of its own under the temporary folder; removed with everything in it by the destructor.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& content);

/// Asks every 10 ms until `condition` holds. False when it did not within `timeout`.
template <class Condition>
bool eventually(std::chrono::milliseconds timeout, Condition condition);

void pause_between_polls();

template <class Condition>
bool eventually(std::chrono::milliseconds timeout, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    pause_between_polls();
  }
  return true;
}

}  // namespace dkv::e2e
