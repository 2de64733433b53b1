#pragma once

#include <cstdint>

#include "serve/accounts/access_error.h"
#include "serve/accounts/api_key.h"
#include "serve/accounts/money.h"

namespace fathom {

// What a key has taken of its limits, on all servers.
struct KeyUse {
  int64_t open = 0;           // requests under way
  MicroDollars reserved = 0;  // the most that these can cost
  MicroDollars spent = 0;     // by those that have ended, in the budget's period
};

// When a budget's period has begun at a time; both are milliseconds since 1970.
int64_t PeriodStart(BudgetPeriod period, int64_t time);

// Why a key may not have one more request, created at `now` (milliseconds since 1970), that can
// cost `most`: it opens nothing (kNoKey), has too many under way (kRate) or too little left
// (kBudget).
Refusal RefusalOf(const ApiKey& key, const KeyUse& use, MicroDollars most, int64_t now);

}  // namespace fathom
