#include "actors/shard/scan_page.hpp"

#include <gtest/gtest.h>

#include "actors/shard/memory_store.hpp"
#include "messages/limits.hpp"

namespace dkv::test {
namespace {

class ScanPages : public testing::Test {
 protected:
  void put(const std::string& key, const std::string& value = "v") {
    copy_.apply({EventType::put, key, value}, {Epoch{1}, Seq{++seq_}});
  }
  void remove(const std::string& key) { copy_.apply({EventType::remove, key, {}}, {Epoch{1}, Seq{++seq_}}); }

  /// All pages of a scan: keys, with a | behind each page.
  std::string all(rpc::Scan scan) {
    std::string seen;
    for (int pages = 0; pages < 100; ++pages) {
      const auto page = scan_page(copy_, scan, {});
      for (const rpc::ScanItem& item : page->items) seen += item.key;
      seen += '|';
      if (page->ended) return seen;
      scan.from = page->next;
    }
    return seen + " without end";
  }
  static rpc::Scan up(std::string from, std::string to, std::uint64_t limit) {
    return {kShard, std::move(from), std::move(to), false, false, limit};
  }
  static rpc::Scan down(std::string from, std::string to, std::uint64_t limit) {
    return {kShard, std::move(from), std::move(to), true, false, limit};
  }

  static constexpr ShardId kShard{1};
  ShardCopy copy_{{NodeId{1}, Role::member, kShard}, std::make_shared<MemoryStore>(), {}};
  std::uint64_t seq_ = 0;
};

TEST_F(ScanPages, HaveNoMoreRecordsThanAskedFor) {
  for (const char* key : {"a", "b", "c", "d", "e"}) put(key);
  EXPECT_EQ(all(up("", "", 2)), "ab|cd|e|");
  EXPECT_EQ(all(up("", "", 5)), "abcde|");
  EXPECT_EQ(all(up("b", "d", 2)), "bc|");
  EXPECT_EQ(all(up("bb", "", 9)), "cde|");
  EXPECT_EQ(all(down("", "", 2)), "ed|cb|a|");
  EXPECT_EQ(all(down("d", "b", 2)), "cb|");
  EXPECT_EQ(all(down("dd", "bb", 1)), "d|c|");
  EXPECT_EQ(all(up("x", "", 2)), "|");
  EXPECT_EQ(all(down("a", "", 2)), "|");
}

TEST_F(ScanPages, HoldVersionsAndValuesUnlessKeysAloneAreWanted) {
  put("a", "1");
  put("b", "2");
  rpc::Scan scan = up("", "", 10);
  const auto whole = scan_page(copy_, scan, {});
  EXPECT_EQ(whole->items,
            (std::vector<rpc::ScanItem>{{"a", {Epoch{1}, Seq{1}}, "1"}, {"b", {Epoch{1}, Seq{2}}, "2"}}));
  scan.keys_only = true;
  EXPECT_EQ(scan_page(copy_, scan, {})->items[1], (rpc::ScanItem{"b", {Epoch{1}, Seq{2}}, ""}));
}

TEST_F(ScanPages, EndAtAboutAMebibyte) {
  for (const char* key : {"a", "b", "c"}) put(key, std::string(kScanPageBytes * 2 / 5, 'v'));
  put("d", std::string(3 * kScanPageBytes, 'v'));
  put("e");
  EXPECT_EQ(all(up("", "", 100)), "ab|c|d|e|");
  EXPECT_EQ(all(down("", "", 100)), "e|d|cb|a|");
}

TEST_F(ScanPages, EndWhenManyBytesHaveBeenRead) {
  for (const char* key : {"a", "b", "c"}) put(key, std::string(5 * kScanPageBytes, 'v'));
  rpc::Scan keys = up("", "", 100);
  keys.keys_only = true;
  EXPECT_EQ(all(keys), "ab|c|");
}

TEST_F(ScanPages, EndWhenManyRemovedKeysHaveBeenPassed) {
  put("a");
  for (int i = 0; i < 12'000; ++i) remove("k" + std::to_string(i));
  put("z");
  for (rpc::Scan scan : {up("", "", 100), down("", "", 100)}) {
    const std::string seen = all(scan);
    EXPECT_EQ(seen, scan.down ? "z||a|" : "a||z|");
  }
}

}  // namespace
}  // namespace dkv::test
