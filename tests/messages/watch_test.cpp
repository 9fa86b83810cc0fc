#include "messages/watch.hpp"

#include <gtest/gtest.h>

namespace dkv {
namespace {

TEST(Positions, ReadBackAsTheyWereWritten) {
  const ShardPositions all = {{ShardId{1}, {Epoch{7}, Seq{1042}}},
                              {ShardId{4'294'967'295U}, {Epoch{UINT64_MAX}, Seq{UINT64_MAX}}}};
  EXPECT_EQ(to_string(all), "1:7-1042,4294967295:18446744073709551615-18446744073709551615");
  for (const ShardPositions& some : {ShardPositions{}, ShardPositions{all[0]}, all}) {
    const auto read = parse_positions(to_string(some));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(*read, some);
  }
}

TEST(Positions, AnythingElseIsRefused) {
  for (const char* wrong : {"1", "1:", ":1-1", "1:1", "1:1-", "1:-1", "a:1-1", "1:1-1 ", " 1:1-1",
                            "1:1-1;2:1-1", "1:1-1,1:1-2", "4294967296:1-1", ",", "1:1-1,,2:1-1", "-1:1-1"})
    EXPECT_FALSE(parse_positions(wrong).has_value()) << wrong;
}

TEST(WatchPort, MessagesAreWhatTheirPageSays) {
  const WatchedEvent event{{Epoch{7}, Seq{1042}}, EventType::put, "city", "Delhi"};
  EXPECT_EQ(watch_topic("city"), "kcity");
  EXPECT_EQ(encode_watch_event(ShardId{3}, event, {{0, 9}, {2, 300}}),
            std::string("\x97\x01\x01\x03\x07\xcd\x04\x12\xc4\x05"
                        "Delhi\x92\x92\x00\x09\x92\x02\xcd\x01\x2c",
                        24));
  EXPECT_EQ(encode_watch_counts({{4, 1}}), std::string("\x93\x01\x00\x91\x92\x04\x01", 7));
}

}  // namespace
}  // namespace dkv
