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
    ring_.Load({{key, HashOf("sk-one")}}, [this](int64_t, int64_t from) {
      asked_from_ = from;
      return spent_;
    });
  }

  int64_t now_ = kNoon;
  MicroDollars spent_ = 0;  // what the store says
  int64_t asked_from_ = -1;
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
  ring_.Return(0, 0, 5, ring_.Take(0, 1000, 1000).id);
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
  ring_.Load({{{.id = 1, .revoked = 1}, KeyHash{}}}, [](int64_t, int64_t) { return 0; });
  EXPECT_REFUSED(ring_.Authenticate("", KeyRole::kUser), Reason::kNoKey);
  EXPECT_REFUSED(ring_.Authenticate("Bearer ", KeyRole::kUser), Reason::kNoKey);
}

TEST_F(KeyRingTest, SoManyRequestsAtATime) {
  Load({.limits = {.concurrency = 2}});
  ring_.Take(1, 10, 0);
  ring_.CheckRoom(1);
  ring_.Take(1, 10, 0);
  EXPECT_EQ(EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate), 1);
  EXPECT_REFUSED(ring_.Take(1, 10, 0), Reason::kRate);
  ring_.Return(1, 0, 10, 0);
  ring_.Take(1, 10, 0);
}

TEST_F(KeyRingTest, TokensOfAMinuteFlowEvenly) {
  Load({.limits = {.tokens_per_minute = 600}});  // 10 a second
  ring_.Take(1, 400, 0);
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 300, 0), Reason::kRate), 10);  // 200 left, 100 lacking
  now_ += 10'000;
  ring_.Take(1, 300, 0);
  EXPECT_EQ(EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate), 1);
  // An answer takes its tokens at its end, and may leave less than nothing.
  ring_.Return(1, 0, 50, 0);
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 1, 0), Reason::kRate), 6);  // 51 lacking
  // A minute and more fill the bucket, and no further.
  now_ += 3'600'000;
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 601, 0), Reason::kTooLarge), 0);
  ring_.Take(1, 600, 0);
}

TEST_F(KeyRingTest, ABudgetHasWhatIsSpentAndWhatCanBe) {
  spent_ = 700;
  Load({.limits = {.budget = 1000}});
  EXPECT_EQ(asked_from_, 0);
  EXPECT_EQ(EXPECT_REFUSED(ring_.Take(1, 1, 301), Reason::kBudget), 0);
  ring_.Take(1, 1, 200);
  EXPECT_REFUSED(ring_.Take(1, 1, 101), Reason::kBudget);
  ring_.Take(1, 1, 100);
  EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kBudget);
  ring_.Return(1, 200, 5, 50);  // it cost less than it could
  ring_.Take(1, 1, 150);
  EXPECT_REFUSED(ring_.Take(1, 1, 1), Reason::kBudget);
}

TEST_F(KeyRingTest, AMonthsBudgetIsWholeAgainInTheNext) {
  spent_ = 900;
  Load({.limits = {.budget = 1000, .period = BudgetPeriod::kMonth}});
  EXPECT_EQ(asked_from_, 1'793'491'200'000);  // 1 November 2026, 0:00 UTC
  EXPECT_REFUSED(ring_.Take(1, 1, 101), Reason::kBudget);
  ring_.Take(1, 1, 100);
  now_ += int64_t{3} * 86'400'000;  // 1 December, 12:00
  ring_.Take(1, 1, 900);            // what is under way counts
  ring_.Return(1, 100, 1, 100);
  ring_.Return(1, 900, 1, 900);
  EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kBudget);
}

TEST_F(KeyRingTest, LoadingAgainKeepsWhatIsUnderWay) {
  Load({.limits = {.concurrency = 1, .tokens_per_minute = 600, .budget = 1000}});
  ring_.Take(1, 500, 400);
  asked_from_ = -1;
  Load({.limits = {.concurrency = 2, .tokens_per_minute = 1200, .budget = 500}});
  EXPECT_EQ(asked_from_, -1);  // it knows what was spent
  EXPECT_REFUSED(ring_.Take(1, 701, 0), Reason::kRate);
  EXPECT_REFUSED(ring_.Take(1, 1, 101), Reason::kBudget);
  ring_.Take(1, 700, 100);
  EXPECT_REFUSED(ring_.CheckRoom(1), Reason::kRate);
  ring_.Return(1, 400, 0, 400);
  // A key that the store no longer has opens nothing, and its requests end as others do.
  ring_.Load({}, [](int64_t, int64_t) { return 0; });
  EXPECT_REFUSED(ring_.Authenticate("Bearer sk-one", KeyRole::kUser), Reason::kNoKey);
  ring_.Return(1, 100, 0, 100);
}

}  // namespace
}  // namespace fathom
