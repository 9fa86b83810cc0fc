#include "messages/frame.hpp"

#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv {

namespace {

// The last byte of the magic is the format's version.
constexpr std::string_view kMagic = "dkv1";
constexpr std::size_t kTokensPerEvent = 5;
// An event is at least 4 bytes, so a frame's own size bounds its tokens.
constexpr std::size_t kMinEventBytes = 4;
constexpr std::size_t kFixedTokens = 8;

std::uint32_t body_size_of(std::string_view bytes) {
  return get_little_endian<std::uint32_t>(bytes, kTopicBytes);
}

bool checksum_holds(std::string_view frame) {
  const std::string_view body = frame.substr(kFrameHeaderBytes);
  return get_little_endian<std::uint64_t>(frame, kTopicBytes + 4) == XXH3_64bits(body.data(), body.size());
}

Event read_event(Unpacker& in) {
  Event event;
  const std::size_t fields = in.array();
  event.type = static_cast<EventType>(in.uint(static_cast<std::uint64_t>(EventType::epoch_start)));
  event.key = in.bytes(kMaxKeyBytes);
  event.value = in.bytes(kMaxValueBytes);
  if (fields == 4) event.expires_ms = in.uint(kMaxTimeMs);
  // What never expires has no field for it: one event, one encoding.
  if (fields != (event.expires_ms == 0 ? 3U : 4U)) in.fail();
  const bool needs_key = event.type != EventType::epoch_start;
  if (event.type == EventType{} || needs_key == event.key.empty()) in.fail();
  if (event.type != EventType::put && (!event.value.empty() || fields != 3)) in.fail();
  return event;
}

}  // namespace

std::string topic_of(ShardId shard) {
  std::string topic(kMagic);
  for (int shift = 24; shift >= 0; shift -= 8)
    topic.push_back(static_cast<char>((shard.value >> shift) & 0xff));
  return topic;
}

std::size_t peek_frame_size(std::string_view bytes, ShardId shard) {
  if (bytes.size() < kFrameHeaderBytes || bytes.substr(0, kTopicBytes) != topic_of(shard)) return 0;
  const std::size_t size = kFrameHeaderBytes + body_size_of(bytes);
  return size <= kMaxFrameBytes ? size : 0;
}

Result<FrameView> decode_frame(std::string_view bytes) {
  if (bytes.size() > kMaxFrameBytes) return Error{Errc::too_large, "a frame of more than the allowed size"};
  if (bytes.size() < kFrameHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Error{Errc::corrupt, "not a frame"};
  }
  if (kFrameHeaderBytes + body_size_of(bytes) != bytes.size()) {
    return Error{Errc::corrupt, "a frame whose length is not what its header says"};
  }
  if (!checksum_holds(bytes)) return Error{Errc::corrupt, "a frame whose checksum does not hold"};

  FrameView frame;
  for (std::size_t i = kMagic.size(); i < kTopicBytes; ++i) {
    frame.shard.value = frame.shard.value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  const std::string_view body = bytes.substr(kFrameHeaderBytes);
  thread_local Unpacker in;
  in.parse(body, kFixedTokens + body.size() / kMinEventBytes * kTokensPerEvent);
  in.array(5);
  frame.epoch = Epoch{in.uint()};
  frame.prev.epoch = Epoch{in.uint()};
  frame.prev.seq = Seq{in.uint()};
  frame.commit = Seq{in.uint()};
  const std::size_t count = in.array();
  frame.events.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) frame.events.push_back(read_event(in));
  if (frame.prev.epoch > frame.epoch) in.fail();
  if (!in.done()) return Error{Errc::bad_request, "a frame whose content makes no sense"};
  return frame;
}

void FramePacker::add(const Event& event) {
  const bool expires = event.expires_ms != 0;
  Packer out(events_);
  out.array(expires ? 4 : 3).uint(static_cast<std::uint64_t>(event.type)).bytes(event.key).bytes(event.value);
  if (expires) out.uint(event.expires_ms);
  ++count_;
}

FrameBytes FramePacker::finish(ShardId shard, Epoch epoch, Position prev, Seq commit) {
  constexpr std::size_t kFixedBytes = 64;
  std::string out;
  out.reserve(kFrameHeaderBytes + kFixedBytes + events_.size());
  out.append(topic_of(shard));
  out.resize(kFrameHeaderBytes);
  Packer(out)
      .array(5)
      .uint(epoch.value)
      .uint(prev.epoch.value)
      .uint(prev.seq.value)
      .uint(commit.value)
      .array(count_);
  out.append(events_);
  std::string header;
  const std::size_t body_size = out.size() - kFrameHeaderBytes;
  append_little_endian(header, static_cast<std::uint32_t>(body_size));
  append_little_endian(header, std::uint64_t{XXH3_64bits(out.data() + kFrameHeaderBytes, body_size)});
  out.replace(kTopicBytes, header.size(), header);
  events_.clear();
  count_ = 0;
  return std::make_shared<const std::string>(std::move(out));
}

}  // namespace dkv
