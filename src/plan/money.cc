#include "plan/money.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "plan/built_in_data.h"

namespace fathom {
namespace {

struct Field {
  std::string_view key, label;
  double smallest, largest;
};
// kPrice comes from another key, kWatts from the device.
constexpr std::array<Field, Money::kInputs> kFields = {{
    {"", "price of a device with its server", 0.01, 1e8},
    {"network_share", "network, of the price", 0, 10},
    {"server_power_share", "server's power, of the device's", 0, 10},
    {"power_use", "mean / largest power", 0.01, 1},
    {"pue", "power of the site / of servers", 1, 10},
    {"electricity", "dollars a kWh", 0, 100},
    {"colocation", "dollars a kW and month", 0, 1e5},
    {"upkeep", "staff and repair, of the capital a year", 0, 10},
    {"years", "years of use", 0.1, 100},
    {"capital_cost", "interest a year", 0, 10},
    {"available", "share of hours available", 0.01, 1},
    {"", "power of a device, W", 0, 1e5},
}};

bool IsHopper(const Accelerator& device) {
  const std::string& key = device.key;
  return key == "h800" || key == "h100" || key == "h200" || key == "h20";
}

}  // namespace

std::string_view Money::Label(size_t input) { return kFields[input].label; }

Money Money::Load(const Accelerator& device, std::optional<double> price,
                  const std::optional<std::filesystem::path>& over) {
  Money money;
  std::optional<SourcedValue> hopper, ampere;
  const auto read = [&](std::string_view text, const std::string& where, bool is_base) {
    const toml::table parsed = ParseToml(text, where, {});
    TomlTable file(&parsed, where);
    TomlTable table = file.Table("money");
    for (size_t i = 0; i < kInputs; ++i) {
      const Field& field = kFields[i];
      if (field.key.empty()) continue;
      if (is_base) table.Require(field.key);
      money.inputs_[i] =
          *ReadSourced(table, field.key, field.smallest, field.largest, money.inputs_[i]);
    }
    const Field& field = kFields[kPrice];
    hopper = ReadSourced(table, "hopper_price", field.smallest, field.largest, hopper);
    ampere = ReadSourced(table, "ampere_price", field.smallest, field.largest, ampere);
    table.Finish();
    file.Finish();
  };
  read(BuiltInData("money"), "built-in money.toml", true);
  if (over) read(ReadFile(*over), over->string(), false);
  money.inputs_[kWatts] = device.watts;
  if (price) {
    if (!(*price >= kFields[kPrice].smallest && *price <= kFields[kPrice].largest)) {
      throw UsageError("device-price", fmt::format("{} is not in [0.01, 1e8]", *price));
    }
    money.inputs_[kPrice] = GivenValue(*price, "device-price");
  } else if (IsHopper(device)) {
    money.inputs_[kPrice] = *hopper;
  } else if (device.key == "a100") {
    money.inputs_[kPrice] = *ampere;
  } else {
    throw Error("device-price", fmt::format("no price of {} is known", device.name),
                "give one in dollars");
  }
  return money;
}

bool Money::HasPrice(const Accelerator& device) { return IsHopper(device) || device.key == "a100"; }

OwnedHour Money::Hour(std::span<const double> v) {
  constexpr double kHoursOfYear = 8766, kHoursOfMonth = kHoursOfYear / 12;
  const double capital = v[kPrice] * (1 + v[kNetworkShare]);
  const double rate = v[kCapitalCost], years = v[kYears];
  const double yearly =
      rate > 0 ? capital * rate / (1 - std::pow(1 + rate, -years)) : capital / years;
  const double kilowatts = v[kWatts] * (1 + v[kServerPowerShare]) / 1000;
  const double available = v[kAvailable];
  return {.capital = Dollars(yearly / kHoursOfYear / available),
          .electricity = Dollars(kilowatts * v[kPowerUse] * v[kPue] * v[kElectricity] / available),
          .colocation = Dollars(kilowatts * v[kColocation] / kHoursOfMonth / available),
          .upkeep = Dollars(capital * v[kUpkeep] / kHoursOfYear / available)};
}

OwnedHour Money::LikelyHour() const {
  std::array<double, kInputs> values{};
  for (size_t i = 0; i < kInputs; ++i) values[i] = inputs_[i].likely;
  return Hour(values);
}

Uncertainty Money::HourRange(uint64_t seed) const {
  return Propagate(
      inputs_, [](std::span<const double> values) { return Hour(values).total().value(); }, seed);
}

}  // namespace fathom
