#pragma once

#include <array>
#include <string_view>

#include "plan/serving.h"

namespace fathom {

// The demand of every hour, with a mean of 1: what was given hour by hour, or the curve
//   d(t) = n + (1 - n) ((1 + cos(2 pi (t - 15 h) / 24 h)) / 2)^k
// over its mean, with n = night / peak and k such that peak / mean is what it should be. Where no
// such curve has both ratios, the night gives way.
HoursOfDay DemandOf(const Service& service);
// "0.4,0.3,...": 24 numbers, of any size.
HoursOfDay ParseDemand(std::string_view text);

// The nodes that are up in every hour, and how far they are used.
struct DayOfNodes {
  HoursOfDay demand{}, prefill{}, decode{};  // demand: of the mean; the others: nodes
  double mean = 0, peak = 0;                 // of both kinds together
  double load = 0;                           // of a decode pool's places, that the target allows
  double prefill_use = 0, decode_use = 0;    // of the nodes' time, over the day
  // Of one hour, of the time of the nodes that are up.
  double UseAt(size_t hour) const;
};

// Capacity follows demand: in every hour there have to be enough nodes for its busiest minutes, and
// at most `refusals` of requests may find no free place (Erlang's B over the places of all decode
// nodes). Nodes come in whole groups and stay for `hold_hours` (cut to a divisor of 24; shifts
// begin where that takes the fewest nodes). prefill, decode: of a node that always has work, cached
// input tokens counted.
DayOfNodes PlanNodes(const ModelConfig& config, const Service& service, TokensPerSecond prefill,
                     const DecodePlan& decode);

}  // namespace fathom
