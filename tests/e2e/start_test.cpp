// Starts that cannot work: each ends at once with an exit code that says whose fault it is, and a message
// that says what to do. 0: clean end, 1: internal, 2: usage or topology file, 3: port or data folder.
#include <algorithm>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

/// A cluster whose one keeper is the node that is started, so that it serves alone.
Layout with_keeper(const std::string& node) {
  Layout layout = city();
  const std::string keepers = "keepers = [\"witness\"]";
  layout.topology.replace(layout.topology.find(keepers), keepers.size(), "keepers = [\"" + node + "\"]");
  return layout;
}

class Start : public testing::Test {
 protected:
  // Runs a node that must refuse to start, and expects its message to hold all of `words`.
  void expect_refusal(const std::vector<std::string>& command, int code,
                      const std::vector<std::string>& words) {
    const Finished finished = run(command, {.input = "", .environment = {}, .timeout = 20s});
    EXPECT_EQ(finished.code, code) << finished.err << finished.out;
    for (const std::string& word : words) {
      EXPECT_NE(finished.err.find(word), std::string::npos) << "no \"" << word << "\" in: " << finished.err;
    }
  }

  // The command of `node`, with the value of one option changed.
  std::vector<std::string> command_with(const std::string& node, const std::string& option,
                                        const std::string& value) {
    std::vector<std::string> command = cluster_.command(node);
    *(std::find(command.begin(), command.end(), option) + 1) = value;
    return command;
  }

  // The topology file with one text replaced, or with text added at its end.
  std::string changed_topology(const std::string& from, const std::string& to) {
    std::string text = read_file(cluster_.topology_file());
    const std::size_t at = from.empty() ? text.size() : text.find(from);
    if (at == std::string::npos) throw std::runtime_error("the topology file does not hold " + from);
    write_file(cluster_.folder() / "changed.toml", text.replace(at, from.size(), to));
    return (cluster_.folder() / "changed.toml").string();
  }

  Cluster cluster_{with_keeper("delhi")};
};

TEST_F(Start, EndsCleanlyOnSigtermAndSigint) {
  for (const int signal : {SIGTERM, SIGINT}) {
    ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
    cluster_.process("delhi").signal(signal);
    EXPECT_EQ(cluster_.process("delhi").wait(10s), 0);
  }
}

TEST_F(Start, RefusesAPortInUse) {
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  const std::string other = (cluster_.folder() / "other").string();
  expect_refusal(command_with("delhi", "--data", other), 3, {"in use"});
  EXPECT_EQ(HttpClient().once(cluster_.http("delhi"), "GET", "/readyz").status, 200)
      << "the first one goes on";
}

TEST_F(Start, RefusesADataFolderInUse) {
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  // At another address, so that only the folder stands in the way.
  const std::string address = cluster_.http("delhi").substr(0, cluster_.http("delhi").find(':'));
  const std::string elsewhere =
      changed_topology("host = \"" + address + "\"", "host = \"" + address + "00\"");  // .2 becomes .200
  const std::vector<std::string> command = command_with("delhi", "--topology", elsewhere);
  expect_refusal(command, 3, {cluster_.data("delhi").string(), "in use"});
  EXPECT_EQ(HttpClient().once(cluster_.http("delhi"), "GET", "/readyz").status, 200)
      << "the first one goes on";
}

TEST_F(Start, RefusesTheDataFolderOfAnotherNode) {
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  EXPECT_EQ(cluster_.stop("delhi"), 0);
  expect_refusal(command_with("witness", "--data", cluster_.data("delhi").string()), 3, {"delhi", "witness"});
  EXPECT_TRUE(cluster_.start_and_wait({"delhi"})) << "its own node still takes the folder";
}

// The tests run as root too, whom permissions do not stop: a path below a file and one in /proc do.
TEST_F(Start, RefusesAFolderItCannotWriteTo) {
  write_file(cluster_.folder() / "file", "not a folder");
  const std::string below_file = (cluster_.folder() / "file" / "data").string();
  expect_refusal(command_with("delhi", "--data", below_file), 3, {below_file});
  expect_refusal(command_with("delhi", "--data", "/proc/distrikv"), 3, {"/proc/distrikv"});
}

TEST_F(Start, RefusesAnUnknownNodeAndNamesThoseThereAre) {
  expect_refusal(command_with("delhi", "--node", "atlantis"), 2, {"atlantis", "delhi", "witness"});
}

TEST_F(Start, RefusesMissingAndUnknownOptions) {
  const std::string node = program("distrikvd");
  const std::string topology = cluster_.topology_file().string();
  expect_refusal({node}, 2, {"--topology"});
  expect_refusal({node, "--topology", topology, "--data", "/tmp/x"}, 2, {"--node"});
  expect_refusal({node, "--topology", topology, "--node", "delhi"}, 2, {"--data"});
  std::vector<std::string> command = cluster_.command("delhi");
  command.push_back("--no-such-option");
  expect_refusal(command, 2, {"--no-such-option"});
  EXPECT_EQ(run({node, "--help"}).code, 0);
  EXPECT_NE(run({node, "--help"}).out.find("--topology"), std::string::npos);
}

TEST_F(Start, RefusesLimitsThatMakeNoSense) {
  const auto refuses = [&](std::vector<std::string> limits, const std::string& named) {
    std::vector<std::string> command = cluster_.command("delhi");
    command.insert(command.end(), limits.begin(), limits.end());
    expect_refusal(command, 2, {named});
  };
  refuses({"--memtable", "12"}, "--memtable");
  refuses({"--memtable", "many"}, "--memtable");
  refuses({"--memtable", "-1MiB"}, "--memtable");
  refuses({"--memtable", "1GiB"}, "--memtable-max is less than --memtable");
  refuses({"--max-value", "17MiB"}, "--max-value");
  refuses({"--in-flight", "2MiB"}, "--in-flight is less than --max-value");
  EXPECT_FALSE(std::filesystem::exists(cluster_.data("delhi") / "node.json")) << "nothing was written";
}

TEST_F(Start, TakesLimitsWithUnits) {
  cluster_.set_options({"--memtable", "2MiB", "--memtable-max", "4194304", "--max-value", "1kb"});
  ASSERT_TRUE(cluster_.start_and_wait({"delhi"}));
  HttpClient client;
  const std::string key = key_of_shard(cluster_.http("delhi"), "delhi", "limited-");
  EXPECT_EQ(client.once(cluster_.http("delhi"), "PUT", "/v1/kv/" + key, std::string(1024, 'v')).status, 201);
  EXPECT_EQ(client.once(cluster_.http("delhi"), "PUT", "/v1/kv/" + key, std::string(1025, 'v')).status, 413);
}

TEST_F(Start, RefusesABadTopologyFileWithFileAndLine) {
  const std::string missing = (cluster_.folder() / "missing.toml").string();
  expect_refusal(command_with("delhi", "--topology", missing), 2, {missing});

  const std::string unknown_key = changed_topology("", "\n[no_such_table]\nx = 1\n");
  expect_refusal(command_with("delhi", "--topology", unknown_key), 2, {unknown_key + ":", "no_such_table"});

  const std::string no_toml = changed_topology("", "\nthis is = = not toml\n");
  const std::string text = read_file(no_toml);
  const auto line = std::count(text.begin(), text.end(), '\n');
  expect_refusal(command_with("delhi", "--topology", no_toml), 2, {no_toml + ":" + std::to_string(line)});

  const std::string duplicate = changed_topology("name = \"witness\"", "name = \"delhi\"");
  expect_refusal(command_with("delhi", "--topology", duplicate), 2, {duplicate + ":", "delhi"});
  EXPECT_TRUE(std::filesystem::is_empty(cluster_.data("delhi"))) << "nothing was written";
}

}  // namespace
}  // namespace dkv::e2e
