#include "cli/ledger.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/ledger_option.h"
#include "cli/times.h"
#include "serve/accounts/audit.h"
#include "serve/accounts/open_store.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct LedgerArguments {
  std::string ledger;
  std::string from, until, key;
  bool json = false;
  ExtractionRule rule;
};

constexpr size_t kFlush = 1 << 16;  // bytes of a table that are written at once

std::map<int64_t, std::string> NamesOf(AccountStore& store) {
  std::map<int64_t, std::string> names = {{0, ""}};
  for (const auto& [key, hash] : store.Keys()) names[key.id] = key.name;
  return names;
}

LedgerFilter FilterOf(const LedgerArguments& arguments,
                      const std::map<int64_t, std::string>& names) {
  LedgerFilter filter;
  if (!arguments.from.empty()) filter.from = ParseDay(arguments.from, "--from") * 1000;
  if (!arguments.until.empty()) filter.until = ParseDay(arguments.until, "--until") * 1000;
  if (arguments.key.empty()) return filter;
  for (const auto& [id, name] : names) {
    if (name == arguments.key) filter.key = id;
  }
  if (filter.key < 0) {
    throw Error("--key", fmt::format("there is no key '{}'", arguments.key),
                "`fathom keys list` lists them");
  }
  return filter;
}

// As RFC 4180 wants it.
std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string CsvLine(const LedgerRow& row, const std::string& name) {
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", row.id, Field(name),
                     Field(row.route), Field(row.model), FormatTime(row.created / 1000),
                     row.settled == 0 ? "" : FormatTime(row.settled / 1000), Name(row.outcome),
                     row.tokens.cache_hit, row.tokens.cache_miss, row.tokens.output,
                     FormatDollars(row.prices.cache_hit), FormatDollars(row.prices.cache_miss),
                     FormatDollars(row.prices.output), FormatDollars(row.cost));
}

void Export(const LedgerArguments& arguments) {
  const auto store = OpenStore(arguments.ledger, StoreMode::kExisting);
  const auto names = NamesOf(*store);
  std::string text =
      "id,key,route,model,created,settled,outcome,cache_hit_tokens,cache_miss_tokens,"
      "output_tokens,cache_hit_price,cache_miss_price,output_price,cost\n";
  store->ForEachRow(FilterOf(arguments, names), [&](const LedgerRow& row) {
    const auto name = names.find(row.key);
    text += CsvLine(row, name == names.end() ? std::to_string(row.key) : name->second);
    if (text.size() < kFlush) return;
    WriteStandardOutput(text);
    text.clear();
  });
  WriteStandardOutput(text);
}

ordered_json AuditJson(const std::string& name, const KeyAudit& audit) {
  ordered_json flags = ordered_json::array();
  for (const ExtractionFlag& flag : audit.flags) {
    flags.push_back({{"day", FormatTime(flag.day / 1000).substr(0, 10)},
                     {"rule", flag.rule},
                     {"requests", flag.requests},
                     {"output_tokens", flag.output}});
  }
  return {{"key", name},
          {"requests", audit.requests},
          {"open", audit.open},
          {"cancelled", audit.cancelled},
          {"cache_hit_tokens", audit.tokens.cache_hit},
          {"cache_miss_tokens", audit.tokens.cache_miss},
          {"output_tokens", audit.tokens.output},
          {"cost_dollars", FormatDollars(audit.cost)},
          {"first", FormatTime(audit.first / 1000)},
          {"last", FormatTime(audit.last / 1000)},
          {"flags", std::move(flags)}};
}

std::string FlagsText(const KeyAudit& audit) {
  std::string text;
  for (const ExtractionFlag& flag : audit.flags) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                        FormatTime(flag.day / 1000).substr(0, 10), flag.rule);
  }
  return text;
}

void Audit(const LedgerArguments& arguments) {
  const auto store = OpenStore(arguments.ledger, StoreMode::kExisting);
  const auto names = NamesOf(*store);
  const auto audits = AuditLedger(*store, FilterOf(arguments, names), arguments.rule);
  const auto name_of = [&](int64_t key) {
    const auto name = names.find(key);
    return name == names.end() ? std::to_string(key) : name->second;
  };
  if (arguments.json) {
    ordered_json json = ordered_json::array();
    for (const auto& [key, audit] : audits) json.push_back(AuditJson(name_of(key), audit));
    WriteJson({{"keys", std::move(json)}});
    return;
  }
  std::string text = fmt::format("{:20} {:>9} {:>9} {:>9} {:>9} {:>12}  {}\n", "key", "requests",
                                 "hit", "miss", "output", "cost", "flagged days");
  for (const auto& [key, audit] : audits) {
    const auto count = [](int64_t tokens) { return FormatCount(static_cast<double>(tokens)); };
    text += fmt::format(
        "{:20} {:>9} {:>9} {:>9} {:>9} {:>12}  {}\n", key == 0 ? "(no key)" : name_of(key),
        audit.requests, count(audit.tokens.cache_hit), count(audit.tokens.cache_miss),
        count(audit.tokens.output), "$" + FormatDollars(audit.cost), FlagsText(audit));
  }
  WriteStandardOutput(text);
}

template <typename Run>
Command AddLedgerCommand(Command ledger, const std::shared_ptr<LedgerArguments>& arguments,
                         const char* name, const char* description, Run run) {
  Command command = ledger.AddCommand(name, description);
  AddLedgerOption(command, arguments->ledger);
  command.AddOption("--from", arguments->from, "The first day, 2026-11-01 (in UTC)");
  command.AddOption("--until", arguments->until, "The day after the last one");
  command.AddOption("--key", arguments->key, "Of this key only");
  command.OnRun([arguments, run] { run(*arguments); });
  return command;
}

}  // namespace

void AddLedgerCommand(Command app) {
  Command ledger = app.AddCommand("ledger", "What a server's requests took and cost.");
  ledger.RequireCommand();
  ledger.Footer("Example: fathom ledger export --ledger ledger.db --from 2026-11-01 >november.csv");
  const auto arguments = std::make_shared<LedgerArguments>();
  AddLedgerCommand(ledger, arguments, "export", "All requests as CSV on stdout.", Export)
      .Footer(
          "Prices are dollars for a million tokens, cost is in dollars.\n"
          "Example: fathom ledger export --ledger ledger.db --from 2026-11-01 >november.csv");
  Command audit =
      AddLedgerCommand(ledger, arguments, "audit",
                       "Who had how much, and days that look like copying the model.", Audit);
  audit.Footer(
      "A day of a key is flagged 'volume' for --day-output tokens of answers, and 'sweep' for\n"
      "--day-requests requests in at least 20 of its hours with at least 200 tokens of answer "
      "each\n"
      "on average, of whose prompts at most half was in the cache.\n"
      "Example: fathom ledger audit --ledger ledger.db --from 2026-11-01");
  audit.AddOption("--day-output", arguments->rule.day_output, "Tokens of answers of 'volume'")
      .InRange(1, int64_t{1} << 50)
      .ShowDefault();
  audit.AddOption("--day-requests", arguments->rule.day_requests, "Requests of 'sweep'")
      .InRange(1, int64_t{1} << 40)
      .ShowDefault();
  audit.AddFlag("--json", arguments->json, "Print the result as JSON on stdout");
}

}  // namespace fathom
