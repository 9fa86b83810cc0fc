// What an operator does to a shard: hands it over, and goes on with a copy that was not in sync.
#include "tests/e2e/load.hpp"
#include "tests/e2e/shard_test.hpp"
#include "tests/linearizability/check.hpp"

namespace dkv::e2e {
namespace {

class Operator : public City {
 protected:
  Finished distrikv(std::vector<std::string> arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), program("distrikv"));
    arguments.insert(arguments.end(), {"--node", cluster_.rpc("witness")});
    return run(arguments, {.input = input, .environment = {}});
  }
  /// Waits until the register has dropped the replica, so that a write needs one copy.
  bool is_dropped() {
    return eventually(kReadyTimeout, [this] { return !is_in_sync(); });
  }
};

TEST_F(Operator, HandsAShardOverAndNoRequestIsLost) {
  start(kCity, 4);
  Load load({.client = {.seeds = {cluster_.rpc("witness")}, .deadline = 10s}, .keys = keys_, .seed = 1});
  load.start();
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(becomes_in_sync());
    const std::string heir = replica();
    ASSERT_TRUE(load.wait_for(500));
    const Finished done = distrikv({"failover", "delhi"});
    EXPECT_EQ(done.code, 0) << done.out << done.err;
    EXPECT_NE(done.out.find(heir), std::string::npos) << done.out;
    EXPECT_EQ(primary(), heir);
  }
  ASSERT_TRUE(load.wait_for(500));
  load.stop();
  const linear::History history = load.history();
  for (const linear::Operation& one : history) {
    EXPECT_TRUE(one.outcome == linear::Outcome::ok || one.outcome == linear::Outcome::not_found)
        << "who asks again as told gets an answer: " << one.key << ", outcome "
        << static_cast<int>(one.outcome);
  }
  const linear::Judgement judgement = linear::check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
}

TEST_F(Operator, HandsNothingOverToACopyThatIsNotInSync) {
  start(kCity, 4);
  write_all("kept ");
  const std::string leader = primary();
  cluster_.kill(replica());
  ASSERT_TRUE(is_dropped());
  const Finished refused = distrikv({"failover", "delhi", "--timeout", "2"});
  EXPECT_EQ(refused.code, 3) << refused.out << refused.err;
  EXPECT_NE(refused.err.find("in-sync"), std::string::npos) << refused.err;
  EXPECT_EQ(primary(), leader);
  expect_all("kept ");
}

TEST_F(Operator, GoesOnWithACopyThatWasNotInSyncOnlyWhenTold) {
  start(kCity, 20);
  write_all("old ");
  const std::string leader = primary();
  const std::string left = replica();
  ASSERT_TRUE(cluster_.wait_until_level(leader, left, shard_));
  EXPECT_EQ(distrikv({"promote", "delhi", "--to", left, "--force", "--yes"}).code, 2)
      << "the shard is served";
  cluster_.kill(left);
  ASSERT_TRUE(is_dropped());
  write_all("new ");
  cluster_.kill(leader);
  cluster_.start({left});
  ASSERT_TRUE(eventually(kReadyTimeout, [&] { return read(left, keys_[0]).status == 200; }));

  // It never takes over by itself.
  EXPECT_EQ(distrikv({"status"}).code, 3);
  const Finished unforced = distrikv({"promote", "delhi", "--to", left});
  EXPECT_EQ(unforced.code, 2) << unforced.out << unforced.err;
  EXPECT_EQ(distrikv({"promote", "delhi", "--to", left, "--force"}, "mumbai\n").code, 2) << "not confirmed";
  EXPECT_NE(HttpClient(5s).once(cluster_.http(left), "GET", kv_path(keys_[0])).status, 200);

  const Finished forced = distrikv({"promote", "delhi", "--to", left, "--force"}, "delhi\n");
  ASSERT_EQ(forced.code, 0) << forced.out << forced.err;
  EXPECT_NE(forced.err.find("lost"), std::string::npos) << forced.err;
  EXPECT_EQ(primary(), left);
  expect_all("old ");
  write_all("forced ");

  // What the old primary had beyond that is given up.
  cluster_.start({leader});
  expect_on_both("forced ");
  EXPECT_EQ(primary(), left);
}

}  // namespace
}  // namespace dkv::e2e
