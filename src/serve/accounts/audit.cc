#include "serve/accounts/audit.h"

#include <bitset>
#include <utility>

namespace fathom {
namespace {

constexpr int64_t kHour = 3'600'000, kDay = 24 * kHour;  // milliseconds

struct Day {
  int64_t requests = 0;
  TokenCounts tokens;
  std::bitset<24> hours;
};

void Add(TokenCounts& sum, const TokenCounts& tokens) {
  sum.cache_hit += tokens.cache_hit;
  sum.cache_miss += tokens.cache_miss;
  sum.output += tokens.output;
}

bool IsSweep(const Day& day, const ExtractionRule& rule) {
  const int64_t prompt = day.tokens.cache_hit + day.tokens.cache_miss;
  return day.requests >= rule.day_requests &&
         static_cast<int64_t>(day.hours.count()) >= rule.day_hours &&
         day.tokens.output >= rule.mean_output * day.requests &&
         static_cast<double>(day.tokens.cache_hit) <=
             rule.most_cached * static_cast<double>(prompt);
}

}  // namespace

std::map<int64_t, KeyAudit> AuditLedger(AccountStore& store, const LedgerFilter& filter,
                                        const ExtractionRule& rule) {
  std::map<int64_t, KeyAudit> audits;
  std::map<std::pair<int64_t, int64_t>, Day> days;  // by key and day
  store.ForEachRow(filter, [&](const LedgerRow& row) {
    KeyAudit& audit = audits[row.key];
    if (audit.requests++ == 0) audit.first = row.created;
    audit.last = row.created;
    audit.open += row.outcome == Outcome::kOpen ? 1 : 0;
    audit.cancelled += row.outcome == Outcome::kCancelled ? 1 : 0;
    audit.cost += row.cost;
    Add(audit.tokens, row.tokens);
    Day& day = days[{row.key, row.created / kDay}];
    ++day.requests;
    Add(day.tokens, row.tokens);
    day.hours.set(static_cast<size_t>(row.created % kDay / kHour));
  });
  for (const auto& entry : days) {
    const Day& day = entry.second;
    const auto flag = [&, key = entry.first.first,
                       begin = entry.first.second * kDay](const char* name) {
      audits[key].flags.push_back({begin, name, day.requests, day.tokens.output});
    };
    if (day.tokens.output >= rule.day_output) flag("volume");
    if (IsSweep(day, rule)) flag("sweep");
  }
  return audits;
}

}  // namespace fathom
