// Result<T>: a value or an Error, with the names of std::expected (which C++20 on GCC 12 lacks).
// Also DKV_ASSERT: an always-on check of an invariant. Never used on input: input gets an Error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace dkv {

/// What went wrong, as a client can act on it. The numbers are on the wire: never reuse one.
enum class Errc : std::uint16_t {
  ok = 0,
  not_found = 1,          ///< no such key
  moved = 2,              ///< another shard or node owns the key: ask there
  bad_request = 3,        ///< malformed: will never succeed as it is
  too_large = 4,          ///< a key, value or frame over its limit
  wrong_version = 5,      ///< a protocol version that this node does not speak
  overloaded = 6,         ///< too much in flight: wait, then retry
  unavailable = 7,        ///< no primary serves this shard here and now, and nothing was done: retry
  unknown_outcome = 8,    ///< the write may or may not have happened, or may yet: read before deciding
  disk_full = 9,          ///< the shard is read-only until there is room
  io_error = 10,          ///< the disk failed
  corrupt = 11,           ///< stored bytes fail their checksum
  in_use = 12,            ///< a port, or a data folder, belongs to somebody else
  internal = 13,          ///< a defect of ours
  condition_failed = 14,  ///< a write's condition does not hold: nothing was done
  not_a_counter = 15,     ///< an increment of what is no number, or beyond 64 bits: nothing was done
  aborted = 16,           ///< another operation of an atomic batch was not done: nothing of it was
  reused = 17,  ///< another write was sent by the same name for once (messages/once.hpp): nothing was done
};

/// Done; or a missing key, which is an answer too: nothing stood in the way.
inline bool is_answer(Errc code) { return code == Errc::ok || code == Errc::not_found; }

/// The code's name as it stands in HTTP error bodies and logs, e.g. "not_found".
std::string_view name_of(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string message;  ///< for people: what happened, and what to do about it
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool has_value() const { return !failed_; }
  explicit operator bool() const { return !failed_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

namespace detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

}  // namespace dkv

/// Ends the process with file and line when an invariant of ours does not hold.
#define DKV_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::dkv::detail::assertion_failed(#expression, __FILE__, __LINE__))
