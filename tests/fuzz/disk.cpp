// What is read from disk, which may be damaged, or not ours.
#include "actors/keeper/keeper_file.hpp"
#include "actors/runtime/memory_disk.hpp"
#include "actors/shard/log_segment.hpp"
#include "actors/shard/store_format.hpp"
#include "messages/little_endian.hpp"
#include "tests/fuzz/target.hpp"

namespace dkv::fuzz {
namespace {

/// Goes through all that a segment's file holds behind its header.
void read_segment(const SegmentHeader& header, std::string_view bytes) {
  MemoryDisk disk;
  const auto file = *disk.open("segment", true);
  require(file->write(0, {bytes}).has_value(), "memory can be written");
  SegmentReader reader(*file, header, kSegmentHeaderBytes, kSegmentHeaderBytes);
  while (*reader.extend()) require(reader.end() <= bytes.size(), "a turn ends where bytes are");
  while (*reader.next() == SegmentReader::Found::frame)
    require(decode_frame(reader.frame_bytes()).has_value(), "a frame of a segment can be read");
  reader.begun_bytes().value();
  reader.marker_follows().value();
}

/// A segment: as it is, and as frames between a right header and marker and what is left behind them.
void log_segment(std::string_view bytes) {
  if (const auto header = decode_segment_header(bytes.substr(0, kSegmentHeaderBytes))) {
    read_segment(*header, bytes);
  }
  SegmentHeader header;
  header.shard = ShardId{1};
  header.salt = 4711;
  const std::size_t size = bytes.empty() ? 0 : bytes.size() * static_cast<unsigned char>(bytes[0]) / 255;
  const auto frames = std::make_shared<const std::string>(bytes.substr(bytes.empty() ? 0 : 1, size));
  std::string file = encode_segment_header(header);
  file += encode_marker(file.size(), header.salt, {frames});
  file += *frames;
  file += bytes.substr(std::min(bytes.size(), 1 + size));
  read_segment(header, file);
}

/// The first byte is the length of the key.
void stored_record(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string_view key = bytes.substr(1, static_cast<unsigned char>(bytes[0]));
  const Exact stored(bytes.substr(1 + key.size()));
  const std::string_view rest = stored;
  head_in(rest);
  value_size(rest);
  expiry_in(rest);
  decode_record(key, rest);
  const RecordView record{key, Position{Epoch{7}, Seq{1042}}, rest, rest.size()};
  std::string packed(kRecordHeaderBytes, '\0');
  fill_record_header(packed.data(), record);
  packed += rest;
  const Exact exact(packed);
  const auto again = decode_record(key, exact);
  require(again.has_value() && again->value == rest && again->version == record.version &&
              again->expires_ms == record.expires_ms,
          "a stored record is the same once more");
}

/// With the seal put right.
void stored_meta(std::string_view bytes) {
  std::string sealed(bytes);
  append_little_endian(sealed, checksum_of(sealed));
  for (const std::string_view one : {std::string_view(bytes), std::string_view(sealed)}) {
    if (const auto position = decode_position(Exact(one)))
      require(decode_position(encode_position(*position)) == position, "a position is the same once more");
    if (const auto import = decode_import(Exact(one)))
      require(decode_import(encode_import(*import)).has_value(), "an import can be read once more");
  }
}

std::string keeper_file(std::string_view body) {
  std::string bytes = "dkvk";
  append_little_endian(bytes, static_cast<std::uint32_t>(body.size()));
  append_little_endian(bytes, checksum_of(body));
  bytes += body;
  return bytes;
}

/// Both files: as they are, and as a body between a right header and its end.
void keeper(std::string_view bytes) {
  const std::string sealed = keeper_file(bytes);
  for (const std::string_view one : {bytes, std::string_view(sealed)}) {
    MemoryDisk disk;
    for (const auto* name : {"keeper-a", "keeper-b"}) {
      const auto file = *disk.open(name, true);
      require(file->write(0, {one}).has_value(), "memory can be written");
    }
    KeeperFile(std::make_unique<MemoryDisk>(disk), 1, NodeId{1}).open(99);
  }
}

}  // namespace

const std::vector<Target> kDisk = {{"log_segment", log_segment},
                                   {"stored_record", stored_record},
                                   {"stored_meta", stored_meta},
                                   {"keeper", keeper}};

}  // namespace dkv::fuzz
