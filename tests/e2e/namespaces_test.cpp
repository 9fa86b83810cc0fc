// scripts/namespaces as a user types it, and what the tests' own clusters in namespaces promise.
#include "tests/e2e/namespaces.hpp"

#include <gtest/gtest.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace dkv::e2e {
namespace {

namespace fs = std::filesystem;

bool namespace_exists(const std::string& name) { return fs::exists("/run/netns/" + name); }

class NamespacesScript : public testing::Test {
 protected:
  void SetUp() override {
    prefix_ = next_prefix();
    const Finished up = script("up", {"--no-build", "--network-only"});
    if (up.code == 3) GTEST_SKIP() << up.err;
    ASSERT_EQ(up.code, 0) << up.out << up.err;
  }
  void TearDown() override { script("down"); }

  Finished script(const std::string& command, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), command);
    // Before "--", behind which the nodes' own options stand.
    arguments.insert(arguments.begin() + 1,
                     {"--prefix", prefix_, "--run-dir", (folder_.path() / "run").string()});
    return namespaces_script(arguments);
  }
  Finished in_client(std::vector<std::string> command) const {
    command.insert(command.begin(), {"ip", "netns", "exec", prefix_ + "-client"});
    return run(command);
  }

  // Lines of `out` that begin with `begin`, without the two spaces before them.
  static std::vector<std::string> lines(const std::string& out, const std::string& begin) {
    std::vector<std::string> found;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);)
      if (line.rfind("  " + begin, 0) == 0) found.push_back(line.substr(2));
    return found;
  }

  TemporaryFolder folder_;
  std::string prefix_;
};

TEST_F(NamespacesScript, UpStartsAClusterWhoseCurlLinesWorkAndDownEndsIt) {
  const Finished up = script("up", {"--no-build", "--", "--memtable", "16MiB"});
  ASSERT_EQ(up.code, 0) << up.out << up.err;
  const std::vector<std::string> curls = lines(up.out, "ip netns exec " + prefix_ + "-client curl ");
  ASSERT_GE(curls.size(), 6U) << up.out;
  for (const std::string& line : curls) {
    const Finished answer = run({"bash", "-c", line + " -sS -f"});
    EXPECT_EQ(answer.code, 0) << line << answer.out << answer.err;
    if (line.find("/get?") != std::string::npos) {
      EXPECT_EQ(answer.out, "world") << line;
    }
  }
  const fs::path pid_file = folder_.path() / "run" / "node-1" / "pid";
  const std::string pid = read_file(pid_file);
  EXPECT_EQ(script("up", {"--no-build"}).code, 0) << "a second time changes nothing";
  EXPECT_EQ(read_file(pid_file), pid);

  const Finished down = script("down");
  EXPECT_EQ(down.code, 0) << down.err;
  EXPECT_EQ(down.err, "") << "no node had to be killed";
  EXPECT_FALSE(fs::exists(pid_file));
  EXPECT_TRUE(is_gone(std::stoi(pid)));
  for (const std::string station : {"node-1", "node-5", "client", "switch"})
    EXPECT_FALSE(namespace_exists(prefix_ + "-" + station)) << station;
  EXPECT_EQ(script("down").code, 0) << "there is nothing to do";
  EXPECT_EQ(script("status").code, 1) << "there is nothing to show";
}

TEST_F(NamespacesScript, CutsOneWayOrBothAndHealsWhatItIsAskedTo) {
  const std::string node_1_to_4 = "node-1 -> node-4", node_4_to_1 = "node-4 -> node-1";
  const auto cut_links = [&] { return lines(script("status").out, "node-"); };
  using Links = std::vector<std::string>;
  EXPECT_EQ(cut_links(), Links{});
  EXPECT_EQ(script("cut", {"node-1", "node-4"}).code, 0);
  EXPECT_EQ(cut_links(), (Links{node_1_to_4, node_4_to_1}));
  EXPECT_EQ(script("cut", {"node-1", "node-4"}).code, 0) << "it is so already";
  EXPECT_EQ(script("heal", {"--one-way", "node-4", "node-1"}).code, 0);
  EXPECT_EQ(cut_links(), Links{node_1_to_4});
  EXPECT_EQ(script("cut", {"--one-way", "node-2", "all"}).code, 0);
  EXPECT_EQ(cut_links(), (Links{node_1_to_4, "node-2 -> node-1", "node-2 -> node-3", "node-2 -> node-4",
                                "node-2 -> node-5", "node-2 -> client"}));
  EXPECT_EQ(script("heal", {"node-2", "all"}).code, 0);
  EXPECT_EQ(cut_links(), Links{node_1_to_4});
  EXPECT_EQ(script("heal").code, 0);
  EXPECT_EQ(cut_links(), Links{});
}

TEST_F(NamespacesScript, RefusesWhatItCannotDoAndChangesNothing) {
  EXPECT_EQ(script("cut", {"node-1"}).code, 2);
  EXPECT_EQ(script("cut", {"node-1", "node-1"}).code, 2);
  EXPECT_EQ(script("heal", {"--one-way"}).code, 2);
  EXPECT_EQ(script("down", {"node-1"}).code, 2);
  const Finished unknown = script("cut", {"node-1", "node-6"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("node-5"), std::string::npos) << "it says which there are: " << unknown.err;
  const Finished other = script("up", {"--no-build", "--topology", DKV_SOURCE "/topology/india.toml"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("/24"), std::string::npos) << other.err;
  EXPECT_NE(script("status").out.find("All links are whole"), std::string::npos);
}

TEST_F(NamespacesScript, DownTakesNoNetworkFromAProcessThatItDoesNotKnow) {
  Process stranger({"ip", "netns", "exec", prefix_ + "-node-1", "sleep", "1000"}, folder_.path() / "log");
  ASSERT_TRUE(eventually(10s, [&] {
    return run({"ip", "netns", "pids", prefix_ + "-node-1"}).out == std::to_string(stranger.pid()) + "\n";
  }));
  const Finished refused = script("down");
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find(std::to_string(stranger.pid())), std::string::npos) << refused.err;
  EXPECT_TRUE(namespace_exists(prefix_ + "-node-1"));
  stranger.kill();
  EXPECT_EQ(script("down").code, 0);
}

// A cable that is cut gives no error: what is sent meanwhile arrives when it is mended.
TEST_F(NamespacesScript, ACutIsSilentAndHitsOpenConnections) {
  const std::string talk = R"(
import socket, subprocess, sys
prefix = sys.argv[1]
server = socket.create_server(("10.117.0.254", 5000))
child = subprocess.Popen(["ip", "netns", "exec", prefix + "-node-1", sys.executable, "-c", '''
import socket
connection = socket.create_connection(("10.117.0.254", 5000))
for line in connection.makefile():
    connection.sendall(line.upper().encode())
'''])
connection = server.accept()[0]
def ask(word, seconds):
    connection.settimeout(seconds)
    connection.sendall(word + b"\n")
    try: return connection.recv(100)
    except TimeoutError: return b"nothing"
print(ask(b"whole", 30))
subprocess.run([*sys.argv[2:], "cut", "--one-way", "--prefix", prefix, "node-1", "client"], check=True, stdout=subprocess.DEVNULL)
print(ask(b"cut", 1))
subprocess.run([*sys.argv[2:], "heal", "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
connection.settimeout(60)
print(connection.recv(100))
connection.close()
child.wait()
)";
  const Finished done =
      in_client({"/usr/bin/python3", "-c", talk, prefix_, std::string(DKV_SOURCE) + "/scripts/namespaces"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, "b'WHOLE\\n'\nb'nothing'\nb'CUT\\n'\n") << done.err;
}

TEST_F(NamespacesScript, WhoMayNotMakeNamespacesIsToldSo) {
  const std::string path = DKV_SOURCE "/scripts/namespaces";
  const Finished user =
      run({"setpriv", "--reuid", "65534", "--clear-groups", path, "up", "--no-build", "--prefix", "nobody"});
  EXPECT_EQ(user.code, 3) << user.err;
  EXPECT_NE(user.err.find("root"), std::string::npos) << user.err;
  const Finished contained = run({"setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", path,
                                  "up", "--no-build", "--prefix", "nobody"});
  EXPECT_EQ(contained.code, 3) << contained.err;
  EXPECT_NE(contained.err.find("CAP_SYS_ADMIN"), std::string::npos) << contained.err;
}

TEST(NamespaceCluster, RemovesTheNamespacesOfTestsThatWereKilled) {
  const pid_t ended = ::fork();
  if (ended == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(ended, nullptr, 0), ended);
  const std::string dead = "dkvtest" + std::to_string(ended) + "n0";
  const Finished up = namespaces_script({"up", "--no-build", "--network-only", "--prefix", dead});
  if (up.code == 3) GTEST_SKIP() << up.err;
  ASSERT_EQ(up.code, 0) << up.out << up.err;
  ASSERT_TRUE(namespace_exists(dead + "-switch"));
  const NamespaceCluster cluster;
  EXPECT_FALSE(namespace_exists(dead + "-switch"));
  EXPECT_FALSE(namespace_exists(dead + "-node-1"));
}

TEST(NamespaceCluster, TwoOfOneTopologyHaveNothingToDoWithEachOther) {
  try {
    NamespaceCluster one;
    // All are keepers, whom the first start needs.
    ASSERT_TRUE(one.start_and_wait({"node-1", "node-2", "node-3", "node-4", "node-5"}));
    const std::string key = "/set?key=" + key_of_shard(one.http("node-2"), "shard-2", "n");
    EXPECT_EQ(HttpClient().once(one.http("node-2"), "GET", key + "&value=1").status, 200);
    {
      NamespaceCluster two;
      EXPECT_FALSE(Socket(two.http("node-2"), 500ms).open()) << "the other's node, on the same address";
    }
    EXPECT_EQ(HttpClient().once(one.http("node-2"), "GET", key + "&value=2").status, 200);
  } catch (const NamespacesRefused& refused) {
    GTEST_SKIP() << refused.what();
  }
}

}  // namespace
}  // namespace dkv::e2e
