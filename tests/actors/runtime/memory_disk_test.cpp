#include "actors/runtime/memory_disk.hpp"

#include <gtest/gtest.h>

namespace dkv {
namespace {

TEST(MemoryDisk, ReadsBackWhatWasWrittenAndWritesOverIt) {
  MemoryDisk disk;
  const auto file = std::move(*disk.open("log", true));
  ASSERT_TRUE(file->write(0, {"one", "", "two"}));
  ASSERT_TRUE(file->write(3, {"2", "and more"}));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(file->size(), 12U);
  EXPECT_EQ(file->read(0, 100).value(), "one2and more");
  EXPECT_EQ(file->read(3, 4).value(), "2and");
  EXPECT_EQ(file->read(12, 1).value(), "");
}

TEST(MemoryDisk, KnowsItsFilesByName) {
  MemoryDisk disk;
  EXPECT_FALSE(disk.open("b", false));
  const auto open = std::move(*disk.open("b", true));
  ASSERT_TRUE(open->write(0, {"text"}));
  ASSERT_TRUE(disk.open("a", true));
  EXPECT_EQ(disk.list().value(), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(disk.rename("b", "c"));
  EXPECT_EQ((*disk.open("c", false))->read(0, 9).value(), "text");
  ASSERT_TRUE(open->write(4, {"!"}));  // open files stay open
  EXPECT_EQ((*disk.open("c", true))->size(), 5U);
  ASSERT_TRUE(disk.remove("a"));
  ASSERT_TRUE(disk.remove("a"));
  EXPECT_EQ(disk.list().value(), std::vector<std::string>{"c"});
}

}  // namespace
}  // namespace dkv
