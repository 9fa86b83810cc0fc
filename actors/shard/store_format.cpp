#include "actors/shard/store_format.hpp"

#include <algorithm>
#include <cstring>
#include <xxhash.h>

#include "messages/little_endian.hpp"

namespace dkv {

namespace {

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::size_t kExpiresOffset = 2 + 2 * sizeof(std::uint64_t);
constexpr std::size_t kChecksumOffset = kExpiresOffset + sizeof(std::uint64_t);
static_assert(kRecordHeaderBytes == kChecksumOffset + sizeof(std::uint64_t));

std::uint64_t checksum_of(std::string_view key, std::string_view header, std::string_view value) {
  const std::uint64_t seed =
      XXH3_64bits_withSeed(header.data(), header.size(), XXH3_64bits(key.data(), key.size()));
  return XXH3_64bits_withSeed(value.data(), value.size(), seed);
}

Position position_at(std::string_view bytes, std::size_t at) {
  return {Epoch{get_little_endian<std::uint64_t>(bytes, at)},
          Seq{get_little_endian<std::uint64_t>(bytes, at + 8)}};
}

void append_position(std::string& out, Position position) {
  append_little_endian(out, position.epoch.value);
  append_little_endian(out, position.seq.value);
}

constexpr std::size_t kPositionBytes = 16;
constexpr std::size_t kSealBytes = 8;

std::string sealed(std::string bytes) {
  append_little_endian(bytes, XXH3_64bits(bytes.data(), bytes.size()));
  return bytes;
}

/// What was sealed; nothing when it is not what it was.
std::optional<std::string_view> unsealed(std::string_view bytes) {
  if (bytes.size() < kSealBytes) return std::nullopt;
  const std::string_view content = bytes.substr(0, bytes.size() - kSealBytes);
  if (get_little_endian<std::uint64_t>(bytes, content.size()) !=
      XXH3_64bits(content.data(), content.size())) {
    return std::nullopt;
  }
  return content;
}

}  // namespace

void fill_record_header(char* header, const RecordView& record) {
  std::memset(header, 0, kRecordHeaderBytes);
  header[0] = static_cast<char>(kRecordVersion);
  put_little_endian(header + 2, record.version.epoch.value);
  put_little_endian(header + 10, record.version.seq.value);
  put_little_endian(header + kExpiresOffset, record.expires_ms);
  put_little_endian(header + kChecksumOffset,
                    checksum_of(record.key, {header, kChecksumOffset}, record.value));
}

RecordHead head_in(std::string_view stored) {
  if (stored.size() < kRecordHeaderBytes) return {};
  return {position_at(stored, 2), get_little_endian<std::uint64_t>(stored, kExpiresOffset)};
}

std::size_t value_size(std::string_view stored) {
  return stored.size() - std::min(stored.size(), kRecordHeaderBytes);
}

Result<RecordView> decode_record(std::string_view key, std::string_view stored) {
  const auto corrupt = [&](const char* what) {
    return Error{Errc::corrupt,
                 "the record of a " + std::to_string(key.size()) + "-byte key fails its check: " + what};
  };
  if (stored.size() < kRecordHeaderBytes) return corrupt("too short");
  if (static_cast<std::uint8_t>(stored[0]) != kRecordVersion) return corrupt("unknown version");
  const std::string_view value = stored.substr(kRecordHeaderBytes);
  if (get_little_endian<std::uint64_t>(stored, kChecksumOffset) !=
      checksum_of(key, stored.substr(0, kChecksumOffset), value)) {
    return corrupt("wrong checksum");
  }
  const RecordHead head = head_in(stored);
  return RecordView{key, head.version, value, head.expires_ms};
}

std::string encode_expiry(std::uint64_t at_ms, std::string_view key) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(at_ms >> shift & 0xff));
  return bytes.append(key);
}

std::optional<std::uint64_t> expiry_in(std::string_view stored) {
  if (stored.size() <= kExpiryBytes) return std::nullopt;
  std::uint64_t at_ms = 0;
  for (const char byte : stored.substr(0, kExpiryBytes))
    at_ms = at_ms << 8 | static_cast<unsigned char>(byte);
  return at_ms;
}

std::string encode_position(Position position) {
  std::string out;
  append_position(out, position);
  return sealed(std::move(out));
}

std::optional<Position> decode_position(std::string_view bytes) {
  const auto position = unsealed(bytes);
  if (!position || position->size() != kPositionBytes) return std::nullopt;
  return position_at(*position, 0);
}

std::string encode_import(const Import& import) {
  std::string out;
  append_little_endian(out, std::uint8_t{import.begun});
  append_little_endian(out, std::uint8_t{import.ended});
  append_position(out, import.until);
  append_little_endian(out, import.records);
  append_little_endian(out, import.bytes);
  return sealed(out + import.next_key);
}

std::optional<Import> decode_import(std::string_view stored) {
  constexpr std::size_t kFixedBytes = 2 + kPositionBytes + 2 * sizeof(std::uint64_t);
  const auto bytes = unsealed(stored);
  if (!bytes || bytes->size() < kFixedBytes) return std::nullopt;
  Import import;
  import.begun = (*bytes)[0] != 0;
  import.ended = (*bytes)[1] != 0;
  import.until = position_at(*bytes, 2);
  import.records = get_little_endian<std::uint64_t>(*bytes, 18);
  import.bytes = get_little_endian<std::uint64_t>(*bytes, 26);
  import.next_key = bytes->substr(kFixedBytes);
  return import;
}

}  // namespace dkv
