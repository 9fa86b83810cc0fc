// `distrikv check`: reads all that a stopped node has on disk, and says what is wrong with it and what to do
// about it. Changes nothing, so that it may be run on the only copy that is left.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

#include "actors/runtime/posix_disk.hpp"
#include "actors/shard/log.hpp"
#include "actors/shard/store_check.hpp"
#include "gateway/cli/commands.hpp"
#include "gateway/node/data_folder.hpp"

namespace dkv::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kStoreFolder = "store";

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// Says on stderr how far it is: in place on a terminal, elsewhere a line now and then. Nothing when all is
/// done at once.
class ProgressLine {
 public:
  explicit ProgressLine(std::uint64_t total_bytes)
      : total_bytes_(total_bytes), on_terminal_(::isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() {
    if (on_terminal_ && shown_) std::fputs("\r\033[K", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void add(std::uint64_t bytes) {
    done_bytes_ = std::min(done_bytes_ + bytes, total_bytes_);
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + (on_terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10));
    shown_ = true;
    std::fprintf(
        stderr, on_terminal_ ? "\rchecked %s of %s (%llu%%)\033[K" : "checked %s of %s (%llu%%)\n",
        size_text(done_bytes_).c_str(), size_text(total_bytes_).c_str(),
        static_cast<unsigned long long>(done_bytes_ * 100 / std::max<std::uint64_t>(total_bytes_, 1)));
  }

 private:
  std::uint64_t total_bytes_;
  bool on_terminal_;
  std::uint64_t done_bytes_ = 0;
  bool shown_ = false;
  Clock::time_point next_ = Clock::now() + std::chrono::seconds(1);
};

struct ShardReport {
  std::string name;
  std::string folder;
  StoreSurvey store;
  LogSurvey log;
  std::string unchecked;  // why it could not be checked, or nothing
  Problems problems;      // of store and log; files named as in the shard's folder
};

void take_problems(ShardReport& report, const Problems& from, const std::string& prefix) {
  for (const Problem& problem : from.first) {
    report.problems.add({problem.file.empty() ? "" : prefix + problem.file, problem.offset, problem.what});
  }
  report.problems.count += from.count - from.first.size();
}

/// What of the log the store needs, if that can be said.
std::optional<Log::StoreReach> reach_of(const StoreSurvey& store) {
  if (!store.applied) return std::nullopt;
  // Marked for a copy of which nothing has come: a start begins the log anew.
  if (store.import && !store.import->begun) return std::nullopt;
  return Log::StoreReach{*store.applied, store.reached.value_or(*store.applied)};
}

ShardReport check_shard(const std::string& name, const DataFolder::ShardFolder& folder,
                        const CheckProgress& progress) {
  ShardReport report{
      .name = name, .folder = folder.log, .store = {}, .log = {}, .unchecked = {}, .problems = {}};
  constexpr auto kReadOnly = PosixDisk::Access::read_only;
  report.store.applied = Position{};  // of a start that died before there was one
  if (std::filesystem::exists(folder.store)) {
    PosixDisk disk(folder.store, kReadOnly);
    auto store = check_store(disk, progress);
    if (!store) {
      report.unchecked = store.error().message;
      return report;
    }
    report.store = std::move(*store);
  }
  Log log(std::make_unique<PosixDisk>(folder.log, kReadOnly), LogOptions{});
  auto found = log.verify(reach_of(report.store), progress);
  if (!found) {
    report.unchecked = found.error().message;
    return report;
  }
  report.log = std::move(*found);
  take_problems(report, report.store.problems, std::string(kStoreFolder) + "/");
  take_problems(report, report.log.problems, "");
  if (report.store.shard && report.log.shard && report.store.shard != report.log.shard) {
    report.problems.add({"", std::nullopt,
                         "the log is of shard number " + std::to_string(report.log.shard->value) +
                             ", the store of number " + std::to_string(report.store.shard->value)});
  }
  return report;
}

std::uint64_t bytes_in(const std::string& folder) {
  std::error_code ignored;
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("log-") || name == "data.mdb") bytes += entry.file_size(ignored);
  }
  return bytes;
}

// ---- for people

void print_log(const LogSurvey& log) {
  if (log.segments == 0) {
    std::printf("  log    empty\n");
  } else if (log.problems.count > 0) {
    std::printf("  log    %s readable in %s, %s\n", counted(log.events, "event").c_str(),
                counted(log.segments, "segment").c_str(), size_text(log.bytes).c_str());
  } else {
    std::printf("  log    %s in %s, after %s up to %s, %s\n", counted(log.events, "event").c_str(),
                counted(log.segments, "segment").c_str(), to_string(log.begin).c_str(),
                to_string(log.end).c_str(), size_text(log.bytes).c_str());
  }
  if (log.unfinished_bytes > 0) {
    std::printf("         its last turn (%s) is unfinished: normal after a crash, nobody was told of it\n",
                size_text(log.unfinished_bytes).c_str());
  }
  if (log.left_over > 0) {
    std::printf("         %s of what it has forgotten, at a reset or a cut: the next start removes them\n",
                counted(log.left_over, "segment").c_str());
  }
}

void print_store(const StoreSurvey& store) {
  if (!store.exists) {
    std::printf("  store  none yet\n");
    return;
  }
  const std::string applied = !store.applied                 ? "at a place that cannot be read"
                              : *store.applied == Position{} ? "not begun"
                                                             : "up to " + to_string(*store.applied);
  std::printf("  store  %s, %s in a file of %s, checkpoint %s\n", counted(store.records, "record").c_str(),
              size_text(store.bytes).c_str(), size_text(store.file_bytes).c_str(), applied.c_str());
  if (store.applied && store.reached && *store.reached > *store.applied) {
    std::printf("         a checkpoint up to %s is unfinished: the next start replays it from the log\n",
                to_string(*store.reached).c_str());
  }
  if (store.import) {
    std::printf(
        "         a copy of the whole shard is unfinished, %s so far: it goes on after the next start\n",
        counted(store.import->records, "record").c_str());
  }
}

void print_problems(const ShardReport& report) {
  for (const Problem& problem : report.problems.first) {
    const std::string place =
        problem.offset ? " at offset " + std::to_string(*problem.offset) : std::string();
    const std::string file = problem.file.empty() ? "" : problem.file + place + ": ";
    std::printf("  ! %s%s\n", file.c_str(), problem.what.c_str());
  }
  const std::uint64_t more = report.problems.count - report.problems.first.size();
  if (more > 0) std::printf("  ! and %llu more\n", static_cast<unsigned long long>(more));
}

void print_advice(const ShardReport& report, const std::string& data) {
  const std::string damaged = data + "/damaged-" + report.name;
  std::printf(
      "  Restore this copy from another one:\n"
      "    mv %s %s\n"
      "  If this node is a replica of %s, that is all: start it, and it takes a copy from the primary.\n"
      "  If it is the primary: stop a replica's node, check that, copy its shard-%s to here, and start "
      "both.\n"
      "  A write that had not reached the replica is lost then: keep %s.\n",
      report.folder.c_str(), damaged.c_str(), report.name.c_str(), report.name.c_str(), damaged.c_str());
}

void print_words(const ShardReport& report, const std::string& data) {
  const bool sound = report.problems.count == 0;
  std::printf("shard %s: %s\n", report.name.c_str(),
              !report.unchecked.empty() ? "cannot be checked"
              : sound                   ? "sound"
                                        : counted(report.problems.count, "problem").c_str());
  if (!report.unchecked.empty()) {
    std::printf("  ! %s\n\n", report.unchecked.c_str());
    return;
  }
  print_log(report.log);
  print_store(report.store);
  print_problems(report);
  if (!sound) print_advice(report, data);
  std::printf("\n");
}

// ---- for scripts

Json json_of(const Position& position) {
  return {{"epoch", position.epoch.value}, {"seq", position.seq.value}};
}

Json json_of(const Problem& problem) {
  Json json = Json::object();
  if (!problem.file.empty()) json["file"] = problem.file;
  if (problem.offset) json["offset"] = *problem.offset;
  json["what"] = problem.what;
  return json;
}

Json json_of(const ShardReport& report) {
  Json json{{"name", report.name}, {"sound", report.problems.count == 0 && report.unchecked.empty()}};
  if (!report.unchecked.empty()) {
    json["unchecked"] = report.unchecked;
    return json;
  }
  const LogSurvey& log = report.log;
  json["log"] = {{"segments", log.segments},
                 {"frames", log.frames},
                 {"events", log.events},
                 {"bytes", log.bytes},
                 {"begin", json_of(log.begin)},
                 {"end", json_of(log.end)},
                 {"unfinished_bytes", log.unfinished_bytes},
                 {"left_over_segments", log.left_over},
                 {"spare_files", log.spares}};
  const StoreSurvey& store = report.store;
  json["store"] = {{"exists", store.exists},
                   {"format", store.format},
                   {"records", store.records},
                   {"bytes", store.bytes},
                   {"file_bytes", store.file_bytes}};
  if (store.applied) json["store"]["applied"] = json_of(*store.applied);
  if (store.import) json["store"]["copying"] = {{"records", store.import->records}};
  json["problem_count"] = report.problems.count;
  json["problems"] = Json::array();
  for (const Problem& problem : report.problems.first) json["problems"].push_back(json_of(problem));
  return json;
}

void print_json(const std::string& path, const Result<std::string>& node,
                const std::vector<ShardReport>& reports, int code) {
  Json json{{"data", path}, {"sound", code == kOk}};
  if (node) {
    json["node"] = *node;
  } else {
    json["problem"] = node.error().message;
  }
  json["shards"] = Json::array();
  for (const ShardReport& report : reports) json["shards"].push_back(json_of(report));
  print(json);
}

int code_of(const Result<std::string>& node, const std::vector<ShardReport>& reports) {
  const auto has_problems = [](const ShardReport& report) { return report.problems.count > 0; };
  const auto is_unchecked = [](const ShardReport& report) { return !report.unchecked.empty(); };
  if (!node || std::any_of(reports.begin(), reports.end(), has_problems)) return kProblems;
  return std::any_of(reports.begin(), reports.end(), is_unchecked) ? kUnavailable : kOk;
}

}  // namespace

int check(const std::string& path, bool json) {
  const auto data = DataFolder::inspect(path);
  if (!data) {
    report(data.error(), json);
    return kUnavailable;
  }
  const auto node = data->node_name();
  const auto names = data->shard_names();
  if (!names || (!node && node.error().code != Errc::corrupt)) {
    report(names ? node.error() : names.error(), json);
    return kUnavailable;
  }
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    bytes += bytes_in(data->shard_paths(name).log) + bytes_in(data->shard_paths(name).store);
  }
  std::vector<ShardReport> reports;
  {
    ProgressLine line(bytes);
    for (const std::string& name : *names) {
      reports.push_back(
          check_shard(name, data->shard_paths(name), [&](std::uint64_t read) { line.add(read); }));
    }
  }
  const int code = code_of(node, reports);
  if (json) {
    print_json(data->path(), node, reports, code);
    return code;
  }
  std::printf("%s, %s\n\n", data->path().c_str(),
              node ? ("the data folder of node " + *node).c_str() : "a data folder");
  for (const ShardReport& report : reports) print_words(report, data->path());
  if (!node) std::printf("! %s. Take the file from a copy of this folder.\n", node.error().message.c_str());
  if (code == kOk) std::printf("All is well: %s checked.\n", counted(reports.size(), "shard").c_str());
  return code;
}

}  // namespace dkv::cli
