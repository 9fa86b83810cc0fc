// The Python client's own tests, against a live cluster. With Debian's Python: another one may stand first
// in PATH, without its packages.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

TEST(PythonClient, PassesItsTestsAgainstALiveCluster) {
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));
  std::string nodes;
  for (const std::string& node : all_nodes()) nodes += (nodes.empty() ? "" : ",") + cluster.rpc(node);
  const Finished tests =
      run({"/usr/bin/python3", "-m", "unittest", "discover", "--verbose", "--start-directory",
           DKV_SOURCE "/tests/gateway/python", "--pattern", "test_*.py"},
          {.input = "",
           .environment = {"DISTRIKV_NODES=" + nodes, "PYTHONDONTWRITEBYTECODE=1",
                           "PYTHONPATH=" DKV_SOURCE "/gateway/python"}});
  EXPECT_EQ(tests.code, 0) << tests.out << tests.err;
  EXPECT_EQ(tests.err.find("skipped"), std::string::npos)
      << "nothing is skipped when a cluster runs: " << tests.err;
  EXPECT_EQ(tests.err.find("Ran 0 tests"), std::string::npos) << tests.err;
}

}  // namespace
}  // namespace dkv::e2e
