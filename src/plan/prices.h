#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "plan/sourced_value.h"
#include "plan/units.h"

namespace fathom {

// What a service charges for tokens. Without a context cache, hit is nothing and input costs miss.
struct ApiPrice {
  std::string key, name;
  std::optional<SourcedValue> hit;
  SourcedValue miss, output;

  // What the tokens of a period earn.
  Dollars Income(Tokens hits, Tokens misses, Tokens outputs) const;
};

struct Prices {
  std::map<std::string, ApiPrice, std::less<>> api;
  std::map<std::string, SourcedValue, std::less<>> rent;  // dollars a device and hour

  // The built-in data, and over it what a file of the same form says, if one is given.
  static Prices Load(const std::optional<std::filesystem::path>& over = {});
  // Throws UsageError with the nearest known name.
  const ApiPrice& Api(std::string_view key) const;
  const SourcedValue& RentRange(std::string_view device) const;
  DollarsPerSecond Rent(std::string_view device) const;
};

}  // namespace fathom
