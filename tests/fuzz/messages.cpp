// What comes over ZeroMQ.
#include <algorithm>

#include "messages/base64.hpp"
#include "messages/frame.hpp"
#include "messages/little_endian.hpp"
#include "messages/once.hpp"
#include "messages/operation.hpp"
#include "messages/peer.hpp"
#include "messages/records.hpp"
#include "messages/rpc.hpp"
#include "tests/fuzz/target.hpp"
#include "topology/codec.hpp"

namespace dkv::fuzz {
namespace {

void rpc_request(std::string_view bytes) {
  std::uint64_t id = 0;
  const auto request = rpc::decode_request(bytes, id);
  if (!request) return;
  require(request->request_id == id, "the request id of a request that was taken is known");
  const std::string encoded = rpc::encode(*request);
  const Exact exact(encoded);
  const auto again = rpc::decode_request(exact, id);
  require(again.has_value() && rpc::encode(*again) == encoded, "a request is the same once more");
}

/// The first byte is how many operations were asked for, and what they were follows; then the reply.
void rpc_reply(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::size_t count = std::min<std::size_t>(static_cast<unsigned char>(bytes[0]) % 8, bytes.size() - 1);
  std::vector<OpCode> asked;
  for (const char code : bytes.substr(1, count)) {
    asked.push_back(static_cast<OpCode>(1 + static_cast<unsigned char>(code) % 5));
  }
  const Exact encoded(bytes.substr(1 + count));
  const auto id = rpc::peek_request_id(encoded);
  const auto reply = rpc::decode_reply(encoded, asked);
  if (!reply) return;
  // Who writes numbers longer than they need be, as no node does, is not peeked at.
  require(!id || *id == reply->request_id, "the request id that is peeked at is the reply's");
  // Not encoded again: what a reply leaves out, as a value too large for it, is the encoder's to choose.
}

bool is_same(const Event& a, const Event& b) {
  return a.type == b.type && a.key == b.key && a.value == b.value && a.expires_ms == b.expires_ms;
}

void check_frame(std::string_view bytes) {
  const auto frame = decode_frame(bytes);
  if (!frame) return;
  require(peek_frame_size(bytes, frame->shard) == bytes.size(), "a frame is as long as its header says");
  FramePacker packer;
  for (const Event& event : frame->events) packer.add(event);
  // A frame without events is a heartbeat, and has none either way.
  const FrameBytes packed = packer.finish(frame->shard, frame->epoch, frame->prev, frame->commit);
  const Exact exact(*packed);
  const auto again = decode_frame(exact);
  require(again.has_value() && again->epoch == frame->epoch && again->prev == frame->prev &&
              again->commit == frame->commit &&
              std::equal(again->events.begin(), again->events.end(), frame->events.begin(),
                         frame->events.end(), is_same),
          "a frame is the same once more");
}

/// As it is, and with length and checksum put right.
void frame(std::string_view bytes) {
  check_frame(bytes);
  if (bytes.size() < kFrameHeaderBytes) return;
  std::string sealed(bytes);
  const std::string_view body = bytes.substr(kFrameHeaderBytes);
  put_little_endian(sealed.data() + kTopicBytes, static_cast<std::uint32_t>(body.size()));
  put_little_endian(sealed.data() + kTopicBytes + 4, checksum_of(body));
  check_frame(Exact(sealed));
}

void check_peer(std::string_view bytes) {
  const auto message = peer::decode(bytes);
  if (!message) return;
  const std::string encoded = peer::encode(*message);
  const auto again = peer::decode(Exact(encoded));
  require(again.has_value() && again->body == message->body, "a peer message is the same once more");
}

/// As it is, and as the message before a checksum.
void peer_message(std::string_view bytes) {
  check_peer(bytes);
  std::string sealed(bytes.substr(0, bytes.size() - std::min<std::size_t>(bytes.size(), 8)));
  append_little_endian(sealed, checksum_of(sealed));
  check_peer(Exact(sealed));
}

void check_records(std::string_view bytes) {
  const auto records = decode_records(bytes);
  if (!records) return;
  RecordPacker packer;
  for (const RecordView& record : *records) packer.add(record);
  const std::string packed = packer.finish();
  require(decode_records(Exact(packed)).has_value(), "records can be read once more");
}

/// A chunk of a snapshot: as it is, and with the checksum put right.
void records(std::string_view bytes) {
  check_records(bytes);
  if (bytes.size() < 8) return;
  std::string sealed(bytes);
  put_little_endian(sealed.data(), checksum_of(bytes.substr(8)));
  check_records(Exact(sealed));
}

void topology(std::string_view bytes) {
  const auto topology = decode_topology(bytes);
  if (!topology) return;
  const std::string encoded = encode(*topology);
  const auto again = decode_topology(Exact(encoded));
  require(again.has_value() && encode(*again) == encoded, "a topology is the same once more");
}

/// What stands in texts of every door.
void words(std::string_view bytes) {
  if (const auto raw = from_base64(bytes)) require(to_base64(*raw) == bytes, "base64 is the same once more");
  require(from_base64(to_base64(bytes)) == bytes, "bytes are the same behind base64");
  if (const auto position = parse_position(bytes))
    require(parse_position(to_string(*position)) == position, "a position is the same once more");
  if (const auto counter = parse_counter(bytes))
    require(std::to_string(*counter) == bytes, "a counter is the same once more");
  parse_ttl(bytes);
  if (const auto session = parse_session(bytes)) {
    const auto again = parse_session(to_string(*session));
    require(again.has_value() && *again == *session, "a session is the same once more");
  }
}

void outcome(std::string_view bytes) {
  const auto outcome = decode_outcome(bytes);
  if (!outcome) return;
  const std::string encoded = encode(*outcome);
  const auto again = decode_outcome(Exact(encoded));
  require(again.has_value() && encode(*again) == encoded, "an outcome is the same once more");
}

}  // namespace

const std::vector<Target> kMessages = {
    {"rpc_request", rpc_request}, {"rpc_reply", rpc_reply}, {"frame", frame}, {"peer", peer_message},
    {"records", records},         {"topology", topology},   {"words", words}, {"outcome", outcome}};

}  // namespace dkv::fuzz
