#include "plan/fleet_inference.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "plan/demand.h"
#include "plan/queue.h"

namespace fathom {
namespace {

// Of the peak's busiest minutes, over the mean of the day.
double PeakOf(const Service& service) {
  const HoursOfDay hours = DemandOf(service);
  return service.burst.likely * *std::max_element(hours.begin(), hours.end());
}

// What one device of a kind gives to inference when prefill and decoding share it out so that
// neither waits.
struct Capacity {
  bool works = false;
  std::string why;       // it does not
  double tokens = 0;     // output tokens a second, always busy
  double slots = 0;      // sequences that decode at a time
  Seconds token, first;  // time per token; and to the first, without a queue
};

Capacity CapacityOf(const FleetScenario& s, const Architecture& architecture,
                    const Accelerator& device) {
  Capacity capacity;
  try {
    const PrefillPlan prefill = PlanPrefill(architecture, s.service, device, s.kernels);
    const DecodePlan decode = PlanDecode(architecture, s.service, device, s.kernels);
    const double inputs = s.service.input_tokens.likely / s.service.output_tokens.likely;
    const double prefilling = inputs / prefill.with_hits.value(),
                 decoding = 1 / decode.output.value();
    capacity.works = true;
    capacity.tokens = 1 / (prefilling + decoding);
    capacity.slots =
        decode.batch / static_cast<double>(s.service.tensor) * decoding / (prefilling + decoding);
    capacity.token = decode.token;
    // A prompt waits half a chunk on average, and is computed in the next.
    capacity.first = 1.5 * std::max(prefill.compute.total(), prefill.exchange) + decode.step;
  } catch (const Error& error) {
    capacity.why = error.what();
  }
  return capacity;
}

bool MayBeBought(const FleetScenario& s, const FleetScenario::Item& item) {
  if (!s.china) return true;
  return s.rules.Knows(item.device) &&
         s.rules.Check(item.device, item.day).verdict != ExportRules::Verdict::kLicence;
}

// The queue that all inference devices are; servers are the sequences that decode at a time.
struct Demand {
  Queue queue;
  Seconds first;        // token, without waiting
  double tokens = 0;    // output tokens a second of the fleet
  double per_user = 0;  // arrivals a second at the peak of one daily user
};

Demand DemandOf(const FleetScenario& s, const std::vector<Capacity>& capacities) {
  Demand demand;
  Seconds token;
  double slots = 0;
  for (size_t i = 0; i < s.items.size(); ++i) {
    const Capacity& capacity = capacities[i];
    if (!capacity.works) continue;
    const double devices = s.items[i].count * s.fleet.inference.likely;
    slots += devices * capacity.slots;
    token += devices * capacity.slots * capacity.token;
    demand.first += devices * capacity.slots * capacity.first;
    demand.tokens += devices * capacity.tokens;
  }
  if (slots < 1) return demand;
  demand.first = demand.first / slots;
  const double peak = PeakOf(s.service);
  demand.per_user = s.fleet.answers_per_user.likely * peak / 86400;
  demand.queue = {.arrivals = s.users.likely * demand.per_user,
                  .service_time = s.service.answer_tokens.likely * (token / slots).value(),
                  .patience = s.fleet.patience.likely,
                  .servers = std::floor(slots),
                  .room = std::floor(slots * s.fleet.queue.likely)};
  return demand;
}

// The refusals of every hour, by the curve of demand.
void AddDay(const FleetScenario& s, const Queue& at_peak, double per_user, Report& report) {
  const HoursOfDay hours = DemandOf(s.service);
  const double most = *std::max_element(hours.begin(), hours.end());
  ReportTable table{.name = "the queue by the hour",
                    .columns = {{"hour", "hour", "1"},
                                {"arrivals", "requests a second", "1/s"},
                                {"busy", "busy", "%"},
                                {"lost", "refused or gave up", "%"}},
                    .note = "the busiest minutes of every hour"};
  for (size_t h = 0; h < hours.size(); ++h) {
    Queue queue = at_peak;
    queue.arrivals = s.users.likely * per_user * hours[h] / most;
    const QueueResult result = Solve(queue);
    table.rows.push_back(
        {static_cast<double>(h), queue.arrivals, 100 * result.busy, 100 * result.lost()});
  }
  report.tables.push_back(std::move(table));
}

}  // namespace

void AddFleetInference(const FleetScenario& s, const Architecture& architecture, Report& report) {
  std::vector<Capacity> capacities;
  for (const FleetScenario::Item& item : s.items) {
    capacities.push_back(CapacityOf(s, architecture, item.device));
  }
  ReportSection& section = report.sections.emplace_back(ReportSection{kFleetInference, {}});
  for (size_t i = 0; i < s.items.size(); ++i) {
    const std::string key = fmt::format("{}_{}", s.items[i].device.key, i);
    const std::string& label = s.items[i].device.name;
    if (!capacities[i].works) {
      section.AddText(key, label, "cannot serve: " + capacities[i].why);
      continue;
    }
    const double devices = s.items[i].count * s.fleet.inference.likely;
    section.Add(key, label, devices * TokensPerSecond(capacities[i].tokens), Origin::kPrediction,
                fmt::format("output of {} devices, {} sequences at a time", FormatNumber(devices),
                            FormatNumber(devices * capacities[i].slots)));
  }
  const Demand demand = DemandOf(s, capacities);
  if (demand.queue.servers < 1 || demand.tokens == 0) {
    section.AddText("queue", "users", "no device of the fleet can serve this model");
    return;
  }
  const QueueResult queue = Solve(demand.queue);
  section.Add("output", "output when always busy", TokensPerSecond(demand.tokens),
              Origin::kPrediction);
  section.AddNumber("users", "users a day", s.users.likely, 0, Origin::kInput, Cite(s.users));
  section.AddNumber(
      "arrivals", "requests at the peak", demand.queue.arrivals, 1, Origin::kPrediction,
      fmt::format("{:g} answers of a user, {:.2f} times as many at the peak's busiest minutes",
                  s.fleet.answers_per_user.likely,
                  86400 * demand.per_user / s.fleet.answers_per_user.likely),
      "requests/s");
  section.AddNumber("servers", "sequences at a time", demand.queue.servers, 0, Origin::kPrediction,
                    "the queue's servers: M/M/c/K+M, docs/economics.md");
  section.AddNumber("busy", "of these places taken", 100 * queue.busy, 1, Origin::kPrediction, "",
                    "%");
  section.Add("wait", "mean wait in the queue", Seconds(queue.mean_wait), Origin::kPrediction,
              fmt::format("{:.2g} % of requests wait at all", 100 * queue.waits));
  section.Add("first_token", "time to the first token", Seconds(queue.mean_wait) + demand.first,
              Origin::kPrediction, fmt::format("{} of it computing", Format(demand.first)));
  section.AddNumber("refused", "requests refused", 100 * queue.refused, 3, Origin::kPrediction,
                    "no room in the queue", "%");
  section.AddNumber("abandoned", "users who give up waiting", 100 * queue.abandoned, 3,
                    Origin::kPrediction, fmt::format("patience {:g} s", s.fleet.patience.likely),
                    "%");
  const double most = LargestArrivals(demand.queue, s.fleet.closing.likely) / demand.per_user;
  section.AddNumber(
      "closing_users", "users a day at which sign-ups close", most, 0, Origin::kPrediction,
      fmt::format("{:g} % of requests lost at the peak", 100 * s.fleet.closing.likely));
  section.AddNumber("closing_tokens", "output tokens a day there",
                    most * s.fleet.answers_per_user.likely * s.service.answer_tokens.likely, 0,
                    Origin::kPrediction,
                    s.compare_with_published ? "168 B were served on a day in February 2025" : "");
  ReportTable table{.name = "the queue at other demands",
                    .columns = {{"users", "users a day", "1"},
                                {"busy", "busy", "%"},
                                {"wait", "mean wait", "s"},
                                {"first", "first token", "s"},
                                {"refused", "refused", "%"},
                                {"abandoned", "gave up", "%"}}};
  for (const double share : {0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0}) {
    Queue other = demand.queue;
    other.arrivals = share * most * demand.per_user;
    const QueueResult result = Solve(other);
    table.rows.push_back({std::round(share * most), 100 * result.busy, result.mean_wait,
                          result.mean_wait + demand.first.value(), 100 * result.refused,
                          100 * result.abandoned});
  }
  report.tables.push_back(std::move(table));
  AddDay(s, demand.queue, demand.per_user, report);
}

void AddDevicesNeeded(const FleetScenario& s, const Architecture& architecture, Report& report) {
  const double peak = PeakOf(s.service);
  ReportSection needed{kDevicesNeeded, {}},
      rules{fmt::format("may they be bought{}", s.china ? " in China" : ""), {}};
  rules.AddText("day", "day of purchase", s.offered.empty() ? "" : s.offered.front().day);
  std::optional<Dollars> least;
  std::string cheapest;
  for (const FleetScenario::Item& item : s.offered) {
    rules.AddText(item.device.key, item.device.name, ExportVerdict(s, item));
    const Capacity capacity = CapacityOf(s, architecture, item.device);
    if (!capacity.works) {
      needed.AddText(item.device.key, item.device.name, "cannot serve: " + capacity.why);
      continue;
    }
    const Queue queue{.arrivals = s.users.likely * s.fleet.answers_per_user.likely * peak / 86400,
                      .service_time = s.service.answer_tokens.likely * capacity.token.value(),
                      .patience = s.fleet.patience.likely};
    const double servers = FewestServers(queue, s.fleet.queue.likely, s.fleet.closing.likely);
    // Not less than one group of each kind.
    const double group = s.config.n_routed_experts > 0
                             ? s.service.prefill_devices.likely + s.service.decode_devices.likely
                             : static_cast<double>(s.service.tensor);
    const double devices = std::max(std::ceil(servers / capacity.slots), group);
    std::string note = "no published price";
    if (item.money) {
      const Dollars price = devices * Dollars(item.money->inputs()[Money::kPrice].likely);
      note = fmt::format("{} of servers", Format(price));
      if (MayBeBought(s, item) && (!least || price < *least)) {
        least = price;
        cheapest = fmt::format("{} {}", FormatNumber(devices), item.device.name);
      }
    }
    needed.AddNumber(item.device.key, item.device.name, devices, 0, Origin::kPrediction, note,
                     "devices");
  }
  if (least) {
    needed.Add(
        "cheapest", "servers for these users, cheapest to be had", *least, Origin::kPrediction,
        cheapest + "; of devices with a known price, licences case by case taken as granted");
  }
  report.sections.push_back(std::move(needed));
  report.sections.push_back(std::move(rules));
}

std::string ExportVerdict(const FleetScenario& s, const FleetScenario::Item& item) {
  if (!s.china) return "rules for China do not apply";
  if (!s.rules.Knows(item.device)) {
    return "export rules not known: give its links, die and maker in a --rules file";
  }
  const ExportRules::Answer answer = s.rules.Check(item.device, item.day);
  if (answer.verdict == ExportRules::Verdict::kFree) return "no licence needed in China";
  return fmt::format("{} {}; {}",
                     answer.verdict == ExportRules::Verdict::kLicence
                         ? "NOT TO BE HAD in China without a licence, which is presumed to be "
                           "denied:"
                         : "case by case in China:",
                     answer.why, answer.source);
}

}  // namespace fathom
