#include "serve/accounts/key_ring.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "serve/accounts/api_key.h"

namespace fathom {
namespace {

using Reason = AccessError::Reason;

// Expects an AccessError, and returns what it says about another try.
#define EXPECT_REFUSED(statement, why)                \
  [&]() -> int64_t {                                  \
    try {                                             \
      statement;                                      \
    } catch (const AccessError& error) {              \
      EXPECT_EQ(error.reason(), why) << error.what(); \
      return error.retry_seconds();                   \
    }                                                 \
    ADD_FAILURE() << "not refused: " #statement;      \
    return -1;                                        \
  }()

// 28 November 2026, 12:00 UTC.
constexpr int64_t kNoon = 1'795'867'200'000;

class KeyRingTest : public testing::Test {
 protected:
  // A ring with one key, "sk-one", whose id is 1.
  void Load(ApiKey key = {}) {
    key.id = 1;
    key.name = "one";
    ring_.Load({{key, HashOf("sk-one")}});
  }

  int64_t now_ = kNoon;
  KeyRing ring_{[this] { return now_; }};
};

TEST(ApiKey, KeysAreLongAndNeverTheSame) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    const std::string key = NewKey();
    EXPECT_EQ(key.size(), 46U);
    EXPECT_TRUE(key.starts_with("sk-"));
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 100U);
}

TEST_F(KeyRingTest, WithoutKeysEverybodyMayAsk) {
  EXPECT_TRUE(ring_.empty());
  EXPECT_EQ(ring_.Authenticate("", KeyRole::kAdmin), 0);
  ring_.CheckRoom(0);
  ring_.Return(ring_.Take(0, 1000).id, 5);
}

TEST_F(KeyRingTest, AKeyIsFoundByWhatItIs) {
  Load();
  EXPECT_EQ(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), 1);
  EXPECT_EQ(ring_.Authenticate("bearer sk-one", KeyRole::kUser), 1);
  for (const char* header : {"", "Bearer ", "Bearer sk-on", "Bearer sk-one ", "Bearer sk-onf",
                             "Basic sk-one", "sk-one", "Bearer"}) {
    EXPECT_REFUSED(ring_.Authenticate(header, KeyRole::kUser), Reason::kNoKey);
  }
}

TEST_F(KeyRingTest, RolesAndStatesCount) {
  Load();
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kAdmin), Reason::kForbidden);
  Load({.role = KeyRole::kAdmin});
  EXPECT_EQ(ring_.Authenticate("Bearer sk-one", KeyRole::kAdmin), 1);
  EXPECT_EQ(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), 1);
  Load({.expires = kNoon / 1000 + 1});
  EXPECT_EQ(ring_.usable(), 1);
  EXPECT_EQ(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), 1);
  now_ += 1000;
  EXPECT_EQ(ring_.usable(), 0);
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), Reason::kNoKey);
  Load({.disabled = true});
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), Reason::kNoKey);
  Load({.revoked = 1});
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), Reason::kNoKey);
  EXPECT_FALSE(ring_.empty());  // nobody gets in because all keys are revoked
}

// The hash of a revoked key is forgotten, and what is kept instead is nobody's.
TEST_F(KeyRingTest, ARevokedKeysPlaceOpensNothing) {
  ring_.Load({{{.id = 1, .revoked = 1}, KeyHash{}}});
  EXPECT_REFUSED(ring_.Authenticate("", KeyRole::kUser), Reason::kNoKey);
  EXPECT_REFUSED(ring_.Authenticate("Bearer ", KeyRole::kUser), Reason::kNoKey);
}

TEST_F(KeyRingTest, SoManyRequestsAtATime) {
  Load({.limits = {.concurrency = 2}});
  ring_.Take(1, 10);
  ring_.CheckRoom(1);
  ring_.Take(1, 10);
  EXPECT_EQ(EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate), 1);
  EXPECT_REFUSED(ring_.Take(1, 10), Reason::kRate);
  ring_.Return(1, 10);
  ring_.Take(1, 10);
}

TEST_F(KeyRingTest, TokensOfAMinuteFlowEvenly) {
  Load({.limits = {.tokens_per_minute = 600}});  // 10 a second
  ring_.Take(1, 400);
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 300), Reason::kRate), 10);  // 200 left, 100 lacking
  now_ += 10'000;
  ring_.Take(1, 300);
  EXPECT_EQ(EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate), 1);
  // An answer takes its tokens at its end, and may leave less than nothing.
  ring_.Return(1, 50);
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 1), Reason::kRate), 6);  // 51 lacking
  // A minute and more fill the bucket, and no further.
  now_ += 3'600'000;
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 601), Reason::kTooLarge), 0);
  ring_.Take(1, 600);
}

TEST_F(KeyRingTest, WhatTheStoreRefusesHasTakenNoTokens) {
  Load({.limits = {.tokens_per_minute = 600}});
  ring_.Take(1, 500);
  ring_.GiveBack(1, 500);
  ring_.Return(1, 0);
  ring_.Take(1, 600);
}

TEST_F(KeyRingTest, LoadingAgainKeepsWhatIsUnderWay) {
  Load({.limits = {.concurrency = 1, .tokens_per_minute = 600}});
  ring_.Take(1, 500);
  Load({.limits = {.concurrency = 2, .tokens_per_minute = 1200}});
  EXPECT_REFUSED(ring_.Take(1, 701), Reason::kRate);
  ring_.Take(1, 700);
  EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate);
  ring_.Return(1, 0);
  // A key that the store no longer has opens nothing, and its requests end as others do.
  ring_.Load({});
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), Reason::kNoKey);
  ring_.Return(1, 0);
}

}  // namespace
}  // namespace fathom
