// What every store must do, and what LMDB alone must.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "actors/shard/lmdb_store.hpp"
#include "actors/shard/memory_store.hpp"

namespace dkv {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dkv-store-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Position at(std::uint64_t seq) { return {Epoch{2}, Seq{seq}}; }

Memtable memtable_of(std::vector<std::pair<std::string, std::string>> puts,
                     std::vector<std::string> removes = {}, std::uint64_t seq = 1) {
  Memtable memtable;
  for (auto& [key, value] : puts) memtable.set(key, {at(seq++), false, value});
  for (auto& key : removes) memtable.set(key, {at(seq++), true, {}});
  memtable.seal();
  return memtable;
}

const Store::Chooser kAll = [](std::string_view) { return Store::Step::show; };

struct LmdbKind {
  Folder folder;
  std::unique_ptr<Store> make() { return std::move(*LmdbStore::open(folder.path(), ShardId{1})); }
};
struct MemoryKind {
  std::unique_ptr<Store> make() { return std::make_unique<MemoryStore>(); }
};

template <class Kind>
class StoreConformance : public testing::Test {
 protected:
  Kind kind_;
  std::unique_ptr<Store> store_ = kind_.make();

  std::string value_of(const std::string& key) {
    auto found = store_->get(key);
    if (!found) return "error: " + found.error().message;
    return found->has_value() ? (*found)->value : "(missing)";
  }
};
using Kinds = testing::Types<LmdbKind, MemoryKind>;
TYPED_TEST_SUITE(StoreConformance, Kinds);

TYPED_TEST(StoreConformance, IsEmptyAtFirst) {
  EXPECT_EQ(this->store_->applied(), Position{});
  EXPECT_EQ(this->value_of("k"), "(missing)");
  EXPECT_FALSE(this->store_->head_of("k", Store::Check::record)->has_value());
}

TYPED_TEST(StoreConformance, HoldsWhatWasWritten) {
  const std::string binary("\0\xff\n/", 4);
  ASSERT_TRUE(
      this->store_->write(memtable_of({{"a", "1"}, {binary, binary}, {"empty", ""}}), at(3)).has_value());
  EXPECT_EQ(this->store_->applied(), at(3));
  EXPECT_EQ(this->value_of("a"), "1");
  EXPECT_EQ(this->value_of(binary), binary);
  EXPECT_EQ(this->value_of("empty"), "");
  EXPECT_EQ(*this->store_->head_of("empty", Store::Check::header), RecordHead{at(3)});
  EXPECT_EQ((*this->store_->get("a"))->version, at(1));
}

TYPED_TEST(StoreConformance, ReplacesAndRemoves) {
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "1"}, {"b", "2"}}), at(2)).has_value());
  this->store_->end_batch();
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "longer than before"}}, {"b", "never there"}, 3), at(5))
                  .has_value());
  this->store_->end_batch();
  EXPECT_EQ(this->value_of("a"), "longer than before");
  EXPECT_EQ(this->value_of("b"), "(missing)");
  EXPECT_FALSE(this->store_->head_of("b", Store::Check::header)->has_value());
}

TYPED_TEST(StoreConformance, LeavesALargerValueThanAskedForOut) {
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "12345"}}), at(1)).has_value());
  EXPECT_EQ((*this->store_->get("a", 5))->value, "12345");
  const auto without = *this->store_->get("a", 4);
  EXPECT_EQ(without->value, "");
  EXPECT_EQ(without->size, 5U);
  EXPECT_EQ(without->version, at(1));
}

TYPED_TEST(StoreConformance, ABatchOfReadsEndsBeforeNewRecordsMustShow) {
  EXPECT_EQ(this->value_of("a"), "(missing)");
  this->store_->end_batch();
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "1"}}), at(1)).has_value());
  EXPECT_EQ(this->value_of("a"), "1");
}

TYPED_TEST(StoreConformance, KnowsWhatExpiresAndWhen) {
  const auto all = [&](const Expiry& after = {}) {
    std::string seen;
    EXPECT_TRUE(this->store_
                    ->scan_expiries(after,
                                    [&](std::uint64_t at_ms, std::string_view key) {
                                      seen += std::string(key) + "@" + std::to_string(at_ms) + " ";
                                      return true;
                                    })
                    .has_value());
    this->store_->end_batch();
    return seen;
  };
  std::uint64_t seq = 0;
  const auto write = [&](const std::string& key, const Record& record) {
    Memtable memtable;
    memtable.set(key, Record({Epoch{2}, Seq{++seq}}, record.removed, record.value, record.expires_ms));
    memtable.seal();
    this->store_->end_batch();
    ASSERT_TRUE(this->store_->write(memtable, at(seq)).has_value());
  };
  write("c", Record({}, false, "1", 300));
  write("b", Record({}, false, "1", 70'000));
  write("a", Record({}, false, "1", 70'000));
  write("for ever", Record({}, false, "1"));
  EXPECT_EQ(all(), "c@300 a@70000 b@70000 ");
  EXPECT_EQ(all({300, "c"}), "a@70000 b@70000 ");
  EXPECT_EQ(all({70'000, "a"}), "b@70000 ");
  EXPECT_EQ((*this->store_->get("b"))->expires_ms, 70'000U);
  EXPECT_EQ((*this->store_->head_of("c", Store::Check::header))->expires_ms, 300U);
  write("c", Record({}, false, "2", 80'000));
  write("b", Record({}, true, ""));
  write("a", Record({}, false, "2"));
  EXPECT_EQ(all(), "c@80000 ");
  ASSERT_TRUE(this->store_->begin_import(at(90)).has_value());
  EXPECT_EQ(all(), "");
  ASSERT_TRUE(this->store_->import({{"i", at(80), "v", 5}}, "", at(90)).has_value());
  EXPECT_EQ(all(), "i@5 ");
}

TYPED_TEST(StoreConformance, ScansWhatIsChosen) {
  ASSERT_TRUE(
      this->store_->write(memtable_of({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}), at(4)).has_value());
  std::string seen;
  const auto choose = [](std::string_view key) {
    return key == "b" ? Store::Step::skip : key == "d" ? Store::Step::stop : Store::Step::show;
  };
  const auto visit = [&](const RecordView& record) {
    seen += record.key;
    return true;
  };
  ASSERT_TRUE(this->store_->scan("", choose, visit).has_value());
  EXPECT_EQ(seen, "ac");
}

TYPED_TEST(StoreConformance, ScansInKeyOrder) {
  ASSERT_TRUE(
      this->store_->write(memtable_of({{"c", "3"}, {"a", "1"}, {"b", "2"}, {"d", "4"}}), at(4)).has_value());
  std::string seen;
  const auto visit = [&](const RecordView& record) {
    seen += std::string(record.key) + "=" + std::string(record.value) + " ";
    return record.key != "c";
  };
  ASSERT_TRUE(this->store_->scan("b", visit).has_value());
  EXPECT_EQ(seen, "b=2 c=3 ");
  seen.clear();
  ASSERT_TRUE(this->store_->scan("", visit).has_value());
  EXPECT_EQ(seen, "a=1 b=2 c=3 ");
}

TYPED_TEST(StoreConformance, ScansDownwards) {
  std::string seen;
  const auto visit = [&](const RecordView& record) {
    seen += std::string(record.key) + "=" + std::string(record.value) + " ";
    return record.key != "b";
  };
  ASSERT_TRUE(this->store_->scan_down("", kAll, visit).has_value());
  EXPECT_EQ(seen, "");
  ASSERT_TRUE(
      this->store_->write(memtable_of({{"c", "3"}, {"a", "1"}, {"b", "2"}, {"d", "4"}}), at(4)).has_value());
  for (const auto& [before, wanted] : {std::pair{"", "d=4 c=3 b=2 "},
                                       {"z", "d=4 c=3 b=2 "},
                                       {"d", "c=3 b=2 "},
                                       {"cc", "c=3 b=2 "},
                                       {"b", "a=1 "},
                                       {"a", ""}}) {
    seen.clear();
    ASSERT_TRUE(this->store_->scan_down(before, kAll, visit).has_value());
    EXPECT_EQ(seen, wanted) << before;
  }
}

TYPED_TEST(StoreConformance, AnImportBeginsByRemovingEverything) {
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "1"}, {"b", "2"}}), at(2)).has_value());
  EXPECT_FALSE(this->store_->importing());
  ASSERT_TRUE(this->store_->begin_import(at(90)).has_value());
  this->store_->end_batch();
  EXPECT_EQ(this->value_of("a"), "(missing)");
  EXPECT_EQ(this->store_->applied(), at(90));
  ASSERT_TRUE(this->store_->importing());
  EXPECT_FALSE(this->store_->importing()->begun);
}

TYPED_TEST(StoreConformance, AnImportIsWholeOnceItHasReachedTheLatestChunk) {
  ASSERT_TRUE(this->store_->begin_import(at(90)).has_value());
  ASSERT_TRUE(this->store_->import({{"a", at(3), "1"}, {"b", at(80), "2"}}, "c", at(90)).has_value());
  ASSERT_TRUE(this->store_->write(memtable_of({{"a", "newer"}, {"d", "4"}}, {}, 91), at(92)).has_value());
  ASSERT_TRUE(this->store_->import({{"c", at(95), "3"}}, "", at(97)).has_value());
  const auto progress = this->store_->importing();
  ASSERT_TRUE(progress);
  EXPECT_TRUE(progress->begun);
  EXPECT_TRUE(progress->ended);
  EXPECT_EQ(progress->until, at(97));
  EXPECT_EQ(progress->records, 3U);
  EXPECT_EQ(progress->bytes, 6U);
  EXPECT_EQ(this->store_->applied(), at(92));
  ASSERT_TRUE(this->store_->write(memtable_of({{"e", "5"}}, {"b"}, 96), at(97)).has_value());
  EXPECT_FALSE(this->store_->importing());
  EXPECT_EQ(this->value_of("a"), "newer");
  EXPECT_EQ(this->value_of("b"), "(missing)");
  EXPECT_EQ(this->value_of("c"), "3");
  EXPECT_EQ((*this->store_->get("c"))->version, at(95));
  EXPECT_EQ(this->value_of("d"), "4");
}

TYPED_TEST(StoreConformance, AnImportOfAnIdleShardIsWholeWithItsLastChunk) {
  ASSERT_TRUE(this->store_->begin_import(at(90)).has_value());
  ASSERT_TRUE(this->store_->import({{"a", at(3), "1"}}, "b", at(90)).has_value());
  EXPECT_EQ(this->store_->importing()->next_key, "b");
  ASSERT_TRUE(this->store_->import({}, "", at(90)).has_value());
  EXPECT_FALSE(this->store_->importing());
  EXPECT_EQ(this->value_of("a"), "1");
}

TYPED_TEST(StoreConformance, AnImportMayBeginAnew) {
  ASSERT_TRUE(this->store_->begin_import(at(90)).has_value());
  ASSERT_TRUE(this->store_->import({{"a", at(3), "1"}}, "b", at(90)).has_value());
  ASSERT_TRUE(this->store_->begin_import(at(100)).has_value());
  EXPECT_EQ(this->value_of("a"), "(missing)");
  EXPECT_EQ(*this->store_->importing(), Import::starting_at(at(100)));
}

TYPED_TEST(StoreConformance, TakesTheLargestKeyAndALargeValue) {
  const std::string key(480, 'k');
  const std::string value(std::size_t{16} << 20, 'v');
  ASSERT_TRUE(this->store_->write(memtable_of({{key, value}}), at(1)).has_value());
  EXPECT_EQ(this->value_of(key), value);
}

TEST(LmdbStore, KeepsItsRecordsOverARestart) {
  Folder folder;
  {
    auto store = LmdbStore::open(folder.path(), ShardId{1});
    ASSERT_TRUE((*store)->write(memtable_of({{"a", "1"}}), at(7)).has_value());
  }
  auto store = LmdbStore::open(folder.path(), ShardId{1});
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ((*store)->applied(), at(7));
  EXPECT_EQ((*(*store)->get("a"))->value, "1");
}

TEST(LmdbStore, KnowsAfterARestartHowFarAnImportHadCome) {
  Folder folder;
  std::optional<Import> before;
  {
    auto store = LmdbStore::open(folder.path(), ShardId{1});
    ASSERT_TRUE((*store)->write(memtable_of({{"old", "1"}}), at(7)).has_value());
    ASSERT_TRUE((*store)->begin_import(at(90)).has_value());
    ASSERT_TRUE((*store)->import({{"a", at(3), "1"}}, std::string("b\0", 2), at(95)).has_value());
    before = (*store)->importing();
  }
  {
    auto store = LmdbStore::open(folder.path(), ShardId{1});
    ASSERT_TRUE(store.has_value());
    EXPECT_EQ((*store)->importing(), before);
    EXPECT_EQ((*store)->applied(), at(90));
    EXPECT_FALSE((*store)->head_of("old", Store::Check::record)->has_value());
    EXPECT_EQ((*(*store)->get("a"))->value, "1");
    ASSERT_TRUE((*store)->import({}, "", at(96)).has_value());
    ASSERT_TRUE((*store)->write(Memtable{}, at(96)).has_value());
  }
  auto store = LmdbStore::open(folder.path(), ShardId{1});
  EXPECT_FALSE((*store)->importing());
}

TEST(LmdbStore, RefusesAnotherShardsFolder) {
  Folder folder;
  { ASSERT_TRUE(LmdbStore::open(folder.path(), ShardId{1}).has_value()); }
  const auto other = LmdbStore::open(folder.path(), ShardId{2});
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, Errc::in_use);
}

TEST(LmdbStore, NeverServesARecordWhoseChecksumFails) {
  Folder folder;
  const std::string value = "a value that is easy to find in the file";
  {
    auto store = LmdbStore::open(folder.path(), ShardId{1});
    ASSERT_TRUE((*store)->write(memtable_of({{"a", value}, {"b", "good"}}), at(2)).has_value());
  }
  const std::string file = folder.path() + "/data.mdb";
  std::string bytes;
  {
    std::ifstream in(file, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::size_t flipped = 0;
  for (std::size_t found = bytes.find(value); found != std::string::npos;
       found = bytes.find(value, found + 1)) {
    bytes[found + 5] = static_cast<char>(bytes[found + 5] ^ 1);
    ++flipped;
  }
  ASSERT_GT(flipped, 0U);
  {
    std::ofstream out(file, std::ios::binary);
    out << bytes;
  }
  auto store = LmdbStore::open(folder.path(), ShardId{1});
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ((*store)->get("a").error().code, Errc::corrupt);
  EXPECT_EQ((*(*store)->get("b"))->value, "good");
  EXPECT_EQ((*store)->scan("", [](const auto&) { return true; }).error().code, Errc::corrupt);
  EXPECT_EQ((*store)->head_of("a", Store::Check::record).error().code, Errc::corrupt);
  EXPECT_EQ(*(*store)->head_of("a", Store::Check::header), RecordHead{at(1)});
}

TEST(LmdbStore, AFolderThatIsNotThereIsAnError) {
  EXPECT_EQ(LmdbStore::open("/proc/no-such-folder", ShardId{1}).error().code, Errc::io_error);
}

}  // namespace
}  // namespace dkv
