#include "cli/train.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "cli/common.h"
#include "infer/engine.h"
#include "infer/transformer_executor.h"
#include "train/estimate.h"
#include "train/pretraining.h"

namespace fathom {
namespace {

struct Arguments {
  CommonOptions common;
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool resume = false, dry_run = false, profile = false;
};

// Times the operations of a run's steps, all but the first: that one touches its memory for the
// first time.
class StepProfiler {
 public:
  StepProfiler(Device& device, TrainOptions& options) : backend_(device.Profile()) {
    options.before_step = [this] { backend_.set_recording(begun_++ > 0); };
    options.after_step = [this](double seconds) {
      backend_.set_recording(false);
      if (begun_ == 1) return;
      ++steps_;
      seconds_ += seconds;
    };
  }

  void Print(Context& context, DType dtype) const {
    if (steps_ == 0) {
      spdlog::warn("nothing to profile: the first step is left out, and there was no other");
      return;
    }
    const double peak = backend_.MeasurePeakFlops(context, dtype);
    WriteStandardOutput(fmt::format("where a step's time goes (mean of {} steps)\n{}", steps_,
                                    backend_.profile().ToTable(seconds_, steps_, peak)));
  }
  nlohmann::ordered_json ToJson() const {
    return {{"steps", steps_},
            {"milliseconds", 1e3 * seconds_ / static_cast<double>(std::max<int64_t>(1, steps_))},
            {"operations", ProfileJson(backend_.profile(), steps_)}};
  }

 private:
  ProfilingBackend& backend_;
  int64_t begun_ = 0, steps_ = 0;
  double seconds_ = 0;
};

// What the model writes after the prompt, with the prompt.
std::string WriteSample(Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                        const TrainingSettings::Sample& sample, uint64_t seed) {
  GenerationRequest request;
  if (transformer.config().bos_token_id >= 0)
    request.prompt.push_back(static_cast<int32_t>(transformer.config().bos_token_id));
  const auto begins = static_cast<std::ptrdiff_t>(request.prompt.size());
  tokenizer.Encode(sample.prompt, {.added_tokens = false}, request.prompt);
  request.sampling.temperature = sample.temperature;
  request.sampling.seed = seed;
  request.max_tokens = std::min(sample.tokens, transformer.config().max_position_embeddings -
                                                   static_cast<int64_t>(request.prompt.size()));
  for (const int64_t id : transformer.config().eos_token_ids)
    request.stop_ids.push_back(static_cast<int32_t>(id));
  const auto length = static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  TransformerExecutor executor(context, transformer, KvCache::Pages(length));
  Engine engine(executor);
  std::vector<int32_t> written(request.prompt.begin() + begins, request.prompt.end());
  engine.AddRequest(std::move(request));
  while (!engine.idle()) {
    for (const EngineEvent& event : engine.Step()) written.push_back(event.token);
  }
  return tokenizer.Decode(written, /*skip_special=*/true);
}

void PrintSummary(const PretrainingSummary& summary, bool json, const StepProfiler* profiler) {
  if (json) {
    nlohmann::ordered_json result = {{"interrupted", summary.interrupted},
                                     {"step", summary.step},
                                     {"tokens", summary.tokens},
                                     {"seconds", summary.seconds},
                                     {"loss", summary.loss}};
    if (summary.bits_per_byte > 0) result["bits_per_byte"] = summary.bits_per_byte;
    if (summary.baseline_bits_per_byte > 0)
      result["baseline_bits_per_byte"] = summary.baseline_bits_per_byte;
    if (!summary.model.empty()) result["model"] = summary.model.string();
    if (profiler != nullptr) result["profile"] = profiler->ToJson();
    WriteJson(result);
    return;
  }
  if (summary.interrupted) return;
  spdlog::info("trained on {} tokens in {}; the model is in {}",
               FormatCount(static_cast<double>(summary.tokens)), FormatDuration(summary.seconds),
               summary.model.string());
  if (summary.bits_per_byte == 0) return;
  std::string table = fmt::format("bits per byte of the held-out documents\n  {:<28} {:.3f}\n",
                                  "this model", summary.bits_per_byte);
  if (summary.baseline_bits_per_byte > 0) {
    table += fmt::format("  {:<28} {:.3f}\n", "order-4 byte model", summary.baseline_bits_per_byte);
  }
  WriteStandardOutput(table);
}

std::string EstimateText(const RunEstimate& estimate) {
  const ParameterCounts& counts = estimate.parameters;
  return fmt::format(
      "model: {} parameters, {} active a token, {} more in {} MTP module(s)\n"
      "memory by role:\n{}\n"
      "compute: {} tokens, {} FLOPs; this machine's peak is {} FLOP/s: {} at 40 % of it, {} at "
      "60 %\n",
      FormatCount(static_cast<double>(counts.total)),
      FormatCount(static_cast<double>(counts.active)), FormatCount(static_cast<double>(counts.mtp)),
      estimate.model.num_nextn_predict_layers, estimate.memory.ToTable(),
      FormatCount(estimate.tokens), FormatCount(estimate.flops), FormatCount(estimate.peak_flops),
      FormatDuration(estimate.Seconds(0.4)), FormatDuration(estimate.Seconds(0.6)));
}

nlohmann::ordered_json EstimateJson(const RunEstimate& estimate) {
  nlohmann::ordered_json memory;
  for (int i = 0; i < kMemoryRoles; ++i) {
    const auto role = static_cast<MemoryRole>(i);
    if (role == MemoryRole::kCache) continue;  // training has none
    std::string name(Name(role));
    std::replace(name.begin(), name.end(), ' ', '_');
    memory[name] = static_cast<int64_t>(estimate.memory[role]);
  }
  memory["total"] = static_cast<int64_t>(estimate.memory.total());
  memory["available"] = static_cast<int64_t>(estimate.available);
  return {{"parameters", estimate.parameters.total},
          {"active_parameters", estimate.parameters.active},
          {"mtp_parameters", estimate.parameters.mtp},
          {"memory_bytes", memory},
          {"fits", estimate.memory.total() <= estimate.available},
          {"tokens", estimate.tokens},
          {"flops", estimate.flops},
          {"peak_flops_per_second", estimate.peak_flops},
          {"seconds_at_40_percent", estimate.Seconds(0.4)},
          {"seconds_at_60_percent", estimate.Seconds(0.6)}};
}

// Says what the run would take, and refuses it when it does not fit.
void DryRun(Context& context, const RunConfig& config, bool json) {
  const RunEstimate estimate = EstimateRun(context, config);
  if (json) {
    WriteJson(EstimateJson(estimate));
  } else {
    WriteStandardOutput(EstimateText(estimate));
  }
  RefuseWhatDoesNotFit(config, estimate.stages, estimate.memory, estimate.available,
                       *context.backend, *context.pool);
  if (json) return;
  WriteStandardOutput(fmt::format("it fits: {} are available\n", FormatBytes(estimate.available)));
}

void RunTrain(Arguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  RunConfig config = RunConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  if (arguments.dry_run) {
    DryRun(device.context(), config, arguments.common.json);
    return;
  }
  TrainOptions options;
  options.resume = arguments.resume;
  options.quiet = arguments.common.quiet;
  options.sample = [seed = config.seed](Context& context, Transformer& transformer,
                                        const Tokenizer& tokenizer,
                                        const TrainingSettings::Sample& sample) {
    return WriteSample(context, transformer, tokenizer, sample, seed);
  };
  std::optional<StepProfiler> profiler;
  if (arguments.profile) profiler.emplace(device, options);
  const PretrainingSummary summary = Pretrain(device.context(), config, options);
  PrintSummary(summary, arguments.common.json, profiler ? &*profiler : nullptr);
  if (profiler && !arguments.common.json)
    profiler->Print(device.context(), config.ModelPrecision().act);
}

}  // namespace

void AddTrainCommand(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "Pre-train a model as a run.toml says");
  command->add_option("RUN.toml", arguments->config, "The run's configuration (docs/training.md)")
      ->required();
  command
      ->add_option("--set", arguments->overrides,
                   "KEY=VALUE in place of what the file says; repeatable")
      ->allow_extra_args(false);
  command->add_flag("--resume", arguments->resume,
                    "Go on from the newest checkpoint, if there is one");
  command->add_flag("--dry-run", arguments->dry_run,
                    "Say what the run would take (memory, time), and stop");
  command->add_flag("--profile", arguments->profile,
                    "Say at the end where a step's time went, operation by operation");
  arguments->common.AddTo(*command);
  command->get_option("--seed")->description("In place of the configuration's seed");
  command->footer("Example: fathom train run.toml --set optimizer.lr=1e-3 --resume");
  command->callback([arguments] { RunTrain(*arguments); });
}

}  // namespace fathom
