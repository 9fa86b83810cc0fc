#include "tests/e2e/process.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace dkv::e2e {
namespace {

int open_or_throw(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), path.string());
  return fd;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::string>& additions) {
  std::vector<std::string> all = additions;  // the first of two of one name counts
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

// Forks and runs. Everything that allocates happens before the fork: other threads may hold locks.
pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> environment, int in, int out,
            int err) {
  std::vector<char*> argv = pointers_to(arguments);
  std::vector<char*> envp = pointers_to(environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid > 0) return pid;
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::execvpe(argv[0], argv.data(), envp.data());
  ::_exit(127);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
  const int in = open_or_throw("/dev/null", O_RDONLY);
  const int out = open_or_throw(log, O_WRONLY | O_CREAT | O_APPEND);
  pid_ = spawn(arguments, environment_with({}), in, out, out);
  ::close(in);
  ::close(out);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_(std::exchange(other.exit_, std::nullopt)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(exit_, other.exit_);
  return *this;
}

Process::~Process() { kill(); }

bool Process::is_running() { return !wait(0ms).has_value(); }

void Process::signal(int number) const {
  if (pid_ > 0 && !exit_) ::kill(pid_, number);
}

void Process::freeze() const {
  signal(SIGSTOP);
  const std::string status = "/proc/" + std::to_string(pid_) + "/status";
  if (!eventually(10s, [&] { return read_file(status).find("\nState:\tT") != std::string::npos; }))
    throw std::runtime_error("process " + std::to_string(pid_) + " does not stop");
}

void Process::thaw() const { signal(SIGCONT); }

std::optional<int> Process::wait(std::chrono::milliseconds timeout) {
  eventually(timeout, [this] {
    int status = 0;
    if (!exit_ && pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) exit_ = exit_code_of(status);
    return exit_.has_value() || pid_ <= 0;
  });
  return exit_;
}

void Process::kill() {
  if (pid_ <= 0 || exit_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  exit_ = exit_code_of(status);
}

bool is_gone(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  return status.empty() || status.find("State:\tZ") != std::string::npos;
}

Finished run(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in", options.input);
  const int in = open_or_throw(folder.path() / "in", O_RDONLY);
  const int out = open_or_throw(folder.path() / "out", O_WRONLY | O_CREAT);
  const int err = open_or_throw(folder.path() / "err", O_WRONLY | O_CREAT);
  const pid_t pid = spawn(arguments, environment_with(options.environment), in, out, err);
  for (const int fd : {in, out, err}) ::close(fd);

  Finished finished;
  int status = 0;
  const bool ended = eventually(options.timeout, [&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
  if (ended) {
    finished.code = exit_code_of(status);
  } else {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  finished.out = read_file(folder.path() / "out");
  finished.err = read_file(folder.path() / "err");
  return finished;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "distrikv-e2e-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

void pause_between_polls() { std::this_thread::sleep_for(10ms); }

}  // namespace dkv::e2e
