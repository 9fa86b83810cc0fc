#include "actors/shard/log_segment.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"

namespace dkv {

namespace {

constexpr std::string_view kSegmentMagic = "dkvlog1\n";
constexpr std::string_view kMarkerMagic = "dkvt";
constexpr std::string_view kNamePrefix = "log-";
constexpr std::uint32_t kFlagAnew = 1;
constexpr std::size_t kReadAheadBytes = std::size_t{256} << 10;

std::uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  append_little_endian(out, header.shard.value);
  append_little_endian(out, std::uint32_t{header.anew ? kFlagAnew : 0});
  append_little_endian(out, header.salt);
  append_little_endian(out, header.prev.epoch.value);
  append_little_endian(out, header.prev.seq.value);
  append_little_endian(out, checksum(out));
  return out;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, kSegmentMagic.size()) != kSegmentMagic ||
      get_little_endian<std::uint64_t>(bytes, kSegmentHeaderBytes - 8) !=
          checksum(bytes.substr(0, kSegmentHeaderBytes - 8))) {
    return Error{Errc::corrupt, "not the header of a log segment that this program can read"};
  }
  SegmentHeader header;
  header.shard = ShardId{get_little_endian<std::uint32_t>(bytes, 8)};
  header.anew = (get_little_endian<std::uint32_t>(bytes, 12) & kFlagAnew) != 0;
  header.salt = get_little_endian<std::uint64_t>(bytes, 16);
  header.prev = {Epoch{get_little_endian<std::uint64_t>(bytes, 24)},
                 Seq{get_little_endian<std::uint64_t>(bytes, 32)}};
  return header;
}

std::string encode_marker(std::uint64_t offset, std::uint64_t salt) {
  std::string out(kMarkerMagic);
  append_little_endian(out, std::uint32_t{0});
  std::string place;
  append_little_endian(place, offset);
  append_little_endian(out, std::uint64_t{XXH3_64bits_withSeed(place.data(), place.size(), salt)});
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

bool SegmentReader::is_marker(std::string_view bytes, std::uint64_t offset) const {
  return bytes.substr(0, kMarkerMagic.size()) == kMarkerMagic &&
         bytes.substr(0, kMarkerBytes) == encode_marker(offset, header_.salt);
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

Result<SegmentReader::Found> SegmentReader::next() {
  for (;;) {
    at_ = offset_;
    auto bytes = window(offset_, std::max(kFrameHeaderBytes, kMarkerBytes));
    if (!bytes) return bytes.error();
    if (bytes->empty()) return Found::end;
    if (is_marker(*bytes, offset_)) {
      offset_ += kMarkerBytes;
      continue;
    }
    const std::size_t size = peek_frame_size(*bytes, header_.shard);
    if (size == 0) return Found::bad;
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
  std::uint64_t offset = at_ + 1;
  for (;;) {
    auto bytes = window(offset, kMarkerBytes);
    if (!bytes) return bytes.error();
    if (bytes->size() < kMarkerBytes) return false;
    std::size_t at = bytes->find(kMarkerMagic);
    while (at != std::string_view::npos && at + kMarkerBytes <= bytes->size()) {
      if (is_marker(bytes->substr(at), offset + at)) return true;
      at = bytes->find(kMarkerMagic, at + 1);
    }
    offset += bytes->size() - kMarkerBytes + 1;
  }
}

}  // namespace dkv
