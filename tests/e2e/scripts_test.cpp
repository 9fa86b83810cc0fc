// The scripts that a user types, on a small cluster in a run folder of the test's own. They use the
// programs as built (--no-build): building is tested by everything else.
#include <gtest/gtest.h>
#include <iostream>
#include <signal.h>
#include <sstream>
#include <unistd.h>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

namespace fs = std::filesystem;

class Scripts : public testing::Test {
 protected:
  void SetUp() override {
    base_ = next_network();
    const Finished made = run(
        {program("distrikv"), "topology", "new", "--shards", "2", "--replicas", "1", "--base", base_ + "1"});
    ASSERT_EQ(made.code, 0) << made.err;
    topology_ = (folder_.path() / "small.toml").string();
    write_file(topology_, made.out);
    run_dir_ = folder_.path() / "run";
  }

  // Nodes that run-multi started belong to no test process: they must be stopped by hand.
  void TearDown() override {
    if (!fs::exists(run_dir_ / ".distrikv-run")) return;
    if (HasFailure()) {
      for (const std::string& node : nodes())
        std::cerr << "--- " << node << "\n" << read_file(run_dir_ / node / "log");
    }
    script("stop");
  }

  Finished script(const std::string& name, std::vector<std::string> options = {}) {
    return script_on(run_dir_, name, std::move(options));
  }
  Finished script_on(const fs::path& run_dir, const std::string& name,
                     std::vector<std::string> options = {}) {
    std::vector<std::string> command = {std::string(DKV_SOURCE) + "/scripts/" + name, "--run-dir",
                                        run_dir.string()};
    command.insert(command.end(), options.begin(), options.end());
    return run(command,
               {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 120s});
  }

  Finished run_multi() { return script("run-multi", {"--no-build", "--topology", topology_}); }

  std::vector<std::string> nodes() const {
    return {"shard-1", "shard-1-replica", "shard-2", "shard-2-replica"};
  }

  pid_t pid_of(const std::string& node) const {
    return std::atoi(read_file(run_dir_ / node / "pid").c_str());
  }

  // The curl lines that run-multi printed.
  static std::vector<std::string> curl_lines(const std::string& out) {
    std::vector<std::string> lines;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) {
      if (line.rfind("  curl ", 0) == 0) lines.push_back(line);
    }
    return lines;
  }

  TemporaryFolder folder_;
  std::string base_;  // of the nodes' addresses
  std::string topology_;
  fs::path run_dir_;
};

TEST_F(Scripts, RunMultiStartsAClusterWhoseCurlLinesWorkAsPrinted) {
  const Finished started = run_multi();
  ASSERT_EQ(started.code, 0) << started.out << started.err;
  for (const std::string& node : nodes()) {
    EXPECT_NE(started.out.find(node), std::string::npos) << started.out;
    EXPECT_TRUE(fs::is_directory(run_dir_ / node / "data"));
    EXPECT_FALSE(is_gone(pid_of(node))) << node;
  }
  const std::vector<std::string> lines = curl_lines(started.out);
  ASSERT_GE(lines.size(), 6U) << started.out;
  for (const std::string& line : lines) {
    const Finished answer = run({"bash", "-c", line + " -sS -f"});
    EXPECT_EQ(answer.code, 0) << line << answer.out << answer.err;
    if (line.find("/get?") != std::string::npos) {
      EXPECT_EQ(answer.out, "world") << line;
    }
  }
}

TEST_F(Scripts, RunMultiStartsOnlyWhatDoesNotRun) {
  ASSERT_EQ(run_multi().code, 0);
  std::map<std::string, pid_t> before;
  for (const std::string& node : nodes()) before[node] = pid_of(node);
  ASSERT_EQ(run_multi().code, 0);
  for (const std::string& node : nodes()) EXPECT_EQ(pid_of(node), before[node]) << node;

  // One that was killed, and one whose pid now belongs to a program that is no node of ours.
  ::kill(before["shard-1"], SIGKILL);
  ::kill(before["shard-2-replica"], SIGKILL);
  EXPECT_TRUE(
      eventually(10s, [&] { return is_gone(before["shard-1"]) && is_gone(before["shard-2-replica"]); }));
  write_file(run_dir_ / "shard-2-replica" / "pid", std::to_string(::getpid()) + "\n");
  const Finished again = run_multi();
  ASSERT_EQ(again.code, 0) << again.out << again.err;
  EXPECT_NE(pid_of("shard-1"), before["shard-1"]);
  EXPECT_NE(pid_of("shard-2-replica"), ::getpid());
  EXPECT_EQ(pid_of("shard-2"), before["shard-2"]);
}

TEST_F(Scripts, NodesHaveNoTerminalAndNoDescriptorOfTheirStarter) {
  int inherited[2];
  ASSERT_EQ(::pipe(inherited), 0);  // without close-on-exec: the script has it, the nodes must not
  ASSERT_EQ(run_multi().code, 0);
  for (const std::string& node : nodes()) {
    const fs::path proc = "/proc/" + std::to_string(pid_of(node));
    EXPECT_EQ(fs::read_symlink(proc / "fd/0"), "/dev/null");
    EXPECT_EQ(fs::read_symlink(proc / "fd/1"), run_dir_ / node / "log");
    EXPECT_EQ(::getsid(pid_of(node)), pid_of(node)) << "a session of its own";
    for (const auto& entry : fs::directory_iterator(proc / "fd")) {
      std::error_code gone;
      EXPECT_EQ(fs::read_symlink(entry, gone).string().find("pipe:"), std::string::npos)
          << node << entry.path();
      EXPECT_EQ(fs::read_symlink(entry, gone).string().find(".distrikv-run"), std::string::npos) << node;
    }
  }
  ::close(inherited[0]);
  ::close(inherited[1]);
}

TEST_F(Scripts, DataOutlivesStopAndEndsWithRemoveAll) {
  ASSERT_EQ(run_multi().code, 0);
  const std::vector<std::string> lines = curl_lines(run_multi().out);
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(run({"bash", "-c", lines[0] + " -sS -f"}).code, 0);

  const pid_t pid = pid_of("shard-1");
  const Finished stopped = script("stop");
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_EQ(stopped.err, "") << "no node had to be killed";
  EXPECT_TRUE(is_gone(pid));
  const Finished nothing = script("stop");
  EXPECT_EQ(nothing.code, 0);
  EXPECT_EQ(nothing.out + nothing.err, "") << "nothing to stop is a quiet success";

  ASSERT_EQ(run_multi().code, 0);
  EXPECT_EQ(run({"bash", "-c", lines[1] + " -sS -f"}).out, "world");

  const Finished removed = script("remove-all");
  EXPECT_EQ(removed.code, 0) << removed.err;
  EXPECT_FALSE(fs::exists(run_dir_));
  EXPECT_EQ(script("remove-all").code, 0);
}

TEST_F(Scripts, RemoveAllRefusesAFolderThatIsNotARunFolder) {
  fs::create_directories(run_dir_ / "precious");
  EXPECT_EQ(script("remove-all").code, 1);
  EXPECT_TRUE(fs::exists(run_dir_ / "precious"));
  EXPECT_EQ(run_multi().code, 1) << "nor does run-multi make it one";
}

TEST_F(Scripts, RunMultiShowsWhyANodeEnded) {
  const Listener occupant(base_ + "2:8080");  // the address of shard-2
  const Finished failed = run_multi();
  EXPECT_EQ(failed.code, 1) << failed.out;
  EXPECT_NE(failed.err.find("shard-2 ended"), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("in use"), std::string::npos) << "the end of its log: " << failed.err;
}

TEST_F(Scripts, LoadTestPassesOnARunningClusterAndSaysWhenThereIsNone) {
  const Finished none = script("load-test");
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("scripts/run-multi"), std::string::npos) << none.err;
  ASSERT_EQ(run_multi().code, 0);
  for (const std::string door : {"--http", "--zmq"}) {
    const Finished load = script("load-test", {"-n", "500", "-c", "4", door});
    EXPECT_EQ(load.code, 0) << load.out << load.err;
    EXPECT_NE(load.out.find("p99"), std::string::npos) << load.out;
  }
  EXPECT_EQ(script("load-test", {"--no-such-option"}).code, 2);
}

// Found in a review: through a link, remove-all deleted the data of nodes that went on running.
TEST_F(Scripts, ARunFolderIsKnownByItsRealPath) {
  ASSERT_EQ(run_multi().code, 0);
  std::vector<pid_t> pids;
  for (const std::string& node : nodes()) pids.push_back(pid_of(node));
  const fs::path link = folder_.path() / "link";
  fs::create_directory_symlink(folder_.path(), link);
  EXPECT_EQ(script_on(link / "run", "remove-all").code, 0);
  for (const pid_t pid : pids) EXPECT_TRUE(is_gone(pid));
  EXPECT_FALSE(fs::exists(run_dir_));
}

TEST_F(Scripts, NoDataIsDeletedUnderANodeThatNobodyKnowsOf) {
  ASSERT_EQ(run_multi().code, 0);
  const pid_t forgotten = pid_of("shard-1");
  fs::remove(run_dir_ / "shard-1" / "pid");
  const Finished refused = script("remove-all");
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find(std::to_string(forgotten)), std::string::npos) << refused.err;
  EXPECT_TRUE(fs::exists(run_dir_ / "shard-1" / "data" / "node.json"));
  ASSERT_EQ(kill(forgotten, SIGTERM), 0);
  EXPECT_TRUE(eventually(10s, [&] { return is_gone(forgotten); }));
  EXPECT_EQ(script("remove-all").code, 0);
}

// Found in a review: what another cluster answered on the same addresses counted as ready.
TEST_F(Scripts, RunMultiTakesNoOtherClustersAnswersForItsOwn) {
  ASSERT_EQ(run_multi().code, 0);
  const Finished second =
      script_on(folder_.path() / "second", "run-multi", {"--no-build", "--topology", topology_});
  EXPECT_EQ(second.code, 1) << second.out;
  EXPECT_NE(second.err.find("in use"), std::string::npos) << second.err;
}

TEST_F(Scripts, WhatTheyPrintWorksWithSpacesAndFromWhereTheUserStands) {
  const std::string scripts = std::string(DKV_SOURCE) + "/scripts/";
  run_dir_ = folder_.path() / "a run";
  const auto type = [&](const std::string& line) {
    return run({"/bin/bash", "-c", "cd '" + folder_.path().string() + "' && " + line},
               {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 120s});
  };
  const Finished started = type(scripts + "run-multi --no-build --topology small.toml --run-dir 'a run'");
  ASSERT_EQ(started.code, 0) << started.err;
  // The lines under "Next:", as printed.
  std::istringstream lines(started.out.substr(started.out.find("Next:")));
  std::string line;
  std::getline(lines, line);
  int typed = 0;
  while (std::getline(lines, line)) {
    const std::string command = line.substr(0, line.find("   ", 2));
    const Finished done = type(command);
    EXPECT_EQ(done.code, 0) << command << "\n" << done.err;
    ++typed;
  }
  EXPECT_EQ(typed, 3);
  EXPECT_FALSE(fs::exists(run_dir_));
}

TEST_F(Scripts, EveryScriptExplainsItselfAndRefusesUnknownOptions) {
  for (const std::string name : {"build", "install-dependencies", "load-test", "namespaces", "remove-all",
                                 "run-multi", "soak", "stop", "test"}) {
    const std::string path = std::string(DKV_SOURCE) + "/scripts/" + name;
    const Finished help = run({path, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_NE(help.out.find("Exit codes"), std::string::npos) << name;
    if (name != "load-test") {
      EXPECT_EQ(run({path, "--no-such-option"}).code, 2) << name;
    }
  }
}

}  // namespace
}  // namespace dkv::e2e
