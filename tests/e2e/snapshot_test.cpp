// A replica that its primary's log does not reach back to takes a copy of the whole shard.
#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {
namespace {

class Snapshot : public City {
 protected:
  void SetUp() override {
    // A log that soon holds only the newest writes.
    cluster_.set_options({"--memtable", "1MiB", "--log-segment", "1MiB", "--log-retain", "0"});
    padding_ = std::string(10'000, 'v');
    start(kCity, 400);
  }
};

TEST_F(Snapshot, BringsAnEmptiedReplicaBackWhenTheLogHasBeenTrimmed) {
  write_all("first ");
  write_all("second ");
  const std::string emptied = replica();
  cluster_.kill(emptied);
  cluster_.wipe(emptied);
  cluster_.start({emptied});
  expect_on_both("second ");
  EXPECT_TRUE(has_logged(emptied, "taking a copy of the whole shard"));
  EXPECT_TRUE(has_logged(emptied, "the copy is complete"));
  write_all("third ");
  expect_on_both("third ");
}

TEST_F(Snapshot, ReplacesWhatAReplicaHadThatWasAwayForLong) {
  write_all("before ");
  const std::string away = replica();
  cluster_.kill(away);
  const std::string gone = "gone";
  ASSERT_EQ(put(gone, "soon deleted"), 201);
  write_all("meanwhile ");
  write_all("later ");
  ASSERT_EQ(remove(gone), 204);
  cluster_.start({away});
  expect_on_both("later ");
  EXPECT_EQ(read(away, gone).status, 404);
  EXPECT_TRUE(has_logged(away, "taking a copy of the whole shard"));
  // What it has is on its disk: once it is in sync, it is enough.
  ASSERT_TRUE(becomes_in_sync());
  cluster_.kill(primary());
  cluster_.kill(away);
  cluster_.start({away});
  EXPECT_EQ(primary(), away);
  expect_all("later ");
}

}  // namespace
}  // namespace dkv::e2e
