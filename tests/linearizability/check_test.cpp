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

TEST(Conditions, HeldWhereTheWriteWasDone) {
  expect_fits({if_missing(put("a", 0, 1)), if_exists(put("b", 2, 3)), if_exists(removed(4, 5)),
               if_missing(put("c", 6, 7)), got("c", 8, 9)});
  expect_violated({if_exists(put("a", 0, 1))});
  expect_violated({put("a", 0, 1), if_missing(put("b", 2, 3))});
  expect_violated({if_exists(removed(0, 1))});
}

TEST(Conditions, TwoPutsIfMissingNeedARemoveBetween) {
  expect_violated({if_missing(put("a", 0, 9)), if_missing(put("b", 0, 9))});
  expect_fits({if_missing(put("a", 0, 9)), if_missing(put("b", 0, 9)), removed(0, 9)});
  expect_fits({if_missing(put("a", 0, 9)), if_missing(put("b", 0, 9)), perhaps_removed(0)});
}

TEST(Conditions, OnAVersionHoldForThatOne) {
  expect_fits({at_version(put("a", 0, 1), 1, 4), if_version(1, 4, put("b", 2, 3)), got("b", 4, 5)});
  expect_violated({at_version(put("a", 0, 1), 1, 4), if_version(1, 5, put("b", 2, 3))});
  expect_violated({if_version(1, 5, put("b", 2, 3))});
  // Both saw the same, and only one can have been first.
  expect_violated(
      {at_version(put("a", 0, 1), 1, 4), if_version(1, 4, put("b", 2, 9)), if_version(1, 4, put("c", 2, 9))});
  // Of an unknown put nobody knows the version: it may have been that one.
  expect_fits({at_version(put("a", 0, 1), 1, 4), perhaps_put("x", 2), if_version(1, 5, removed(3, 4))});
  expect_violated({at_version(put("a", 0, 1), 1, 4), perhaps_put("x", 2), if_version(1, 3, removed(3, 4))});
}

TEST(Conditions, FailBecauseOfWhatIsThere) {
  expect_fits({at_version(put("a", 0, 1), 1, 4), failed_at(1, 4, if_missing(put("b", 2, 3))),
               failed_at(1, 4, if_version(1, 3, removed(4, 5))), got("a", 6, 7)});
  expect_fits({failed_at(0, 0, if_exists(put("a", 0, 1))), failed_at(0, 0, if_exists(removed(2, 3))),
               failed_at(0, 0, if_version(1, 1, removed(4, 5))), missed(6, 7)});
  expect_violated({failed_at(1, 4, if_missing(put("b", 0, 1)))});
  expect_violated({put("a", 0, 1), failed_at(0, 0, if_exists(put("b", 2, 3)))});
  expect_violated(
      {at_version(put("a", 0, 1), 1, 4), failed_at(1, 4, if_missing(put("b", 2, 3))), got("b", 4, 5)});
}

TEST(Conditions, ThatFailedOfAVersionThatNobodyCanHaveWrittenViolateIt) {
  expect_violated({at_version(put("a", 0, 1), 1, 4), failed_at(1, 9, if_missing(put("b", 2, 3)))});
  expect_violated({at_version(put("a", 0, 1), 1, 4), at_version(put("b", 2, 3), 1, 5),
                   failed_at(1, 4, if_missing(put("c", 4, 5)))});
  // An unknown put can, but not of a version below the last.
  expect_fits(
      {at_version(put("a", 0, 1), 1, 4), perhaps_put("x", 2), failed_at(1, 9, if_missing(put("b", 2, 3)))});
  expect_violated(
      {at_version(put("a", 0, 1), 1, 4), perhaps_put("x", 2), failed_at(1, 3, if_missing(put("b", 2, 3)))});
}

TEST(Conditions, DoNotFailWhereTheyHold) {
  expect_violated({failed_at(0, 0, if_missing(put("a", 0, 1)))});
  expect_violated({at_version(put("a", 0, 1), 1, 4), failed_at(1, 4, if_exists(put("b", 2, 3)))});
  expect_violated({at_version(put("a", 0, 1), 1, 4), failed_at(1, 4, if_version(1, 4, removed(2, 3)))});
  expect_violated({failed_at(0, 0, put("a", 0, 1))});  // there was none
  expect_violated({if_version(1, 1, removed_nothing(0, 1))});
}

TEST(Conditions, ThatFailedNameTheValueOfTheirVersion) {
  const auto story = [](std::string found) {
    return History{perhaps_put("a", 0), perhaps_put("b", 0), failed_at(1, 4, if_missing(put("c", 1, 2))),
                   at_version(got(std::move(found), 3, 4), 1, 4)};
  };
  expect_fits(story("a"));
  expect_fits(story("b"));
  History both = story("a");
  both.push_back(at_version(got("b", 5, 6), 1, 4));
  expect_violated(both);
}

TEST(Conditions, ThatFailedOfAVersionThatNobodyReadMayBeOfAnyUnknownWrite) {
  // Not of "a", which was there first: then "b" would have to come from nowhere.
  expect_fits({perhaps_put("a", 0), got("a", 1, 2), perhaps_put("b", 3),
               failed_at(1, 9, if_missing(put("c", 4, 5))), got("b", 6, 7),
               if_version(1, 9, put("d", 8, 9))});
  expect_fits({perhaps_added(1, 0), perhaps_added(2, 0), perhaps_added(4, 0),
               failed_at(1, 9, if_missing(put("c", 1, 2))), got("7", 3, 4),
               if_version(1, 9, put("d", 5, 6))});
  expect_violated({perhaps_added(1, 0), perhaps_added(2, 0), failed_at(1, 9, if_missing(put("c", 1, 2))),
                   got("1", 3, 4), got("3", 5, 6), if_version(1, 9, put("d", 7, 8))});
}

TEST(Chains, ARemoveThenAPutIfMissing) {
  expect_fits({put("a", 0, 1), perhaps_removed(2), if_missing(perhaps_put("b", 2)), got("b", 3, 4)});
  expect_fits({put("a", 0, 1), perhaps_removed(2), if_missing(perhaps_put("b", 2)), got("a", 3, 4),
               missed(5, 6), got("b", 7, 8)});
  expect_violated({put("a", 0, 1), if_missing(perhaps_put("b", 2)), got("b", 3, 4)});
  // The remove is used up.
  expect_violated({put("a", 0, 1), perhaps_removed(2), if_missing(perhaps_put("b", 2)), missed(3, 4),
                   put("c", 5, 6), got("b", 7, 8)});
}

TEST(Chains, OfConditionsThatOneAnotherMeet) {
  expect_fits({at_version(put("a", 0, 1), 1, 1), if_version(1, 1, perhaps_removed(2)),
               if_missing(perhaps_put("b", 2)), if_version(1, 7, perhaps_put("c", 2)), got("c", 3, 4)});
  expect_violated({at_version(put("a", 0, 1), 1, 2), if_version(1, 2, perhaps_removed(2)),
                   if_missing(perhaps_put("b", 2)), if_version(1, 1, perhaps_put("c", 2)), got("c", 3, 4)});
  // A text is no counter: it has to go, and then the number has a version that nobody knows.
  expect_fits({at_version(put("a", 0, 1), 1, 1), perhaps_removed(2), perhaps_added(5, 2),
               if_version(1, 7, perhaps_put("c", 2)), got("c", 3, 4)});
  expect_violated({at_version(put("a", 0, 1), 1, 1), perhaps_added(5, 2),
                   if_version(1, 7, perhaps_put("c", 2)), got("c", 3, 4)});
}

TEST(Increments, CountFromZero) {
  expect_fits(
      {added(3, "3", 0, 1), added(-5, "-2", 2, 3), got("-2", 4, 5), removed(6, 7), added(1, "1", 8, 9)});
  expect_fits({put("41", 0, 1), added(1, "42", 2, 3)});
  expect_violated({added(3, "4", 0, 1)});
  expect_violated({added(3, "three", 0, 1)});
  expect_violated({put("1", 0, 1), added(1, "1", 2, 3)});
}

TEST(Increments, ThatAreLostViolateIt) {
  expect_violated({added(1, "1", 0, 1), added(1, "1", 2, 3)});
  expect_violated({added(1, "1", 0, 9), added(1, "1", 0, 9)});
  expect_violated({added(1, "1", 0, 1), added(1, "2", 2, 3), got("1", 4, 5)});
  expect_violated({added(1, "1", 0, 1), missed(2, 3)});
}

TEST(Increments, ThatAreAppliedTwiceViolateIt) {
  expect_violated({added(1, "1", 0, 1), got("2", 2, 3)});
  expect_violated({added(1, "1", 0, 1), added(1, "3", 2, 3)});
  expect_violated({perhaps_added(1, 0), got("2", 1, 2)});
  expect_violated({perhaps_added(1, 0), got("1", 1, 2), put("5", 3, 4), got("6", 5, 6)});
}

TEST(Increments, OfUnknownOutcomeAddUp) {
  History powers;
  for (int i = 0; i < 12; ++i) powers.push_back(perhaps_added(1 << i, 0));
  for (const char* sum : {"1", "6", "2049", "4095"}) {
    History history = powers;
    history.push_back(got(sum, 1, 2));
    expect_fits(history);
  }
  powers.push_back(got("2049", 1, 2));
  for (const char* no_sum : {"2048", "4096", "2050.0"}) {
    History history = powers;
    history.push_back(got(no_sum, 3, 4));
    expect_violated(history);
  }
}

TEST(Increments, OfUnknownOutcomeThatAreAlikeCostLittle) {
  History history;
  for (int i = 0; i < 60; ++i) history.push_back(perhaps_added(1 + i % 3, 0));
  for (int i = 0; i < 20; ++i) history.push_back(got(std::to_string(5 * i + 1), 2 * i + 1, 2 * i + 2));
  const Judgement judgement = check(history);
  EXPECT_TRUE(judgement.ok()) << judgement.text();
  EXPECT_LT(judgement.configurations, 500U);
  history.push_back(got("121", 100, 101));
  expect_violated(history);
}

TEST(Increments, OfWhatIsNoNumberAreRefused) {
  for (const char* text : {"", "a", "1a", "07", "-0", "+1", " 1", "9223372036854775808"})
    expect_fits({put(text, 0, 1), could_not_add(1, 2, 3), got(text, 4, 5)});
  for (const char* number : {"0", "-7", "12", "9223372036854775806", "-9223372036854775808"})
    expect_violated({put(number, 0, 1), could_not_add(1, 2, 3)});
  expect_violated({could_not_add(1, 0, 1)});
  expect_violated({put("a", 0, 1), added(1, "1", 2, 3)});
  expect_violated({put("07", 0, 1), added(1, "8", 2, 3)});
  expect_violated({put("a", 0, 1), perhaps_added(1, 2), got("1", 3, 4)});
}

TEST(Increments, DoNotOverflow) {
  const std::string most = "9223372036854775807";
  expect_fits({put(most, 0, 1), could_not_add(1, 2, 3), added(-1, "9223372036854775806", 4, 5)});
  expect_violated({put(most, 0, 1), added(1, "-9223372036854775808", 2, 3)});
  // Not in the order of their calls, nor if the one that makes room is missing.
  expect_fits({put(most, 0, 1), perhaps_added(5, 2), perhaps_added(-7, 2), got("9223372036854775805", 3, 4)});
  expect_violated(
      {put(most, 0, 1), perhaps_added(5, 2), perhaps_added(-2, 2), got("-9223372036854775804", 3, 4)});
  // Unknown ones may be why there is no room.
  expect_fits(
      {put("9223372036854775800", 0, 1), perhaps_added(4, 2), perhaps_added(3, 2), could_not_add(1, 3, 4)});
  expect_violated(
      {put("9223372036854775800", 0, 1), perhaps_added(4, 2), perhaps_added(2, 2), could_not_add(1, 3, 4)});
}

TEST(Increments, WriteAVersion) {
  expect_fits({at_version(added(1, "1", 0, 1), 1, 4), if_version(1, 4, put("5", 2, 3)),
               failed_at(1, 6, if_version(1, 4, put("9", 6, 7))), at_version(added(1, "6", 4, 5), 1, 6)});
  expect_violated({at_version(added(1, "1", 0, 1), 1, 4), at_version(added(1, "2", 2, 3), 1, 4)});
  // Adding nothing is a write too.
  expect_fits({at_version(added(1, "1", 0, 1), 1, 4), perhaps_added(0, 2), at_version(got("1", 3, 4), 1, 5)});
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

TEST(Explanation, HasWordsForConditionsAndIncrements) {
  const Judgement judgement = check(
      History{if_missing(perhaps_put("x", 0)), at_version(added(2, "2", 0, 1), 1, 4), perhaps_added(-3, 2),
              failed_at(1, 4, if_version(1, 2, removed(3, 4))), failed_at(0, 0, if_exists(put("a", 5, 6)))});
  EXPECT_EQ(
      judgement.text(),
      "key 'k' is not linearizable: the first 5 of its 5 operations have no order since 4 was answered\n"
      "  operation  client         asked      answered (ms)\n"
      "          0       0         0.000             -  put 'x' if missing -> unknown\n"
      "          1       0         0.000         1.000  increment by 2 -> '2', version 1-4\n"
      "          2       0         2.000             -  increment by -3 -> unknown\n"
      "          3       0         3.000         4.000  remove if version 1-2 -> condition failed, version "
      "1-4\n"
      "          4       0         5.000         6.000  put 'a' if it exists -> condition failed, missing\n"
      "the longest order found: 1 3; after it the key holds '2';\n"
      "then none of these can be next:\n"
      "  4 put 'a' if it exists -> condition failed, missing: the key is there\n");
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
  EXPECT_EQ(outcome(OpCode::put, Errc::condition_failed), Outcome::condition_failed);
  EXPECT_EQ(outcome(OpCode::increment, Errc::not_a_counter), Outcome::not_a_counter);
  EXPECT_EQ(outcome(OpCode::increment, Errc::unknown_outcome), Outcome::unknown);
  EXPECT_EQ(outcome(OpCode::increment, Errc::bad_request), Outcome::failed);
  EXPECT_EQ(outcome(OpCode::get, Errc::not_found), Outcome::not_found);
  EXPECT_EQ(outcome(OpCode::get, Errc::io_error), Outcome::failed);
  EXPECT_EQ(asked(0, OpCode::put, "k", "v", {}).outcome, Outcome::unknown);
}

TEST(Recording, KeepsWhatWasAskedAndTold) {
  dkv::Operation wanted;
  wanted.code = OpCode::remove;
  wanted.key = "k";
  wanted.condition = {Condition::Kind::version, Position{Epoch{2}, Seq{3}}};
  Operation operation = asked(7, wanted, Time(1));
  EXPECT_EQ(operation.key, "k");
  EXPECT_EQ(operation.condition, wanted.condition);
  OperationResult result = OperationResult::failed(Errc::condition_failed, "");
  answered(operation, result, false, Time(2));
  EXPECT_EQ(operation.version, Position{});

  wanted = {};
  wanted.code = OpCode::increment;
  wanted.key = "k";
  wanted.amount = -4;
  operation = asked(7, wanted, Time(1));
  EXPECT_EQ(operation.amount, -4);
  result = {};
  result.version = Position{Epoch{2}, Seq{3}};
  result.value = "12";
  answered(operation, result, false, Time(2));
  EXPECT_EQ(operation.found, "12");
  EXPECT_EQ(operation.version, result.version);
}

}  // namespace
}  // namespace dkv::linear
