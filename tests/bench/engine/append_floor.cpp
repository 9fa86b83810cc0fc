#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "actors/runtime/posix_disk.hpp"
#include "tests/bench/engine/floors.hpp"

namespace dkv::bench {

Result<Outcome> run_append(const std::string& folder, const KeySpace& space, std::size_t batch,
                           double seconds) {
  const std::string path = folder + "/appended";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
  if (file < 0) return system_error(errno, "cannot create", path);
  std::string bytes((kKeyBytes + space.value_bytes) * batch, '\0');
  Random random(1);
  for (char& byte : bytes) byte = static_cast<char>(random.next());

  int failure = 0;
  const Outcome outcome = measure_batches(folder, batch, seconds, [&] {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written != static_cast<ssize_t>(bytes.size())) failure = written < 0 ? errno : ENOSPC;
    if (failure == 0 && ::fdatasync(file) != 0) failure = errno;
    return failure == 0;
  });
  ::close(file);
  ::unlink(path.c_str());
  if (failure != 0) return system_error(failure, "cannot append to", path);
  return outcome;
}

}  // namespace dkv::bench
