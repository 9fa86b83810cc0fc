#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "messages/limits.hpp"
#include "tests/messages/expect_equal.hpp"
#include "tests/messages/mutate.hpp"
#include "tests/messages/vector_json.hpp"

namespace dkv {
namespace {

/// As readers of a row of frames find the first one.
bool starts_with_frame(std::string_view bytes, ShardId shard) {
  const std::size_t size = peek_frame_size(bytes, shard);
  return size != 0 && size <= bytes.size() && decode_frame(bytes.substr(0, size)).has_value();
}

FrameBytes one_put(std::string_view key, std::string_view value) {
  FramePacker packer;
  packer.add({EventType::put, key, value});
  return packer.finish(ShardId{1}, Epoch{2}, {Epoch{1}, Seq{10}}, Seq{9});
}

TEST(Frame, DecodesToWhatWasPacked) {
  EXPECT_TRUE(rc::check([] {
    const auto pairs = *rc::gen::arbitrary<std::vector<std::pair<std::string, std::string>>>();
    FrameView wanted;
    wanted.shard = ShardId{*rc::gen::arbitrary<std::uint32_t>()};
    wanted.epoch = Epoch{*rc::gen::arbitrary<std::uint64_t>()};
    wanted.prev = {Epoch{wanted.epoch.value / 2}, Seq{*rc::gen::arbitrary<std::uint64_t>()}};
    wanted.commit = Seq{*rc::gen::arbitrary<std::uint64_t>()};
    FramePacker packer;
    for (const auto& [key, value] : pairs) {
      const bool put = !key.empty();
      wanted.events.push_back({put ? EventType::put : EventType::epoch_start, key,
                               put ? std::string_view(value) : std::string_view()});
      packer.add(wanted.events.back());
    }
    const FrameBytes bytes = packer.finish(wanted.shard, wanted.epoch, wanted.prev, wanted.commit);
    const auto decoded = decode_frame(*bytes);
    RC_ASSERT(decoded.has_value());
    test::expect_equal(*decoded, wanted);
    RC_ASSERT(peek_frame_size(*bytes, wanted.shard) == bytes->size());
    RC_ASSERT(starts_with_frame(*bytes + "more", wanted.shard));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(Frame, PackerBeginsAnewAfterEachFrame) {
  FramePacker packer;
  packer.add({EventType::put, "a", "1"});
  (void)packer.finish(ShardId{1}, Epoch{1}, {}, {});
  EXPECT_EQ(packer.count(), 0U);
  const FrameBytes second = packer.finish(ShardId{1}, Epoch{1}, {}, {});
  EXPECT_TRUE(decode_frame(*second)->events.empty());
}

TEST(Frame, IsRefusedWhenCutShortAnywhere) {
  for (const auto& vector : test::vectors().at("frames")) {
    const auto refuses = [](const std::string& bytes) { return !decode_frame(bytes).has_value(); };
    EXPECT_EQ(test::first_accepted_truncation(test::from_hex(vector.at("hex")), refuses), std::string::npos)
        << vector.at("name");
  }
}

TEST(Frame, WithOneFlippedBitInLengthChecksumOrBodyIsCorrupt) {
  const FrameBytes frame = one_put("city", "Delhi");
  for (std::size_t bit = kTopicBytes * 8; bit < frame->size() * 8; ++bit) {
    std::string bytes = *frame;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const auto decoded = decode_frame(bytes);
    ASSERT_FALSE(decoded) << "bit " << bit;
    EXPECT_EQ(decoded.error().code, Errc::corrupt) << "bit " << bit;
    EXPECT_FALSE(starts_with_frame(bytes, ShardId{1})) << "bit " << bit;
  }
}

TEST(Frame, SurvivesRandomDamage) {
  for (const auto& vector : test::vectors().at("frames")) {
    test::decode_mutations(test::from_hex(vector.at("hex")), 2000, [](const std::string& bytes) {
      (void)decode_frame(bytes);
      (void)peek_frame_size(bytes, ShardId{1});
      (void)starts_with_frame(bytes, ShardId{1});
    });
  }
}

TEST(Frame, OfOneShardIsNotTakenForAnothers) {
  const FrameBytes frame = one_put("k", "v");
  EXPECT_EQ(peek_frame_size(*frame, ShardId{2}), 0U);
  EXPECT_FALSE(starts_with_frame(*frame, ShardId{257}));
  EXPECT_EQ(topic_of(ShardId{1}).size(), kTopicBytes);
  EXPECT_EQ(frame->substr(0, kTopicBytes), topic_of(ShardId{1}));
}

TEST(Frame, HoldsTheLargestRecordOnTopOfItsTargetSize) {
  const std::string half(kTargetFrameBytes / 2, 'h');
  const std::string largest(kMaxValueBytes, 'v');
  const std::string key(kMaxKeyBytes, 'k');
  FramePacker packer;
  packer.add({EventType::put, key, half});
  packer.add({EventType::put, key, half.substr(kMaxKeyBytes * 3)});
  ASSERT_LT(packer.size(), kTargetFrameBytes);
  packer.add({EventType::put, key, largest});
  const FrameBytes bytes = packer.finish(ShardId{1}, Epoch{1}, {}, {});
  EXPECT_LE(bytes->size(), kMaxFrameBytes);
  EXPECT_TRUE(decode_frame(*bytes));
}

TEST(Frame, OverTheSizeLimitIsTooLarge) {
  const auto refused = decode_frame(std::string(kMaxFrameBytes + 1, 'd'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
}

TEST(Frame, WithAValueOverItsLimitIsRefused) {
  const auto refused = decode_frame(*one_put("k", std::string(kMaxValueBytes + 1, 'v')));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_request);
}

TEST(Frame, HeaderThatClaimsMoreThanTheLimitHasNoSize) {
  std::string bytes = *one_put("k", "v");
  bytes.replace(kTopicBytes, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(peek_frame_size(bytes, ShardId{1}), 0U);
  EXPECT_EQ(decode_frame(bytes).error().code, Errc::corrupt);
}

TEST(Frame, LastPositionCountsOnFromItsPredecessor) {
  FramePacker packer;
  for (int i = 0; i < 3; ++i) packer.add({EventType::put, "k", "v"});
  const auto frame = packer.finish(ShardId{1}, Epoch{5}, {Epoch{4}, Seq{100}}, Seq{90});
  EXPECT_EQ(decode_frame(*frame)->last(), (Position{Epoch{5}, Seq{103}}));
  const auto heartbeat = packer.finish(ShardId{1}, Epoch{5}, {Epoch{4}, Seq{100}}, Seq{90});
  EXPECT_EQ(decode_frame(*heartbeat)->last(), (Position{Epoch{4}, Seq{100}}));
}

}  // namespace
}  // namespace dkv
