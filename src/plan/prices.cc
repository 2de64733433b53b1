#include "plan/prices.h"

#include <fmt/ranges.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "plan/built_in_data.h"

namespace fathom {
namespace {

void ReadApi(TomlTable table, const ApiPrice* base, ApiPrice& price) {
  constexpr double kMost = 1e6;
  price.name = table.String("name", base ? base->name : price.key);
  price.hit = ReadSourced(table, "hit", 0, kMost, base ? base->hit : std::nullopt);
  if (base == nullptr) {
    table.Require("miss");
    table.Require("output");
  }
  const auto of_base = [&](SourcedValue ApiPrice::*field) {
    return base ? std::optional<SourcedValue>(base->*field) : std::nullopt;
  };
  price.miss = *ReadSourced(table, "miss", 0, kMost, of_base(&ApiPrice::miss));
  price.output = *ReadSourced(table, "output", 0, kMost, of_base(&ApiPrice::output));
  table.Finish();
}

void Read(std::string_view text, const std::string& where, Prices& prices) {
  const toml::table parsed = ParseToml(text, where, {});
  TomlTable table(&parsed, where);
  TomlTable rent = table.Table("rent");
  for (const std::string& key : rent.Names()) {
    prices.rent.insert_or_assign(key, *ReadSourced(rent, key, 0, 1e5));
  }
  TomlTable api = table.Table("api");
  for (const std::string& key : api.Names()) {
    const auto known = prices.api.find(key);
    ApiPrice price{.key = key};
    ReadApi(api.Table(key), known == prices.api.end() ? nullptr : &known->second, price);
    prices.api.insert_or_assign(key, std::move(price));
  }
  table.Finish();
}

template <typename T>
const T& Find(const std::map<std::string, T, std::less<>>& map, std::string_view key,
              std::string_view what) {
  const auto found = map.find(key);
  if (found != map.end()) return found->second;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, value] : map) names.insert(name);
  throw UsageError(what, fmt::format("'{}' is not known", key),
                   NearestHint(key, names, fmt::format("known are {}", fmt::join(names, ", "))));
}

}  // namespace

Dollars ApiPrice::Income(Tokens hits, Tokens misses, Tokens outputs) const {
  return hits * PerMillionTokens(hit ? hit->likely : miss.likely) +
         misses * PerMillionTokens(miss.likely) + outputs * PerMillionTokens(output.likely);
}

Prices Prices::Load(const std::optional<std::filesystem::path>& over) {
  Prices prices;
  Read(BuiltInData("prices"), "built-in prices.toml", prices);
  if (over) Read(ReadFile(*over), over->string(), prices);
  return prices;
}

const ApiPrice& Prices::Api(std::string_view key) const { return Find(api, key, "price"); }

const SourcedValue& Prices::RentRange(std::string_view device) const {
  return Find(rent, device, "rent");
}

DollarsPerSecond Prices::Rent(std::string_view device) const {
  return PerHour(RentRange(device).likely);
}

}  // namespace fathom
