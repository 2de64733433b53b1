#include "plan/demand.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "plan/queue.h"

namespace fathom {
namespace {

constexpr size_t kHours = std::tuple_size_v<HoursOfDay>;
constexpr double kPeakHour = 15;  // only names the hours
// A pool of more places refuses hardly less at the same load: at 1 %, 0.998 of the places of 4096
// are used and 1 of many more.
constexpr double kLargestPool = 4096;

double Sum(const HoursOfDay& hours) { return std::accumulate(hours.begin(), hours.end(), 0.0); }

HoursOfDay Curve(double night, double exponent) {
  HoursOfDay hours{};
  for (size_t h = 0; h < kHours; ++h) {
    const double angle = 2 * std::numbers::pi * (static_cast<double>(h) - kPeakHour) / kHours;
    hours[h] = night + (1 - night) * std::pow((1 + std::cos(angle)) / 2, exponent);
  }
  return hours;
}

HoursOfDay OverMean(HoursOfDay hours) {
  const double mean = Sum(hours) / kHours;
  for (double& hour : hours) hour /= mean;
  return hours;
}

// The share of a pool's places that may be taken on average. Plans that are compared mostly ask for
// the same pool again, which takes a millisecond to solve: the last answer is kept.
double PoolLoad(double places, double refusals) {
  struct Answer {
    double servers = 0, refusals = 0, load = 0;
  };
  static thread_local Answer last;
  const double servers = std::clamp(std::floor(places), 1.0, kLargestPool);
  if (servers != last.servers || refusals != last.refusals) {
    const Queue pool{.service_time = 1, .servers = servers};
    last = {servers, refusals, std::min(1.0, LargestArrivals(pool, refusals) / servers)};
  }
  return last.load;
}

// Nodes of every hour when they stay for `hold` hours from `offset` on.
HoursOfDay Held(const HoursOfDay& needed, size_t hold, size_t offset) {
  HoursOfDay up{};
  for (size_t begin = 0; begin < kHours; begin += hold) {
    double most = 0;
    for (size_t i = 0; i < hold; ++i) most = std::max(most, needed[(begin + offset + i) % kHours]);
    for (size_t i = 0; i < hold; ++i) up[(begin + offset + i) % kHours] = most;
  }
  return up;
}

HoursOfDay InGroups(const HoursOfDay& demand, double nodes_at_mean, double group) {
  HoursOfDay needed{};
  for (size_t h = 0; h < kHours; ++h) {
    needed[h] = group * std::max(1.0, std::ceil(nodes_at_mean * demand[h] / group - 1e-9));
  }
  return needed;
}

}  // namespace

HoursOfDay ParseDemand(std::string_view text) {
  std::vector<double> numbers;
  while (!text.empty() && numbers.size() <= kHours) {
    const size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    double number = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (error != std::errc() || end != one.data() + one.size() ||
        !(number >= 0 && number <= 1e12)) {
      throw UsageError("demand", fmt::format("'{}' is not a number from 0 to 1e12", one));
    }
    numbers.push_back(number);
  }
  if (numbers.size() != kHours) {
    throw UsageError("demand", "has not 24 numbers", "one for every hour, separated by commas");
  }
  HoursOfDay hours{};
  std::copy(numbers.begin(), numbers.end(), hours.begin());
  if (Sum(hours) <= 0) throw UsageError("demand", "is 0 in every hour");
  return OverMean(hours);
}

HoursOfDay DemandOf(const Service& service) {
  if (service.hours) return *service.hours;
  const double ratio = service.demand_peak_to_mean.likely;
  if (ratio <= 1) return OverMean(Curve(1, 1));
  // The mean lies between the night's and the peak's demand; above k = 1/2, whose mean is 2 / pi
  // between them, the curve has no plateau.
  const double widest = (1 / ratio - 2 / std::numbers::pi) / (1 - 2 / std::numbers::pi);
  const double night =
      std::clamp(service.demand_night_to_peak.likely, std::max(widest, 0.0), 0.98 / ratio);
  double low = 1e-3, high = 1e3;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (kHours / Sum(Curve(night, middle)) > ratio ? high : low) = middle;
  }
  return OverMean(Curve(night, low));
}

double DayOfNodes::UseAt(size_t hour) const {
  const double mean_decode = Sum(decode) / kHours, mean_prefill = Sum(prefill) / kHours;
  const double used = demand[hour] * (decode_use * mean_decode + prefill_use * mean_prefill);
  return used / (decode[hour] + prefill[hour]);
}

DayOfNodes PlanNodes(const ModelConfig& config, const Service& service, TokensPerSecond prefill,
                     const DecodePlan& decode) {
  DayOfNodes day{.demand = DemandOf(service)};
  const double node = service.node_devices.likely, burst = service.burst.likely;
  const double tensor = static_cast<double>(service.tensor),
               stages = static_cast<double>(service.pipeline);
  const bool experts = config.n_routed_experts > 0;
  const double prefill_group = (experts ? service.prefill_devices.likely : tensor) / node;
  const double decode_group = (experts ? service.decode_devices.likely : tensor * stages) / node;
  const double prefill_nodes = Tokens(service.input_tokens.likely) / Days(1) / prefill;
  const double decode_nodes =
      Tokens(service.output_tokens.likely) / Days(1) / (node * decode.output);
  // Every place decodes for one request at a time. Fewer nodes are fewer places, which bear less:
  // a few rounds settle it.
  const double places = node * decode.batch * stages / tensor;
  const double peak = *std::max_element(day.demand.begin(), day.demand.end());
  day.load = 1;
  for (int round = 0; round < 4; ++round) {
    const double nodes =
        decode_group *
        std::max(1.0, std::ceil(decode_nodes * peak * burst / day.load / decode_group));
    day.load = PoolLoad(nodes * places, service.refusals.likely);
  }
  const HoursOfDay prefill_needed = InGroups(day.demand, prefill_nodes * burst, prefill_group);
  const HoursOfDay decode_needed =
      InGroups(day.demand, decode_nodes * burst / day.load, decode_group);
  auto hold = static_cast<size_t>(std::clamp(service.hold_hours.likely, 1.0, 24.0));
  while (kHours % hold != 0) --hold;
  double least = 0;
  for (size_t offset = 0; offset < hold; ++offset) {
    const HoursOfDay p = Held(prefill_needed, hold, offset), d = Held(decode_needed, hold, offset);
    const double nodes = Sum(p) + Sum(d);
    if (offset > 0 && nodes >= least) continue;
    least = nodes;
    day.prefill = p;
    day.decode = d;
  }
  day.mean = least / kHours;
  for (size_t h = 0; h < kHours; ++h) day.peak = std::max(day.peak, day.prefill[h] + day.decode[h]);
  day.prefill_use = prefill_nodes * kHours / Sum(day.prefill);
  day.decode_use = decode_nodes * kHours / Sum(day.decode);
  return day;
}

}  // namespace fathom
