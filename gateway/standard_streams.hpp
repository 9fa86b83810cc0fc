// For programs that open sockets and files: descriptors 0 to 2 stay what they are for. A program that was
// started with one of them closed gives its number to the next thing that it opens, and what it then prints
// or logs goes into a log segment, a store or a connection.
#pragma once

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace dkv {

/// To be called first of all. Fills each closed one with /dev/null, opened the other way round, so that
/// reading from it or writing to it is still the error that it was.
inline void keep_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one: those below it are open.
    (void)::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace dkv
