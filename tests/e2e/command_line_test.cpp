// `distrikv` against a live cluster: what it prints and the exit codes that scripts rely on.
// 0: found or done, 1: not found, 2: usage, 3: unavailable.
#include <gtest/gtest.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

Finished distrikv(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), program("distrikv"));
  return run(arguments, {.input = input, .environment = {}});
}

TEST(CommandLine, SetsGetsAndDeletesThroughAnyNode) {
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));
  for (const std::string& node : all_nodes()) {
    const std::string key = "cli-" + node;
    const std::string door = cluster.rpc(node);
    EXPECT_EQ(distrikv({"get", key, "--node", door}).code, 1);
    EXPECT_EQ(distrikv({"set", key, "a value", "--node", door}).code, 0);
    const Finished got = distrikv({"get", key, "--node", cluster.rpc("delhi")});
    EXPECT_EQ(got.code, 0) << got.err;
    EXPECT_EQ(got.out, "a value") << "byte for byte";
    const auto json =
        nlohmann::json::parse(distrikv({"get", key, "--json", "--node", door}).out, nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(json.at("value"), "a value");
    EXPECT_EQ(distrikv({"del", key, "--node", door}).code, 0);
    EXPECT_EQ(distrikv({"del", key, "--node", door}).code, 1);
  }
}

TEST(CommandLine, ShowsStatusAndTopology) {
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));
  const Finished status = distrikv({"status", "--node", cluster.rpc("delhi")});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_NE(status.out.find("delhi"), std::string::npos) << status.out;
  const Finished json = distrikv({"status", "--json", "--node", cluster.rpc("delhi")});
  EXPECT_TRUE(nlohmann::json::accept(json.out)) << json.out << json.err;

  const Finished live = distrikv({"topology", "show", "--json", "--node", cluster.rpc("mumbai")});
  const Finished file =
      distrikv({"topology", "show", "--json", "--topology", cluster.topology_file().string()});
  EXPECT_EQ(live.code, 0) << live.err;
  EXPECT_EQ(file.code, 0) << file.err;
  EXPECT_EQ(nlohmann::json::parse(live.out).at("nodes"), nlohmann::json::parse(file.out).at("nodes"));
}

TEST(CommandLine, TellsUsageErrorsFromUnavailability) {
  const Cluster cluster;  // nothing runs
  EXPECT_EQ(distrikv({}).code, 2);
  EXPECT_EQ(distrikv({"no-such-command"}).code, 2);
  EXPECT_EQ(distrikv({"get"}).code, 2);
  EXPECT_EQ(distrikv({"get", "key", "--no-such-option"}).code, 2);
  EXPECT_EQ(distrikv({"get", "", "--node", cluster.rpc("delhi")}).code, 2) << "an empty key";
  const Finished nobody = distrikv({"get", "key", "--node", cluster.rpc("delhi"), "--timeout", "1"});
  EXPECT_EQ(nobody.code, 3) << nobody.err;
  EXPECT_FALSE(nobody.err.empty());
  EXPECT_EQ(distrikv({"--help"}).code, 0);
}

TEST(CommandLine, WritesTopologiesThatANodeTakes) {
  const Cluster cluster;
  const Finished made =
      distrikv({"topology", "new", "--shards", "3", "--replicas", "2", "--base", "127.9.9.1"});
  ASSERT_EQ(made.code, 0) << made.err;
  write_file(cluster.folder() / "made.toml", made.out);
  const Finished shown =
      distrikv({"topology", "show", "--json", "--topology", (cluster.folder() / "made.toml").string()});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(nlohmann::json::parse(shown.out).at("nodes").size(), 9U);
}

}  // namespace
}  // namespace dkv::e2e
