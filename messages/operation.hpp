// What a client asks of a key, and what it is told: the same for HTTP, rpc, C++ and Python.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "messages/result.hpp"

namespace dkv {

enum class OpCode : std::uint8_t {
  get = 1,
  put = 2,
  remove = 3,
  increment = 4,
  touch = 5,  ///< gives the record that is there another time to live
};

/// How long a record is to live. When its time is over it is removed, as if by a delete.
struct Ttl {
  enum class Kind : std::uint8_t {
    forever = 0,
    keep = 1,     ///< what is left of the one that is there; for ever where nothing is. put only
    limited = 2,  ///< so long from when the primary takes it
  };
  Kind kind = Kind::forever;
  std::uint64_t ms = 0;  // limited only: 1 to kMaxTtlMs
  bool operator==(const Ttl&) const = default;
};
/// A hundred years.
inline constexpr std::uint64_t kMaxTtlMs = std::uint64_t{36'525} * 24 * 60 * 60 * 1000;

/// What a key must hold for a put or remove to be done.
struct Condition {
  enum class Kind : std::uint8_t {
    none = 0,
    version = 1,  ///< a record of exactly this version
    exists = 2,   ///< any record
    missing = 3,  ///< none
  };
  Kind kind = Kind::none;
  Position version{};
  bool operator==(const Condition&) const = default;
};

/// Which copy may answer a read. `replica`: any copy of the shard, with a prefix of its committed history.
enum class ReadMode : std::uint8_t { linearizable = 0, replica = 1 };

/// When a write's reply may leave: once every in-sync copy has it on disk, or once the primary alone has.
enum class AckMode : std::uint8_t { committed = 0, local = 1 };

/// One operation. Key and value are views into the buffer of the request that carries it.
struct Operation {
  OpCode code = OpCode::get;
  std::string_view key;
  std::string_view value;  // put only
  /// put only: say in the result whether the key was missing before. It costs a look-up, in the store too
  /// for a key that no memtable has.
  bool report_created = false;
  Condition condition{};    // put and remove
  std::int64_t amount = 0;  // increment: what is added, to 0 where the key is missing
  Ttl ttl{};                // put and touch
  /// Of a write that is to be done once, however often it is sent: its number at Request::client_id. 0: none.
  std::uint64_t number = 0;
};

/// The position that to_string() writes so; leading zeros pass. Nothing for any other text.
std::optional<Position> parse_position(std::string_view text);

inline bool writes(const Operation& operation) { return operation.code != OpCode::get; }

/// Where a key that is not ours lives.
struct Moved {
  ShardId shard;
  std::string shard_name;
  std::string node_name;      // its primary
  std::string rpc_endpoint;   // "host:port"
  std::string http_endpoint;  // "host:port"
  std::uint64_t topology_version = 0;
  bool operator==(const Moved&) const = default;
};

struct OperationResult {
  Errc code = Errc::ok;
  bool created = false;  // put that asked for it: the key was missing before
  /// ok: of the record read or written. Errc::condition_failed: of the record that is there; zero: none is.
  Position version;
  std::string value;                   // ok get: the value; ok increment: the new number, in decimal
  std::uint64_t ttl_ms = 0;            // ok get: what is left of its time to live; 0: for ever
  std::string message;                 // an error: for people
  std::shared_ptr<const Moved> moved;  // Errc::moved only

  static OperationResult failed(Errc errc, std::string text) {
    OperationResult result;
    result.code = errc;
    result.message = std::move(text);
    return result;
  }
};

/// What the others of an atomic batch are told when one is not done.
OperationResult aborted();

/// What a get is told whose value does not fit into the reply beside the others': ask for it again, alone.
OperationResult too_large_for_one_reply();

/// "30s": a whole number and ms, s, m, h or d; or "forever" or "keep". Errors: bad_request for any other
/// text, and for what is out of range.
Result<Ttl> parse_ttl(std::string_view text);

/// Checks the limits that every door shares: Errc::bad_request for an empty key or a reserved one
/// (messages/once.hpp), Errc::too_large for a key over kMaxKeyBytes or a value over `max_value_bytes`. Also
/// bad_request: a remove of what must be missing, a time to live out of range.
Result<void> check(const Operation& operation, std::size_t max_value_bytes);

/// The longest number that parse_counter() takes.
inline constexpr std::size_t kMaxCounterBytes = 20;
/// The number that increments make of a value, and go on from: a signed 64-bit integer in decimal, as
/// std::to_string writes it. Nothing for any other text.
std::optional<std::int64_t> parse_counter(std::string_view value);

}  // namespace dkv
