// Each rule by a history that keeps it and one that does not.
#include "tests/linearizability/check.hpp"

#include <gtest/gtest.h>

#include "tests/linearizability/story.hpp"

namespace dkv::linear {
namespace {

void expect_fits(const History& history) {
  const Judgement judgement = check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
}

void expect_violated(const History& history) {
  const Judgement judgement = check(history);
  ASSERT_EQ(judgement.problems.size(), 1U);
  EXPECT_EQ(judgement.problems[0].verdict, Verdict::violated) << judgement.text();
}

TEST(Linearizability, OfNothingHolds) { expect_fits({}); }

TEST(Linearizability, AKeyIsMissingInTheBeginning) {
  expect_fits({missed(0, 1), removed_nothing(2, 3)});
  expect_violated({removed(0, 1)});
}

TEST(Linearizability, AReadFindsTheLastWrite) {
  expect_fits(
      {put("a", 0, 1), got("a", 2, 3), removed(4, 5), missed(6, 7), put("b", 8, 9), got("b", 10, 11)});
}

TEST(Linearizability, AStaleReadViolatesIt) {
  expect_violated({put("a", 0, 1), put("b", 2, 3), got("a", 4, 5)});
}

TEST(Linearizability, ALostWriteViolatesIt) {
  expect_violated({put("a", 0, 1), missed(2, 3)});
  expect_violated({put("a", 0, 1), removed(2, 3), got("a", 4, 5)});
}

TEST(Linearizability, AValueThatNobodyPutViolatesIt) {
  expect_violated({put("a", 0, 1), got("b", 2, 3)});
  expect_violated({got("b", 0, 1), put("b", 2, 3)});  // read before it was put
}

TEST(Linearizability, WhatIsConcurrentMayHappenInAnyOrder) {
  expect_fits({put("a", 0, 10), put("b", 0, 10), got("a", 11, 12)});
  expect_fits({put("a", 0, 10), put("b", 0, 10), got("b", 11, 12)});
  expect_fits({put("a", 0, 10), missed(1, 2), got("a", 3, 4)});
}

TEST(Linearizability, AReadThatGoesBackViolatesIt) {
  expect_violated({put("a", 0, 10), got("a", 1, 2), missed(3, 4)});
  expect_violated({put("a", 0, 1), put("b", 2, 10), got("b", 3, 4), got("a", 5, 6)});
}

TEST(Linearizability, TwoReadersMustSeeOneOrder) {
  expect_violated({put("a", 0, 10), put("b", 0, 10), got("a", 1, 2), got("b", 3, 4), got("a", 5, 6)});
}

TEST(Linearizability, TheClocksTickIsConcurrent) {
  expect_fits({put("a", 0, 5), missed(5, 6)});
  expect_violated({put("a", 0, 4), missed(5, 6)});
}

TEST(Linearizability, AnUnknownWriteMayHappenLateOrNever) {
  expect_fits({put("a", 0, 1), perhaps_put("b", 2), got("a", 3, 4), got("b", 100, 101)});
  expect_fits({put("a", 0, 1), perhaps_put("b", 2), got("a", 100, 101)});
  expect_fits({put("a", 0, 1), perhaps_removed(2), got("a", 3, 4), missed(5, 6)});
  // Long after another write has overwritten what was there.
  expect_fits({perhaps_put("b", 0), put("a", 1, 2), got("a", 3, 4), got("b", 5, 6)});
}

TEST(Linearizability, AnUnknownWriteHappensOnce) {
  expect_violated({perhaps_put("b", 0), got("b", 1, 2), put("a", 3, 4), got("b", 5, 6)});
  expect_fits({perhaps_put("b", 0), perhaps_put("b", 0), got("b", 1, 2), put("a", 3, 4), got("b", 5, 6)});
}

TEST(Linearizability, AnUnknownWriteThatWasSeenStaysSeen) {
  expect_violated({put("a", 0, 1), perhaps_put("b", 2), got("b", 3, 4), got("a", 5, 6)});
  expect_violated({put("a", 0, 1), perhaps_removed(2), missed(3, 4), got("a", 5, 6)});
}

TEST(Linearizability, AnUnknownWriteDoesNotHappenBeforeItWasAsked) {
  expect_violated({got("b", 0, 1), perhaps_put("b", 2)});
}

TEST(Linearizability, AnUnknownPutThatNobodyReadMayBeWhatARemoveRemoved) {
  expect_fits({perhaps_put("x", 0), removed(1, 2), missed(3, 4)});
  expect_violated({perhaps_put("x", 0), removed(1, 2), removed(3, 4)});
}

TEST(Linearizability, ARefusedWriteHasNoEffect) {
  expect_fits({refused(put("a", 0, 1)), missed(2, 3)});
  expect_violated({refused(put("a", 0, 1)), got("a", 2, 3)});
  expect_fits({refused(told(OpCode::get, Outcome::failed, 0, 1))});
}

TEST(Linearizability, WhetherAPutCreatedMustBeTrue) {
  expect_fits({creating(put("a", 0, 1), true), creating(put("b", 2, 3), false)});
  expect_violated({creating(put("a", 0, 1), false)});
  expect_violated({put("a", 0, 1), creating(put("b", 2, 3), true)});
  expect_fits({put("a", 0, 1), perhaps_removed(2), creating(put("b", 3, 4), true)});
}

TEST(Linearizability, APutIsNeverToldNotFound) {
  expect_violated({told(OpCode::put, Outcome::not_found, 0, 1)});
}

TEST(Linearizability, OfOneKeySaysNothingOfAnother) {
  expect_fits({of_key("a", put("a", 0, 1)), of_key("b", missed(2, 3))});
  const Judgement judgement = check(History{of_key("a", put("a", 0, 1)), of_key("a", missed(2, 3)),
                                            of_key("b", missed(2, 3)), of_key("c", got("x", 2, 3))});
  ASSERT_EQ(judgement.problems.size(), 2U);
  EXPECT_EQ(judgement.problems[0].key, "a");
  EXPECT_EQ(judgement.problems[1].key, "c");
}

TEST(Versions, OfWritesOnlyGrow) {
  expect_fits(
      {at_version(put("a", 0, 1), 1, 4), at_version(put("b", 2, 3), 1, 5), at_version(removed(4, 5), 2, 1)});
  expect_violated({at_version(put("a", 0, 1), 1, 4), at_version(put("b", 2, 3), 1, 4)});
  expect_violated({at_version(put("a", 0, 1), 2, 1), at_version(put("b", 2, 3), 1, 9)});
  expect_violated({at_version(put("a", 0, 1), 1, 4), at_version(removed(2, 3), 1, 3)});
}

TEST(Versions, OrderWhatIsConcurrent) {
  expect_fits({at_version(put("a", 0, 9), 1, 5), at_version(put("b", 0, 9), 1, 4), got("a", 10, 11)});
  expect_violated({at_version(put("a", 0, 9), 1, 5), at_version(put("b", 0, 9), 1, 4), got("b", 10, 11)});
}

TEST(Versions, AReadTellsThatOfItsWrite) {
  expect_fits({at_version(put("a", 0, 1), 1, 4), at_version(got("a", 2, 3), 1, 4)});
  expect_violated({at_version(put("a", 0, 1), 1, 4), at_version(got("a", 2, 3), 1, 5)});
}

TEST(Versions, NameOneValue) {
  expect_violated({at_version(put("a", 0, 1), 1, 4), perhaps_put("b", 2), at_version(got("b", 3, 4), 1, 4)});
  expect_violated({perhaps_put("a", 0), perhaps_put("b", 0), at_version(got("a", 1, 2), 1, 4),
                   at_version(got("b", 3, 4), 1, 4)});
}

TEST(Versions, OfAnUnknownWriteAreLearntByReading) {
  expect_fits({at_version(put("a", 0, 1), 1, 4), perhaps_put("b", 2), at_version(got("b", 3, 4), 1, 5),
               at_version(put("c", 5, 6), 1, 6)});
  expect_violated({at_version(put("a", 0, 1), 1, 4), perhaps_put("b", 2), at_version(got("b", 3, 4), 1, 6),
                   at_version(put("c", 5, 6), 1, 5)});
  expect_violated({perhaps_put("b", 0), at_version(got("b", 1, 2), 1, 5), at_version(got("b", 3, 4), 1, 6)});
}

TEST(Limits, AHistoryThatAsksTooMuchIsUndecided) {
  History history;
  for (int i = 0; i < 12; ++i) history.push_back(put(std::to_string(i), 0, 10));
  history.push_back(got("0", 11, 12));
  history.push_back(got("1", 13, 14));
  const Judgement judgement = check(history, {.configurations = 1000});
  ASSERT_EQ(judgement.problems.size(), 1U);
  EXPECT_FALSE(judgement.ok());
  EXPECT_EQ(judgement.problems[0].verdict, Verdict::undecided);
  EXPECT_LE(judgement.configurations, 1001U);
  EXPECT_NE(judgement.text().find("undecided"), std::string::npos);
  expect_violated(history);
}

TEST(Explanation, ShowsTheShortestBeginningThatHasNoOrder) {
  const Judgement judgement =
      check(History{at_version(put("a", 0, 1), 1, 4), perhaps_put("b", 2), put("c", 3, 8), got("b", 4, 5),
                    got("a", 6, 7), got("c", 9, 10), missed(11, 12)});
  EXPECT_EQ(
      judgement.text(),
      "key 'k' is not linearizable: the first 5 of its 7 operations have no order since 4 was answered\n"
      "  operation  client         asked      answered (ms)\n"
      "          0       0         0.000         1.000  put 'a' -> ok, version 1-4\n"
      "          1       0         2.000             -  put 'b' -> unknown\n"
      "          2       0         3.000             -  put 'c' -> (not yet)\n"
      "          3       0         4.000         5.000  get -> 'b'\n"
      "          4       0         6.000         7.000  get -> 'a'\n"
      "the longest order found: 0 1 3; after it the key holds 'b';\n"
      "then none of these can be next:\n"
      "  4 get -> 'a': the key holds another value\n");
}

TEST(Explanation, SaysThatNobodyPutAValue) {
  const Judgement judgement = check(History{put("a", 0, 1), got("b", 2, 3)});
  EXPECT_NE(judgement.text().find("get -> 'b': nobody put that value"), std::string::npos)
      << judgement.text();
}

TEST(Explanation, OfALongHistoryShowsItsEndAndWhatWroteTheValue) {
  History history = {put(std::string(100, 'v'), 0, 1)};
  for (int i = 1; i < 200; ++i) history.push_back(put(std::to_string(i), 10 * i, 10 * i + 1));
  history.push_back(got(std::string(100, 'v'), 5000, 5001));
  const std::string text = check(history).text();
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 50);
  EXPECT_NE(text.find("  0       0         0.000         1.000  put 'vvvv"), std::string::npos) << text;
  EXPECT_NE(text.find("(100 bytes)"), std::string::npos);
  EXPECT_NE(text.find("put '199' -> ok"), std::string::npos);
  EXPECT_EQ(text.find("put '3' -> ok"), std::string::npos);
}

TEST(Recording, TellsWhatCertainlyFailedFromWhatIsUnknown) {
  const auto outcome = [](OpCode code, Errc errc) {
    Operation operation = asked(0, code, "k", "v", {});
    answered(operation, OperationResult::failed(errc, ""), false, {});
    return operation.outcome;
  };
  EXPECT_EQ(outcome(OpCode::put, Errc::unknown_outcome), Outcome::unknown);
  EXPECT_EQ(outcome(OpCode::put, Errc::io_error), Outcome::unknown);
  EXPECT_EQ(outcome(OpCode::put, Errc::unavailable), Outcome::failed);
  EXPECT_EQ(outcome(OpCode::put, Errc::disk_full), Outcome::failed);
  EXPECT_EQ(outcome(OpCode::remove, Errc::not_found), Outcome::not_found);
  EXPECT_EQ(outcome(OpCode::get, Errc::not_found), Outcome::not_found);
  EXPECT_EQ(outcome(OpCode::get, Errc::io_error), Outcome::failed);
  EXPECT_EQ(asked(0, OpCode::put, "k", "v", {}).outcome, Outcome::unknown);
}

}  // namespace
}  // namespace dkv::linear
