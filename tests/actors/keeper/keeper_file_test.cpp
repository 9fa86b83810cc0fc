#include "actors/keeper/keeper_file.hpp"

#include "tests/actors/keeper/keeper_kit.hpp"

namespace dkv::test {
namespace {

class KeeperFiles : public testing::Test {
 protected:
  Result<KeeperState> open() {
    file_.emplace(disk_.open(), kCluster, NodeId{1});
    return file_->open(++next_incarnation_);
  }
  static KeeperState state(std::uint64_t incarnation, std::uint64_t counter) {
    KeeperState state;
    state.incarnation = incarnation;
    state.promised = ballot(counter);
    state.accepted = ballot(counter - 1);
    state.topology = std::string(counter % 7 * 50, static_cast<char>('a' + counter % 26));
    return state;
  }
  void damage(const std::string& name) {
    auto& file = disk_.platter.files.at(name);
    for (std::string* bytes : {&file.content, &file.durable}) (*bytes)[bytes->size() / 2] ^= 1;
  }

  TestDisk disk_;
  std::optional<KeeperFile> file_;
  std::uint64_t next_incarnation_ = 100;
};

TEST_F(KeeperFiles, OfAnEmptyFolderBeginAnIncarnationThatStays) {
  const auto first = open();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->incarnation, 101U);
  EXPECT_EQ(first->since, 1U);
  EXPECT_EQ(first->accepted, Ballot{});
  disk_.crash();
  EXPECT_EQ(open()->incarnation, 101U);
}

TEST_F(KeeperFiles, HoldWhatWasSaved) {
  ASSERT_TRUE(open());
  for (std::uint64_t counter = 1; counter < 20; ++counter) {
    ASSERT_TRUE(file_->save(state(101, counter)));
    if (counter % 3 == 0) disk_.crash();
    if (counter % 3 == 0) {
      ASSERT_EQ(*open(), state(101, counter));
    }
  }
}

/// Whenever the power goes, the state is the last one saved, or the one that was being saved; and a life
/// later likewise, when the power goes while that is being repaired.
TEST_F(KeeperFiles, LoseNothingAtAnyCrashPoint) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    disk_ = TestDisk{};
    disk_.random = sim::Random(seed);
    ASSERT_TRUE(open());
    std::uint64_t saved = 0;
    for (int life = 0; life < 6; ++life) {
      std::uint64_t tried = saved;
      disk_.platter.fails_at_step = disk_.platter.steps + disk_.random.below(12);
      try {
        const auto found = open();
        ASSERT_TRUE(found) << "seed " << seed << ": " << found.error().message;
        ASSERT_GE(found->promised.counter, saved) << "seed " << seed;
        for (;;) {
          ++tried;
          ASSERT_TRUE(file_->save(state(101, tried)));
          saved = tried;
        }
      } catch (const sim::PowerLoss&) {
      }
      disk_.crash();
      const auto found = open();
      ASSERT_TRUE(found) << "seed " << seed << ": " << found.error().message;
      if (saved == 0 && tried == 0) continue;
      const auto counter = found->promised.counter;
      ASSERT_TRUE(counter >= saved && counter <= tried) << "seed " << seed;
      if (counter > 0) {
        ASSERT_EQ(*found, state(101, counter));
      }
      saved = counter;
    }
  }
}

TEST_F(KeeperFiles, OfWhichOneIsDamagedLoseNothing) {
  for (const char* name : {"keeper-a", "keeper-b"}) {
    ASSERT_TRUE(open());
    ASSERT_TRUE(file_->save(state(101, 9)));
    disk_.crash();
    damage(name);
    EXPECT_EQ(*open(), state(101, 9));
    EXPECT_TRUE(file_->was_repaired());
    EXPECT_EQ(*open(), state(101, 9));
    EXPECT_FALSE(file_->was_repaired());
  }
}

TEST_F(KeeperFiles, BothDamagedAreRefused) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(file_->save(state(101, 9)));
  disk_.crash();
  damage("keeper-a");
  damage("keeper-b");
  const auto found = open();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::corrupt);
}

TEST_F(KeeperFiles, OfAnotherClusterOrNodeAreRefused) {
  ASSERT_TRUE(open());
  EXPECT_EQ(KeeperFile(disk_.open(), kCluster + 1, NodeId{1}).open(5).error().code, Errc::in_use);
  EXPECT_EQ(KeeperFile(disk_.open(), kCluster, NodeId{2}).open(5).error().code, Errc::in_use);
}

TEST_F(KeeperFiles, OnAFullDiskKeepTheOldStateAndTakeTheNewOneLater) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(file_->save(state(101, 7)));
  disk_.platter.capacity = disk_.platter.size() + 10;
  EXPECT_EQ(file_->save(state(101, 13)).error().code, Errc::disk_full);
  EXPECT_EQ(file_->save(state(101, 13)).error().code, Errc::disk_full);
  auto crashed = disk_;
  crashed.crash();
  const auto old = KeeperFile(crashed.open(), kCluster, NodeId{1}).open(5);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->promised, ballot(7));
  disk_.platter.capacity = SIZE_MAX;
  ASSERT_TRUE(file_->save(state(101, 13)));
  disk_.crash();
  EXPECT_EQ(*open(), state(101, 13));
}

}  // namespace
}  // namespace dkv::test
