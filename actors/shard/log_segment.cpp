#include "actors/shard/log_segment.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"

namespace dkv {

namespace {

constexpr std::string_view kSegmentMagic = "dkvlog2\n";
constexpr std::string_view kMarkerMagic = "dkvt";
constexpr std::string_view kNamePrefix = "log-";
constexpr std::size_t kReadAheadBytes = std::size_t{256} << 10;

constexpr std::size_t kMarkerLengthOffset = 4;
constexpr std::size_t kMarkerChecksumOffset = 8;
constexpr std::size_t kMarkerSealOffset = 16;

std::uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

/// XXH3-64 of bytes that come in parts.
class Hasher {
 public:
  explicit Hasher(std::uint64_t seed) : state_(XXH3_createState(), XXH3_freeState) {
    DKV_ASSERT(state_ != nullptr);
    XXH3_64bits_reset_withSeed(state_.get(), seed);
  }
  void add(std::string_view bytes) const { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::uint64_t digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

/// What ends a marker: its length and checksum belong to this place in this life of the file.
std::uint64_t seal(std::string_view marker, std::uint64_t offset, std::uint64_t salt) {
  std::string sealed;
  append_little_endian(sealed, offset);
  sealed.append(marker.substr(kMarkerLengthOffset, kMarkerSealOffset - kMarkerLengthOffset));
  return XXH3_64bits_withSeed(sealed.data(), sealed.size(), salt);
}

bool is_marker(std::string_view bytes, std::uint64_t offset, std::uint64_t salt) {
  return bytes.size() >= kMarkerBytes && bytes.starts_with(kMarkerMagic) &&
         get_little_endian<std::uint64_t>(bytes, kMarkerSealOffset) == seal(bytes, offset, salt);
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  append_little_endian(out, header.shard.value);
  append_little_endian(out, static_cast<std::uint32_t>(header.begins));
  append_little_endian(out, header.salt);
  append_little_endian(out, header.prev.epoch.value);
  append_little_endian(out, header.prev.seq.value);
  append_little_endian(out, checksum(out));
  return out;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  const Error unreadable{Errc::corrupt, "not the header of a log segment that this program can read"};
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, kSegmentMagic.size()) != kSegmentMagic ||
      get_little_endian<std::uint64_t>(bytes, kSegmentHeaderBytes - 8) !=
          checksum(bytes.substr(0, kSegmentHeaderBytes - 8))) {
    return unreadable;
  }
  SegmentHeader header;
  header.shard = ShardId{get_little_endian<std::uint32_t>(bytes, 8)};
  const auto begins = get_little_endian<std::uint32_t>(bytes, 12);
  if (begins > static_cast<std::uint32_t>(SegmentBegins::cut)) return unreadable;
  header.begins = static_cast<SegmentBegins>(begins);
  header.salt = get_little_endian<std::uint64_t>(bytes, 16);
  header.prev = {Epoch{get_little_endian<std::uint64_t>(bytes, 24)},
                 Seq{get_little_endian<std::uint64_t>(bytes, 32)}};
  return header;
}

std::string encode_marker(std::uint64_t offset, std::uint64_t salt, const std::vector<FrameBytes>& frames) {
  const Hasher hasher(salt);
  std::uint64_t length = 0;
  for (const FrameBytes& frame : frames) {
    hasher.add(*frame);
    length += frame->size();
  }
  DKV_ASSERT(length <= UINT32_MAX);
  std::string out(kMarkerMagic);
  append_little_endian(out, static_cast<std::uint32_t>(length));
  append_little_endian(out, hasher.digest());
  append_little_endian(out, seal(out, offset, salt));
  return out;
}

std::string segment_name(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%020llu", kNamePrefix.data(), static_cast<unsigned long long>(number));
  return name;
}

std::uint64_t segment_number(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return 0;
  name.remove_prefix(kNamePrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc{} && end == name.data() + name.size() ? number : 0;
}

/// At least `bytes` from `offset` on, or all there is.
Result<std::string_view> SegmentReader::window(std::uint64_t offset, std::size_t bytes) {
  const std::uint64_t end = buffer_offset_ + buffer_.size();
  if (offset < buffer_offset_ || offset + bytes > end) {
    auto read = file_.read(offset, std::max(bytes, kReadAheadBytes));
    if (!read) return read.error();
    buffer_ = std::move(*read);
    buffer_offset_ = offset;
  }
  return std::string_view(buffer_).substr(offset - buffer_offset_);
}

Result<std::uint64_t> SegmentReader::begun_bytes() {
  auto bytes = window(end_, kMarkerBytes);
  if (!bytes) return bytes.error();
  if (!is_marker(*bytes, end_, header_.salt)) return std::uint64_t{0};
  return kMarkerBytes + get_little_endian<std::uint32_t>(*bytes, kMarkerLengthOffset);
}

Result<bool> SegmentReader::extend() {
  auto begun = begun_bytes();
  if (!begun) return begun.error();
  if (*begun == 0) return false;
  const std::uint64_t turn_end = end_ + *begun;
  auto bytes = window(end_, kMarkerBytes);
  if (!bytes) return bytes.error();
  const auto checksum_of_frames = get_little_endian<std::uint64_t>(*bytes, kMarkerChecksumOffset);
  const Hasher hasher(header_.salt);
  std::uint64_t offset = end_ + kMarkerBytes;
  while (offset < turn_end) {
    bytes = window(offset, 1);
    if (!bytes) return bytes.error();
    if (bytes->empty()) return false;
    const std::string_view part = bytes->substr(0, turn_end - offset);
    hasher.add(part);
    offset += part.size();
  }
  if (hasher.digest() != checksum_of_frames) return false;
  end_ = turn_end;
  return true;
}

Result<SegmentReader::Found> SegmentReader::next() {
  for (;;) {
    at_ = offset_;
    if (offset_ >= end_) return Found::end;
    auto bytes = window(offset_, std::max(kFrameHeaderBytes, kMarkerBytes));
    if (!bytes) return bytes.error();
    if (is_marker(*bytes, offset_, header_.salt)) {
      offset_ += kMarkerBytes;
      continue;
    }
    const std::size_t size = peek_frame_size(*bytes, header_.shard);
    if (size == 0 || size > end_ - offset_) return Found::bad;
    bytes = window(offset_, size);
    if (!bytes) return bytes.error();
    if (bytes->size() < size) return Found::bad;
    auto frame = decode_frame(bytes->substr(0, size));
    if (!frame || frame->events.empty()) return Found::bad;
    frame_bytes_ = bytes->substr(0, size);
    frame_ = std::move(*frame);
    offset_ += size;
    return Found::frame;
  }
}

Result<bool> SegmentReader::marker_follows() {
  std::uint64_t offset = end_ + 1;
  for (;;) {
    auto bytes = window(offset, kMarkerBytes);
    if (!bytes) return bytes.error();
    if (bytes->size() < kMarkerBytes) return false;
    std::size_t at = bytes->find(kMarkerMagic);
    while (at != std::string_view::npos && at + kMarkerBytes <= bytes->size()) {
      if (is_marker(bytes->substr(at), offset + at, header_.salt)) return true;
      at = bytes->find(kMarkerMagic, at + 1);
    }
    offset += bytes->size() - kMarkerBytes + 1;
  }
}

}  // namespace dkv
