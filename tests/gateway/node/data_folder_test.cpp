#include "gateway/node/data_folder.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

/// Folders and files that were synced, in this process, by their paths.
std::set<std::string>& synced() {
  static std::set<std::string> paths;
  return paths;
}

}  // namespace

/// Stands before the C library's, to see what is made durable.
extern "C" int fsync(int file) {
  std::error_code ignored;
  synced().insert(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), ignored).string());
  return static_cast<int>(::syscall(SYS_fsync, file));
}

namespace dkv {
namespace {

constexpr std::uint64_t kCluster = 0x5eed;

class DataFolderTest : public ::testing::Test {
 protected:
  DataFolderTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "data-folder-XXXXXX").string();
    DKV_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    base_ = pattern;
    path_ = base_ + "/delhi/data";
  }
  ~DataFolderTest() override { std::filesystem::remove_all(base_); }

  Result<DataFolder> take(const std::string& node = "delhi", std::uint64_t cluster = kCluster) {
    return DataFolder::take(path_, node, cluster);
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(path_);
    std::ofstream(path_ + "/" + name) << text;
  }
  /// Every file with its content.
  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(base_)) {
      if (entry.is_directory()) continue;
      std::ifstream file(entry.path());
      files[entry.path().string()] = {std::istreambuf_iterator<char>(file), {}};
    }
    return files;
  }
  void expect_refusal(const Result<DataFolder>& result, Errc code, const std::vector<std::string>& words) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    for (const std::string& word : words) {
      EXPECT_NE(result.error().message.find(word), std::string::npos)
          << word << " in: " << result.error().message;
    }
  }

  std::string base_;
  std::string path_;
};

TEST_F(DataFolderTest, MakesAMissingFolderAndKnowsItAgain) {
  std::string incarnation;
  {
    const auto first = take();
    ASSERT_TRUE(first) << first.error().message;
    incarnation = first->incarnation();
    EXPECT_EQ(incarnation.size(), 32U);
  }
  const auto again = take();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->incarnation(), incarnation);
}

TEST_F(DataFolderTest, SyncsTheParentOfEveryFolderThatItMakes) {
  path_ = base_ + "/one/two/data";
  synced().clear();
  ASSERT_TRUE(take());
  for (const std::string& parent : {base_, base_ + "/one", base_ + "/one/two"}) {
    EXPECT_EQ(synced().count(parent), 1U) << parent;
  }
  EXPECT_EQ(synced().count(std::filesystem::path(base_).parent_path().string()), 0U) << "it was there";
}

TEST_F(DataFolderTest, TakesARelativePathAndSyncsItsParentsToo) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(base_);
  path_ = "one/./two/../three";
  synced().clear();
  EXPECT_TRUE(take());
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::is_directory(base_ + "/one/three"));
  for (const std::string& parent : {base_, base_ + "/one"}) EXPECT_EQ(synced().count(parent), 1U) << parent;
}

TEST_F(DataFolderTest, GivesAWipedFolderANewIncarnation) {
  const std::string before = take()->incarnation();
  std::filesystem::remove_all(path_);
  EXPECT_NE(take()->incarnation(), before);
}

TEST_F(DataFolderTest, CountsProcessesThatEndWithoutHavingLasted) {
  for (std::uint64_t before = 0; before < 3; ++before) EXPECT_EQ(take()->crashes(), before);
  take()->forget_crashes();
  EXPECT_EQ(take()->crashes(), 0U);
  EXPECT_EQ(take()->crashes(), 1U);
  std::ofstream(path_ + "/starts") << "nonsense";
  EXPECT_EQ(take()->crashes(), 0U);
}

TEST_F(DataFolderTest, RefusesAFolderInUseAndNamesTheProcess) {
  const auto first = take();
  ASSERT_TRUE(first);
  const auto before = everything();
  expect_refusal(take(), Errc::in_use, {path_, "in use", std::to_string(::getpid())});
  EXPECT_EQ(everything(), before);
}

TEST_F(DataFolderTest, RefusesTheFolderOfAnotherNodeAndChangesNothing) {
  ASSERT_TRUE(take("delhi"));
  const auto before = everything();
  expect_refusal(take("mumbai"), Errc::in_use, {path_, "'delhi'", "'mumbai'"});
  EXPECT_EQ(everything(), before);
  EXPECT_TRUE(take("delhi"));
}

TEST_F(DataFolderTest, RefusesTheFolderOfAnotherClusterAndChangesNothing) {
  ASSERT_TRUE(take());
  const auto before = everything();
  expect_refusal(take("delhi", kCluster + 1), Errc::in_use, {path_, "another cluster", "5eed", "5eee"});
  EXPECT_EQ(everything(), before);
}

TEST_F(DataFolderTest, RefusesAFolderOfSomebodyElseAndChangesNothing) {
  write("holiday.jpg", "a picture");
  const auto before = everything();
  expect_refusal(take(), Errc::in_use, {path_, "not a data folder"});
  EXPECT_EQ(everything(), before);
}

TEST_F(DataFolderTest, TakesWhatAFirstStartThatDiedLeftBehind) {
  write("lock", "");
  write("node.json.new", "{\"format\"");
  EXPECT_TRUE(take());
}

TEST_F(DataFolderTest, RefusesAnIdentityThatIsDamaged) {
  for (const char* text : {"", "{", "[]", "{\"format\": \"1\"}", "\xff\xff",
                           R"({"format":2,"node":"delhi","cluster":"0000000000005eed"})"}) {
    write("node.json", text);
    expect_refusal(take(), Errc::corrupt, {path_ + "/node.json"});
  }
}

TEST_F(DataFolderTest, RefusesAFormatItDoesNotKnow) {
  write("node.json", R"({"format":3,"node":"delhi"})");
  expect_refusal(take(), Errc::wrong_version, {path_ + "/node.json", "format 3"});
}

TEST_F(DataFolderTest, RefusesAPathThatCanBeNoFolder) {
  std::ofstream(base_ + "/delhi") << "a file";
  expect_refusal(take(), Errc::io_error, {path_});
}

TEST_F(DataFolderTest, MakesAShardsFolders) {
  const auto data = take();
  ASSERT_TRUE(data);
  for (int run = 0; run < 2; ++run) {
    const auto folder = data->shard_folder("pune");
    ASSERT_TRUE(folder) << folder.error().message;
    EXPECT_EQ(folder->log, path_ + "/shard-pune");
    EXPECT_TRUE(std::filesystem::is_directory(folder->store));
  }
}

TEST_F(DataFolderTest, IsInspectedWithoutBeingClaimed) {
  { ASSERT_TRUE(take()->shard_folder("pune")); }
  write("shard-file", "not a folder");
  auto before = everything();
  {
    const auto data = DataFolder::inspect(path_ + "/");
    ASSERT_TRUE(data) << data.error().message;
    EXPECT_EQ(*data->node_name(), "delhi");
    EXPECT_EQ(*data->shard_names(), std::vector<std::string>{"pune"});
    expect_refusal(take(), Errc::in_use, {"in use by pid " + std::to_string(::getpid()) + ": stop it first"});
    expect_refusal(DataFolder::inspect(path_), Errc::in_use, {"stop it first"});
  }
  EXPECT_EQ(everything(), before);
  EXPECT_TRUE(take()) << "it lets go of the lock";
}

TEST_F(DataFolderTest, InspectsNothingButADataFolder) {
  expect_refusal(DataFolder::inspect(path_), Errc::bad_request, {path_, "not a data folder"});
  EXPECT_FALSE(std::filesystem::exists(path_));
  write("holiday.jpg", "a picture");
  const auto before = everything();
  expect_refusal(DataFolder::inspect(path_), Errc::bad_request, {path_, "not a data folder"});
  EXPECT_EQ(everything(), before);
}

TEST_F(DataFolderTest, InspectsAFolderWhoseIdentityIsDamaged) {
  { ASSERT_TRUE(take()); }
  for (const char* text : {"", "{", R"({"format":2})", R"({"format":2,"node":"delhi"})"}) {
    write("node.json", text);
    EXPECT_EQ(DataFolder::inspect(path_)->node_name().error().code, Errc::corrupt) << text;
  }
  write("node.json", R"({"format":3})");
  EXPECT_EQ(DataFolder::inspect(path_)->node_name().error().code, Errc::wrong_version);
}

TEST(RandomNumber, DiffersEveryTime) { EXPECT_NE(random_number(), random_number()); }

TEST_F(DataFolderTest, AShardsFolderKeepsItsIncarnationUntilItIsWiped) {
  const auto folder = take();
  ASSERT_TRUE(folder);
  const auto first = folder->shard_folder("delhi");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_NE(first->incarnation, 0U);
  EXPECT_TRUE(synced().contains(first->log + "/incarnation.new")) << "before it gets its name";
  EXPECT_TRUE(synced().contains(first->log));
  EXPECT_EQ(folder->shard_folder("delhi")->incarnation, first->incarnation);
  EXPECT_NE(folder->shard_folder("mumbai")->incarnation, first->incarnation);
  std::filesystem::remove_all(first->log);
  EXPECT_NE(folder->shard_folder("delhi")->incarnation, first->incarnation);
}

TEST_F(DataFolderTest, RefusesADamagedIncarnationRatherThanBeANewMember) {
  const auto folder = take();
  ASSERT_TRUE(folder);
  ASSERT_TRUE(folder->shard_folder("delhi"));
  for (const char* text : {"", "0000000000000000\n", "12", "zz\n", "12345678901234567890\n"}) {
    write("shard-delhi/incarnation", text);
    const auto damaged = folder->shard_folder("delhi");
    ASSERT_FALSE(damaged) << text;
    EXPECT_EQ(damaged.error().code, Errc::corrupt);
    EXPECT_NE(damaged.error().message.find("shard-delhi/incarnation"), std::string::npos);
  }
}

}  // namespace
}  // namespace dkv
