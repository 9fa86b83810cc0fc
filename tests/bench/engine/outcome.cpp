#include "tests/bench/engine/outcome.hpp"

#include <fstream>
#include <sys/resource.h>

namespace dkv::bench {

namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double cpu_now() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

std::uint64_t written_now() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t written = 0;
  std::uint64_t cancelled = 0;
  for (std::uint64_t count = 0; io >> name >> count;) {
    if (name == "write_bytes:") written = count;
    if (name == "cancelled_write_bytes:") cancelled = count;
  }
  return written > cancelled ? written - cancelled : 0;
}

}  // namespace

Meter::Meter() : start_(Clock::now()), cpu_seconds_(cpu_now()), written_bytes_(written_now()) {}

void Meter::finish(Outcome& outcome) const {
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  outcome.cpu_seconds = cpu_now() - cpu_seconds_;
  outcome.written_bytes = written_now() - written_bytes_;
}

}  // namespace dkv::bench
