#include "actors/runtime/posix_disk.hpp"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {
std::atomic<int> folder_syncs{0};
}

/// Instead of the C library's, to see who calls it: in all else the same.
extern "C" int fsync(int descriptor) {
  ++folder_syncs;
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace dkv {
namespace {

class PosixDiskTest : public ::testing::Test {
 protected:
  PosixDiskTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "posix-disk-XXXXXX").string();
    DKV_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<File> open(const std::string& name, bool create = false) {
    auto file = PosixDisk(folder_).open(name, create);
    EXPECT_TRUE(file) << file.error().message;
    return file ? std::move(*file) : nullptr;
  }

  std::string folder_;
};

TEST_F(PosixDiskTest, ReadsBackWhatWasWritten) {
  const auto file = open("log", true);
  ASSERT_TRUE(file->write(0, {"one", "", "two"}));
  ASSERT_TRUE(file->write(6, {"three"}));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(file->size(), 11U);
  EXPECT_EQ(file->read(0, 100).value(), "onetwothree");
  EXPECT_EQ(file->read(3, 3).value(), "two");
  EXPECT_EQ(file->read(6, 100).value(), "three");
  EXPECT_EQ(file->read(11, 1).value(), "");
}

TEST_F(PosixDiskTest, WritesOverWhatIsThere) {
  ASSERT_TRUE(open("log", true)->write(0, {"before"}));
  const auto file = open("log");
  EXPECT_EQ(file->size(), 6U);
  ASSERT_TRUE(file->write(2, {"x", "y"}));
  EXPECT_EQ(file->size(), 6U);
  ASSERT_TRUE(file->write(5, {"after"}));
  EXPECT_EQ(file->read(0, 100).value(), "bexyrafter");
}

TEST_F(PosixDiskTest, WritesMorePartsThanOneSystemCallTakes) {
  const std::vector<std::string> texts(3 * IOV_MAX + 7, "ab");
  const auto file = open("log", true);
  ASSERT_TRUE(file->write(0, {texts.begin(), texts.end()}));
  EXPECT_EQ(file->size(), 2 * texts.size());
  const std::string bytes = file->read(0, 1 << 20).value();
  ASSERT_EQ(bytes.size(), 2 * texts.size());
  EXPECT_EQ(bytes.substr(bytes.size() - 4), "abab");
}

TEST_F(PosixDiskTest, RenamesAFileThatStaysOpen) {
  const auto file = open("one", true);
  ASSERT_TRUE(file->write(0, {"before"}));
  const int before = folder_syncs;
  ASSERT_TRUE(PosixDisk(folder_).rename("one", "two"));
  EXPECT_EQ(folder_syncs, before + 1);
  ASSERT_TRUE(file->write(6, {"after"}));
  EXPECT_EQ(PosixDisk(folder_).list().value(), (std::vector<std::string>{"two"}));
  EXPECT_EQ(open("two")->read(0, 100).value(), "beforeafter");
}

TEST_F(PosixDiskTest, RemovesAFileOnce) {
  open("one", true);
  const int before = folder_syncs;
  ASSERT_TRUE(PosixDisk(folder_).remove("one"));
  EXPECT_EQ(folder_syncs, before + 1);
  EXPECT_TRUE(PosixDisk(folder_).list().value().empty());
  EXPECT_TRUE(PosixDisk(folder_).remove("one"));
}

TEST_F(PosixDiskTest, ListsFilesSortedAndNothingElse) {
  for (const char* name : {"b", "a", "c"}) open(name, true);
  std::filesystem::create_directory(folder_ + "/store");
  EXPECT_EQ(PosixDisk(folder_).list().value(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(PosixDiskTest, MakesTheNamesDurableThatItLists) {
  open("log", true);
  const int before = folder_syncs;
  ASSERT_TRUE(PosixDisk(folder_).list());
  EXPECT_EQ(folder_syncs, before + 1);
}

TEST_F(PosixDiskTest, NamesTheFileThatIsMissing) {
  const auto file = PosixDisk(folder_).open("nothing", false);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::io_error);
  EXPECT_NE(file.error().message.find(folder_ + "/nothing"), std::string::npos);
}

TEST_F(PosixDiskTest, NamesTheFolderThatIsMissing) {
  const auto names = PosixDisk(folder_ + "/none").list();
  ASSERT_FALSE(names);
  EXPECT_NE(names.error().message.find(folder_ + "/none"), std::string::npos);
}

TEST_F(PosixDiskTest, ReportsAWriteThatFails) {
  // A file size limit is the failure that a test can have anywhere; the first part still fits.
  const auto file = open("log", true);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = file->write(0, {"01234", "0123456789"});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::io_error);
  EXPECT_EQ(file->size(), 10U);  // what was written is known
}

TEST(SystemError, TellsAFullDiskFromABrokenOne) {
  EXPECT_EQ(system_error(ENOSPC, "cannot append to", "x").code, Errc::disk_full);
  EXPECT_EQ(system_error(EDQUOT, "cannot append to", "x").code, Errc::disk_full);
  EXPECT_EQ(system_error(EIO, "cannot append to", "x").code, Errc::io_error);
}

TEST_F(PosixDiskTest, ReadOnlyItReadsAndChangesNothing) {
  ASSERT_TRUE(open("log", true)->write(0, {"content"}));
  PosixDisk disk(folder_, PosixDisk::Access::read_only);
  folder_syncs = 0;
  EXPECT_EQ(disk.list()->size(), 1U);
  EXPECT_EQ(folder_syncs, 0);
  auto file = disk.open("log", false);
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ((*file)->read(0, 100).value(), "content");
  EXPECT_FALSE((*file)->write(0, {"C"}));
  EXPECT_FALSE(disk.open("new", true));
  EXPECT_FALSE(disk.rename("log", "other"));
  EXPECT_FALSE(disk.remove("log"));
  EXPECT_EQ(disk.list().value(), std::vector<std::string>{"log"});
}

}  // namespace
}  // namespace dkv
