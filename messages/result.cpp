#include "messages/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace dkv {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::ok:
      return "ok";
    case Errc::not_found:
      return "not_found";
    case Errc::moved:
      return "moved";
    case Errc::bad_request:
      return "bad_request";
    case Errc::too_large:
      return "too_large";
    case Errc::wrong_version:
      return "wrong_version";
    case Errc::overloaded:
      return "overloaded";
    case Errc::unavailable:
      return "unavailable";
    case Errc::unknown_outcome:
      return "unknown_outcome";
    case Errc::disk_full:
      return "disk_full";
    case Errc::io_error:
      return "io_error";
    case Errc::corrupt:
      return "corrupt";
    case Errc::in_use:
      return "in_use";
    case Errc::internal:
      return "internal";
    case Errc::condition_failed:
      return "condition_failed";
    case Errc::not_a_counter:
      return "not_a_counter";
    case Errc::aborted:
      return "aborted";
    case Errc::reused:
      return "reused";
  }
  return "unknown_error";
}

namespace detail {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "distri-kv: assertion failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace detail
}  // namespace dkv
