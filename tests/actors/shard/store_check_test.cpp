// What the check of a store finds: everything that LMDB or a reader would be misled by, and nothing in a
// store that LMDB made.
#include "actors/shard/store_check.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

#include "actors/runtime/posix_disk.hpp"
#include "actors/shard/lmdb_store.hpp"
#include "messages/little_endian.hpp"
#include "tests/sim/random.hpp"

namespace dkv {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr ShardId kSurveyed{1};

// A sanitizer makes a check ten times as long, and looks at the code, not at the places.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kSparseness = 5;
#else
constexpr std::size_t kSparseness = 1;
#endif

Position position(std::uint64_t seq) { return {Epoch{2}, Seq{seq}}; }

/// A file in memory.
class Bytes final : public File {
 public:
  explicit Bytes(const std::string& bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> write(std::uint64_t, const std::vector<std::string_view>&) override { std::abort(); }
  Result<void> sync() override { std::abort(); }
  Result<std::string> read(std::uint64_t offset, std::size_t count) const override {
    return offset < bytes_.size() ? bytes_.substr(offset, count) : std::string();
  }

 private:
  const std::string& bytes_;
};

class OneFile final : public Disk {
 public:
  explicit OneFile(const std::string& bytes) : bytes_(bytes) {}
  Result<std::vector<std::string>> list() const override { return std::vector<std::string>{"data.mdb"}; }
  Result<std::unique_ptr<File>> open(const std::string&, bool) override {
    return std::unique_ptr<File>(std::make_unique<Bytes>(bytes_));
  }
  Result<void> rename(const std::string&, const std::string&) override { std::abort(); }
  Result<void> remove(const std::string&) override { std::abort(); }

 private:
  const std::string& bytes_;
};

class StoreCheck : public testing::Test {
 protected:
  StoreCheck() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dkv-check-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~StoreCheck() override { std::filesystem::remove_all(path_); }

  std::unique_ptr<LmdbStore> open() const { return std::move(*LmdbStore::open(path_, kSurveyed)); }
  void write(LmdbStore& store, const std::map<std::string, std::string>& puts,
             const std::vector<std::string>& removes = {}) {
    Memtable memtable;
    for (const auto& [key, value] : puts) memtable.set(key, {position(++seq_), false, value});
    for (const auto& key : removes) memtable.set(key, {position(++seq_), true, {}});
    memtable.seal();
    ASSERT_TRUE(store.write(memtable, position(seq_)).has_value());
  }
  std::string file() const {
    std::ostringstream bytes;
    bytes << std::ifstream(path_ + "/data.mdb", std::ios::binary).rdbuf();
    return bytes.str();
  }
  void replace_file(const std::string& bytes) const {
    std::ofstream out(path_ + "/data.mdb", std::ios::binary);
    out << bytes;
  }
  static StoreSurvey check(const std::string& bytes) {
    OneFile disk(bytes);
    return *check_store(disk, [](std::uint64_t) {});
  }
  static std::string text(const Problems& problems) {
    std::string text = std::to_string(problems.count) + " problems";
    for (const Problem& problem : problems.first) {
      text += "\n" + problem.file + " " + std::to_string(problem.offset.value_or(0)) + ": " + problem.what;
    }
    return text;
  }
  /// A store of three levels, with large values and free pages.
  void make_large() {
    auto store = open();
    sim::Random random(7);
    for (int round = 0; round < 4; ++round) {
      std::map<std::string, std::string> puts;
      std::vector<std::string> removes;
      for (int i = 0; i < 300; ++i) {
        const std::string key = "key-" + std::to_string(random.below(900)) + std::string(100, 'k');
        if (random.below(4) == 0) {
          if (!puts.contains(key)) removes.push_back(key);
        } else {
          puts[key] = std::string(random.below(20) == 0 ? 9000 : random.below(300), 'v');
        }
      }
      write(*store, puts, removes);
    }
  }

  std::string path_;
  std::uint64_t seq_ = 0;
};

TEST_F(StoreCheck, CountsWhatASoundStoreHolds) {
  {
    auto store = open();
    write(*store, {{"a", "1"}, {"bb", ""}, {"c", std::string(100'000, 'x')}});
    write(*store, {}, {"a"});
  }
  PosixDisk disk(path_);
  const auto survey = *check_store(disk, [](std::uint64_t) {});
  EXPECT_EQ(survey.problems.count, 0U) << text(survey.problems);
  EXPECT_TRUE(survey.exists);
  EXPECT_EQ(survey.format, "2");
  EXPECT_EQ(survey.shard, kSurveyed);
  EXPECT_EQ(survey.applied, position(4));
  EXPECT_EQ(survey.records, 2U);
  EXPECT_EQ(survey.bytes, 100'003U);
  EXPECT_FALSE(survey.import);
}

TEST_F(StoreCheck, AStoreThatWasNeverWrittenToIsSound) {
  StoreSurvey survey = check("");
  EXPECT_FALSE(survey.exists);
  EXPECT_EQ(survey.applied, Position{});
  (void)open();
  survey = check(file());
  EXPECT_EQ(survey.problems.count, 0U) << text(survey.problems);
  EXPECT_EQ(survey.applied, Position{});
  EXPECT_EQ(survey.records, 0U);
}

TEST_F(StoreCheck, TellsOfAnUnfinishedImport) {
  {
    auto store = open();
    ASSERT_TRUE(store->begin_import(position(90)).has_value());
    ASSERT_TRUE(store->import({{"a", position(3), "1"}}, "b", position(95)).has_value());
  }
  const auto survey = check(file());
  EXPECT_EQ(survey.problems.count, 0U) << text(survey.problems);
  ASSERT_TRUE(survey.import);
  EXPECT_EQ(survey.import->records, 1U);
  EXPECT_EQ(survey.applied, position(90));
}

// No false alarm: whatever LMDB made is sound, with pages freed and used again, values grown and shrunk.
TEST_F(StoreCheck, FindsNothingInWhatLmdbMakes) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
    sim::Random random(seed);
    auto store = open();
    std::map<std::string, std::string> model;
    for (int round = 0; round < 40; ++round) {
      std::map<std::string, std::string> puts;
      std::vector<std::string> removes;
      const std::uint64_t changes = random.below(round % 10 == 0 ? 600 : 40) + 1;
      for (std::uint64_t i = 0; i < changes; ++i) {
        const std::string key(random.below(479) + 1, static_cast<char>('a' + random.below(26)));
        const std::string numbered = (std::to_string(random.below(500)) + key).substr(0, 480);
        if (random.below(round % 20 > 12 ? 2 : 5) == 0) {
          if (!puts.contains(numbered)) removes.push_back(numbered);
        } else {
          puts[numbered] = std::string(random.below(random.below(8) == 0 ? 30'000 : 400), 'v');
        }
      }
      write(*store, puts, removes);
      for (const auto& [key, value] : puts) model[key] = value;
      for (const std::string& key : removes) model.erase(key);
      if (random.below(25) == 0) {
        ASSERT_TRUE(store->begin_import(position(seq_)).has_value());
        ASSERT_TRUE(store->import({}, "", position(seq_)).has_value());
        model.clear();
      }
      const auto survey = check(file());
      ASSERT_EQ(survey.problems.count, 0U) << "seed " << seed << " round " << round << text(survey.problems);
      ASSERT_EQ(survey.records, model.size());
    }
  }
}

TEST_F(StoreCheck, FindsAByteFlippedInAValue) {
  {
    auto store = open();
    write(*store, {{"a", "a value that is easy to find"}, {"b", std::string(50'000, 'b')}, {"c", "good"}});
  }
  const std::string whole = file();
  const std::size_t small = whole.find("a value that is easy");
  const std::size_t large = whole.find(std::string(50'000, 'b'));
  ASSERT_NE(small, std::string::npos);
  ASSERT_NE(large, std::string::npos);
  std::string bytes = whole;
  bytes[small + 3] ^= 1;
  bytes[large + 49'999] ^= 1;
  const auto survey = check(bytes);
  EXPECT_EQ(survey.problems.count, 2U) << text(survey.problems);
  EXPECT_EQ(survey.records, 1U);
  // A record's header stands before its value.
  EXPECT_EQ(survey.problems.first[0].offset, small - 34);
  EXPECT_EQ(survey.problems.first[1].offset, large - 34);
}

TEST_F(StoreCheck, TheStoreNamesTheSameFileAndOffset) {
  {
    auto store = open();
    write(*store, {{"a", "a value that is easy to find"}, {"b", std::string(50'000, 'b')}});
  }
  std::string bytes = file();
  const std::size_t small = bytes.find("a value that is easy");
  const std::size_t large = bytes.find(std::string(50'000, 'b'));
  bytes[small] ^= 1;
  bytes[large + 40'000] ^= 1;
  replace_file(bytes);
  auto store = open();
  for (const auto& [key, offset] : {std::pair{"a", small - 34}, std::pair{"b", large - 34}}) {
    const std::string place = "data.mdb at offset " + std::to_string(offset) + ":";
    const auto found = store->get(key);
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().code, Errc::corrupt);
    EXPECT_NE(found.error().message.find(place), std::string::npos) << found.error().message;
    const auto scanned = store->scan(key, [](const auto&) { return true; });
    ASSERT_FALSE(scanned.has_value());
    EXPECT_NE(scanned.error().message.find(place), std::string::npos) << scanned.error().message;
  }
}

TEST_F(StoreCheck, AFileThatWasCutShortIsFoundWhereverItEnds) {
  make_large();
  const std::string whole = file();
  ASSERT_EQ(check(whole).problems.count, 0U);
  for (std::size_t size = 1; size < whole.size(); size += 1 + size / 7) {
    const auto survey = check(whole.substr(0, size));
    EXPECT_GT(survey.problems.count, 0U) << size << " of " << whole.size();
  }
}

/// Where the current tables point: what a page is used for, by its own header.
enum class Use { meta, branch, leaf, overflow, other };
Use use_of(const std::string& bytes, std::size_t page) {
  const auto flags = static_cast<unsigned char>(bytes[page * kPageBytes + 10]);
  return flags == 8   ? Use::meta
         : flags == 1 ? Use::branch
         : flags == 2 ? Use::leaf
         : flags == 4 ? Use::overflow
                      : Use::other;
}

TEST_F(StoreCheck, APageOfZerosIsFoundUnlessNothingUsesIt) {
  make_large();
  const std::string whole = file();
  std::map<Use, std::size_t> found;
  for (std::size_t page = 0; page < whole.size() / kPageBytes; ++page) {
    std::string bytes = whole;
    std::memset(bytes.data() + page * kPageBytes, 0, kPageBytes);
    if (check(bytes).problems.count > 0) ++found[use_of(whole, page)];
  }
  EXPECT_EQ(found[Use::meta], 2);
  EXPECT_GT(found[Use::branch], 0);
  EXPECT_GT(found[Use::leaf], 10);
  EXPECT_GT(found[Use::overflow], 0);
}

TEST_F(StoreCheck, AFlippedByteInTheHeaderOfAPageInUseIsFound) {
  make_large();
  const std::string whole = file();
  std::map<Use, int> checked;
  for (std::size_t page = 0; page < whole.size() / kPageBytes; ++page) {
    std::string bytes = whole;
    std::memset(bytes.data() + page * kPageBytes, 0, kPageBytes);
    if (check(bytes).problems.count == 0) continue;  // not in use
    const Use use = use_of(whole, page);
    // The second page of a large value has no header.
    if (use == Use::other || ++checked[use] > 5) continue;
    for (std::size_t at = 0; at < 16; ++at) {
      if (at == 8 || at == 9 || (use == Use::meta && at > 11)) continue;  // they mean nothing
      bytes = whole;
      bytes[page * kPageBytes + at] ^= 2;
      EXPECT_GT(check(bytes).problems.count, 0U) << "page " << page << " byte " << at;
    }
  }
  EXPECT_GT(checked[Use::branch], 0);
  EXPECT_GT(checked[Use::leaf], 4);
  EXPECT_GT(checked[Use::overflow], 4);
}

TEST_F(StoreCheck, NumbersThatAreFarTooLargeAreFoundAndNotFollowed) {
  make_large();
  const std::string whole = file();
  // Of the last page: one refused at once, one that lets the others through.
  for (const std::uint64_t last : {UINT64_MAX, std::uint64_t{1} << 50}) {
    for (std::size_t place = 0; place < whole.size();
         place += kSparseness * (place % kPageBytes < 160 ? 8 : 488)) {
      std::string bytes = whole;
      std::memset(bytes.data() + place, 0xff, 8);
      for (const std::size_t meta : {0U, 1U}) {
        put_little_endian(bytes.data() + meta * kPageBytes + 136, last);
      }
      ASSERT_GT(check(bytes).problems.count, 0U) << place;
    }
  }
}

// Whatever is flipped: either it is reported, or the records that are read are what they were.
TEST_F(StoreCheck, AFlippedByteIsFoundOrHarmless) {
  make_large();
  const std::string whole = file();
  const auto sound = check(whole);
  ASSERT_EQ(sound.problems.count, 0U);
  sim::Random random(3);
  std::map<Use, std::size_t> found;
  // Densely where the headers are.
  const auto step = [&](std::size_t place) {
    const std::uint64_t rest = kPageBytes - place % kPageBytes;
    if (place % kPageBytes >= 200) return std::min(rest, kSparseness * (1 + random.below(400)));
    return place < 2 * kPageBytes ? 1 : kSparseness * (1 + random.below(20));
  };
  for (std::size_t place = 0; place < whole.size(); place += step(place)) {
    std::string bytes = whole;
    bytes[place] = static_cast<char>(bytes[place] ^ (1 << random.below(8)));
    const auto survey = check(bytes);
    if (survey.problems.count > 0) {
      ++found[use_of(whole, place / kPageBytes)];
      continue;
    }
    ASSERT_EQ(survey.records, sound.records) << place;
    ASSERT_EQ(survey.bytes, sound.bytes) << place;
    ASSERT_EQ(survey.applied, sound.applied) << place;
  }
  EXPECT_GT(found[Use::meta], 100);
  EXPECT_GT(found[Use::branch], 5 / kSparseness);
  EXPECT_GT(found[Use::leaf], 300 / kSparseness);
  EXPECT_GT(found[Use::overflow], 5 / kSparseness);
}

TEST_F(StoreCheck, CountsAllProblemsAndKeepsTheFirst) {
  std::map<std::string, std::string> puts;
  for (int i = 100; i < 200; ++i) puts["key-" + std::to_string(i)] = "the value";
  {
    auto store = open();
    write(*store, puts);
  }
  std::string bytes = file();
  for (std::size_t at = bytes.find("the value"); at != std::string::npos; at = bytes.find("the value", at)) {
    bytes[at] = 'T';
  }
  const auto survey = check(bytes);
  EXPECT_EQ(survey.problems.count, 100U);
  EXPECT_EQ(survey.problems.first.size(), Problems::kKept);
}

}  // namespace
}  // namespace dkv
