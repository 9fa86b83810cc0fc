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

TEST(CommandLine, ComparesSetsAndCounts) {
  Cluster cluster{city()};
  ASSERT_TRUE(cluster.start_and_wait(kCity));
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--node", cluster.rpc("witness")});
    return distrikv(std::move(arguments));
  };
  EXPECT_EQ(ask({"set", "k", "1", "--if-exists"}).code, 1);
  const auto created = nlohmann::json::parse(ask({"set", "k", "1", "--if-missing", "--json"}).out);
  const std::string version = created.at("version");
  const Finished again = ask({"set", "k", "1", "--if-missing"});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find(version), std::string::npos) << again.err;
  EXPECT_EQ(ask({"set", "k", "2", "--if-version", version}).code, 0);
  EXPECT_EQ(ask({"set", "k", "3", "--if-version", version}).code, 1);
  EXPECT_EQ(ask({"del", "k", "--if-version", version}).code, 1);
  EXPECT_EQ(ask({"incr", "k"}).out, "3\n");
  EXPECT_EQ(ask({"incr", "k", "--", "-5"}).out, "-2\n");
  EXPECT_EQ(nlohmann::json::parse(ask({"incr", "k", "0", "--json"}).out).at("number"), -2);
  EXPECT_EQ(ask({"del", "k", "--if-exists"}).code, 0);
  EXPECT_EQ(ask({"set", "k", "one"}).code, 0);
  EXPECT_EQ(ask({"incr", "k"}).code, 1);
  EXPECT_EQ(ask({"get", "k"}).out, "one");
  for (const char* wrong : {"7", "7-", "-1", "7-x", "7-1 ", ""})
    EXPECT_EQ(ask({"set", "k", "1", "--if-version", wrong}).code, 2) << wrong;
  EXPECT_EQ(ask({"set", "k", "1", "--if-exists", "--if-missing"}).code, 2);
  EXPECT_EQ(ask({"incr", "k", "1.5"}).code, 2);
}

TEST(CommandLine, ScansExportsAndImports) {
  Cluster cluster;
  ASSERT_TRUE(cluster.start_and_wait(all_nodes()));
  const auto ask = [&](std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--node", cluster.rpc("chennai-replica")});
    return distrikv(std::move(arguments), input);
  };
  std::string lines;
  for (int i = 0; i < 2500; ++i) {
    const std::string number = std::to_string(10'000 + i);
    lines += R"({"key": "row/)" + number + R"(", "value": "v)" + number + "\"}\n";
  }
  const Finished imported =
      ask({"import"}, lines + "\n" + R"({"key_b64": "/wA=", "value_b64": "AP8="})" + "\n");
  EXPECT_EQ(imported.out, "imported 2501 records\n") << imported.err;
  EXPECT_EQ(ask({"scan", "row/", "--limit", "2"}).out, "row/10000\tv10000\nrow/10001\tv10001\n");
  EXPECT_EQ(ask({"scan", "row/", "--limit", "2", "--reverse", "--keys-only"}).out, "row/12499\nrow/12498\n");
  EXPECT_EQ(ask({"scan", "--start", "row/10009", "--end", "row/10010"}).out, "row/10009\tv10009\n");
  EXPECT_EQ(ask({"scan", "nothing"}).code, 0);
  const Finished exported = ask({"export"});
  EXPECT_EQ(std::count(exported.out.begin(), exported.out.end(), '\n'), 2501);
  EXPECT_NE(exported.out.find(R"({"key_b64":"/wA=","value_b64":"AP8=","version")"), std::string::npos);
  EXPECT_EQ(ask({"import"}, exported.out).out, "imported 2501 records\n");
  const Finished packed = ask({"export", "--format", "msgpack"});
  EXPECT_LT(packed.out.size(), exported.out.size());
  EXPECT_EQ(ask({"import", "--format", "msgpack", "--ack", "local"}, packed.out).out,
            "imported 2501 records\n");
  EXPECT_EQ(ask({"get", "row/10009"}).out, "v10009");
  const Finished cut = ask({"import", "--format", "msgpack"}, packed.out.substr(0, packed.out.size() - 1));
  EXPECT_EQ(cut.code, 2);
  EXPECT_NE(cut.err.find("record 2501"), std::string::npos) << cut.err;
  const Finished wrong = ask({"import"}, lines + "not json\n");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("line 2501"), std::string::npos) << wrong.err;
}

TEST(CommandLine, AsksForTheAcknowledgementThatItIsTold) {
  Cluster cluster(city());
  ASSERT_TRUE(cluster.start_and_wait(kCity));
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--node", cluster.rpc("delhi"), "--timeout", "20"});
    return distrikv(std::move(arguments));
  };
  for (const std::string ack : {"committed", "local"}) {
    EXPECT_EQ(ask({"set", "visits", "1", "--ack", ack}).code, 0);
    EXPECT_EQ(ask({"incr", "visits", "--ack", ack}).out, "2\n");
    EXPECT_EQ(ask({"touch", "visits", "30m", "--ack", ack}).code, 0);
    EXPECT_EQ(ask({"del", "visits", "--ack", ack}).code, 0);
  }
  EXPECT_EQ(ask({"set", "visits", "1", "--ack", "perhaps"}).code, 2);
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
