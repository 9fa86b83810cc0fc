#include "gateway/client/batch_table.hpp"

#include <gtest/gtest.h>
#include <set>

namespace dkv::client {
namespace {

TEST(BatchTable, FindsABatchUntilItEnds) {
  BatchTable table;
  EXPECT_TRUE(table.empty());
  EXPECT_FALSE(table.contains({}));
  Batch& first = table.begin();
  Batch& second = table.begin();
  const Ticket ticket = first.ticket;
  EXPECT_EQ(table.find(ticket), &first);
  EXPECT_EQ(table.find(second.ticket), &second);
  table.end(first);
  EXPECT_EQ(table.find(ticket), nullptr);
  Batch& third = table.begin();  // in its memory
  EXPECT_EQ(table.find(ticket), nullptr);
  EXPECT_NE(third.ticket, ticket);
  EXPECT_EQ(table.size(), 2U);
}

TEST(BatchTable, KeepsTheOrderInWhichTheyBegan) {
  BatchTable table;
  std::vector<Batch*> batches;
  for (int i = 0; i < 6; ++i) batches.push_back(&table.begin());
  for (const int gone : {3, 0, 5}) table.end(*batches[static_cast<std::size_t>(gone)]);
  Batch& youngest = table.begin();
  for (Batch* expected : {batches[1], batches[2], batches[4], &youngest}) {
    ASSERT_EQ(table.oldest(), expected);
    table.end(*expected);
  }
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.oldest(), nullptr);
}

TEST(BatchTable, NeverGivesATicketTwice) {
  BatchTable table;
  std::set<Ticket> given;
  for (int round = 0; round < 3; ++round) {
    std::vector<Batch*> batches;
    for (int i = 0; i < 5000; ++i) {  // more than it keeps when all have ended
      batches.push_back(&table.begin());
      EXPECT_TRUE(given.insert(batches.back()->ticket).second);
    }
    for (Batch* batch : batches) table.end(*batch);
  }
  for (const Ticket ticket : given) EXPECT_FALSE(table.contains(ticket));
}

TEST(BatchTable, KeepsTheMemoryOfSmallBatchesOnly) {
  BatchTable table;
  Batch& batch = table.begin();
  batch.storage.assign(100, 'x');
  const char* const memory = batch.storage.data();
  table.end(batch);
  Batch& next = table.begin();
  EXPECT_EQ(next.storage.data(), memory);
  next.storage.assign(1 << 20, 'x');
  table.end(next);
  EXPECT_LT(table.begin().storage.capacity(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace dkv::client
