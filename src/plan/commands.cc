// What every `fathom plan` command can be told: one table for the command line, requests, links and
// sliders.

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "plan/architecture.h"
#include "plan/fleet.h"
#include "plan/hardware.h"
#include "plan/market.h"
#include "plan/options.h"
#include "plan/prices.h"
#include "plan/programme.h"
#include "plan/serving.h"

namespace fathom {
namespace {

using Kind = PlanOption::Kind;

PlanOption Number(const char* name, const char* unit, double least, double most,
                  const char* fallback, const char* help) {
  return {.name = name,
          .kind = Kind::kNumber,
          .help = help,
          .unit = unit,
          .least = least,
          .most = most,
          .fallback = fallback};
}

PlanOption Integer(const char* name, const char* unit, double least, double most,
                   const char* fallback, const char* help) {
  PlanOption option = Number(name, unit, least, most, fallback, help);
  option.kind = Kind::kInteger;
  return option;
}

PlanOption Choice(const char* name, std::vector<std::string> choices, const char* fallback,
                  const char* help) {
  return {.name = name,
          .kind = Kind::kChoice,
          .help = help,
          .fallback = fallback,
          .choices = std::move(choices)};
}

PlanOption Name(const char* name, std::vector<std::string> choices, const char* fallback,
                const char* help) {
  PlanOption option = Choice(name, std::move(choices), fallback, help);
  option.kind = Kind::kName;
  return option;
}

PlanOption Flag(const char* name, const char* help) {
  return {.name = name, .kind = Kind::kFlag, .help = help, .fallback = "false"};
}

PlanOption Text(const char* name, const char* fallback, const char* help) {
  return {.name = name, .kind = Kind::kText, .help = help, .fallback = fallback};
}

PlanOption File(const char* name, const char* help) {
  return {.name = name, .kind = Kind::kFile, .help = help};
}

template <typename T>
std::vector<std::string> Keys(const std::map<std::string, T, std::less<>>& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

PlanOption Model() {
  return {.name = "model",
          .kind = Kind::kModel,
          .help =
              "A preset, a published model or the text of a config.json; on the command line also "
              "a model directory, a .gguf file or a config.json",
          .fallback = "v3",
          .choices = PublishedNames(),
          .positional = true};
}

void AddHardwareAndSampling(std::vector<PlanOption>& options) {
  options.push_back(
      File("hardware", "A TOML file whose numbers replace or add to the built-in ones"));
  options.push_back(Integer("samples", "samples", 0, 5000, "400",
                            "For the intervals; 0: no intervals and no tornado"));
  options.push_back(Integer("seed", "1", 0, 1e15, "1", "Of the samples"));
}

void AddCommon(std::vector<PlanOption>& options) {
  options.push_back(Name("on", Keys(Hardware::Load().devices), "h800", "The accelerator"));
  options.push_back(
      Number("rent", "$ per hour", 0, 1e5, "", "Of a device, instead of the built-in price"));
  options.push_back(File("prices", "A TOML file whose prices replace or add to the built-in ones"));
  AddHardwareAndSampling(options);
}

void SetGroup(PlanCommand& command, const char* group,
              std::initializer_list<std::string_view> names) {
  for (PlanOption& option : command.options) {
    if (std::find(names.begin(), names.end(), option.name) != names.end()) option.group = group;
  }
}

void SetCommonGroups(PlanCommand& command) {
  SetGroup(command, "Samples of the intervals", {"samples", "seed"});
  for (PlanOption& option : command.options) {
    if (option.kind == Kind::kFile && option.group.empty()) option.group = "Data files";
  }
}

constexpr const char* kDemand = "Demand over the day";

void SetLikely(PlanCommand& command,
               std::initializer_list<std::pair<const char*, const SourcedValue&>> values) {
  for (PlanOption& option : command.options) {
    for (const auto& [name, value] : values) {
      if (option.name == name) option.likely = value.likely;
    }
  }
}

// What commands that serve share.
void SetLikely(PlanCommand& command, const Service& s) {
  SetLikely(command, {{"speed", s.user_tokens_per_s},
                      {"context", s.mean_context},
                      {"prefill-devices", s.prefill_devices},
                      {"decode-devices", s.decode_devices},
                      {"acceptance", s.mtp_acceptance},
                      {"input-tokens", s.input_tokens},
                      {"output-tokens", s.output_tokens},
                      {"peak-demand", s.demand_peak_to_mean},
                      {"night-demand", s.demand_night_to_peak},
                      {"burst", s.burst},
                      {"hold", s.hold_hours},
                      {"refusals", s.refusals},
                      {"answer-tokens", s.answer_tokens},
                      {"redundant-experts", s.redundant_experts},
                      {"hit-rate", GivenValue(s.hit_rate(), "hit-rate")}});
}

PlanCommand Train() {
  PlanCommand command{"train",
                      "Memory, step time and cost of a training run.",
                      "fathom plan train v3; fathom plan train llama-1-65b --on a100 --devices "
                      "2048 --tokens 1.4e12 --length 2048 --utilisation 0.485",
                      {}};
  command.options = {
      Model(),
      Number("tokens", "tokens", 1, 1e18, "14.8e12", "To train on"),
      Integer("devices", "devices", 1, 1 << 24, "2048", "Accelerators"),
      Integer("tp", "devices", 1, 1 << 24, "1", "Tensor-parallel devices"),
      Integer("pp", "devices", 1, 1 << 24, "16", "Pipeline stages"),
      Integer("ep", "devices", 1, 1 << 24, "",
              "Devices that share the experts; 64, or 1 where the model has none"),
      Integer("zero", "1", 1, 3, "1", "ZeRO stage"),
      Choice("schedule", {"1f1b", "interleaved", "zb1p", "dualpipe", "dualpipev"}, "dualpipe",
             "Of the pipeline"),
      Integer("virtual-stages", "chunks", 1, 1024, "2",
              "Of layers that a device has with the interleaved schedule"),
      Integer("batch", "sequences", 1, 1 << 24, "15360", "Of a step"),
      Integer("length", "tokens", 1, 1 << 24, "4096", "Of a sequence"),
      Integer("micro-batch", "sequences", 1, 1 << 24, "1", "Of a micro-batch"),
      Choice("precision", {"fp8", "bf16"}, "fp8", "Of the matrix products"),
      Number("utilisation", "1", 1e-6, 1, "",
             "Model FLOPs as a share of the bf16 peak, instead of a step's model"),
      Flag("no-mtp", "Without the multi-token prediction modules"),
      Number("restarts", "1", 0, 100, "", "Lost to failures and rollbacks, as a share of the run"),
      Number("reinforcement", "1", 0, 1000, "", "Reinforcement learning, as a share of the run"),
      Number("experiments", "1", 0, 1000, "",
             "Ablations and models that were not released, as a share of the run"),
      Number("data", "$", 0, 1e12, "", "For data"),
      Number("people", "people", 0, 1e6, "", "That work on the model"),
      Number("person-year", "$", 0, 1e8, "", "Of one of them, a year"),
      Number("work-years", "years", 0, 100, "", "That they work on it"),
      File("programme", "A TOML file whose numbers replace what a programme is made of"),
  };
  AddCommon(command.options);
  const Programme p = Programme::Load();
  SetLikely(command, {{"restarts", p.restarts},
                      {"reinforcement", p.reinforcement},
                      {"experiments", p.experiments},
                      {"data", p.data},
                      {"people", p.people},
                      {"person-year", p.person_year},
                      {"work-years", p.years}});
  SetGroup(command, "How it is trained",
           {"tp", "pp", "ep", "zero", "schedule", "virtual-stages", "batch", "length",
            "micro-batch", "precision", "utilisation", "no-mtp"});
  SetGroup(
      command, "The whole programme",
      {"restarts", "reinforcement", "experiments", "data", "people", "person-year", "work-years"});
  SetCommonGroups(command);
  return command;
}

PlanCommand Serve() {
  PlanCommand command{"serve",
                      "Throughput, nodes, cost and margin of a service.",
                      "fathom plan serve v3 --on h20 --speed 15 --decode-devices 32",
                      {}};
  command.options = {
      Model(),
      Name("price", Keys(Prices::Load().api), "deepseek-r1", "What tokens are sold at"),
      Number("speed", "tokens/s", 0.01, 1e5, "", "That a user is given"),
      Number("context", "tokens", 1, 1e8, "", "Mean, in a sequence's cache"),
      Integer("prefill-devices", "devices", 1, 1e5, "", "That prefill together"),
      Integer("decode-devices", "devices", 1, 1e5, "", "That decode together"),
      Integer("kv-heads", "heads", 1, 1e5, "",
              "The same model with grouped-query attention of so many key and value heads"),
      Integer("tp", "devices", 1, 1024, "1", "That share attention, dense layers and head"),
      Integer("pp", "devices", 1, 1024, "1", "Pipeline stages that decode"),
      Integer("mtp", "tokens", 0, 8, "0", "That MTP modules draft a step"),
      Number("acceptance", "1", 0, 1, "", "Share of drafted tokens that are right"),
      Choice("precision", {"fp8", "bf16"}, "fp8", "Of the matrix products"),
      Number("hit-rate", "1", 0, 0.999, "", "Share of input found in the context cache"),
      Number("input-tokens", "tokens", 1, 1e18, "", "Of a day, cached ones counted"),
      Number("output-tokens", "tokens", 1, 1e18, "", "Of a day"),
      Number("peak-demand", "1", 1, 24, "", "Peak demand / mean demand of a day"),
      Number("night-demand", "1", 0, 1, "", "Demand at night / peak demand"),
      Text("demand", "", "24 numbers instead: the demand of every hour, separated by commas"),
      Number("burst", "1", 1, 100, "", "Busiest minutes of an hour / the hour"),
      Integer("hold", "hours", 1, 24, "", "That a node serves before it does something else"),
      Number("refusals", "1", 1e-6, 0.5, "",
             "Share of requests that may find no place at the peak"),
      Number("answer-tokens", "tokens", 1, 1e7, "", "Of an answer, its thinking included"),
      Integer("redundant-experts", "experts", 0, 1e5, "", "That are held twice or more"),
      Number("zipf", "1", 0, 4, "",
             "Exponent of Zipf's law for the experts' loads, which EPLB then places"),
      File("loads", "A file of measured loads, one number an expert, which EPLB then places"),
      Number("device-price", "$", 0.01, 1e8, "", "For an owned device with its server's share"),
      File("money", "A TOML file whose numbers replace what owning costs"),
      File("service", "A TOML file whose numbers replace those of the built-in service"),
  };
  AddCommon(command.options);
  SetLikely(command, Service::Load());
  SetGroup(command, "How it is served",
           {"prefill-devices", "decode-devices", "kv-heads", "tp", "pp", "mtp", "acceptance",
            "precision", "redundant-experts", "zipf", "loads"});
  SetGroup(command, kDemand,
           {"peak-demand", "night-demand", "demand", "burst", "hold", "refusals", "answer-tokens"});
  SetGroup(command, "Owned devices", {"device-price"});
  SetCommonGroups(command);
  return command;
}

PlanCommand Price() {
  PlanCommand command{"price",
                      "What an hour of a device costs, owned and rented; API prices.",
                      "fathom plan price --on h100 --device-price 30000",
                      {}};
  command.options = {
      Number("device-price", "$", 0.01, 1e8, "", "For a device with its share of the server"),
      File("money", "A TOML file whose numbers replace what owning costs"),
  };
  AddCommon(command.options);
  SetCommonGroups(command);
  return command;
}

PlanCommand FleetCommand() {
  PlanCommand command{"fleet",
                      "What a fleet costs, whether it could be bought, and whom it serves.",
                      "fathom plan fleet --inventory h800=2000@2023-06-30,h20=8000@2024-10-01 "
                      "--sites east=0.7,west=0.3 --users 5e6",
                      {}};
  command.options = {
      Model(),
      Text("inventory",
           "a100=10000@2021-12-31,h800=10000@2023-06-30,h100=10000@2023-06-30,"
           "h20=30000@2024-12-31",
           "DEVICE=COUNT[@DAY OF PURCHASE], separated by commas"),
      Text("sites", "one=1", "NAME=SHARE, separated by commas"),
      Choice("market", {"china", "elsewhere"}, "china", "Where devices are bought"),
      Flag("refuse", "Refuse, not only flag, what could not be bought on its day"),
      Text("day", "2026-11-01", "YYYY-MM-DD: when devices for these users would be bought"),
      Number("users", "users", 0, 1e10, "20e6", "Of a day"),
      Number("research", "1", 0, 1, "", "Share of the fleet"),
      Number("training", "1", 0, 1, "", "Share of the fleet"),
      Number("inference", "1", 0, 1, "", "Share of the fleet"),
      Number("answer-tokens", "tokens", 1, 1e7, "", "Of an answer, its thinking included"),
      Number("answers", "answers", 0.001, 1e6, "", "Of a user a day"),
      Number("patience", "s", 0.01, 1e6, "", "Mean, until a waiting user gives up"),
      Number("closing", "1", 1e-6, 0.999, "",
             "Share of requests lost at the peak at which sign-ups close"),
      Number("speed", "tokens/s", 0.01, 1e5, "", "That a user is given"),
      Integer("decode-devices", "devices", 1, 1e5, "", "That decode together"),
      Number("peak-demand", "1", 1, 24, "", "Peak demand / mean demand of a day"),
      Number("night-demand", "1", 0, 1, "", "Demand at night / peak demand"),
      Text("demand", "", "24 numbers instead: the demand of every hour, separated by commas"),
      File("rules", "A TOML file of more devices and export rules"),
      File("fleet", "A TOML file whose numbers replace those of the built-in fleet"),
      File("money", "A TOML file whose numbers replace what owning costs"),
      File("service", "A TOML file whose numbers replace those of the built-in service"),
  };
  AddHardwareAndSampling(command.options);
  SetLikely(command, Service::Load());
  const Fleet f = Fleet::Load();
  SetLikely(command, {{"research", f.research},
                      {"training", f.training},
                      {"inference", f.inference},
                      {"answers", f.answers_per_user},
                      {"patience", f.patience},
                      {"closing", f.closing}});
  SetGroup(command, "Shares of the fleet", {"research", "training", "inference"});
  SetGroup(command, "Users and what they get",
           {"answer-tokens", "answers", "patience", "closing", "speed", "decode-devices"});
  SetGroup(command, kDemand, {"peak-demand", "night-demand", "demand"});
  SetCommonGroups(command);
  return command;
}

PlanCommand MarketCommand() {
  PlanCommand command{"market",
                      "How the price of a capability falls, what a leader may ask, and Jevons.",
                      "fathom plan market --price 2.19 --progress 10 --elasticity 1.5",
                      {}};
  command.options = {
      Number("price", "$", 1e-6, 1e6, "2.19", "Follower's, of a million output tokens"),
      Number("cost", "$", 1e-6, 1e6, "",
             "Of the follower's million output tokens; without it, what `serve` predicts"),
      Number("leader-price", "$", 1e-6, 1e6, "", "Of a million output tokens"),
      Number("progress", "times", 1.0001, 1e6, "", "Cheaper every year"),
      Number("years", "years", 0.01, 50, "4", "To look ahead"),
      Number("lag", "years", 0, 50, "", "Of the follower"),
      Number("elasticity", "1", 0, 100, "", "Of the demand for tokens"),
      Number("supply-elasticity", "1", 0, 100, "", "Of GPU-hours on offer"),
      File("market", "A TOML file whose numbers replace the built-in ones"),
  };
  AddHardwareAndSampling(command.options);
  const Market m = Market::Load();
  SetLikely(command, {{"leader-price", m.leader_output},
                      {"progress", m.progress},
                      {"lag", m.lag},
                      {"elasticity", m.elasticity},
                      {"supply-elasticity", m.supply_elasticity}});
  SetGroup(command, "Elasticities", {"elasticity", "supply-elasticity"});
  SetCommonGroups(command);
  return command;
}

}  // namespace

const std::vector<PlanCommand>& PlanCommands() {
  static const std::vector<PlanCommand> kCommands = {Train(), Serve(), Price(), FleetCommand(),
                                                     MarketCommand()};
  return kCommands;
}

}  // namespace fathom
