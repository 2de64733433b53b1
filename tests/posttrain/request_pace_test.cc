// When requests may be sent, by a clock that stands in the test.

#include "posttrain/distill/request_pace.h"

#include <gtest/gtest.h>

namespace fathom::test {
namespace {

using Time = RequestPace::Time;

Time At(double seconds) {
  return Time() + std::chrono::hours(1000) +
         std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
}
double SecondsOf(Time time) { return std::chrono::duration<double>(time - At(0)).count(); }

TEST(RequestPace, RequestsComeEvenly) {
  RequestPace pace({.requests_per_minute = 120});
  EXPECT_LE(pace.Next(), At(0));
  pace.Begin(At(0), 0);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 0.5);
  pace.Begin(At(0.5), 0);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 1);
  // What was not used is not saved up.
  pace.Begin(At(100), 0);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 100.5);
}

TEST(RequestPace, NoMinuteSeesMoreThanTheLimitAndOneRequest) {
  RequestPace pace({.requests_per_minute = 30, .tokens_per_minute = 6000});
  std::vector<double> sent;
  double now = 0;
  while (now < 300) {
    pace.Begin(At(now), 300);
    sent.push_back(now);
    now = SecondsOf(pace.Next());
  }
  for (const double begin : sent) {
    const auto count = std::count_if(
        sent.begin(), sent.end(), [&](double time) { return time >= begin && time < begin + 60; });
    // 300 tokens each: the tokens are the tighter limit.
    EXPECT_LE(count, 20) << begin;
  }
  EXPECT_EQ(sent.size(), 100);
}

TEST(RequestPace, TokensAreCountedAsTheyWere) {
  RequestPace pace({.tokens_per_minute = 600});
  pace.Begin(At(0), 1200);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 120);
  pace.Correct(1200, 300);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 30);
  // More than was thought, too.
  pace.Begin(At(30), 10);
  pace.Correct(10, 110);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 41);
}

TEST(RequestPace, FailuresInARowWaitTwiceAsLongEachTime) {
  RequestPace pace({.backoff_seconds = 2, .most_backoff_seconds = 16});
  double now = 0;
  for (int i = 0; i < 8; ++i) {
    pace.Failed(At(now), At(now), std::nullopt);
    EXPECT_EQ(pace.failures_in_a_row(), i + 1);
    const double wait = SecondsOf(pace.Next()) - now;
    const double whole = std::min(16.0, 2.0 * (1 << i));
    EXPECT_GE(wait, whole / 2);
    EXPECT_LT(wait, whole);
    now += wait;
  }
  pace.Succeeded();
  EXPECT_EQ(pace.failures_in_a_row(), 0);
  EXPECT_LE(pace.Next(), At(now));
}

TEST(RequestPace, WhatFailsTogetherIsOneFailure) {
  RequestPace pace({});
  // 64 requests are under way when the server goes away.
  for (int i = 0; i < 64; ++i) pace.Failed(At(0), At(10 + 0.01 * i), std::nullopt);
  EXPECT_EQ(pace.failures_in_a_row(), 1);
  pace.Failed(At(12), At(13), std::nullopt);
  EXPECT_EQ(pace.failures_in_a_row(), 2);
}

TEST(RequestPace, OneRequestAtATimeFindsOutWhetherItWorksAgain) {
  RequestPace pace({.backoff_seconds = 4});
  pace.Failed(At(0), At(0), std::nullopt);
  const double first = SecondsOf(pace.Next());
  pace.Begin(At(first), 0);
  // The others wait for what that one says.
  EXPECT_GE(SecondsOf(pace.Next()) - first, 2);
  pace.Succeeded();
  EXPECT_LE(pace.Next(), At(first));
}

TEST(RequestPace, RetryAfterIsKeptWhateverElseHappens) {
  RequestPace pace({.backoff_seconds = 1});
  pace.Failed(At(0), At(0), 30);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 30);
  // An answer that had been on its way does not end it, nor does a shorter wish.
  pace.Succeeded();
  pace.Failed(At(1), At(1), 5);
  EXPECT_DOUBLE_EQ(SecondsOf(pace.Next()), 30);
}

TEST(RequestPace, SeveralClientsDoNotComeTogether) {
  RequestPace a({.seed = 1}), b({.seed = 2});
  a.Failed(At(0), At(0), std::nullopt);
  b.Failed(At(0), At(0), std::nullopt);
  EXPECT_NE(a.Next(), b.Next());
}

}  // namespace
}  // namespace fathom::test
