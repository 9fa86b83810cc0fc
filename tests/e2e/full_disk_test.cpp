// A full disk makes a shard read-only; it goes on by itself when there is room, and nothing acknowledged is
// lost. The node's data folder is a small tmpfs in a mount namespace of the test's own.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

const std::string kNode = "delhi";
constexpr int kTooMany = 1000;  // writes of 100 kB: far more than the disk takes

class FullDisk : public testing::Test {
 protected:
  void SetUp() override {
    // From here on what this process mounts is its own, and its children's, and ends with them.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "this user may not mount a small file system (" << std::strerror(errno)
                   << "): run it as root to see what a full disk does";
    }
    std::filesystem::create_directories(cluster_.data(kNode));
    ASSERT_EQ(::mount("none", cluster_.data(kNode).c_str(), "tmpfs", 0, "size=24m"), 0)
        << std::strerror(errno);
    mounted_ = true;
    ASSERT_TRUE(cluster_.start_and_wait({"witness", kNode}));
    std::ofstream(ballast()) << std::string(std::size_t{12} << 20, 'x');  // half of it
  }
  void TearDown() override {
    if (!mounted_) return;
    cluster_.kill(kNode);
    ::umount2(cluster_.data(kNode).c_str(), MNT_DETACH);
  }

  std::filesystem::path ballast() const { return cluster_.data(kNode) / "ballast"; }
  int write(const std::string& key) {
    const std::string value = key + std::string(100'000, '.');
    const int status = HttpClient(2s).once(cluster_.http(kNode), "PUT", kv_path(key), value).status;
    if (status == 200 || status == 201) acknowledged_[key] = value;
    return status;
  }
  /// Writes until a write is refused; its status.
  int write_until_refused(const std::string& prefix) {
    int status = 0;
    for (int i = 0; i < kTooMany && status != 507; ++i) {
      status = write(key_of_shard(cluster_.http(kNode), kNode, prefix + std::to_string(i) + "-"));
    }
    return status;
  }
  void expect_all_there() {
    ASSERT_FALSE(acknowledged_.empty());
    for (const auto& [key, value] : acknowledged_) {
      const HttpResponse got = HttpClient(5s).once(cluster_.http(kNode), "GET", kv_path(key));
      ASSERT_EQ(got.status, 200) << key << ": " << got.body;
      ASSERT_TRUE(got.body == value) << key;
    }
  }

  Cluster cluster_{city()};
  bool mounted_ = false;
  std::map<std::string, std::string> acknowledged_;
};

TEST_F(FullDisk, MakesAShardReadOnlyUntilThereIsRoomAndLosesNothing) {
  EXPECT_EQ(write_until_refused("first-"), 507);
  expect_all_there();
  const std::string problem = cluster_.member_status(kNode)["problem"];
  EXPECT_NE(problem.find("the disk is full"), std::string::npos) << problem;
  EXPECT_TRUE(cluster_.is_running(kNode));

  const std::string later = key_of_shard(cluster_.http(kNode), kNode, "later-");
  std::filesystem::remove(ballast());
  EXPECT_TRUE(eventually(10s, [&] { return write(later) / 100 == 2; }));
  EXPECT_EQ(cluster_.member_status(kNode)["problem"], "");

  // Full again, and killed: it starts on a full disk, and is there when there is room.
  EXPECT_EQ(write_until_refused("second-"), 507);
  cluster_.kill(kNode);
  cluster_.start({kNode});
  EXPECT_TRUE(eventually(
      10s, [&] { return HttpClient(2s).once(cluster_.http(kNode), "GET", "/healthz").status == 200; }));
  ASSERT_EQ(::mount("none", cluster_.data(kNode).c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  ASSERT_TRUE(cluster_.wait_until_ready({kNode}));
  expect_all_there();
  EXPECT_TRUE(eventually(10s, [&] { return write(later) / 100 == 2; }));
  cluster_.kill(kNode);
  ASSERT_TRUE(cluster_.start_and_wait({kNode}));
  expect_all_there();
}

}  // namespace
}  // namespace dkv::e2e
