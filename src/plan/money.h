#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plan/hardware.h"
#include "plan/uncertainty.h"
#include "plan/units.h"

namespace fathom {

// What an hour of an owned device is made of.
struct OwnedHour {
  Dollars capital, electricity, colocation, upkeep;  // of an hour that is available
  Dollars total() const { return capital + electricity + colocation + upkeep; }
};

// Ranges of what owning costs, as src/plan/data/money.toml describes them.
class Money {
 public:
  // In the order of Inputs.
  enum Input : size_t {
    kPrice,             // dollars a device, with its share of the server
    kNetworkShare,      // of the price, on top
    kServerPowerShare,  // of the device's power, on top
    kPowerUse,          // mean power / largest power
    kPue,
    kElectricity,  // dollars a kWh
    kColocation,   // dollars a kW and month
    kUpkeep,       // of the capital, a year
    kYears,        // of use
    kCapitalCost,  // interest a year
    kAvailable,    // share of hours
    kWatts,        // of the device
    kInputs
  };
  static std::string_view Label(size_t input);

  // For this device, from the built-in data and what a file of the same form says over it; `price`
  // replaces the device's. Throws Error when the data has no price of such a device and none is
  // given.
  static Money Load(const Accelerator& device, std::optional<double> price = {},
                    const std::optional<std::filesystem::path>& over = {});

  // Whether the data has a price of such a device.
  static bool HasPrice(const Accelerator& device);

  const std::array<SourcedValue, kInputs>& inputs() const { return inputs_; }
  std::array<SourcedValue, kInputs>& inputs() { return inputs_; }

  // Capital is paid back in equal yearly sums: C r / (1 - (1 + r)^-n); C (price + network); power
  // is the device's and its share of the server's, times PUE.
  static OwnedHour Hour(std::span<const double> inputs);
  // With every input likely.
  OwnedHour LikelyHour() const;
  // The total's range and what drives it.
  Uncertainty HourRange(uint64_t seed) const;

 private:
  std::array<SourcedValue, kInputs> inputs_;
};

}  // namespace fathom
