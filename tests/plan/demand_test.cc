#include "plan/demand.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "base/error.h"
#include "plan/architecture.h"

namespace fathom {
namespace {

double Mean(const HoursOfDay& hours) {
  return std::accumulate(hours.begin(), hours.end(), 0.0) / 24;
}
double Most(const HoursOfDay& hours) { return *std::max_element(hours.begin(), hours.end()); }
double Least(const HoursOfDay& hours) { return *std::min_element(hours.begin(), hours.end()); }

TEST(DemandTest, TheCurveHasItsRatios) {
  Service service = Service::Load();
  for (const auto& [peak, night] : {std::pair{1.5, 0.3}, {1.3, 0.5}, {2.0, 0.1}, {4.0, 0.05}}) {
    service.demand_peak_to_mean = GivenValue(peak, "test");
    service.demand_night_to_peak = GivenValue(night, "test");
    const HoursOfDay demand = DemandOf(service);
    EXPECT_NEAR(Mean(demand), 1, 1e-9);
    EXPECT_NEAR(Most(demand), peak, 1e-6);
    EXPECT_NEAR(Least(demand) / Most(demand), night, 1e-6);
    EXPECT_EQ(std::max_element(demand.begin(), demand.end()) - demand.begin(), 15);
  }
  // Even demand; and a night that no curve with this peak has gives way.
  service.demand_peak_to_mean = GivenValue(1, "test");
  EXPECT_DOUBLE_EQ(Most(DemandOf(service)), 1);
  service.demand_peak_to_mean = GivenValue(1.05, "test");
  service.demand_night_to_peak = GivenValue(0, "test");
  EXPECT_NEAR(Most(DemandOf(service)), 1.05, 0.01);
  EXPECT_GT(Least(DemandOf(service)), 0.5);
}

TEST(DemandTest, HoursAreRead) {
  std::string text = "3";
  for (int i = 0; i < 23; ++i) text += ",1";
  const HoursOfDay demand = ParseDemand(text);
  EXPECT_NEAR(demand[0], 3 / (26.0 / 24), 1e-12);
  EXPECT_NEAR(Mean(demand), 1, 1e-12);
  for (const char* wrong : {"", "1,2", "1,-1", "a", "nan", "1e300"}) {
    EXPECT_THROW(ParseDemand(wrong), UsageError) << wrong;
  }
  EXPECT_THROW(ParseDemand(text + ",1"), UsageError);
  std::string nothing = "0";
  for (int i = 0; i < 23; ++i) nothing += ",0";
  EXPECT_THROW(ParseDemand(nothing), UsageError);
}

// A day whose nodes can be counted by hand: 8 devices of 100 tokens/s make 800 a node; 12 hours at
// 1.5 and 12 at 0.5 times 6400 tokens/s need 12 and 4 nodes. A pool so large and targets so slack
// that the queue takes nothing off.
TEST(DemandTest, NodesByHand) {
  const ModelConfig dense = PublishedConfig("llama-1-7b");
  Service service = Service::Load();
  HoursOfDay hours{};
  for (size_t h = 0; h < 24; ++h) hours[h] = h < 12 ? 1.5 : 0.5;
  service.hours = hours;
  service.burst = GivenValue(1, "test");
  service.refusals = GivenValue(0.5, "test");
  service.output_tokens = GivenValue(6400 * 86400.0, "test");
  service.input_tokens = GivenValue(6400 * 86400.0, "test");
  const DecodePlan decode{.batch = 512, .output = TokensPerSecond(100)};
  const auto plan = [&](double hold) {
    service.hold_hours = GivenValue(hold, "test");
    return PlanNodes(dense, service, TokensPerSecond(800), decode);
  };
  const DayOfNodes shifts = plan(12);
  EXPECT_NEAR(shifts.decode[0], 12, 1e-9);
  EXPECT_NEAR(shifts.decode[12], 4, 1e-9);
  EXPECT_NEAR(shifts.peak, 24, 1e-9);
  EXPECT_NEAR(shifts.mean, 16, 1e-9);
  EXPECT_NEAR(shifts.decode_use, 1, 1e-9);
  EXPECT_NEAR(shifts.UseAt(3), 1, 1e-9);
  // Nodes that stay all day are there for the peak.
  const DayOfNodes fixed = plan(24);
  EXPECT_NEAR(fixed.mean, 24, 1e-9);
  EXPECT_NEAR(fixed.decode_use, 2.0 / 3, 1e-9);
  EXPECT_NEAR(fixed.UseAt(20), 1.0 / 3, 1e-9);
  // Busiest minutes take as much more as they are busier.
  service.burst = GivenValue(1.25, "test");
  EXPECT_NEAR(plan(12).decode[0], 15, 1e-9);
}

// A small service pays for whole groups, and its few places bear less than those of many.
TEST(DemandTest, SmallServicesUseLess) {
  const ModelConfig v3 = PublishedConfig("v3");
  Service service = Service::Load();
  const DecodePlan decode{.batch = 128, .output = TokensPerSecond(2600)};
  const DayOfNodes large = PlanNodes(v3, service, TokensPerSecond(115e3), decode);
  service.input_tokens.likely /= 1000;
  service.output_tokens.likely /= 1000;
  const DayOfNodes small = PlanNodes(v3, service, TokensPerSecond(115e3), decode);
  EXPECT_DOUBLE_EQ(small.mean, 4 + 18);
  EXPECT_LT(small.decode_use, 0.1 * large.decode_use);
  const ModelConfig dense = PublishedConfig("llama-1-7b");
  const DecodePlan one{.batch = 2, .output = TokensPerSecond(40)};
  service.refusals = GivenValue(0.01, "test");
  service.output_tokens = GivenValue(1, "test");
  // One device is enough and has two places, which Erlang's table for 1 % gives a load of 0.153.
  const DayOfNodes few = PlanNodes(dense, service, TokensPerSecond(115e3), one);
  EXPECT_DOUBLE_EQ(few.decode[0], 1.0 / 8);
  EXPECT_NEAR(few.load, 0.153 / 2, 1e-3);
}

}  // namespace
}  // namespace fathom
