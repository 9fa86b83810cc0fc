#include "tests/bench/engine/outcome.hpp"

#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

/// Of the block device that the folder is on; nothing when it is on none. /proc/self/io would be ours alone,
/// but counts whole folios where a page was written.
std::optional<std::uint64_t> written_now(const std::string& folder) {
  struct stat about {};
  if (folder.empty() || ::stat(folder.c_str(), &about) != 0) return std::nullopt;
  std::ifstream device("/sys/dev/block/" + std::to_string(major(about.st_dev)) + ":" +
                       std::to_string(minor(about.st_dev)) + "/stat");
  std::uint64_t sectors = 0;
  for (int field = 0; field < 7; ++field) device >> sectors;  // the seventh: sectors written
  if (!device) return std::nullopt;
  return sectors * 512;
}

}  // namespace

Meter::Meter(std::string folder)
    : start_(Clock::now()),
      cpu_seconds_(cpu_now()),
      folder_(std::move(folder)),
      written_bytes_(written_now(folder_)) {}

void Meter::finish(Outcome& outcome) const {
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  outcome.cpu_seconds = cpu_now() - cpu_seconds_;
  if (const auto written = written_now(folder_); written && written_bytes_) {
    outcome.written_bytes = *written - *written_bytes_;
  }
}

}  // namespace dkv::bench
