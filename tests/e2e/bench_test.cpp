// scripts/bench in its shortest form: that it measures what it says, not how fast anything is.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <signal.h>

#include "tests/e2e/process.hpp"

namespace dkv::e2e {
namespace {

using Json = nlohmann::json;

const std::set<std::string> kRows = {"set-32",    "set-32-connections", "set-32x64", "get-32",
                                     "get-32x64", "log-1000",           "sustained"};

class Bench : public testing::Test {
 protected:
  std::string run_dir() const { return (folder_.path() / "run").string(); }
  std::string json_file() const { return (folder_.path() / "found.json").string(); }
  Json found() const { return Json::parse(read_file(json_file())); }

  TemporaryFolder folder_;
};

void expect_plausible(const std::string& row, const std::string& system, const Json& found) {
  SCOPED_TRACE(row + " " + system + " " + found.dump());
  EXPECT_GT(found["ops_per_second"], 1.0);
  EXPECT_GT(found["seconds"], 0.2);
  EXPECT_GT(found["p50_ms"], 0.0);
  EXPECT_GE(found["p99_ms"], found["p50_ms"]);
  EXPECT_GT(found["client_cpu_us"], 0.0);
  EXPECT_EQ(found["rounds"].size(), 1U);
  const bool serves = system == "ours" || system == "redis";
  EXPECT_EQ(found["server_cpu_us"] > 0.0, serves);
  if (!row.starts_with("get")) {
    EXPECT_GT(found["bytes_per_second"], found["ops_per_second"]);
    // null where the temporary folder is on no block device
    if (!found["written_per_byte"].is_null()) {
      EXPECT_GT(found["written_per_byte"], 0.5);
    }
    if (system == "redis") return;
    EXPECT_GE(found["sync_bytes"], 116);
  }
}

TEST_F(Bench, MeasuresEveryRowAndKeepsNothing) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "engine", "--quick", "--no-build", "--run-dir",
           run_dir(), "--json", json_file()},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 150s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  std::set<std::string> seen;
  const Json report = found();
  for (const Json& row : report["rows"]) {
    const std::string name = row["name"];
    seen.insert(name);
    EXPECT_NE(done.out.find(row["title"]), std::string::npos) << done.out;
    for (const auto& [system, figures] : row["systems"].items()) {
      if (system == "redis" && figures == "not installed") continue;
      expect_plausible(name, system, figures);
      if (system != "ours") {
        EXPECT_GT(row["ratios"][system], 0.0);
      }
    }
  }
  EXPECT_EQ(seen, kRows);
  ASSERT_EQ(report["restarts"].size(), 1U);
  EXPECT_GT(report["restarts"][0]["restart_seconds"], 0.0);
  EXPECT_GT(report["restarts"][0]["memory_bytes"], 1'000'000);
  EXPECT_GT(report["restarts"][0]["disk_bytes"], 1'000'000);
  EXPECT_NE(done.out.find("after kill -9"), std::string::npos) << done.out;
  EXPECT_FALSE(std::filesystem::exists(run_dir()));
}

TEST_F(Bench, WithoutRedisTheOtherFiguresAreThere) {
  // The launcher's last step, with only what setpriv needs to be found.
  std::filesystem::create_symlink("/usr/bin/setpriv", folder_.path() / "setpriv");
  const Finished done =
      run({"/usr/bin/python3", "-B", std::string(DKV_SOURCE) + "/tests/bench/engine.py", "--programs",
           DKV_PROGRAMS, "--run-dir", run_dir(), "--quick", "--only", "get-32", "--json", json_file()},
          {.input = "", .environment = {"PATH=" + folder_.path().string()}, .timeout = 60s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  const Json systems = found()["rows"][0]["systems"];
  EXPECT_EQ(systems["redis"], "not installed");
  expect_plausible("get-32", "ours", systems["ours"]);
  EXPECT_NE(done.out.find("not installed"), std::string::npos) << done.out;
}

TEST_F(Bench, InterruptedItEndsItsServerAndDeletesItsData) {
  Process bench({"/usr/bin/python3", "-B", std::string(DKV_SOURCE) + "/tests/bench/engine.py", "--programs",
                 DKV_PROGRAMS, "--run-dir", run_dir(), "--only", "get-32"},
                folder_.path() / "log");
  const std::filesystem::path lock = folder_.path() / "run/ours/data/lock";  // holds the node's pid
  ASSERT_TRUE(eventually(30s, [&] { return !read_file(lock).empty(); })) << read_file(folder_.path() / "log");
  const pid_t node = std::atoi(read_file(lock).c_str());
  ASSERT_GT(node, 1);
  bench.signal(SIGINT);
  EXPECT_EQ(bench.wait(30s), 130) << read_file(folder_.path() / "log");
  EXPECT_EQ(::kill(node, 0), -1);
  EXPECT_FALSE(std::filesystem::exists(run_dir()));
}

TEST_F(Bench, FailoverKillsPrimariesAndTimesTheNext) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "failover", "--quick", "--fast", "--no-build",
           "--run-dir", run_dir(), "--json", json_file()},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 150s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  const Json report = found();
  EXPECT_EQ(report["failover"], "fast");
  const Json rounds = report["killed"]["rounds"];
  ASSERT_EQ(rounds.size(), 2U);
  EXPECT_EQ(rounds[0]["killed"], "node-1");
  EXPECT_EQ(rounds[1]["killed"], "node-2");
  // No earlier than the last lease that the dead one could have had has ended.
  for (const Json& round : rounds) EXPECT_GT(round["seconds"], 0.3) << report.dump();
  EXPECT_GT(report["killed"]["writes"]["acknowledged"], 100);
  EXPECT_NE(done.out.find("kill -9 to the first write acknowledged"), std::string::npos) << done.out;
  EXPECT_FALSE(std::filesystem::exists(run_dir()));
}

TEST_F(Bench, CalmLoadsTheClusterAndKillsNobody) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "failover", "--quick", "--calm", "0.05", "--no-build",
           "--run-dir", run_dir(), "--json", json_file()},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 150s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  const Json calm = found()["calm"];
  EXPECT_EQ(calm["take_overs"], 0) << calm.dump();
  EXPECT_EQ(calm["epochs_begun"], 0) << calm.dump();
  EXPECT_GT(calm["operations_per_second"], 100.0);
}

TEST_F(Bench, ReplicationComparesBothAcknowledgementsAndDoneOnce) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "replication", "--quick", "--no-build", "--run-dir",
           run_dir(), "--json", json_file()},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 150s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  const Json rows = found()["rows"];
  ASSERT_EQ(rows.size(), 2U);
  for (const Json& row : rows) {
    SCOPED_TRACE(row.dump());
    for (const char* mode : {"committed", "local", "once"}) {
      EXPECT_GT(row[mode]["ops_per_second"], 100.0);
      EXPECT_GT(row[mode]["p50_ms"], 0.0);
    }
    EXPECT_GT(row["throughput_ratio"], 0.0);
    EXPECT_LT(row["drain_seconds"], 60.0);
    EXPECT_NE(done.out.find(row["title"]), std::string::npos) << done.out;
  }
}

TEST_F(Bench, WatchComparesWritesWithAndWithoutWatchers) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "watch", "--quick", "--no-build", "--run-dir", run_dir(),
           "--json", json_file()},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 150s});
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  const Json rows = found()["rows"];
  ASSERT_EQ(rows.size(), 2U);
  for (const Json& row : rows) {
    for (const char* mode : {"unwatched", "watched"}) EXPECT_GT(row[mode]["ops_per_second"], 100.0) << row.dump();
    EXPECT_GT(row["ratio"], 0.0);
  }
}

TEST_F(Bench, RefusesARowThatDoesNotExist) {
  const Finished done =
      run({std::string(DKV_SOURCE) + "/scripts/bench", "engine", "--no-build", "--only", "set-33"},
          {.input = "", .environment = {std::string("DISTRIKV_BIN=") + DKV_PROGRAMS}, .timeout = 60s});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("set-33"), std::string::npos) << done.err;
}

TEST_F(Bench, RefusesAnOptionOfAnotherBenchmark) {
  const Finished done = run({std::string(DKV_SOURCE) + "/scripts/bench", "engine", "--no-build", "--fast"},
                            {.input = "", .environment = {}, .timeout = 60s});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("engine has no option --fast"), std::string::npos) << done.err;
}

}  // namespace
}  // namespace dkv::e2e
