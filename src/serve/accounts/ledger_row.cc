#include "serve/accounts/ledger_row.h"

#include <unordered_set>

namespace fathom {

std::string_view Name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen:
      return "open";
    case Outcome::kDone:
      return "done";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kInterrupted:
      return "interrupted";
  }
  return "";
}

Outcome ParseOutcome(std::string_view name) {
  for (const Outcome outcome :
       {Outcome::kDone, Outcome::kCancelled, Outcome::kFailed, Outcome::kInterrupted}) {
    if (Name(outcome) == name) return outcome;
  }
  return Outcome::kOpen;
}

bool MaySettle(Outcome from, Outcome to) {
  return from == Outcome::kOpen || (from == Outcome::kInterrupted && to != Outcome::kInterrupted);
}

LedgerRow Interrupted(LedgerRow row, int64_t now) {
  row.settled = now;
  row.outcome = Outcome::kInterrupted;
  row.cost = row.prices.Cost(row.tokens);
  return row;
}

std::vector<const LedgerRow*> SettledAtOnce(std::span<const LedgerChange> changes) {
  std::unordered_set<std::string_view> reserved;
  for (const LedgerChange& change : changes) {
    if (change.kind == LedgerChange::Kind::kReserve) reserved.insert(change.row.id);
  }
  std::vector<const LedgerRow*> rows;
  for (const LedgerChange& change : changes) {
    const bool both =
        change.kind == LedgerChange::Kind::kSettle && reserved.contains(change.row.id);
    if (both) rows.push_back(&change.row);
  }
  return rows;
}

}  // namespace fathom
