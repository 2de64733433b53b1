#include "cli/plan_calibrate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/progress.h"
#include "base/random.h"
#include "cli/common.h"
#include "infer/benchmark.h"
#include "infer/inference_memory.h"
#include "model/parameters.h"
#include "plan/machine_model.h"
#include "train/memory_plan.h"
#include "train/optimizer.h"
#include "train/training_step.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = MachineWork::Kind;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Bytes a second at which all threads read `bytes` bytes, the best of several rounds.
BytesPerSecond ReadingRate(ThreadPool& pool, size_t bytes) {
  std::vector<uint64_t> memory(bytes / sizeof(uint64_t), 1);
  std::vector<uint64_t> sums(static_cast<size_t>(pool.threads()) * 8);
  double best = 0;
  // Enough passes that starting the threads does not matter.
  const int passes = static_cast<int>(std::max<size_t>(1, (size_t{64} << 20) / bytes));
  for (int round = 0; round < 6; ++round) {
    const auto start = Clock::now();
    for (int pass = 0; pass < passes; ++pass) {
      pool.ParallelFor(static_cast<int64_t>(memory.size()), 4096,
                       [&](int64_t begin, int64_t end, int part) {
                         uint64_t a = 0, b = 0, c = 0, d = 0;
                         for (int64_t i = begin; i + 3 < end; i += 4) {
                           const uint64_t* at = memory.data() + i;
                           a += at[0];
                           b += at[1];
                           c += at[2];
                           d += at[3];
                         }
                         sums[static_cast<size_t>(part) * 8] += a + b + c + d;
                       });
    }
    best = std::max(best, static_cast<double>(bytes) * passes / SecondsSince(start));
  }
  FATHOM_CHECK(sums[0] > 0);
  return Bytes(best) / Seconds(1);
}

MachineRates MeasureRates(Context& context) {
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  MachineRates rates;
  rates.cache_size = Bytes(cache > 0 ? static_cast<double>(cache) : 8e6);
  rates.bf16_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kBF16));
  rates.f32_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kF32));
  rates.bandwidth = ReadingRate(*context.pool, size_t{512} << 20);
  rates.cache = ReadingRate(*context.pool, static_cast<size_t>(rates.cache_size.value() / 3));
  return rates;
}

struct Shape {
  const char* name;
  int64_t hidden, layers, heads, experts, used, width, vocabulary;
};

ModelConfig ConfigOf(const Shape& shape) {
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

// One setting of a bench or a training step. A setting is fitted or predicted, never both.
struct Setting {
  Kind kind;
  bool fitted;
  int64_t depth, count, batch;  // count: prompt tokens, tokens generated, or rows of `depth` tokens
};

// What is run with one shape and precision.
class Measuring {
 public:
  Measuring(const Shape& shape, bool bf16, const MachineRates& rates, Device& device)
      : shape_(shape),
        bf16_(bf16),
        rates_(rates),
        device_(device),
        config_(ConfigOf(shape)),
        architecture_(DescribeArchitecture(config_)) {}

  void Run(const std::vector<Setting>& settings, std::vector<Calibrated>& cases,
           std::vector<CalibratedMemory>& memory) {
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 1, device_.pool(), store);
    Infer(settings, store, cases, memory);
    for (const Setting& setting : settings) {
      if (setting.kind == Kind::kTraining) Train(setting, store, cases, memory);
    }
  }

 private:
  std::string NameOf(const std::string& what) const {
    return fmt::format("{} {} {}", shape_.name, bf16_ ? "bf16" : "f32", what);
  }
  Precision precision() const { return bf16_ ? Precision::BF16() : Precision::F32(); }

  void Infer(const std::vector<Setting>& settings, ParameterStore& store,
             std::vector<Calibrated>& cases, std::vector<CalibratedMemory>& memory) {
    Transformer transformer(config_, precision(), store, HostAllocator());
    transformer.Pack(device_.context(), AttentionForm::kAbsorbed, /*training=*/false);
    for (const Setting& s : settings) {
      if (s.kind == Kind::kTraining) continue;
      const bool prefill = s.kind == Kind::kPrefill;
      const BenchmarkCase measured{.depth = s.depth,
                                   .prompt = prefill ? s.count : 0,
                                   .generate = prefill ? 0 : s.count,
                                   .batch = s.batch,
                                   .chunk = prefill ? s.count : 256};
      // An arena of its own, so that its peak is this run's.
      Arena workspace(MemoryRole::kWorkspace);
      Context context{device_.context().backend, &device_.pool(), &workspace};
      const BenchmarkTimes times = RunBenchmark(
          context, transformer, measured, 5, [](int64_t) { return !InterruptGuard::Requested(); });
      InterruptGuard::ThrowIfRequested("measuring");
      const double n = static_cast<double>(s.count), depth = static_cast<double>(s.depth),
                   batch = static_cast<double>(s.batch);
      const MachineWork work{.kind = s.kind,
                             .bf16 = bf16_,
                             .tokens = prefill ? n : batch,
                             .keys = depth + n / 2,
                             .batch = batch,
                             .repeats = prefill ? 1 : n};
      cases.push_back(
          {.name = NameOf(prefill ? fmt::format("{} tokens at depth {}", s.count, s.depth)
                                  : fmt::format("batch {} at depth {}", s.batch, s.depth)),
           .kind = s.kind,
           .parts = PartsOf(architecture_, rates_, work),
           .tokens = prefill ? n : n * batch,
           .measured = Seconds(Median(prefill ? times.prefill_seconds : times.decode_seconds)),
           .fitted = s.fitted});
      if (!prefill || s.fitted) continue;
      Predict(measured, transformer, workspace, memory);
    }
  }

  // The arenas of what has just run, and what a run without computing said of them.
  void Predict(const BenchmarkCase& measured, const Transformer& transformer,
               const Arena& workspace, std::vector<CalibratedMemory>& memory) {
    ParameterStore planned(config_, DType::kF32, HostAllocator());
    const InferenceMemory plan = PlanInference(
        config_, precision(), planned, device_.context(), BenchmarkCacheTokens(measured),
        std::max(measured.prompt, std::min(measured.depth, measured.chunk)), 1);
    const double cache = static_cast<double>(plan.cache);
    memory.push_back({.name = NameOf(fmt::format("prefill of {}", measured.prompt)),
                      .predicted = Bytes(static_cast<double>(plan.total())),
                      .measured = Bytes(static_cast<double>(transformer.packed_bytes()) + cache +
                                        static_cast<double>(workspace.peak()))});
  }

  void Train(const Setting& s, ParameterStore& store, std::vector<Calibrated>& cases,
             std::vector<CalibratedMemory>& memory) {
    Arena workspace(MemoryRole::kWorkspace);
    Context context{device_.context().backend, &device_.pool(), &workspace};
    RunConfig run;
    run.precision.recipe = bf16_ ? "bf16" : "f32";
    run.data.sequence_length = s.depth;
    run.batch_tokens = s.depth * s.count;
    Optimizer optimizer(run.optimizer, store, HostAllocator());
    optimizer.Reset(context);
    Transformer transformer(config_, run.ModelPrecision(), store, HostAllocator());
    TrainingStep step(run, transformer, store, optimizer, HostAllocator());
    TokenRows rows;
    rows.Reset(s.count, s.depth, config_.num_nextn_predict_layers);
    RandomStream random(7);
    const auto token = [&] {
      return static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(config_.vocab_size)));
    };
    std::generate(rows.tokens.begin(), rows.tokens.end(), token);
    std::generate(rows.targets.begin(), rows.targets.end(), token);
    for (int64_t row = 0; row < s.count; ++row) {
      rows.segments.push_back({.row = row, .begin = 0, .length = s.depth});
    }
    std::vector<double> seconds;
    for (int i = 0; i < 4; ++i) {
      const auto start = Clock::now();
      step.Run(context, rows, s.count, i, 1e-4, 0.3, 1e-3);
      // The first is a warm-up.
      if (i > 0) seconds.push_back(SecondsSince(start));
      InterruptGuard::ThrowIfRequested("measuring");
    }
    const double tokens = static_cast<double>(run.batch_tokens);
    const std::string name = NameOf(fmt::format("{} rows of {}", s.count, s.depth));
    const MachineWork work{.kind = Kind::kTraining,
                           .bf16 = bf16_,
                           .tokens = tokens,
                           .keys = static_cast<double>(s.depth + 1) / 2,
                           .batch = static_cast<double>(s.count)};
    cases.push_back({.name = name,
                     .kind = Kind::kTraining,
                     .parts = PartsOf(architecture_, rates_, work),
                     .tokens = tokens,
                     .measured = Seconds(Median(seconds)),
                     .fitted = s.fitted});
    if (s.fitted) return;
    const MemoryPlan plan = PlanTraining(run, config_, *context.backend, device_.pool());
    const size_t measured = store.weight_bytes() + store.gradient_bytes() + optimizer.bytes() +
                            transformer.packed_bytes() + step.saved_bytes() + workspace.peak() +
                            step.backward_bytes();
    memory.push_back({.name = name,
                      .predicted = Bytes(plan.total()),
                      .measured = Bytes(static_cast<double>(measured))});
  }

  Shape shape_;
  bool bf16_;
  const MachineRates& rates_;
  Device& device_;
  ModelConfig config_;
  Architecture architecture_;
};

Report Calibrate(const CommonOptions& common) {
  Device device(common.device, common.threads);
  const std::vector<Shape> fitted = {{"A (512 wide)", 512, 4, 8, 32, 4, 256, 8192},
                                     {"B (384 wide)", 384, 6, 6, 16, 4, 192, 8192},
                                     {"C (768 wide)", 768, 3, 12, 32, 6, 256, 16384}};
  const std::vector<Shape> unseen = {{"D (640 wide)", 640, 4, 10, 24, 4, 320, 12288},
                                     {"E (448 wide)", 448, 5, 7, 16, 2, 384, 8192}};
  const std::vector<Setting> fit = {
      {Kind::kPrefill, true, 0, 256, 1},  {Kind::kPrefill, true, 1024, 256, 1},
      {Kind::kPrefill, true, 0, 64, 1},   {Kind::kDecode, true, 256, 16, 1},
      {Kind::kDecode, true, 256, 16, 8},  {Kind::kDecode, true, 1024, 16, 4},
      {Kind::kTraining, true, 256, 4, 1}, {Kind::kTraining, true, 512, 4, 1}};
  const std::vector<Setting> predict = {{Kind::kPrefill, false, 512, 384, 1},
                                        {Kind::kPrefill, false, 0, 128, 1},
                                        {Kind::kDecode, false, 512, 16, 2},
                                        {Kind::kDecode, false, 128, 16, 16},
                                        {Kind::kTraining, false, 384, 4, 1}};
  InterruptGuard guard;
  Progress progress("measuring", "shapes", static_cast<double>(2 * (fitted.size() + unseen.size())),
                    common.quiet);
  const MachineRates rates = MeasureRates(device.context());
  std::vector<Calibrated> cases;
  std::vector<CalibratedMemory> memory;
  double done = 0;
  const auto run = [&](const Shape& shape, bool bf16, const std::vector<Setting>& settings) {
    progress.Update(done++, shape.name);
    Measuring(shape, bf16, rates, device).Run(settings, cases, memory);
  };
  for (const bool bf16 : {true, false}) {
    for (const Shape& shape : fitted) run(shape, bf16, fit);
    for (const Shape& shape : unseen) run(shape, bf16, predict);
  }
  return ReportCalibration(rates, cases, memory);
}

}  // namespace

void AddPlanCalibrate(CLI::App& plan) {
  CLI::App* command = plan.add_subcommand(
      "calibrate", "How wrong the planner is on this machine: measure, fit, predict, compare.");
  command->footer("Example: fathom plan calibrate --threads 2 --json; it takes a few minutes");
  struct Arguments {
    CommonOptions common;
    bool csv = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  arguments->common.AddTo(*command);
  command->add_flag("--csv", arguments->csv, "Print the result as CSV")->excludes("--json");
  command->callback([arguments] {
    const Report report = Calibrate(arguments->common);
    WriteStandardOutput(arguments->common.json ? report.ToJson()
                        : arguments->csv       ? report.ToCsv()
                                               : report.ToTable());
  });
}

}  // namespace fathom
