#include "cli/plan_calibrate.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/memory.h"
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
constexpr int kRounds = 2;
constexpr int64_t kRepetitions = 3;  // of them the first is a warm-up

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of repetitions: what else runs on the machine only ever adds time.
double Least(const std::vector<double>& seconds) {
  return *std::min_element(seconds.begin(), seconds.end());
}

// Bytes a second at which all threads read `bytes` bytes, the best of several rounds.
BytesPerSecond ReadingRate(ThreadPool& pool, size_t bytes) {
  const std::vector<char> memory(bytes, 0);
  std::vector<size_t> found(static_cast<size_t>(pool.threads()) * 8);
  double best = 0;
  // Enough passes that starting the threads does not matter.
  const int passes = static_cast<int>(std::max<size_t>(1, (size_t{128} << 20) / bytes));
  for (int round = 0; round < 6; ++round) {
    const auto start = Clock::now();
    for (int pass = 0; pass < passes; ++pass) {
      pool.ParallelFor(
          static_cast<int64_t>(bytes), 32768, [&](int64_t begin, int64_t end, int part) {
            // A search for what is not there is a read of everything.
            if (std::memchr(memory.data() + begin, 1, static_cast<size_t>(end - begin)) !=
                nullptr) {
              ++found[static_cast<size_t>(part) * 8];
            }
          });
    }
    best = std::max(best, static_cast<double>(bytes) * passes / SecondsSince(start));
  }
  for (const size_t count : found) FATHOM_CHECK(count == 0);
  return Bytes(best) / Seconds(1);
}

MachineRates MeasureRates(Context& context) {
  MachineRates rates;
  rates.bf16_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kBF16));
  rates.f32_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kF32));
  for (size_t bytes = size_t{1} << 20; bytes <= size_t{512} << 20; bytes *= 2) {
    rates.reading.push_back({Bytes(static_cast<double>(bytes)), ReadingRate(*context.pool, bytes)});
  }
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

  // repetitions: of each setting, the first of them a warm-up.
  void Run(const std::vector<Setting>& settings, int64_t repetitions,
           std::vector<Calibrated>& cases, std::vector<CalibratedMemory>& memory) {
    repetitions_ = repetitions;
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 1, device_.pool(), store);
    Infer(settings, store, cases, memory);
    for (const Setting& setting : settings) {
      if (setting.kind == Kind::kTraining) Train(setting, store, cases, memory);
    }
  }

  // What a process takes for a setting, beside what it takes for doing nothing.
  CalibratedMemory PlanProcess(const Setting& s) {
    CalibratedMemory planned{.process = true};
    if (s.kind == Kind::kTraining) {
      planned.name = NameOf(fmt::format("{} rows of {}", s.count, s.depth));
      planned.predicted = Bytes(
          PlanTraining(RunOf(s), config_, *device_.context().backend, device_.pool()).total());
      return planned;
    }
    const BenchmarkCase measured = CaseOf(s);
    planned.name = NameOf(fmt::format("prefill of {}", s.count));
    ParameterStore store(config_, DType::kF32, HostAllocator());
    const InferenceMemory plan = PlanOf(measured, store);
    planned.predicted =
        Bytes(static_cast<double>(store.weight_bytes()) + static_cast<double>(plan.total()));
    return planned;
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
      const BenchmarkCase measured = CaseOf(s);
      // An arena of its own, so that its peak is this run's.
      Arena workspace(MemoryRole::kWorkspace);
      Context context{device_.context().backend, &device_.pool(), &workspace};
      const BenchmarkTimes times =
          RunBenchmark(context, transformer, CacheFormat::kAct, measured, repetitions_,
                       [](int64_t) { return !InterruptGuard::Requested(); });
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
           .measured = Seconds(Least(prefill ? times.prefill_seconds : times.decode_seconds)),
           .fitted = s.fitted});
      if (!prefill || s.fitted) continue;
      Predict(measured, transformer, workspace, memory);
    }
  }

  static BenchmarkCase CaseOf(const Setting& s) {
    const bool prefill = s.kind == Kind::kPrefill;
    return {.depth = s.depth,
            .prompt = prefill ? s.count : 0,
            .generate = prefill ? 0 : s.count,
            .batch = s.batch,
            .chunk = prefill ? s.count : 256};
  }
  RunConfig RunOf(const Setting& s) const {
    RunConfig run;
    run.precision.recipe = bf16_ ? "bf16" : "f32";
    run.data.sequence_length = s.depth;
    run.batch_tokens = s.depth * s.count;
    return run;
  }
  InferenceMemory PlanOf(const BenchmarkCase& measured, ParameterStore& store) const {
    return PlanInference(
        config_, precision(), store, device_.context(),
        {.pages = BenchmarkPages(measured),
         .batch_tokens = std::max(measured.prompt, std::min(measured.depth, measured.chunk)),
         .logit_rows = 1});
  }

  // The arenas of what has just run, and what a run without computing said of them.
  void Predict(const BenchmarkCase& measured, const Transformer& transformer,
               const Arena& workspace, std::vector<CalibratedMemory>& memory) {
    ParameterStore planned(config_, DType::kF32, HostAllocator());
    const InferenceMemory plan = PlanOf(measured, planned);
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
    const RunConfig run = RunOf(s);
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
    for (int64_t i = 0; i < repetitions_; ++i) {
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
                     .measured = Seconds(Least(seconds)),
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
  int64_t repetitions_ = kRepetitions;
};

const std::vector<Shape>& UnseenShapes() {
  static const std::vector<Shape> kShapes = {{"D (640 wide)", 640, 4, 10, 24, 4, 320, 12288},
                                             {"E (448 wide)", 448, 5, 7, 16, 2, 384, 8192}};
  return kShapes;
}
const std::vector<Setting>& UnseenSettings() {
  static const std::vector<Setting> kSettings = {{Kind::kPrefill, false, 512, 384, 1},
                                                 {Kind::kPrefill, false, 0, 128, 1},
                                                 {Kind::kDecode, false, 512, 16, 2},
                                                 {Kind::kDecode, false, 128, 16, 16},
                                                 {Kind::kTraining, false, 384, 4, 1}};
  return kSettings;
}

// Runs whose whole process is weighed: each in a process of its own, of which this program is told
// the number. Run 0 does nothing.
struct WeighedRun {
  size_t shape, setting;
  bool bf16;
};
const std::vector<WeighedRun>& WeighedRuns() {
  static const std::vector<WeighedRun> kRuns = [] {
    std::vector<WeighedRun> runs;
    for (size_t shape = 0; shape < UnseenShapes().size(); ++shape) {
      for (const bool bf16 : {true, false}) {
        for (const size_t setting : {size_t{0}, size_t{4}}) runs.push_back({shape, setting, bf16});
      }
    }
    return runs;
  }();
  return kRuns;
}

// Prints how many bytes it had resident at most.
void RunToBeWeighed(const CommonOptions& common, size_t number) {
  Device device(common.device, common.threads);
  const auto weigh = [] { WriteStandardOutput(fmt::format("{}\n", PeakResidentMemory())); };
  if (number == 0) return weigh();
  if (number > WeighedRuns().size()) throw UsageError("--run", "there is no such run");
  const WeighedRun& run = WeighedRuns()[number - 1];
  const MachineRates rates = {.bf16_peak = FlopsPerSecond(1),
                              .f32_peak = FlopsPerSecond(1),
                              .reading = {{Bytes(1), Bytes(1) / Seconds(1)}}};
  std::vector<Calibrated> cases;
  std::vector<CalibratedMemory> memory;
  Setting setting = UnseenSettings()[run.setting];
  setting.fitted = true;  // so that nothing is planned here
  Measuring(UnseenShapes()[run.shape], run.bf16, rates, device).Run({setting}, 2, cases, memory);
  weigh();
}

// The most memory that run `number` ever had resident, as the system counts it.
Bytes WeighRun(const CommonOptions& common, size_t number) {
  std::vector<std::string> arguments = {"fathom",
                                        "plan",
                                        "calibrate",
                                        "--device",
                                        common.device,
                                        "--threads",
                                        std::to_string(common.threads),
                                        "--run",
                                        std::to_string(number)};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("pipe", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char piece[64];
  for (ssize_t n; error == 0 && (n = read(ends[0], piece, sizeof(piece))) != 0;) {
    if (n > 0) text.append(piece, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  if (error != 0) throw Error("/proc/self/exe", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  int64_t bytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || bytes <= 0) {
    throw Error(fmt::format("calibrate --run {}", number), "has failed");
  }
  return Bytes(static_cast<double>(bytes));
}

Report Calibrate(const CommonOptions& common) {
  Device device(common.device, common.threads);
  const std::vector<Shape> fitted = {{"A (512 wide)", 512, 4, 8, 32, 4, 256, 8192},
                                     {"B (384 wide)", 384, 6, 6, 16, 4, 192, 8192},
                                     {"C (768 wide)", 768, 3, 12, 32, 6, 256, 16384}};
  const std::vector<Setting> fit = {
      {Kind::kPrefill, true, 0, 256, 1},  {Kind::kPrefill, true, 1024, 256, 1},
      {Kind::kPrefill, true, 0, 64, 1},   {Kind::kDecode, true, 256, 16, 1},
      {Kind::kDecode, true, 256, 16, 8},  {Kind::kDecode, true, 1024, 16, 4},
      {Kind::kTraining, true, 256, 4, 1}, {Kind::kTraining, true, 512, 4, 1}};
  InterruptGuard guard;
  Progress progress("measuring", "shapes",
                    static_cast<double>(kRounds * 2 * (fitted.size() + UnseenShapes().size()) +
                                        WeighedRuns().size()),
                    common.quiet);
  const MachineRates rates = MeasureRates(device.context());
  std::vector<Calibrated> cases;
  std::vector<CalibratedMemory> memory;
  double done = 0;
  // Twice, minutes apart: what else the machine does only ever makes it slower, so the faster of
  // both is kept.
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Calibrated> again;
    std::vector<CalibratedMemory> same;
    const auto run = [&](const Shape& shape, bool bf16, const std::vector<Setting>& settings) {
      progress.Update(done++, shape.name);
      Measuring(shape, bf16, rates, device).Run(settings, kRepetitions, again, same);
    };
    for (const bool bf16 : {true, false}) {
      for (const Shape& shape : fitted) run(shape, bf16, fit);
      for (const Shape& shape : UnseenShapes()) run(shape, bf16, UnseenSettings());
    }
    if (round == 0) {
      cases = again;
      memory = same;
      continue;
    }
    for (size_t i = 0; i < cases.size(); ++i) {
      cases[i].slower = std::max(cases[i].measured, again[i].measured);
      cases[i].measured = std::min(cases[i].measured, again[i].measured);
    }
  }
  const Bytes empty = WeighRun(common, 0);
  for (size_t i = 0; i < WeighedRuns().size(); ++i) {
    InterruptGuard::ThrowIfRequested("measuring");
    progress.Update(done++, "a process");
    const WeighedRun& weigh = WeighedRuns()[i];
    CalibratedMemory weighed = Measuring(UnseenShapes()[weigh.shape], weigh.bf16, rates, device)
                                   .PlanProcess(UnseenSettings()[weigh.setting]);
    weighed.predicted += empty;
    weighed.measured = WeighRun(common, i + 1);
    memory.push_back(weighed);
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
    size_t run = 0;
  };
  const auto arguments = std::make_shared<Arguments>();
  arguments->common.AddTo(*command);
  command->add_flag("--csv", arguments->csv, "Print the result as CSV")->excludes("--json");
  // What calibrate starts itself with.
  const CLI::Option* run = command->add_option("--run", arguments->run)->group("");
  command->callback([arguments, run] {
    if (run->count() > 0) return RunToBeWeighed(arguments->common, arguments->run);
    const Report report = Calibrate(arguments->common);
    WriteStandardOutput(arguments->common.json ? report.ToJson()
                        : arguments->csv       ? report.ToCsv()
                                               : report.ToTable(OutputWidth()));
  });
}

}  // namespace fathom
