#include "cli/plan.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "cli/common.h"
#include "formats/model_source.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

// What every `fathom plan` command takes.
struct PlanOptions {
  std::string device = "h800";
  std::optional<std::filesystem::path> hardware, prices;
  std::optional<double> rent;
  bool json = false, csv = false;

  void AddTo(CLI::App& command) {
    command.add_option("--on", device, "The accelerator, by its name in the hardware file")
        ->capture_default_str();
    command.add_option("--hardware", hardware,
                       "A TOML file whose numbers replace or add to the built-in ones");
    command.add_option("--rent", rent, "Dollars a device and hour, instead of the built-in price");
    command.add_option("--prices", prices,
                       "A TOML file whose prices replace or add to the built-in ones");
    command.add_flag("--json", json, "Print the result as JSON");
    command.add_flag("--csv", csv, "Print the result as CSV")->excludes("--json");
  }

  SourcedValue Rent(const Prices& known) const {
    if (rent) {
      if (!(*rent >= 0 && *rent <= 1e5)) {
        throw UsageError("--rent", fmt::format("{} is not in [0, 100000]", *rent));
      }
      return {*rent, *rent, *rent, "--rent", "now"};
    }
    known.Rent(device);
    return known.rent.find(device)->second;
  }

  void Print(const Report& report) const {
    WriteStandardOutput(json ? report.ToJson() : csv ? report.ToCsv() : report.ToTable());
  }
};

// A model directory, a .gguf file, a config.json, a preset or a published model's name.
ModelConfig ConfigOf(const std::string& what) {
  const std::filesystem::path path = what;
  if (std::filesystem::exists(path)) return ReadModelConfig(path);
  if (what.find('/') != std::string::npos || path.extension() == ".json") {
    throw Error(what, "does not exist");
  }
  return PublishedConfig(what);
}

constexpr const char* kModelHelp =
    "A model directory, a .gguf file, a config.json, a preset (v3, v2, ...) or a published model "
    "(llama-1-65b, llama-3.1-405b, deepseek-67b, ...)";

void AddTrain(CLI::App& plan) {
  struct Arguments {
    PlanOptions options;
    std::string model = "v3", schedule = "dualpipe", precision = "fp8";
    TrainingScenario scenario;
    double tokens = 14.8e12;
    bool no_mtp = false;
  };
  CLI::App* command = plan.add_subcommand("train", "Memory, step time and cost of a training run.");
  command->footer(
      "Example: fathom plan train v3; fathom plan train llama-1-65b --on a100 --devices 2048 "
      "--tokens 1.4e12 --length 2048 --utilisation 0.485");
  const auto arguments = std::make_shared<Arguments>();
  TrainingRun& run = arguments->scenario.run;
  TrainingLayout& layout = arguments->scenario.layout;
  command->add_option("MODEL", arguments->model, kModelHelp)->capture_default_str();
  command->add_option("--tokens", arguments->tokens, "Tokens to train on")->capture_default_str();
  command->add_option("--devices", layout.devices, "Accelerators")->capture_default_str();
  command->add_option("--tp", layout.tensor, "Tensor-parallel devices")->capture_default_str();
  command->add_option("--pp", layout.pipeline, "Pipeline stages")->capture_default_str();
  command->add_option("--ep", layout.expert, "Devices that share the experts")
      ->capture_default_str();
  command->add_option("--zero", layout.zero_stage, "ZeRO stage: 1, 2 or 3")->capture_default_str();
  command->add_option("--schedule", arguments->schedule, "1f1b, zb1p, dualpipe or dualpipev")
      ->capture_default_str();
  command->add_option("--batch", run.batch, "Sequences a step")->capture_default_str();
  command->add_option("--length", run.length, "Tokens of a sequence")->capture_default_str();
  command->add_option("--micro-batch", layout.micro_batch, "Sequences of a micro-batch")
      ->capture_default_str();
  command->add_option("--precision", arguments->precision, "fp8 or bf16")
      ->check(CLI::IsMember({"fp8", "bf16"}))
      ->capture_default_str();
  command->add_option("--utilisation", arguments->scenario.utilisation,
                      "Model FLOPs as a share of the bf16 peak, instead of a step's model");
  command->add_flag("--no-mtp", arguments->no_mtp, "Without the multi-token prediction modules");
  arguments->options.AddTo(*command);
  command->callback([arguments, command] {
    TrainingScenario& s = arguments->scenario;
    const Hardware hardware = Hardware::Load(arguments->options.hardware);
    s.model = arguments->model;
    s.config = ConfigOf(arguments->model);
    s.device = hardware.Get(arguments->options.device);
    s.kernels = hardware.kernels;
    s.rent = arguments->options.Rent(Prices::Load(arguments->options.prices));
    s.run.precision = arguments->precision == "fp8" ? PlanPrecision::kFp8 : PlanPrecision::kBf16;
    s.run.mtp = !arguments->no_mtp;
    s.layout.schedule = ScheduleNamed(arguments->schedule);
    // A model without experts does not have to be told so.
    if (s.config.n_routed_experts == 0 && command->count("--ep") == 0) s.layout.expert = 1;
    s.tokens = Tokens(arguments->tokens);
    // Published numbers are shown beside what was published, and nothing else.
    s.compare_with_v3 = arguments->model == "v3";
    for (const char* option :
         {"--tokens", "--devices", "--tp", "--pp", "--ep", "--zero", "--schedule", "--batch",
          "--length", "--micro-batch", "--precision", "--utilisation", "--no-mtp", "--on",
          "--hardware", "--rent", "--prices"}) {
      if (command->count(option) > 0) s.compare_with_v3 = false;
    }
    arguments->options.Print(ReportTraining(s));
  });
}

void AddServe(CLI::App& plan) {
  struct Arguments {
    PlanOptions options;
    std::string model = "v3", price = "deepseek-r1";
    std::optional<std::filesystem::path> service;
    std::optional<double> speed, context;
    std::optional<int64_t> prefill_devices, decode_devices, kv_heads;
    uint64_t seed = 1;
  };
  CLI::App* command =
      plan.add_subcommand("serve", "Throughput, nodes, cost and margin of a service.");
  command->footer("Example: fathom plan serve v3 --on h20 --speed 15 --decode-devices 32");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("MODEL", arguments->model, kModelHelp)->capture_default_str();
  command->add_option("--price", arguments->price, "What tokens are sold at")
      ->capture_default_str();
  command->add_option("--service", arguments->service,
                      "A TOML file whose numbers replace those of the built-in service");
  command->add_option("--speed", arguments->speed, "Tokens/s that a user is given");
  command->add_option("--context", arguments->context, "Mean tokens in a sequence's cache");
  command->add_option("--prefill-devices", arguments->prefill_devices,
                      "Devices that prefill together");
  command->add_option("--decode-devices", arguments->decode_devices,
                      "Devices that decode together");
  command->add_option("--kv-heads", arguments->kv_heads,
                      "The same model with grouped-query attention of so many key and value heads");
  command->add_option("--seed", arguments->seed, "Seed of the samples")->capture_default_str();
  arguments->options.AddTo(*command);
  command->callback([arguments, command] {
    ServingScenario s;
    s.seed = arguments->seed;
    const Hardware hardware = Hardware::Load(arguments->options.hardware);
    const Prices prices = Prices::Load(arguments->options.prices);
    s.model = arguments->model;
    s.config = ConfigOf(arguments->model);
    if (arguments->kv_heads) s.config = WithGroupedQueryAttention(s.config, *arguments->kv_heads);
    s.device = hardware.Get(arguments->options.device);
    s.kernels = hardware.kernels;
    s.rent = arguments->options.Rent(prices);
    s.price = prices.Api(arguments->price);
    s.service = Service::Load(arguments->service);
    const auto set = [](const char* option, SourcedValue& value, const auto& given) {
      if (!given) return;
      const auto number = static_cast<double>(*given);
      if (!(number >= 1e-3 && number <= 1e8)) {
        throw UsageError(option, fmt::format("{} is not in [0.001, 1e8]", number));
      }
      value = {number, number, number, option, "now"};
    };
    set("--speed", s.service.user_tokens_per_s, arguments->speed);
    set("--context", s.service.mean_context, arguments->context);
    set("--prefill-devices", s.service.prefill_devices, arguments->prefill_devices);
    set("--decode-devices", s.service.decode_devices, arguments->decode_devices);
    s.compare_with_published = arguments->model == "v3";
    for (const char* option :
         {"--price", "--service", "--speed", "--context", "--prefill-devices", "--decode-devices",
          "--kv-heads", "--on", "--hardware", "--rent", "--prices"}) {
      if (command->count(option) > 0) s.compare_with_published = false;
    }
    arguments->options.Print(ReportServing(s));
  });
}

void AddPrice(CLI::App& plan) {
  struct Arguments {
    PlanOptions options;
    std::optional<double> device_price;
    std::optional<std::filesystem::path> money;
    uint64_t seed = 1;
  };
  CLI::App* command =
      plan.add_subcommand("price", "What an hour of a device costs, owned and rented; API prices.");
  command->footer("Example: fathom plan price --on h100 --device-price 30000");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("--device-price", arguments->device_price,
                      "Dollars for a device with its share of the server");
  command->add_option("--money", arguments->money,
                      "A TOML file whose numbers replace what owning costs");
  command->add_option("--seed", arguments->seed, "Seed of the samples")->capture_default_str();
  arguments->options.AddTo(*command);
  command->callback([arguments] {
    PriceScenario s;
    s.device = Hardware::Load(arguments->options.hardware).Get(arguments->options.device);
    s.prices = Prices::Load(arguments->options.prices);
    s.rent = arguments->options.Rent(s.prices);
    s.money = Money::Load(s.device, arguments->device_price, arguments->money);
    s.seed = arguments->seed;
    arguments->options.Print(ReportPrices(s));
  });
}

}  // namespace

void AddPlanCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plan", "What training and serving a model cost.");
  command->footer("Example: fathom plan train v3; fathom plan serve v3 --json");
  command->require_subcommand(1);
  AddTrain(*command);
  AddServe(*command);
  AddPrice(*command);
}

}  // namespace fathom
