// Every door says the same: tests/conformance/run.py against the four cities.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

TEST(Conformance, EveryDoorAnswersAlike) {
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));
  const Finished done =
      run({"/usr/bin/python3", DKV_SOURCE "/tests/conformance/run.py", "--http",
           cluster.http("mumbai-replica"), "--rpc", cluster.rpc("chennai"), "--programs", DKV_PROGRAMS},
          {.input = "",
           .environment = {"PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" DKV_SOURCE "/gateway/python"},
           .timeout = 200s});
  std::printf("%s", done.out.c_str());
  EXPECT_EQ(done.code, 0) << done.err;
}

}  // namespace
}  // namespace dkv::e2e
