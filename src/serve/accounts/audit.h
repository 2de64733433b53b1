#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "serve/accounts/account_store.h"

namespace fathom {

// When a day of a key looks as if somebody copied the model by its answers. A day is one of UTC; a
// request belongs to the day in which it came.
struct ExtractionRule {
  // "volume": so many tokens of answers in a day (ten thousand examples of 500 tokens).
  int64_t day_output = 5'000'000;
  // "sweep": so many requests, in so many of the day's hours, with answers as long on average, to
  // prompts of which at most that share was in the cache: other prompts all the time, day and
  // night. (The turns of a conversation find most of their prompts there.)
  int64_t day_requests = 1000, day_hours = 20, mean_output = 200;
  double most_cached = 0.5;
};

struct ExtractionFlag {
  int64_t day;       // its beginning, milliseconds since 1970
  std::string rule;  // "volume", "sweep"
  int64_t requests = 0, output = 0;
};

// What a key has had over a time.
struct KeyAudit {
  int64_t requests = 0, open = 0, cancelled = 0;
  TokenCounts tokens;
  MicroDollars cost = 0;
  int64_t first = 0, last = 0;  // creation of its first and last request
  std::vector<ExtractionFlag> flags;
};

// By key; 0 is who had none. Reads every row of the filter once.
std::map<int64_t, KeyAudit> AuditLedger(AccountStore& store, const LedgerFilter& filter,
                                        const ExtractionRule& rule);

}  // namespace fathom
