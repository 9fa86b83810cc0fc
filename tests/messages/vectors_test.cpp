// messages/vectors.json was made by another implementation of msgpack and of XXH3: bytes and meaning must
// agree in both directions.
#include <gtest/gtest.h>

#include "messages/records.hpp"
#include "tests/messages/expect_equal.hpp"
#include "tests/messages/vector_json.hpp"

namespace dkv::test {
namespace {

using nlohmann::json;

Errc code_of(const json& vector) { return static_cast<Errc>(vector.at("error").get<std::uint16_t>()); }

/// Calls `check` with every vector of a section, of which there must be some, naming it in failures.
template <class Check>
void for_each(const char* section, Check check) {
  ASSERT_FALSE(vectors().at(section).empty());
  for (const json& vector : vectors().at(section)) {
    SCOPED_TRACE(std::string(section) + ": " + vector.at("name").get<std::string>());
    check(vector, from_hex(vector.at("hex")));
  }
}

TEST(Vectors, OfRequestsAgreeBothWays) {
  for_each("rpc_requests", [](const json& vector, const std::string& bytes) {
    std::deque<std::string> storage;
    const rpc::Request wanted = request_of(vector.at("request"), storage);
    EXPECT_EQ(to_hex(rpc::encode(wanted)), vector.at("hex"));
    std::uint64_t request_id = 0;
    const auto decoded = rpc::decode_request(bytes, request_id);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(request_id, wanted.request_id);
    expect_equal(*decoded, wanted);
  });
}

TEST(Vectors, OfRequestsInOtherFormsMeanTheSame) {
  for_each("rpc_requests_accepted", [](const json& vector, const std::string& bytes) {
    std::deque<std::string> storage;
    std::uint64_t request_id = 0;
    const auto decoded = rpc::decode_request(bytes, request_id);
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(*decoded, request_of(vector.at("request"), storage));
  });
}

TEST(Vectors, OfRepliesAgreeBothWays) {
  for_each("rpc_replies", [](const json& vector, const std::string& bytes) {
    const rpc::Reply wanted = reply_of(vector.at("reply"));
    EXPECT_EQ(to_hex(rpc::encode(wanted)), vector.at("hex"));
    const auto decoded = rpc::decode_reply(bytes, asked_of(vector.at("asked")));
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(*decoded, wanted);
    const auto peeked = rpc::peek_request_id(bytes);
    ASSERT_TRUE(peeked);
    EXPECT_EQ(*peeked, wanted.request_id);
  });
}

TEST(Vectors, OfBadRequestsAreRefusedWithTheirCodeAndId) {
  for_each("rpc_requests_refused", [](const json& vector, const std::string& bytes) {
    std::uint64_t request_id = 99999;
    const auto decoded = rpc::decode_request(bytes, request_id);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, code_of(vector));
    EXPECT_EQ(request_id, vector.at("request_id"));
    EXPECT_FALSE(decoded.error().message.empty());
  });
}

TEST(Vectors, OfBadRepliesAreRefused) {
  for_each("rpc_replies_refused", [](const json& vector, const std::string& bytes) {
    EXPECT_FALSE(rpc::decode_reply(bytes, asked_of(vector.at("asked"))));
  });
}

TEST(Vectors, OfFramesAgreeBothWays) {
  for_each("frames", [](const json& vector, const std::string& bytes) {
    std::deque<std::string> storage;
    const FrameView wanted = frame_of(vector.at("frame"), storage);
    FramePacker packer;
    for (const Event& event : wanted.events) packer.add(event);
    EXPECT_EQ(to_hex(*packer.finish(wanted.shard, wanted.epoch, wanted.prev, wanted.commit)),
              vector.at("hex"));
    const auto decoded = decode_frame(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(*decoded, wanted);
  });
}

TEST(Vectors, OfBadFramesAreRefusedWithTheirCode) {
  for_each("frames_refused", [](const json& vector, const std::string& bytes) {
    const auto decoded = decode_frame(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, code_of(vector));
  });
}

TEST(Vectors, OfPeerMessagesAgreeBothWays) {
  for_each("peer", [](const json& vector, const std::string& bytes) {
    const peer::Message wanted = peer_message_of(vector.at("peer"));
    EXPECT_EQ(to_hex(peer::encode(wanted)), vector.at("hex"));
    const auto decoded = peer::decode(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->from, wanted.from);
    EXPECT_EQ(decoded->topology_id, wanted.topology_id);
    EXPECT_EQ(decoded->body, wanted.body);
  });
}

TEST(Vectors, OfBadPeerMessagesAreRefusedWithTheirCode) {
  for_each("peer_refused", [](const json& vector, const std::string& bytes) {
    const auto decoded = peer::decode(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, code_of(vector));
  });
}

TEST(Vectors, OfRecordsAgreeBothWays) {
  for_each("records", [](const json& vector, const std::string& bytes) {
    const auto decoded = decode_records(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    ASSERT_EQ(decoded->size(), vector.at("records").size());
    RecordPacker packer;
    for (std::size_t i = 0; i < decoded->size(); ++i) {
      const json& wanted = vector.at("records").at(i);
      const RecordView& record = (*decoded)[i];
      EXPECT_EQ(to_hex(record.key), wanted.at("key_hex"));
      EXPECT_EQ(record.version.epoch.value, wanted.at("epoch"));
      EXPECT_EQ(record.version.seq.value, wanted.at("seq"));
      EXPECT_EQ(to_hex(record.value), wanted.at("value_hex"));
      EXPECT_EQ(record.expires_ms, wanted.value("expires_ms", std::uint64_t{0}));
      packer.add(record);
    }
    EXPECT_EQ(to_hex(packer.finish()), vector.at("hex"));
  });
}

TEST(Vectors, OfBadRecordsAreRefusedWithTheirCode) {
  for_each("records_refused", [](const json& vector, const std::string& bytes) {
    const auto decoded = decode_records(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, code_of(vector));
  });
}

}  // namespace
}  // namespace dkv::test
