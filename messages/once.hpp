// Exactly once on request: who sends a write again gets its first outcome, and it is not done again. The
// outcome is a record of its own, written in the same frame as what the write did: so it is in the log, on
// every replica and in every snapshot, and it ends as any record does whose time to live is over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "messages/operation.hpp"

namespace dkv {

/// Names a write for whoever may send it again: by a client's id and its running number, or by a text that
/// the client chose, of which this is the hash. Operation i of several has number + i.
struct OnceId {
  std::uint64_t client_id = 0;  // 0: the write has no name
  std::uint64_t number = 0;     // 1 at least
  bool operator==(const OnceId&) const = default;

  explicit operator bool() const { return client_id != 0 && number != 0; }
  /// Of an Idempotency-Key: its XXH3-128, less what operations of a batch add. It is as good as the text
  /// itself against chance, not against who looks for two that are alike.
  static OnceId of(std::string_view text);
};

/// A client's choice: 1 to 255 bytes.
inline constexpr std::size_t kMaxIdempotencyKeyBytes = 255;

/// What a key of a record that is ours begins with: no user's key does. It is no UTF-8.
inline constexpr std::string_view kReservedPrefix =
    "\xff\xff"
    "dkv\xff";
/// What follows all keys that do.
inline constexpr std::string_view kReservedEnd =
    "\xff\xff"
    "dkw";
inline bool is_reserved(std::string_view key) { return key.starts_with(kReservedPrefix); }

/// The key of the record that holds an outcome: with the slot of what was written, with which it belongs.
std::string outcome_key(std::uint16_t slot, OnceId id);

/// Of what was asked to be done: another write by the same name is a mistake. XXH3-64 over all of it.
std::uint64_t fingerprint(std::span<const Operation> operations);

/// What was answered, to which question.
struct Outcome {
  std::uint64_t fingerprint = 0;
  std::vector<OperationResult> results;
};
std::string encode(const Outcome& outcome);
/// Nothing of what encode() has not written.
std::optional<Outcome> decode_outcome(std::string_view bytes);

}  // namespace dkv
