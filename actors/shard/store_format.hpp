// What the LMDB store puts into its named databases, as bytes; all little-endian but where it says otherwise.
//
//   records  := key -> version u8 = 1, flags u8, epoch u64, seq u64, expires_at u64 (ms, 0 never),
//               XXH3-64 u64 of the key, all before it and the value; value
//   expiry   := expires_at u64, big-endian, key -> nothing: of each record that has one
//   meta     := "format" -> "2"
//               "shard" -> its number as text
//               "applied" -> position, seal
//               "reached" -> position, seal: a checkpoint that was cut short wrote events up to there
//               "import" -> begun u8, ended u8, until position, records u64, bytes u64, next key, seal:
//               only while a copy is being taken
//   position := epoch u64, seq u64
//   seal     := XXH3-64 u64 of all before it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/runtime/import.hpp"
#include "actors/shard/store.hpp"

namespace dkv {

inline constexpr std::string_view kStoreFormat = "2";
inline constexpr std::size_t kRecordHeaderBytes = 34;

/// Writes kRecordHeaderBytes at `header`: what stands before the value.
void fill_record_header(char* header, const RecordView& record);
/// Of a stored record, unchecked; nothing of one that is too short for a header.
RecordHead head_in(std::string_view stored);
std::size_t value_size(std::string_view stored);
/// Views into `key` and `stored`. Errors: corrupt.
Result<RecordView> decode_record(std::string_view key, std::string_view stored);

/// A key of "expiry".
std::string encode_expiry(std::uint64_t at_ms, std::string_view key);
/// Its time; the record's key is behind it. Nothing when it is too short.
std::optional<std::uint64_t> expiry_in(std::string_view stored);
inline constexpr std::size_t kExpiryBytes = 8;

std::string encode_position(Position position);
/// Nothing when it is damaged.
std::optional<Position> decode_position(std::string_view bytes);

std::string encode_import(const Import& import);
/// Nothing when it is damaged.
std::optional<Import> decode_import(std::string_view bytes);

}  // namespace dkv
