// Proves for the real LMDB library that a crash at any point leaves the last acknowledged checkpoint, perhaps
// with records of the next one, which had been begun and can be finished: nothing else, and no record in
// parts. What the library writes and syncs is recorded by
// standing between it and libc; then the file is rebuilt as a crash after each step might leave it, and
// opened.
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sys/uio.h>
#include <unistd.h>

#include "actors/shard/lmdb_store.hpp"

namespace {

struct Step {
  enum class Kind { write, sync, acknowledged } kind;
  off_t offset = 0;
  std::string bytes;
  bool durable = false;  // written with O_DSYNC
};

struct Recorder {
  bool on = false;
  std::string file;
  std::vector<Step> steps;

  bool concerns(int fd) const {
    if (!on) return false;
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error) == file;
  }
  static bool is_dsync(int fd) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
    for (std::string name, value; info >> name >> value;) {
      if (name == "flags:") return (std::stoul(value, nullptr, 8) & 010000) != 0;
    }
    return false;
  }
  void wrote(int fd, off_t offset, std::string bytes) {
    steps.push_back({Step::Kind::write, offset, std::move(bytes), is_dsync(fd)});
  }
} recorder;

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// The library's calls come here first.
extern "C" {

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  const ssize_t done = real(fd, data, size, offset);
  if (done > 0 && recorder.concerns(fd)) {
    recorder.wrote(fd, offset, {static_cast<const char*>(data), static_cast<size_t>(done)});
  }
  return done;
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = next<ssize_t (*)(int, const iovec*, int)>("writev");
  const bool concerned = recorder.concerns(fd);
  const off_t offset = concerned ? lseek(fd, 0, SEEK_CUR) : 0;
  const ssize_t done = real(fd, parts, count);
  if (done > 0 && concerned) {
    std::string bytes;
    for (int i = 0; i < count; ++i)
      bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    bytes.resize(static_cast<std::size_t>(done));
    recorder.wrote(fd, offset, std::move(bytes));
  }
  return done;
}

int fdatasync(int fd) {
  static const auto real = next<int (*)(int)>("fdatasync");
  const int done = real(fd);
  if (done == 0 && recorder.concerns(fd)) recorder.steps.push_back({Step::Kind::sync, 0, {}, false});
  return done;
}

int fsync(int fd) {
  static const auto real = next<int (*)(int)>("fsync");
  const int done = real(fd);
  if (done == 0 && recorder.concerns(fd)) recorder.steps.push_back({Step::Kind::sync, 0, {}, false});
  return done;
}

}  // extern "C"

namespace dkv {
namespace {

constexpr std::uint64_t kCheckpoints = 12;
using Content = std::map<std::string, std::string>;

/// The n-th checkpoint touches some keys, removes some, and now and then brings a large value.
Memtable checkpoint(std::uint64_t n) {
  Memtable memtable;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::uint64_t key = (n * 7 + i * 3) % 90;
    const bool removed = (key + n) % 5 == 0;
    const std::size_t size = i == 0 && n % 3 == 0 ? 20'000 : 40 + key;
    memtable.set("key-" + std::to_string(key),
                 {{Epoch{1}, Seq{n}}, removed, removed ? "" : std::string(size, static_cast<char>('a' + n))});
  }
  memtable.seal();
  return memtable;
}

void take(Content& content, const Memtable& memtable) {
  for (auto at = memtable.seek(); !at.at_end(); at.next()) {
    const std::string key(at.key());
    if (at.record().removed) {
      content.erase(key);
    } else {
      content[key] = at.record().value;
    }
  }
}

class LmdbCrash : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "dkv-crash-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::create_directory(folder_ / "live");
  }
  void TearDown() override {
    recorder = {};
    std::filesystem::remove_all(folder_);
  }

  void record() {
    recorder.file = folder_ / "live" / "data.mdb";
    recorder.on = true;
    Content content;
    // Few records in a transaction, so that a checkpoint takes several.
    auto store = LmdbStore::open(folder_ / "live", ShardId{1}, {.transaction_bytes = 40'000});
    ASSERT_TRUE(store.has_value());
    recorder.steps.push_back({Step::Kind::acknowledged, 0, {}, false});
    states_.push_back(content);
    for (std::uint64_t n = 1; n <= kCheckpoints; ++n) {
      const Memtable memtable = checkpoint(n);
      take(content, memtable);
      states_.push_back(content);
      ASSERT_TRUE((*store)->write(memtable, {Epoch{1}, Seq{n}}).has_value());
      recorder.steps.push_back({Step::Kind::acknowledged, 0, {}, false});
    }
    recorder.on = false;
  }

  static void apply(std::string& image, const Step& step) {
    const auto end = static_cast<std::size_t>(step.offset) + step.bytes.size();
    if (image.size() < end) image.resize(end);
    image.replace(static_cast<std::size_t>(step.offset), step.bytes.size(), step.bytes);
  }

  /// Opens what a crash left: it must be one of the states from `acknowledged` on, whole, but for records
  /// of the next checkpoint, which had been begun and will be written again.
  void check(const std::string& image, std::uint64_t acknowledged, const std::string& when) {
    const auto place = folder_ / "crashed";
    std::filesystem::remove_all(place);
    std::filesystem::create_directory(place);
    std::ofstream(place / "data.mdb", std::ios::binary) << image;
    auto store = LmdbStore::open(place, ShardId{1});
    ASSERT_TRUE(store.has_value()) << when << ": " << store.error().message;
    const std::uint64_t applied = (*store)->applied().seq.value;
    ASSERT_GE(applied, acknowledged) << when << ": an acknowledged checkpoint is lost";
    ASSERT_LE(applied, acknowledged + 1) << when;
    Content found;
    const auto scanned = (*store)->scan("", [&](const RecordView& one) {
      found[std::string(one.key)] = one.value;
      return true;
    });
    ASSERT_TRUE(scanned.has_value()) << when << ": " << scanned.error().message;
    if (found != states_[applied]) {
      ASSERT_LT(applied, kCheckpoints) << when << ": the content is not that of checkpoint " << applied;
      expect_between(found, states_[applied], states_[applied + 1], when);
      ASSERT_GE((*store)->reached().seq.value, applied + 1) << when << ": it does not know of what was begun";
      take(found, checkpoint(applied + 1));
      ASSERT_TRUE(found == states_[applied + 1]) << when << ": what was begun cannot be finished";
      ++begun_;
    }
    ++images_;
  }

  static void expect_between(const Content& found, const Content& before, const Content& after,
                             const std::string& when) {
    const auto value_in = [](const Content& content, const std::string& key) {
      const auto at = content.find(key);
      return at == content.end() ? std::optional<std::string>() : at->second;
    };
    std::set<std::string> keys;
    for (const Content* content : {&found, &before, &after}) {
      for (const auto& [key, value] : *content) keys.insert(key);
    }
    for (const std::string& key : keys) {
      const auto value = value_in(found, key);
      EXPECT_TRUE(value == value_in(before, key) || value == value_in(after, key))
          << when << ": " << key << " is of neither checkpoint";
    }
  }

  std::filesystem::path folder_;
  std::vector<Content> states_;
  std::uint64_t images_ = 0;
  std::uint64_t begun_ = 0;  // of these, in the middle of a checkpoint
};

TEST_F(LmdbCrash, AtAnyPointLeavesAWholeCheckpoint) {
  record();
  if (HasFatalFailure()) return;
  std::string durable;
  std::vector<const Step*> pending;
  std::uint64_t acknowledged = 0;
  std::uint64_t writes = 0;
  bool opened = false;
  for (std::size_t at = 0; at < recorder.steps.size(); ++at) {
    const Step& step = recorder.steps[at];
    switch (step.kind) {
      case Step::Kind::acknowledged:
        acknowledged += opened ? 1 : 0;
        opened = true;
        break;
      case Step::Kind::sync:
        for (const Step* one : pending) apply(durable, *one);
        pending.clear();
        break;
      case Step::Kind::write:
        ++writes;
        if (step.durable) {
          apply(durable, step);
        } else {
          pending.push_back(&step);
        }
        break;
    }
    if (!opened) continue;  // the first opening made the file; nothing was acknowledged yet
    const std::string when =
        "after step " + std::to_string(at) + " of " + std::to_string(recorder.steps.size());
    check(durable, acknowledged, when + ", nothing unsynced kept");
    for (std::size_t kept = 1; kept <= pending.size(); ++kept) {
      std::string image = durable;
      for (std::size_t i = 0; i < kept; ++i) apply(image, *pending[i]);
      check(image, acknowledged, when + ", a prefix of the unsynced kept");
      image = durable;
      apply(image, *pending[kept - 1]);
      check(image, acknowledged, when + ", one of the unsynced kept");
      // And one torn in the middle.
      Step torn = *pending[kept - 1];
      torn.bytes.resize(torn.bytes.size() / 2);
      image = durable;
      apply(image, torn);
      check(image, acknowledged, when + ", one of the unsynced torn");
    }
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(acknowledged, kCheckpoints);
  EXPECT_GE(writes, 2 * kCheckpoints);
  EXPECT_GT(begun_, 0U);
  std::cout << recorder.steps.size() << " steps, " << images_ << " crash images opened, " << begun_
            << " of them in the middle of a checkpoint\n";
}

}  // namespace
}  // namespace dkv
