#include "messages/unpack.hpp"

#include <gtest/gtest.h>

#include "messages/pack.hpp"

namespace dkv {
namespace {

using namespace std::string_literals;

TEST(Unpacker, RefusesHeadersThatClaimMoreThanThereIs) {
  Unpacker in;
  for (const std::string& bytes :
       {"\xdd\xff\xff\xff\xff"s, "\xdc\xff\xff"s, "\xc6\xff\xff\xff\xff"s, "\xdb\xff\xff\xff\xff"s,
        "\xdf\xff\xff\xff\xff"s, "\xc9\xff\xff\xff\xff\x01"s}) {
    EXPECT_FALSE(in.parse(bytes, 100)) << static_cast<int>(bytes[0]);
    EXPECT_FALSE(in.ok());
  }
}

TEST(Unpacker, RefusesMoreTokensThanAllowedBeforeReadingThemAll) {
  std::string bytes;
  Packer out(bytes);
  out.array(101);
  for (std::uint64_t i = 0; i < 101; ++i) out.uint(i);
  Unpacker in;
  EXPECT_FALSE(in.parse(bytes, 101));
  EXPECT_TRUE(in.parse(bytes, 102));
}

TEST(Unpacker, Refuses17LevelsAndAccepts16) {
  Unpacker in;
  EXPECT_TRUE(in.parse(std::string(16, '\x91') + "\x01", 100));
  EXPECT_FALSE(in.parse(std::string(17, '\x91') + "\x01", 100));
  EXPECT_FALSE(in.parse(std::string(1 << 20, '\x91'), 1 << 21));
}

TEST(Unpacker, CountsDepthAndNotArrays) {
  std::string bytes;
  Packer out(bytes);
  out.array(50);
  for (int i = 0; i < 50; ++i) out.array(0);
  Unpacker in;
  EXPECT_TRUE(in.parse(bytes, 100));
}

TEST(Unpacker, RefusesTypesThatNoFormatOfOursHas) {
  Unpacker in;
  for (const std::string& bytes : {"\xc0"s, "\xff"s, "\xd0\x80"s, "\x80"s, "\xca\0\0\0\0"s,
                                   "\xcb\0\0\0\0\0\0\0\0"s, "\xd4\x01\x01"s, "\xc1"s}) {
    EXPECT_FALSE(in.parse(bytes, 100)) << static_cast<int>(bytes[0]);
  }
}

TEST(Unpacker, RefusesAnEmptyInputAndTwoValues) {
  Unpacker in;
  EXPECT_FALSE(in.parse("", 100));
  EXPECT_FALSE(in.parse("\x01\x02", 100));
}

TEST(Unpacker, KeepsItsFirstErrorUntilTheNextInput) {
  Unpacker in;
  ASSERT_TRUE(in.parse("\x92\x01\x02"s, 100));
  in.array(3);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.uint(), 0U);
  EXPECT_FALSE(in.done());
  ASSERT_TRUE(in.parse("\x05"s, 100));
  EXPECT_EQ(in.uint(), 5U);
  EXPECT_TRUE(in.done());
}

TEST(Unpacker, ReadingPastTheEndIsAnError) {
  Unpacker in;
  ASSERT_TRUE(in.parse("\x05"s, 100));
  EXPECT_EQ(in.uint(), 5U);
  EXPECT_EQ(in.uint(), 0U);
  EXPECT_FALSE(in.ok());
}

TEST(Unpacker, HoldsNumbersAndBytesToTheirLimits) {
  Unpacker in;
  const std::string pair =
      "\x92\x05\xa3"
      "abc";
  ASSERT_TRUE(in.parse(pair, 100));
  in.array(2);
  EXPECT_EQ(in.uint(5), 5U);
  EXPECT_EQ(in.bytes(3), "abc");
  EXPECT_TRUE(in.done());
  ASSERT_TRUE(in.parse(pair, 100));
  in.array(2);
  EXPECT_EQ(in.uint(4), 0U);
  EXPECT_FALSE(in.ok());
  ASSERT_TRUE(in.parse(pair, 100));
  in.array(2);
  (void)in.uint();
  EXPECT_EQ(in.bytes(2), "");
  EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace dkv
