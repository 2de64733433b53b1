#include "cli/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/ledger_option.h"
#include "cli/times.h"
#include "serve/accounts/open_store.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct KeysArguments {
  std::string ledger;
  std::string name;
  bool json = false;
  // What was given; the rest of a key stays as it is.
  std::optional<std::string> role, expires, budget, period;
  std::optional<int64_t> concurrency, tokens_per_minute;
  std::optional<bool> shares_cache, disabled;
};

constexpr size_t kLongestName = 64;

// Names stand in tables, CSV files and metrics.
void CheckName(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kLongestName &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' || c == '-';
                    });
  if (!fits) {
    throw UsageError("NAME", fmt::format("'{}' cannot be a key's name", name),
                     "it has 1 to 64 letters, digits and .-_@");
  }
}

// "never", "90d" from now, or a day.
int64_t ParseExpiry(const std::string& text) {
  if (text == "never") return 0;
  int64_t days = 0;
  const char* last = text.data() + text.size() - 1;
  if (text.size() > 1 && *last == 'd') {
    const auto [end, error] = std::from_chars(text.data(), last, days);
    if (end == last && error == std::errc() && days > 0 && days < 100'000) {
      return std::time(nullptr) + days * 86'400;
    }
  }
  const int64_t day = ParseDay(text, "--expires");
  if (day <= std::time(nullptr)) throw UsageError("--expires", fmt::format("{} is over", text));
  return day;
}

void Apply(const KeysArguments& arguments, ApiKey& key) {
  if (arguments.role) key.role = *arguments.role == "admin" ? KeyRole::kAdmin : KeyRole::kUser;
  if (arguments.expires) key.expires = ParseExpiry(*arguments.expires);
  if (arguments.concurrency) key.limits.concurrency = *arguments.concurrency;
  if (arguments.tokens_per_minute) key.limits.tokens_per_minute = *arguments.tokens_per_minute;
  if (arguments.budget) {
    key.limits.budget.reset();
    if (*arguments.budget != "none") {
      key.limits.budget = ParseDollars(*arguments.budget, "--budget");
    }
  }
  if (arguments.period) {
    key.limits.period = *arguments.period == "month" ? BudgetPeriod::kMonth : BudgetPeriod::kTotal;
  }
  if (arguments.shares_cache) key.shares_cache = *arguments.shares_cache;
  if (arguments.disabled) key.disabled = *arguments.disabled;
}

const char* StateOf(const ApiKey& key) {
  if (key.revoked != 0) return "revoked";
  if (key.disabled) return "disabled";
  return key.expires != 0 && key.expires <= std::time(nullptr) ? "expired" : "usable";
}

ordered_json KeyJson(const ApiKey& key) {
  const auto or_null = [](int64_t value, auto shown) {
    return value == 0 ? ordered_json(nullptr) : ordered_json(shown);
  };
  const KeyLimits& limits = key.limits;
  return {{"id", key.id},
          {"name", key.name},
          {"role", Name(key.role)},
          {"state", StateOf(key)},
          {"created", FormatTime(key.created)},
          {"expires", or_null(key.expires, FormatTime(key.expires))},
          {"concurrency", or_null(limits.concurrency, limits.concurrency)},
          {"tokens_per_minute", or_null(limits.tokens_per_minute, limits.tokens_per_minute)},
          {"budget_dollars",
           limits.budget ? ordered_json(FormatDollars(*limits.budget)) : ordered_json(nullptr)},
          {"budget_period", Name(limits.period)},
          {"shares_cache", key.shares_cache}};
}

ApiKey FindKey(AccountStore& store, const std::string& name) {
  for (auto& [key, hash] : store.Keys()) {
    if (key.name == name) return key;
  }
  throw Error(name, "there is no key of that name", "`fathom keys list` lists them");
}

void Create(const KeysArguments& arguments) {
  CheckName(arguments.name);
  ApiKey key{.name = arguments.name, .created = std::time(nullptr)};
  Apply(arguments, key);
  const auto store = OpenStore(arguments.ledger, StoreMode::kCreate);
  const std::string secret = NewKey();
  key.id = store->AddKey(key, HashOf(secret));
  if (arguments.json) {
    ordered_json json = KeyJson(key);
    json["key"] = secret;
    WriteJson(json);
    return;
  }
  WriteStandardOutput(secret + "\n");
  spdlog::info(
      "this is the only time that the key of '{}' is shown: what is kept is its hash; running "
      "servers take it in a few seconds",
      key.name);
  if (key.limits.budget)
    spdlog::info("its budget counts what [prices] of the servers' --config says");
}

std::string OrDash(int64_t value) { return value == 0 ? "-" : std::to_string(value); }

void List(const KeysArguments& arguments) {
  const auto store = OpenStore(arguments.ledger, StoreMode::kExisting);
  const auto keys = store->Keys();
  const auto spent = [&](const ApiKey& key) {
    const int64_t since = PeriodStart(key.limits.period, std::time(nullptr) * 1000);
    return FormatDollars(store->Use(key.id, since).spent);
  };
  if (arguments.json) {
    ordered_json list = ordered_json::array();
    for (const auto& [key, hash] : keys) {
      list.push_back(KeyJson(key));
      list.back()["spent_dollars"] = spent(key);
    }
    WriteJson({{"keys", std::move(list)}});
    return;
  }
  std::string text =
      fmt::format("{:20} {:6} {:9} {:12} {:>8} {:>10} {:>12} {:>16}  {}\n", "name", "role", "state",
                  "expires", "requests", "tokens/min", "spent", "budget", "cache");
  for (const auto& [key, hash] : keys) {
    const KeyLimits& limits = key.limits;
    const std::string budget =
        limits.budget ? fmt::format("${} {}", FormatDollars(*limits.budget), Name(limits.period))
                      : "-";
    text += fmt::format("{:20} {:6} {:9} {:12} {:>8} {:>10} {:>12} {:>16}  {}\n", key.name,
                        Name(key.role), StateOf(key),
                        key.expires == 0 ? "never" : FormatTime(key.expires).substr(0, 10),
                        OrDash(limits.concurrency), OrDash(limits.tokens_per_minute),
                        "$" + spent(key), budget, key.shares_cache ? "shared" : "own");
  }
  WriteStandardOutput(text);
}

void Finish(const KeysArguments& arguments, const ApiKey& key, const char* done) {
  if (arguments.json) WriteJson(KeyJson(key));
  spdlog::info("the key of '{}' {}; running servers take it over in a few seconds", key.name, done);
}

void Change(const KeysArguments& arguments) {
  const auto store = OpenStore(arguments.ledger, StoreMode::kExisting);
  ApiKey key = FindKey(*store, arguments.name);
  if (key.revoked != 0) {
    throw Error(key.name, "the key is revoked, for good", "create another one");
  }
  Apply(arguments, key);
  store->ChangeKey(key);
  Finish(arguments, key, "is changed");
}

void Revoke(const KeysArguments& arguments) {
  const auto store = OpenStore(arguments.ledger, StoreMode::kExisting);
  ApiKey key = FindKey(*store, arguments.name);
  if (key.revoked == 0) key.revoked = std::time(nullptr);
  store->ChangeKey(key);
  Finish(arguments, key, "is revoked");
}

void AddSettings(Command command, KeysArguments& arguments) {
  command
      .AddOption("--role", arguments.role,
                 "user: asks the model; admin: sees the metrics of all, too")
      .OneOf({"user", "admin"});
  command.AddOption("--expires", arguments.expires,
                    "90d (days from now), 2027-01-31 (in UTC), or never");
  command.AddOption("--concurrency", arguments.concurrency, "Requests at a time; 0: any number")
      .InRange(0, int64_t{1} << 20);
  command
      .AddOption("--tokens-per-minute", arguments.tokens_per_minute,
                 "Tokens of prompts and answers; 0: any number")
      .InRange(0, int64_t{1} << 40);
  command.AddOption("--budget", arguments.budget, "What it may spend, in dollars, or none");
  command.AddOption("--budget-period", arguments.period, "Whether that is in all or each month")
      .OneOf({"total", "month"});
  command.AddFlag("--share-cache,!--own-cache", arguments.shares_cache,
                  "Whether its prompts' prefixes are cached for all keys that share, or for itself "
                  "alone (which is how a key begins)");
}

// One of the commands, on a ledger.
template <typename Run>
Command AddKeysCommand(Command keys, const std::shared_ptr<KeysArguments>& arguments,
                       const char* name, const char* description, Run run) {
  Command command = keys.AddCommand(name, description);
  AddLedgerOption(command, arguments->ledger);
  command.AddFlag("--json", arguments->json, "Print the result as JSON on stdout");
  command.OnRun([arguments, run] { run(*arguments); });
  return command;
}

}  // namespace

void AddKeysCommand(Command app) {
  Command keys = app.AddCommand("keys", "The keys of a server: who may ask, and how much.");
  keys.RequireCommand();
  keys.Footer("Example: fathom keys create alice --ledger ledger.db --budget 20");
  const auto arguments = std::make_shared<KeysArguments>();
  Command create =
      AddKeysCommand(keys, arguments, "create", "Make a key; it is shown once.", Create);
  create.Footer(
      "Example: fathom keys create alice --ledger ledger.db --concurrency 8 --budget 20 "
      "--budget-period month");
  AddKeysCommand(keys, arguments, "list", "Show all keys.", List)
      .Footer("Example: fathom keys list --ledger ledger.db");
  Command change = AddKeysCommand(keys, arguments, "change", "Change what a key may do.", Change);
  change.Footer("Example: fathom keys change alice --ledger ledger.db --budget 50");
  Command revoke = AddKeysCommand(keys, arguments, "revoke", "End a key for good.", Revoke);
  revoke.Footer("Example: fathom keys revoke alice --ledger ledger.db");
  for (Command command : {create, change, revoke}) {
    command.AddOption("NAME", arguments->name, "Whose key it is").Required();
  }
  for (Command command : {create, change}) AddSettings(command, *arguments);
  change.AddFlag("--disable,!--enable", arguments->disabled,
                 "Whether the key is refused for the time being");
}

}  // namespace fathom
