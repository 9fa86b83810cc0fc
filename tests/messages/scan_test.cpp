#include "messages/scan.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <set>

namespace dkv {
namespace {

ScanOptions options(std::string prefix, std::string start, std::string end, std::string cursor = "",
                    bool reverse = false) {
  ScanOptions made;
  made.prefix = std::move(prefix);
  made.start = std::move(start);
  made.end = std::move(end);
  made.cursor = std::move(cursor);
  made.reverse = reverse;
  return made;
}

TEST(Scan, ReadsWhatAllOptionsAllow) {
  EXPECT_EQ(range_of({}), (KeyRange{"", ""}));
  EXPECT_EQ(range_of(options("a", "", "")), (KeyRange{"a", "b"}));
  EXPECT_EQ(range_of(options("a\xff", "", "")), (KeyRange{"a\xff", "b"}));
  EXPECT_EQ(range_of(options("\xff\xff", "", "")), (KeyRange{"\xff\xff", ""}));
  EXPECT_EQ(range_of(options("a", "ab", "ac")), (KeyRange{"ab", "ac"}));
  EXPECT_EQ(range_of(options("b", "a", "c")), (KeyRange{"b", "c"}));
  EXPECT_EQ(range_of(options("", "a", "c", "b")), (KeyRange{"b", "c"}));
  EXPECT_EQ(range_of(options("", "a", "c", "b", true)), (KeyRange{"a", "b"}));
  EXPECT_TRUE(range_of(options("a", "b", "")).empty());
  EXPECT_TRUE(range_of(options("b", "", "a")).empty());
}

/// Shards of any content, whose pages end anywhere: page after page gives all keys of the range, in order,
/// once.
TEST(Scan, MergesPagesThatEndAnywhere) {
  EXPECT_TRUE(rc::check([] {
    const bool down = *rc::gen::arbitrary<bool>();
    const auto shards = *rc::gen::inRange<std::size_t>(1, 5);
    std::vector<std::set<std::string>> keys(shards);
    for (const std::string& key : *rc::gen::arbitrary<std::set<std::string>>()) {
      if (!key.empty()) keys[*rc::gen::inRange<std::size_t>(0, shards)].insert(key);
    }
    ScanOptions asked;
    asked.start = *rc::gen::arbitrary<std::string>();
    asked.end = *rc::gen::arbitrary<std::string>();
    asked.reverse = down;
    KeyRange range = range_of(asked);
    std::vector<std::string> wanted;
    for (const auto& of_shard : keys) {
      for (const std::string& key : of_shard) {
        if (key >= range.low && (range.high.empty() || key < range.high)) wanted.push_back(key);
      }
    }
    std::sort(wanted.begin(), wanted.end());
    if (down) std::reverse(wanted.begin(), wanted.end());
    std::vector<std::string> seen;
    for (int rounds = 0; !range.empty(); ++rounds) {
      RC_ASSERT(rounds < 1000);
      std::vector<rpc::ScanReply> pages;
      for (const auto& of_shard : keys) {
        std::vector<std::string> here;
        for (const std::string& key : of_shard) {
          if (key >= range.low && (range.high.empty() || key < range.high)) here.push_back(key);
        }
        if (down) std::reverse(here.begin(), here.end());
        const std::size_t most = *rc::gen::inRange<std::size_t>(1, 4);
        rpc::ScanReply page;
        for (std::size_t i = 0; i < std::min(most, here.size()); ++i) page.items.push_back({here[i], {}, ""});
        page.ended = here.size() <= most;
        if (!page.ended) page.next = down ? here[most] + '\0' : here[most];
        pages.push_back(std::move(page));
      }
      std::vector<rpc::ScanItem> items;
      const std::size_t most = *rc::gen::inRange<std::size_t>(1, 6);
      merge_pages(std::move(pages), down, most, range, items);
      RC_ASSERT(items.size() <= most);
      for (const rpc::ScanItem& item : items) seen.push_back(item.key);
    }
    RC_ASSERT(seen == wanted);
  }));
}

}  // namespace
}  // namespace dkv
