// What `cmake --install` leaves is enough: the programs run, and others build with the client.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

TEST(Install, AProgramFindsTheClientAndStoresAValue) {
  const TemporaryFolder folder;
  const std::string prefix = folder.path() / "prefix";
  const std::string build = folder.path() / "build";
  const Finished installed = run({"cmake", "--install", DKV_BUILD, "--prefix", prefix});
  ASSERT_EQ(installed.code, 0) << installed.err;
  const Finished configured =
      run({"cmake", "-G", "Ninja", "-S", DKV_SOURCE "/tests/gateway/client/consumer", "-B", build,
           "-DCMAKE_PREFIX_PATH=" + prefix, "-DEXAMPLE=" DKV_SOURCE "/gateway/client/example.cpp"});
  ASSERT_EQ(configured.code, 0) << configured.out << configured.err;
  const Finished built = run({"cmake", "--build", build}, {.input = "", .environment = {}, .timeout = 120s});
  ASSERT_EQ(built.code, 0) << built.out << built.err;

  Cluster cluster(city());
  ASSERT_TRUE(cluster.start_and_wait(kCity));
  const Finished stored = run({build + "/consumer", cluster.rpc("delhi-replica")});
  EXPECT_EQ(stored.out, "Delhi\n") << stored.err;
  EXPECT_EQ(run({prefix + "/bin/distrikv", "get", "city", "--node", cluster.rpc("delhi")}).out, "Delhi");
  EXPECT_EQ(run({prefix + "/bin/distrikvd", "--version"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(prefix + "/share/bash-completion/completions/distrikv"));
}

}  // namespace
}  // namespace dkv::e2e
