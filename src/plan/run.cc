#include "plan/run.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "formats/model_source.h"
#include "plan/demand.h"
#include "plan/expert_placement.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

std::optional<std::filesystem::path> File(const PlanOptions& options, std::string_view name) {
  const auto text = options.OptionalText(name);
  if (!text) return std::nullopt;
  return std::filesystem::path(*text);
}

constexpr int64_t kMostExperts = 200'000;

// What a title calls the model.
std::string ModelName(const PlanOptions& options) {
  const std::string what = options.Text("model");
  return IsConfigText(what) ? "the given config.json" : what;
}

// What a request may only name, the command line may also give as a file.
ModelConfig ConfigOf(const PlanOptions& options) {
  const std::string what = options.Text("model");
  if (IsConfigText(what)) {
    ModelConfig config = ModelConfig::FromJson(what, "model");
    // A report lists every matrix of a model, and this text may be a stranger's.
    if (config.num_hidden_layers * (config.n_routed_experts + 1) > kMostExperts) {
      throw UsageError("model", fmt::format("has more than {} layers times experts", kMostExperts));
    }
    return config;
  }
  const std::vector<std::string> known = PublishedNames();
  if (std::find(known.begin(), known.end(), what) != known.end()) return PublishedConfig(what);
  if (options.source() == PlanOptions::Source::kCommandLine) {
    const std::filesystem::path path = what;
    if (std::filesystem::is_regular_file(path) && path.extension() == ".json") {
      return ModelConfig::FromJson(ReadFile(path), what);
    }
    if (std::filesystem::exists(path)) return ReadModelConfig(path);
    if (what.find('/') != std::string::npos || path.extension() == ".json") {
      throw Error(what, "does not exist");
    }
  }
  return PublishedConfig(what);
}

SourcedValue RentOf(const PlanOptions& options, const Prices& prices) {
  if (const auto rent = options.OptionalNumber("rent")) return GivenValue(*rent, "rent");
  const std::string device = options.Text("on");
  if (!prices.rent.contains(device)) {
    throw UsageError("rent", fmt::format("there is no price of an hour of '{}'", device),
                     "give one in dollars, or a file of prices");
  }
  return prices.RentRange(device);
}

// Nothing where no price of such a device is known.
std::optional<Money> MoneyOf(const PlanOptions& options, const Accelerator& device) {
  const auto price = options.OptionalNumber("device-price");
  if (!price && !Money::HasPrice(device)) return std::nullopt;
  return Money::Load(device, price, File(options, "money"));
}

std::vector<double> LoadsOf(const PlanOptions& options, const ModelConfig& config) {
  const auto file = File(options, "loads");
  const auto exponent = options.OptionalNumber("zipf");
  if (!file && !exponent) return {};
  if (config.n_routed_experts == 0) {
    throw UsageError(file ? "loads" : "zipf", "the model has no routed experts");
  }
  if (file) return ReadLoads(*file, config.n_routed_experts);
  return ZipfLoads(config.n_routed_experts, *exponent,
                   static_cast<uint64_t>(options.Integer("seed")));
}

void SetGiven(const PlanOptions& options, const char* option, SourcedValue& value) {
  if (const auto given = options.OptionalNumber(option)) value = GivenValue(*given, option);
}

void SetDemand(const PlanOptions& options, Service& service) {
  SetGiven(options, "peak-demand", service.demand_peak_to_mean);
  SetGiven(options, "night-demand", service.demand_night_to_peak);
  SetGiven(options, "answer-tokens", service.answer_tokens);
  if (const auto hours = options.OptionalText("demand")) service.hours = ParseDemand(*hours);
}

// What is beside the published numbers: the defaults, and nothing else.
bool IsDefault(const PlanOptions& options) { return !options.AnyGivenBut({"samples", "seed"}); }

// INT8 stands in for FP8 where tokens are served; nobody trains in it.
PlanPrecision TrainingPrecision(const PlanOptions& options, const Accelerator& device) {
  const auto given = options.OptionalText("precision");
  if (given == "fp8" && !device.fp8_tflops) {
    throw UsageError("precision", fmt::format("{} has no FP8", device.name), "bf16 fits");
  }
  return device.fp8_tflops && given != "bf16" ? PlanPrecision::kFp8 : PlanPrecision::kBf16;
}

Report Train(const PlanOptions& options) {
  const Hardware hardware = Hardware::Load(File(options, "hardware"));
  TrainingScenario s;
  s.model = ModelName(options);
  s.config = ConfigOf(options);
  s.device = hardware.Get(options.Text("on"), "on");
  s.kernels = hardware.kernels;
  s.rent = RentOf(options, Prices::Load(File(options, "prices")));
  s.run = {.batch = options.Integer("batch"),
           .length = options.Integer("length"),
           .precision = TrainingPrecision(options, s.device),
           .mtp = !options.Flag("no-mtp")};
  s.layout = {.devices = options.Integer("devices"),
              .tensor = options.Integer("tp"),
              .pipeline = options.Integer("pp"),
              .expert = options.OptionalInteger("ep").value_or(
                  s.config.n_routed_experts > 0 ? TrainingLayout().expert : 1),
              .zero_stage = options.Integer("zero"),
              .schedule = ScheduleNamed(options.Text("schedule")),
              .micro_batch = options.Integer("micro-batch"),
              .virtual_stages = options.Integer("virtual-stages")};
  s.tokens = Tokens(options.Number("tokens"));
  s.utilisation = options.OptionalNumber("utilisation");
  s.programme = Programme::Load(File(options, "programme"));
  for (const auto& [option, value] : {std::pair{"restarts", &s.programme.restarts},
                                      {"reinforcement", &s.programme.reinforcement},
                                      {"experiments", &s.programme.experiments},
                                      {"data", &s.programme.data},
                                      {"people", &s.programme.people},
                                      {"person-year", &s.programme.person_year},
                                      {"work-years", &s.programme.years}}) {
    SetGiven(options, option, *value);
  }
  s.compare_with_v3 = IsDefault(options);
  s.samples = static_cast<int>(options.Integer("samples"));
  s.seed = static_cast<uint64_t>(options.Integer("seed"));
  return ReportTraining(s);
}

Report Serve(const PlanOptions& options) {
  const Hardware hardware = Hardware::Load(File(options, "hardware"));
  const Prices prices = Prices::Load(File(options, "prices"));
  ServingScenario s;
  s.model = ModelName(options);
  s.config = ConfigOf(options);
  if (const auto heads = options.OptionalInteger("kv-heads")) {
    s.config = WithGroupedQueryAttention(s.config, *heads);
  }
  s.device = hardware.Get(options.Text("on"), "on");
  s.kernels = hardware.kernels;
  s.rent = RentOf(options, prices);
  s.price = prices.Api(options.Text("price"));
  s.service = Service::Load(File(options, "service"));
  const auto set = [&](const char* option, SourcedValue& value) {
    if (const auto given = options.OptionalNumber(option)) value = GivenValue(*given, option);
  };
  set("speed", s.service.user_tokens_per_s);
  set("context", s.service.mean_context);
  set("prefill-devices", s.service.prefill_devices);
  set("decode-devices", s.service.decode_devices);
  set("acceptance", s.service.mtp_acceptance);
  set("input-tokens", s.service.input_tokens);
  set("output-tokens", s.service.output_tokens);
  set("burst", s.service.burst);
  set("hold", s.service.hold_hours);
  set("refusals", s.service.refusals);
  SetDemand(options, s.service);
  set("redundant-experts", s.service.redundant_experts);
  if (const auto rate = options.OptionalNumber("hit-rate")) {
    s.service.cached_tokens = GivenValue(*rate * s.service.input_tokens.likely, "hit-rate");
  } else if (options.Given("input-tokens")) {
    const Service published = Service::Load(File(options, "service"));
    s.service.cached_tokens =
        GivenValue(published.hit_rate() * s.service.input_tokens.likely, "input-tokens");
  }
  s.service.tensor = options.Integer("tp");
  s.service.pipeline = options.Integer("pp");
  s.service.drafts = options.Integer("mtp");
  s.service.precision =
      options.Text("precision") == "fp8" ? PlanPrecision::kFp8 : PlanPrecision::kBf16;
  s.loads = LoadsOf(options, s.config);
  s.money = MoneyOf(options, s.device);
  s.compare_with_published = IsDefault(options);
  s.samples = static_cast<int>(options.Integer("samples"));
  s.seed = static_cast<uint64_t>(options.Integer("seed"));
  return ReportServing(s);
}

Report Price(const PlanOptions& options) {
  PriceScenario s;
  s.device = Hardware::Load(File(options, "hardware")).Get(options.Text("on"), "on");
  s.prices = Prices::Load(File(options, "prices"));
  s.rent = RentOf(options, s.prices);
  s.money = Money::Load(s.device, options.OptionalNumber("device-price"), File(options, "money"));
  s.samples = static_cast<int>(options.Integer("samples"));
  s.seed = static_cast<uint64_t>(options.Integer("seed"));
  return ReportPrices(s);
}

Report FleetOf(const PlanOptions& options) {
  const Hardware hardware = Hardware::Load(File(options, "hardware"));
  FleetScenario s;
  s.items = ParseInventory(options.Text("inventory"), hardware);
  for (FleetScenario::Item& item : s.items) {
    if (Money::HasPrice(item.device)) {
      item.money = Money::Load(item.device, {}, File(options, "money"));
    }
  }
  CheckDay("day", options.Text("day"));
  for (const auto& [key, device] : hardware.devices) {
    FleetScenario::Item& item =
        s.offered.emplace_back(FleetScenario::Item{.device = device, .day = options.Text("day")});
    if (Money::HasPrice(device)) item.money = Money::Load(device, {}, File(options, "money"));
  }
  s.sites = ParseSites(options.Text("sites"));
  s.rules = ExportRules::Load(File(options, "rules"));
  s.china = options.Text("market") == "china";
  s.refuse = options.Flag("refuse");
  s.model = options.Text("model");
  s.config = ConfigOf(options);
  s.kernels = hardware.kernels;
  s.service = Service::Load(File(options, "service"));
  s.fleet = Fleet::Load(File(options, "fleet"));
  s.users = GivenValue(options.Number("users"), "users");
  if (!options.Given("users")) s.users.source = "assumption";
  for (const auto& [option, value] : {std::pair{"research", &s.fleet.research},
                                      {"training", &s.fleet.training},
                                      {"inference", &s.fleet.inference},
                                      {"answers", &s.fleet.answers_per_user},
                                      {"patience", &s.fleet.patience},
                                      {"closing", &s.fleet.closing},
                                      {"speed", &s.service.user_tokens_per_s},
                                      {"decode-devices", &s.service.decode_devices}}) {
    SetGiven(options, option, *value);
  }
  SetDemand(options, s.service);
  s.compare_with_published = IsDefault(options);
  s.samples = static_cast<int>(options.Integer("samples"));
  s.seed = static_cast<uint64_t>(options.Integer("seed"));
  return ReportFleet(s);
}

Report MarketOf(const PlanOptions& options) {
  MarketScenario s;
  s.market = Market::Load(File(options, "market"));
  s.price = GivenValue(options.Number("price"), "price");
  if (!options.Given("price")) s.price.source = "DeepSeek-R1's, api-docs.deepseek.com";
  if (const auto cost = options.OptionalNumber("cost")) {
    s.cost = GivenValue(*cost, "cost");
  } else {
    PlanOptions serve(PlanCommandNamed("serve"), options.source());
    serve.Set("samples", options.Text("samples") == "0" ? "0" : "100");
    const Report report = RunPlan(serve);
    const ReportRow* row = report.Find("a day", "output_cost");
    s.cost = {row->value, row->value, row->value, "`fathom plan serve v3`", "now"};
    if (row->interval) {
      s.cost.low = std::min(row->interval->low, row->value);
      s.cost.high = std::max(row->interval->high, row->value);
    }
  }
  for (const auto& [option, value] : {std::pair{"leader-price", &s.market.leader_output},
                                      {"progress", &s.market.progress},
                                      {"lag", &s.market.lag},
                                      {"elasticity", &s.market.elasticity},
                                      {"supply-elasticity", &s.market.supply_elasticity}}) {
    SetGiven(options, option, *value);
  }
  s.years = options.Number("years");
  s.samples = static_cast<int>(options.Integer("samples"));
  s.seed = static_cast<uint64_t>(options.Integer("seed"));
  return ReportMarket(s);
}

}  // namespace

Report RunPlan(const PlanOptions& options) {
  const std::string& command = options.command().name;
  if (command == "train") return Train(options);
  if (command == "serve") return Serve(options);
  if (command == "fleet") return FleetOf(options);
  if (command == "market") return MarketOf(options);
  FATHOM_CHECK(command == "price");
  return Price(options);
}

}  // namespace fathom
