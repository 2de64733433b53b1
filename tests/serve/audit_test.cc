#include "serve/accounts/audit.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/temporary_directory.h"
#include "serve/accounts/sqlite_store.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;

// Days of a key as the rule sees them, by hand: a request an hour or so is 24 of them.
class AuditTest : public testing::Test {
 protected:
  static constexpr int64_t kHour = 3'600'000;

  AuditTest() {
    for (const char* name : {"1", "2", "3", "4", "5"}) store_.AddKey({.name = name}, HashOf(name));
  }

  void Add(int64_t key, int64_t created, const TokenCounts& tokens) {
    const std::string id = std::to_string(next_++);
    store_.Apply(
        std::vector<LedgerChange>{{Kind::kReserve, {.id = id, .key = key, .created = created}},
                                  {Kind::kSettle,
                                   {.id = id,
                                    .settled = created + 1,
                                    .outcome = Outcome::kDone,
                                    .tokens = tokens,
                                    .cost = 2}}});
  }
  std::vector<std::string> Flags(int64_t key, const ExtractionRule& rule) {
    std::vector<std::string> flags;
    const auto audits = AuditLedger(store_, {}, rule);
    for (const ExtractionFlag& flag : audits.at(key).flags) {
      flags.push_back(std::to_string(flag.day / (24 * kHour)) + " " + flag.rule);
    }
    return flags;
  }

  TemporaryDirectory directory_;
  SqliteStore store_{directory_ / "ledger.db", StoreMode::kCreate};
  int next_ = 0;
};

TEST_F(AuditTest, CountsWhatEachKeyHad) {
  Add(1, 10, {1, 2, 3});
  Add(1, 20, {10, 20, 30});
  Add(0, 30, {0, 5, 5});
  const auto audits = AuditLedger(store_, {}, {});
  ASSERT_EQ(audits.size(), 2U);
  const KeyAudit& one = audits.at(1);
  EXPECT_EQ(one.requests, 2);
  EXPECT_EQ(one.tokens, (TokenCounts{11, 22, 33}));
  EXPECT_EQ(one.cost, 4);
  EXPECT_EQ(one.first, 10);
  EXPECT_EQ(one.last, 20);
  EXPECT_TRUE(one.flags.empty());
}

TEST_F(AuditTest, FlagsADayWithVeryManyTokens) {
  const ExtractionRule rule = {.day_output = 100};
  Add(1, 5 * 24 * kHour, {0, 1, 60});
  Add(1, 6 * 24 * kHour - 1, {0, 1, 40});  // the same day
  Add(1, 6 * 24 * kHour, {0, 1, 99});
  EXPECT_EQ(Flags(1, rule), std::vector<std::string>{"5 volume"});
}

TEST_F(AuditTest, FlagsADayOfOtherPromptsAroundTheClock) {
  const ExtractionRule rule = {.day_requests = 20, .day_hours = 20, .mean_output = 200};
  for (int64_t i = 0; i < 20; ++i) {
    Add(1, i * kHour, {10, 10, 200});
    Add(2, i * kHour, {11, 10, 200});      // most of it was said before: conversations
    Add(3, i * kHour, {0, 10, 199});       // short answers
    Add(4, i % 19 * kHour, {0, 10, 200});  // one who sleeps
    if (i > 0) Add(5, i * kHour, {0, 10, 200});
  }
  EXPECT_EQ(Flags(1, rule), std::vector<std::string>{"0 sweep"});
  for (const int64_t key : {2, 3, 4, 5}) EXPECT_TRUE(Flags(key, rule).empty()) << key;
}

}  // namespace
}  // namespace fathom
