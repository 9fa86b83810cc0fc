#include "messages/session.hpp"

#include <gtest/gtest.h>

namespace dkv {
namespace {

Position at(std::uint64_t epoch, std::uint64_t seq) { return {Epoch{epoch}, Seq{seq}}; }

TEST(Session, ReadsAsItIsWritten) {
  const Session session{12, {{ShardId{1}, at(7, 1042)}, {ShardId{3}, at(9, 8)}}};
  EXPECT_EQ(to_string(session), "12;1:7-1042,3:9-8");
  for (const Session& one : {session, Session{}, Session{3, {}}}) {
    const auto read = parse_session(to_string(one));
    ASSERT_TRUE(read.has_value()) << to_string(one);
    EXPECT_EQ(*read, one);
  }
}

TEST(Session, NothingElseIsTakenForOne) {
  for (const char* wrong :
       {"12", ";", "x;", "12;1", "12;1:7", "12;1:7-1,1:7-2", "-1;", "12:1:7-1", "12;1:7-1;"}) {
    const auto read = parse_session(wrong);
    ASSERT_FALSE(read.has_value()) << wrong;
    EXPECT_EQ(read.error().code, Errc::bad_request);
  }
}

TEST(Session, GoesUpToWhatItIsToldAndNeverBack) {
  Session session{12, {{ShardId{1}, at(7, 1042)}, {ShardId{3}, at(9, 8)}}};
  session.take({11, {{ShardId{1}, at(7, 1043)}, {ShardId{2}, at(1, 1)}, {ShardId{3}, at(8, 9)}}});
  EXPECT_EQ(session,
            (Session{12, {{ShardId{1}, at(7, 1043)}, {ShardId{2}, at(1, 1)}, {ShardId{3}, at(9, 8)}}}));
  EXPECT_EQ(session.of(ShardId{3}), at(9, 8));
  EXPECT_EQ(session.of(ShardId{4}), Position{});
}

}  // namespace
}  // namespace dkv
