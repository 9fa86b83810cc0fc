#include "messages/peer.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <xxhash.h>

#include "messages/little_endian.hpp"
#include "tests/messages/mutate.hpp"
#include "tests/messages/vector_json.hpp"

namespace dkv {
namespace {

std::uint64_t any() { return *rc::gen::arbitrary<std::uint64_t>(); }
Position any_position() { return {Epoch{any()}, Seq{any()}}; }

Ballot any_ballot() { return {any(), NodeId{*rc::gen::arbitrary<std::uint32_t>()}, any()}; }
std::string any_bytes() { return *rc::gen::arbitrary<std::string>(); }

peer::Body any_register_body() {
  const peer::KeeperIdentity keeper{any(), any()};
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return peer::RegisterPrepare{any_ballot(), any_ballot()};
    case 1:
      return peer::RegisterPromise{any_ballot(), keeper, any_ballot(), any_bytes()};
    case 2:
      return peer::RegisterAccept{any_ballot(), any_bytes()};
    case 3:
      return peer::RegisterAccepted{any_ballot(), keeper};
    case 4:
      return peer::RegisterNack{any_ballot(), any_ballot()};
    case 5:
      return peer::RegisterPoll{any(), any(), any_ballot()};
    case 6:
      return peer::RegisterState{any(), any(), keeper, any_ballot(), any_bytes()};
    default:
      return peer::RegisterChosen{any_ballot(), any_bytes()};
  }
}

peer::Body any_body() {
  if (*rc::gen::arbitrary<bool>()) return any_register_body();
  const ShardId shard{*rc::gen::arbitrary<std::uint32_t>()};
  switch (*rc::gen::inRange(0, 9)) {
    case 7:
      return peer::ChangesRequest{shard, any(), any(), any_position(), any()};
    case 8:
      return peer::ChangesReply{shard,          any(),
                                any(),          static_cast<peer::PullOutcome>(*rc::gen::inRange(0, 4)),
                                any_position(), any_bytes()};
    case 0:
      return peer::ReplicaAck{shard, Epoch{any()}, any_position(), Seq{any()}, any()};
    case 1:
      return peer::PullRequest{shard, any(), any(), any_position(), any()};
    case 2:
      return peer::SnapshotRequest{shard, any(), any(), *rc::gen::arbitrary<std::string>(), any()};
    case 3:
      return peer::SnapshotReply{shard,
                                 any(),
                                 any(),
                                 static_cast<peer::SnapshotOutcome>(*rc::gen::inRange(0, 2)),
                                 Epoch{any()},
                                 any_position(),
                                 *rc::gen::arbitrary<std::string>(),
                                 *rc::gen::arbitrary<std::string>()};
    case 4:
      return peer::Heartbeat{shard, Epoch{any()}, any(), any()};
    case 5:
      return peer::LeaseGrant{shard, Epoch{any()}, any(), any(), any()};
    default:
      return peer::PullReply{shard,
                             any(),
                             any(),
                             static_cast<peer::PullOutcome>(*rc::gen::inRange(0, 4)),
                             Epoch{any()},
                             any_position(),
                             Seq{any()},
                             *rc::gen::arbitrary<std::string>(),
                             {{Epoch{any()}, Seq{any()}, Seq{any()}}}};
  }
}

TEST(PeerMessage, DecodesToWhatWasEncoded) {
  EXPECT_TRUE(rc::check([] {
    const peer::Message message{NodeId{*rc::gen::arbitrary<std::uint32_t>()}, any(), any_body()};
    const auto decoded = peer::decode(peer::encode(message));
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->from == message.from);
    RC_ASSERT(decoded->topology_id == message.topology_id);
    RC_ASSERT(decoded->body == message.body);
  }));
}

TEST(PeerMessage, IsRefusedWhenCutShortAnywhere) {
  for (const auto& vector : test::vectors().at("peer")) {
    const auto refuses = [](const std::string& bytes) { return !peer::decode(bytes).has_value(); };
    EXPECT_EQ(test::first_accepted_truncation(test::from_hex(vector.at("hex")), refuses), std::string::npos)
        << vector.at("name");
  }
}

TEST(PeerMessage, IsRefusedWhenAnyOfItsBitsChanged) {
  for (const auto& vector : test::vectors().at("peer")) {
    const std::string bytes = test::from_hex(vector.at("hex"));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      EXPECT_FALSE(peer::decode(damaged)) << vector.at("name") << ", bit " << bit;
    }
  }
}

TEST(PeerMessage, SurvivesRandomNonsenseAndMeansSomethingWhenAccepted) {
  for (const auto& vector : test::vectors().at("peer")) {
    const std::string message = test::from_hex(vector.at("hex"));
    test::decode_mutations(message.substr(0, message.size() - 8), 4000, [](std::string bytes) {
      append_little_endian(bytes, std::uint64_t{XXH3_64bits(bytes.data(), bytes.size())});
      const auto decoded = peer::decode(bytes);
      if (!decoded) return;
      const auto again = peer::decode(peer::encode(*decoded));
      ASSERT_TRUE(again);
      EXPECT_EQ(again->body, decoded->body);
    });
  }
}

}  // namespace
}  // namespace dkv
