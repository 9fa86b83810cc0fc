#include "messages/operation.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "messages/limits.hpp"
#include "messages/once.hpp"

namespace dkv {

OperationResult aborted() {
  return OperationResult::failed(Errc::aborted, "another operation of the batch was not done: nothing was");
}

OperationResult too_large_for_one_reply() {
  return OperationResult::failed(Errc::too_large,
                                 "the values are too large for one reply: ask for fewer keys");
}

Result<void> check(const Operation& operation, std::size_t max_value_bytes) {
  if (operation.key.empty()) return Error{Errc::bad_request, "the key is empty: it must have 1 to 480 bytes"};
  if (operation.key.size() > kMaxKeyBytes) {
    return Error{Errc::too_large,
                 "the key has " + std::to_string(operation.key.size()) + " bytes: at most 480 are allowed"};
  }
  if (is_reserved(operation.key)) {
    return Error{
        Errc::bad_request,
        "a key cannot begin with the bytes ff ff 64 6b 76 ff: they mark records that are not a user's"};
  }
  if (operation.value.size() > max_value_bytes) {
    return Error{Errc::too_large, "the value has " + std::to_string(operation.value.size()) +
                                      " bytes: at most " + std::to_string(max_value_bytes) + " are allowed"};
  }
  if (operation.code == OpCode::remove && operation.condition.kind == Condition::Kind::missing) {
    return Error{Errc::bad_request, "a key that must be missing cannot be removed"};
  }
  if (operation.ttl.kind == Ttl::Kind::limited && (operation.ttl.ms == 0 || operation.ttl.ms > kMaxTtlMs))
    return Error{Errc::bad_request, "a time to live is from 1 ms to 100 years"};
  if (operation.code == OpCode::touch && operation.ttl.kind == Ttl::Kind::keep)
    return Error{Errc::bad_request, "a touch gives another time to live, or 'forever'"};
  return {};
}

Result<Ttl> parse_ttl(std::string_view text) {
  if (text == "forever") return Ttl{};
  if (text == "keep") return Ttl{Ttl::Kind::keep};
  constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  std::uint64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, count);
  const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                 [&](const auto& one) { return one.first == std::string_view(at, end); });
  if (error == std::errc() && unit != std::end(kUnits) && count > 0 && count <= kMaxTtlMs / unit->second)
    return Ttl{Ttl::Kind::limited, count * unit->second};
  return Error{
      Errc::bad_request,
      "a time to live is a whole number with ms, s, m, h or d, at most 100 years, like 30s; or forever, "
      "or keep"};
}

std::optional<Position> parse_position(std::string_view text) {
  Position position;
  const char* const end = text.data() + text.size();
  const auto epoch = std::from_chars(text.data(), end, position.epoch.value);
  if (epoch.ec != std::errc() || epoch.ptr == end || *epoch.ptr != '-') return std::nullopt;
  const auto seq = std::from_chars(epoch.ptr + 1, end, position.seq.value);
  if (seq.ec != std::errc() || seq.ptr != end) return std::nullopt;
  return position;
}

std::optional<std::int64_t> parse_counter(std::string_view value) {
  std::int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || at != end || std::to_string(number) != value) return std::nullopt;
  return number;
}

}  // namespace dkv
