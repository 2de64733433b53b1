#include "cli/calibration_runs.h"

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "base/random.h"
#include "model/parameters.h"
#include "train/memory_plan.h"
#include "train/optimizer.h"
#include "train/training_step.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = MachineWork::Kind;

// After one that warms up.
constexpr int64_t kRepetitions = 3, kTrainingSteps = 2;

ModelConfig ConfigOf(const CalibrationShape& shape) {
  ModelConfig config = PresetConfig("tiny8");
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = config.num_key_value_heads = shape.heads;
  config.n_routed_experts = shape.experts;
  config.num_experts_per_tok = shape.used;
  config.moe_intermediate_size = shape.width;
  config.vocab_size = shape.vocabulary;
  config.n_group = config.topk_group = 1;
  config.Validate(shape.name);
  return config;
}

BenchmarkCase CaseOf(const CalibrationSetting& s) {
  const bool prefill = s.kind == Kind::kPrefill;
  return {.depth = s.depth,
          .prompt = prefill ? s.count : 0,
          .generate = prefill ? 0 : s.count,
          .batch = s.batch,
          .chunk = prefill ? s.count : 256};
}

std::string Describe(const CalibrationSetting& s) {
  switch (s.kind) {
    case Kind::kPrefill:
      return fmt::format("{} tokens at depth {}", s.count, s.depth);
    case Kind::kDecode:
      return fmt::format("batch {} at depth {}", s.batch, s.depth);
    case Kind::kTraining:
      return fmt::format("{} rows of {}", s.count, s.depth);
  }
  return "";
}

// Random rows, each one sequence.
TokenRows RandomRows(const CalibrationSetting& s, const ModelConfig& config) {
  TokenRows rows;
  rows.Reset(s.count, s.depth, config.num_nextn_predict_layers);
  RandomStream random(7);
  const auto token = [&] {
    return static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(config.vocab_size)));
  };
  std::generate(rows.tokens.begin(), rows.tokens.end(), token);
  std::generate(rows.targets.begin(), rows.targets.end(), token);
  for (int64_t row = 0; row < s.count; ++row) {
    rows.segments.push_back({.row = row, .begin = 0, .length = s.depth});
  }
  return rows;
}

}  // namespace

CalibrationModel::CalibrationModel(const CalibrationShape& shape, bool bf16, Device& device)
    : shape_(shape), bf16_(bf16), device_(device), config_(ConfigOf(shape)) {}

std::unique_ptr<ParameterStore> CalibrationModel::NewStore() {
  auto store = std::make_unique<ParameterStore>(config_, DType::kF32, HostAllocator());
  InitializeParameters(config_, 1, device_.pool(), *store);
  return store;
}

std::vector<MeasuredRun> CalibrationModel::Run(const std::vector<CalibrationSetting>& settings,
                                               ParameterStore& store,
                                               std::vector<CalibratedMemory>* memory) {
  std::vector<MeasuredRun> runs;
  const auto is_inference = [](const CalibrationSetting& s) { return s.kind != Kind::kTraining; };
  if (std::any_of(settings.begin(), settings.end(), is_inference)) {
    Transformer transformer(config_, precision(), store, HostAllocator());
    transformer.Pack(device_.context(), AttentionForm::kAbsorbed, /*training=*/false);
    for (const CalibrationSetting& s : settings) {
      if (is_inference(s)) runs.push_back(Infer(s, transformer, memory));
    }
  }
  for (const CalibrationSetting& s : settings) {
    if (!is_inference(s)) runs.push_back(Train(s, store, memory));
  }
  return runs;
}

CalibratedMemory CalibrationModel::PlanProcess(const CalibrationSetting& s) {
  CalibratedMemory planned{.name = NameOf(Describe(s)), .process = true};
  if (s.kind == Kind::kTraining) {
    const MemoryPlan plan = PlanTraining(RunOf(s), RunStages(RunOf(s), config_),
                                         *device_.context().backend, device_.pool());
    // The plan is of arenas alone.
    planned.predicted = Bytes(plan.total() + static_cast<double>(device_.pool().threads()) *
                                                 static_cast<double>(kKernelScratchOfThread));
    return planned;
  }
  ParameterStore store(config_, DType::kF32, HostAllocator());
  const InferenceMemory plan = PlanOf(CaseOf(s), store);
  planned.predicted =
      Bytes(static_cast<double>(store.weight_bytes()) + static_cast<double>(plan.total()));
  return planned;
}

std::string CalibrationModel::NameOf(const std::string& what) const {
  return fmt::format("{} {} {}", shape_.name, bf16_ ? "bf16" : "f32", what);
}

RunConfig CalibrationModel::RunOf(const CalibrationSetting& s) const {
  RunConfig run;
  run.precision.recipe = bf16_ ? "bf16" : "f32";
  run.data.sequence_length = s.depth;
  run.batch_tokens = s.depth * s.count;
  return run;
}

InferenceMemory CalibrationModel::PlanOf(const BenchmarkCase& measured,
                                         ParameterStore& store) const {
  return PlanInference(
      config_, precision(), store, device_.context(),
      {.pages = BenchmarkPages(measured),
       .batch_tokens = std::max(measured.prompt, std::min(measured.depth, measured.chunk)),
       .logit_rows = 1});
}

MeasuredRun CalibrationModel::Infer(const CalibrationSetting& s, const Transformer& transformer,
                                    std::vector<CalibratedMemory>* memory) {
  const bool prefill = s.kind == Kind::kPrefill;
  const BenchmarkCase measured = CaseOf(s);
  // An arena of its own, so that its peak is this run's.
  Arena workspace(MemoryRole::kWorkspace);
  Context context{device_.context().backend, &device_.pool(), &workspace};
  const BenchmarkTimes times =
      RunBenchmark(context, transformer, CacheFormat::kAct, measured, kRepetitions,
                   [](int64_t) { return !InterruptGuard::Requested(); });
  InterruptGuard::ThrowIfRequested("measuring");
  const double n = static_cast<double>(s.count), depth = static_cast<double>(s.depth),
               batch = static_cast<double>(s.batch);
  MeasuredRun run{.name = NameOf(Describe(s)),
                  .work = {.kind = s.kind,
                           .bf16 = bf16_,
                           .tokens = prefill ? n : batch,
                           .keys = depth + n / 2,
                           .batch = batch,
                           .repeats = prefill ? 1 : n},
                  .tokens = prefill ? n : n * batch,
                  .time = Seconds(Median(prefill ? times.prefill_seconds : times.decode_seconds))};
  if (prefill && memory != nullptr) {
    // What a run without computing says of the arenas of what has just run.
    ParameterStore planned(config_, DType::kF32, HostAllocator());
    const InferenceMemory plan = PlanOf(measured, planned);
    memory->push_back({.name = run.name,
                       .predicted = Bytes(static_cast<double>(plan.total() - plan.scratch)),
                       .measured = Bytes(static_cast<double>(transformer.packed_bytes()) +
                                         static_cast<double>(plan.cache) +
                                         static_cast<double>(workspace.peak()))});
  }
  return run;
}

MeasuredRun CalibrationModel::Train(const CalibrationSetting& s, ParameterStore& store,
                                    std::vector<CalibratedMemory>* memory) {
  Arena workspace(MemoryRole::kWorkspace);
  Context context{device_.context().backend, &device_.pool(), &workspace};
  const RunConfig run = RunOf(s);
  Optimizer optimizer(run.optimizer, store, HostAllocator());
  optimizer.Reset(context);
  Transformer transformer(config_, run.ModelPrecision(), store, HostAllocator());
  TrainingStep step(run, transformer, store, optimizer, HostAllocator());
  const TokenRows rows = RandomRows(s, config_);
  std::vector<double> seconds;
  for (int64_t i = 0; i <= kTrainingSteps; ++i) {
    const auto start = Clock::now();
    step.Run(context, rows, s.count, i, /*lr=*/0, 0.3, /*bias_speed=*/0);
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (i > 0) seconds.push_back(elapsed.count());
    InterruptGuard::ThrowIfRequested("measuring");
  }
  const double tokens = static_cast<double>(run.batch_tokens);
  MeasuredRun measured{.name = NameOf(Describe(s)),
                       .work = {.kind = Kind::kTraining,
                                .bf16 = bf16_,
                                .tokens = tokens,
                                .keys = static_cast<double>(s.depth + 1) / 2,
                                .batch = static_cast<double>(s.count)},
                       .tokens = tokens,
                       .time = Seconds(Median(seconds))};
  if (memory != nullptr) {
    const MemoryPlan plan =
        PlanTraining(run, RunStages(run, config_), *context.backend, device_.pool());
    const size_t bytes = store.weight_bytes() + store.gradient_bytes() + optimizer.bytes() +
                         transformer.packed_bytes() + step.saved_bytes() + workspace.peak() +
                         step.backward_bytes();
    memory->push_back({.name = measured.name,
                       .predicted = Bytes(plan.total()),
                       .measured = Bytes(static_cast<double>(bytes))});
  }
  return measured;
}

}  // namespace fathom
