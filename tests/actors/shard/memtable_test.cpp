#include "actors/shard/memtable.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>

namespace dkv {
namespace {

Record put(std::uint64_t seq, std::string_view value) { return {{Epoch{1}, Seq{seq}}, false, value}; }
Record removal(std::uint64_t seq) { return {{Epoch{1}, Seq{seq}}, true, {}}; }

std::string line_of(const Memtable::Cursor& at) {
  const Record& record = at.record();
  return std::string(at.key()) + (record.removed ? " removed" : "=" + std::string(record.value)) + "@" +
         std::to_string(record.version.seq.value);
}

/// What a cursor shows from `from` on: "key=value" or "key removed", with versions. And the other way round.
std::vector<std::string> content(Memtable& memtable, std::string_view from = {}) {
  std::vector<std::string> lines;
  for (auto at = memtable.seek(from); !at.at_end(); at.next()) lines.push_back(line_of(at));
  std::vector<std::string> down;
  auto at = memtable.seek_down("");
  for (; !at.at_end() && at.key() >= from; at.next()) down.push_back(line_of(at));
  EXPECT_EQ(down, std::vector<std::string>(lines.rbegin(), lines.rend()));
  if (!from.empty()) {
    const auto below = memtable.seek_down(from);
    EXPECT_EQ(below.at_end(), at.at_end());
    EXPECT_TRUE(at.at_end() || below.key() == at.key());
  }
  return lines;
}

TEST(Memtable, KeepsTheNewestRecordOfAKey) {
  Memtable memtable;
  EXPECT_TRUE(memtable.empty());
  EXPECT_EQ(memtable.find("k"), nullptr);
  for (const std::string_view value : {"first", "", "longer than the first", "short"}) {
    memtable.set("k", put(1, value));
    ASSERT_NE(memtable.find("k"), nullptr);
    EXPECT_EQ(memtable.find("k")->value, value);
  }
  memtable.set("k", removal(2));
  EXPECT_TRUE(memtable.find("k")->removed);
  memtable.set("k", put(3, "again"));
  EXPECT_FALSE(memtable.find("k")->removed);
  EXPECT_EQ(memtable.find("k")->version, (Position{Epoch{1}, Seq{3}}));
  EXPECT_EQ(memtable.size(), 1U);
}

TEST(Memtable, CopiesWhatItIsGiven) {
  Memtable memtable;
  {
    std::string key = "key";
    std::string value(100, 'v');
    memtable.set(key, put(1, value));
    key = "xxx";
    value.assign(100, 'x');
  }
  EXPECT_EQ(content(memtable), std::vector<std::string>{"key=" + std::string(100, 'v') + "@1"});
}

TEST(Memtable, TellsBytesThatDifferInOneBitApart) {
  Memtable memtable;
  std::string key(480, '\0');
  for (int i = 0; i < 256; ++i) {
    key.back() = static_cast<char>(i);
    memtable.set(key, put(static_cast<std::uint64_t>(i), std::to_string(i)));
  }
  for (int i = 0; i < 256; ++i) {
    key.back() = static_cast<char>(i);
    ASSERT_NE(memtable.find(key), nullptr);
    EXPECT_EQ(memtable.find(key)->value, std::to_string(i));
  }
}

// More keys than a sorted run holds, seen through cursors at any time, before and after sealing.
TEST(Memtable, IsAMapInOrderWhateverIsWritten) {
  Memtable memtable;
  std::map<std::string, std::string> expected;
  std::mt19937_64 random(7);  // NOLINT: the same test every time
  const auto lines_from = [&](const std::string& from) {
    std::vector<std::string> lines;
    for (auto at = expected.lower_bound(from); at != expected.end(); ++at)
      lines.push_back(at->first + at->second);
    return lines;
  };
  for (std::uint64_t i = 1; i <= 40'000; ++i) {
    const std::string key = "key-" + std::to_string(random() % 30'000);
    if (random() % 5 == 0) {
      memtable.set(key, removal(i));
      expected[key] = " removed@" + std::to_string(i);
    } else {
      const std::string value(random() % 40, static_cast<char>('a' + i % 26));
      memtable.set(key, put(i, value));
      expected[key] = "=" + value + "@" + std::to_string(i);
    }
    if (i % 9'999 == 0) {
      const std::string from = "key-" + std::to_string(random() % 30'000);
      ASSERT_EQ(content(memtable, from), lines_from(from));
    }
  }
  memtable.seal();
  EXPECT_EQ(memtable.size(), expected.size());
  EXPECT_EQ(content(memtable), lines_from(""));
  EXPECT_TRUE(content(memtable, "l").empty());
  for (const auto& [key, line] : expected) {
    const Record* record = memtable.find(key);
    ASSERT_NE(record, nullptr);
    ASSERT_EQ((record->removed ? " removed" : "=" + std::string(record->value)) + "@" +
                  std::to_string(record->version.seq.value),
              line);
  }
}

// Keys that differ late, early, only in their length, or only in zeros at their end.
TEST(Memtable, OrdersKeysAsBytesHoweverAlikeTheyAre) {
  std::mt19937_64 random(11);  // NOLINT: the same test every time
  for (const std::size_t common : {0, 3, 8, 21}) {
    Memtable memtable;
    std::map<std::string, std::string> expected;
    for (std::uint64_t i = 1; i <= 30'000; ++i) {
      std::string key = std::string(common, 'c') + "k";
      for (std::size_t left = random() % 14; left > 0; --left) key += "\x00\x01\xff"[random() % 3];
      memtable.set(key, put(i, "v"));
      expected[key] = key + "=v@" + std::to_string(i);
    }
    std::vector<std::string> lines;
    lines.reserve(expected.size());
    for (const auto& [key, line] : expected) lines.push_back(line);
    ASSERT_EQ(content(memtable), lines) << common;
  }
}

TEST(Memtable, CountsTheMemoryThatItTakes) {
  Memtable memtable;
  for (int i = 0; i < 1000; ++i) memtable.set("key-" + std::to_string(i), put(1, std::string(100, 'v')));
  EXPECT_GT(memtable.bytes(), 1000U * 107);
  EXPECT_LT(memtable.bytes(), 1000U * 107 * 3);
  const std::size_t before = memtable.bytes();
  for (int i = 0; i < 1000; ++i) memtable.set("key-" + std::to_string(i), put(2, std::string(100, 'w')));
  EXPECT_EQ(memtable.bytes(), before);  // in place
  memtable.set("large", put(3, std::string(5 << 20, 'l')));
  EXPECT_GT(memtable.bytes(), before + (5U << 20));
  memtable.set("small", put(4, "s"));
  EXPECT_EQ(memtable.find("large")->value.size(), 5U << 20);
  EXPECT_EQ(memtable.find("small")->value, "s");
}

TEST(Memtable, KnowsNothingOfTheOneWhoseMemoryItHas) {
  const auto spare = std::make_shared<SpareMemory>(std::size_t{8} << 20);
  const auto fill = [&](int from, int count) {
    auto memtable = std::make_unique<Memtable>(spare);
    EXPECT_TRUE(memtable->empty());
    EXPECT_EQ(memtable->find("key-" + std::to_string(from - 1)), nullptr);
    for (int i = from; i < from + count; ++i) {
      memtable->set("key-" + std::to_string(i), put(static_cast<std::uint64_t>(i), std::string(900, 'a')));
    }
    memtable->set("large", put(1, std::string(3 << 20, 'b')));
    EXPECT_EQ(memtable->size(), static_cast<std::size_t>(count) + 1);
    EXPECT_EQ(memtable->find("key-" + std::to_string(from))->value, std::string(900, 'a'));
    EXPECT_EQ(content(*memtable).size(), static_cast<std::size_t>(count) + 1);
    return memtable;
  };
  fill(1, 3000);
  const auto block = spare->take_block();
  ASSERT_NE(block, nullptr);
  fill(3001, 5000);  // needs more than there is
  auto kept = fill(1, 2);
  EXPECT_EQ(kept->find("key-3001"), nullptr);
}

TEST(SpareMemory, KeepsNoMoreThanItsLimit) {
  SpareMemory spare(2 * SpareMemory::kBlockBytes);
  std::vector<SpareMemory::Block> blocks;
  for (int i = 0; i < 3; ++i) {
    blocks.push_back(std::make_unique_for_overwrite<char[]>(SpareMemory::kBlockBytes));
  }
  spare.keep(std::move(blocks));
  EXPECT_NE(spare.take_block(), nullptr);
  EXPECT_NE(spare.take_block(), nullptr);
  EXPECT_EQ(spare.take_block(), nullptr);
}

}  // namespace
}  // namespace dkv
