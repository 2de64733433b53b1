#include "cli/plan_calibrate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/calibration_runs.h"
#include "cli/common.h"
#include "cli/machine_rates.h"
#include "cli/weighed_process.h"
#include "plan/machine_model.h"

namespace fathom {
namespace {

using Kind = MachineWork::Kind;

// Rounds of measuring everything: as many as fit into so many seconds, within limits.
constexpr int kLeastRounds = 3, kMostRounds = 7;
constexpr double kSeconds = 80;
// A piece of work whose machine became so much faster or slower meanwhile is measured again, once.
constexpr double kDrift = 0.15;
constexpr int kAttempts = 2;

// A setting is fitted or predicted, never both: what is predicted differs in shape, batch, depth
// and number of tokens from all that was fitted.
struct Series {
  bool fitted;
  std::vector<CalibrationShape> shapes;
  std::vector<CalibrationSetting> settings;
};
const Series& FittedSeries() {
  static const Series kSeries = {true,
                                 {{"A (512 wide)", 512, 3, 8, 16, 4, 256, 4096},
                                  {"B (384 wide)", 384, 4, 6, 16, 4, 192, 4096},
                                  {"C (768 wide)", 768, 2, 12, 16, 6, 256, 8192}},
                                 {{Kind::kPrefill, 0, 128, 1},
                                  {Kind::kPrefill, 512, 128, 1},
                                  {Kind::kPrefill, 0, 32, 1},
                                  {Kind::kDecode, 128, 8, 1},
                                  {Kind::kDecode, 128, 8, 8},
                                  {Kind::kDecode, 384, 8, 4},
                                  {Kind::kTraining, 128, 4, 1},
                                  {Kind::kTraining, 256, 1, 1}}};
  return kSeries;
}
const Series& UnseenSeries() {
  static const Series kSeries = {false,
                                 {{"D (640 wide)", 640, 3, 10, 12, 4, 320, 6144},
                                  {"E (448 wide)", 448, 3, 7, 16, 2, 384, 4096}},
                                 {{Kind::kPrefill, 256, 192, 1},
                                  {Kind::kPrefill, 0, 64, 1},
                                  {Kind::kDecode, 256, 8, 2},
                                  {Kind::kDecode, 64, 8, 16},
                                  {Kind::kTraining, 192, 2, 1}}};
  return kSeries;
}

// Runs whose whole process is weighed: each in a process of its own, of which this program is told
// the number. Run 0 does nothing.
struct WeighedRun {
  CalibrationShape shape;
  CalibrationSetting setting;
  bool bf16;
};
const std::vector<WeighedRun>& WeighedRuns() {
  static const std::vector<WeighedRun> kRuns = [] {
    std::vector<WeighedRun> runs;
    const Series& unseen = UnseenSeries();
    for (const CalibrationShape& shape : unseen.shapes) {
      for (const bool bf16 : {true, false}) {
        for (const size_t setting : {size_t{0}, size_t{4}}) {
          runs.push_back({shape, unseen.settings[setting], bf16});
        }
      }
    }
    return runs;
  }();
  return kRuns;
}

// Prints how many bytes it had resident at most.
void RunToBeWeighed(const CommonOptions& common, size_t number) {
  if (number > WeighedRuns().size()) throw UsageError("--run", "there is no such run");
  Device device(common.device, common.threads);
  if (number > 0) {
    const WeighedRun& run = WeighedRuns()[number - 1];
    CalibrationModel model(run.shape, run.bf16, device);
    const auto store = model.NewStore();
    model.Run({run.setting}, *store, nullptr);
  }
  WriteStandardOutput(fmt::format("{}\n", PeakResidentMemory()));
}

// The most memory that run `number` ever had resident, as the system counts it.
Bytes WeighRun(const CommonOptions& common, size_t number) {
  return WeighProcess({"plan", "calibrate", "--device", common.device, "--threads",
                       std::to_string(common.threads), "--run", std::to_string(number)});
}

// How much faster or slower the machine became between two measurements of it.
double Drift(const MachineRates& before, const MachineRates& after) {
  const auto change = [](double a, double b) { return std::max(a, b) / std::min(a, b) - 1; };
  return std::max(change(before.bf16_peak.value(), after.bf16_peak.value()),
                  change(before.reading.back().rate.value(), after.reading.back().rate.value()));
}

// Everything that was measured of one setting, a round each.
struct Samples {
  MeasuredRun run;
  bool fitted = false;
  std::vector<double> times;
  std::vector<std::vector<double>> parts;  // by the rates of the same seconds
};

class Calibration {
 public:
  Calibration(const CommonOptions& common, Device& device)
      : common_(common),
        device_(device),
        progress_("measuring", "models", ModelsOf(kLeastRounds), common.quiet) {}

  Report Run() {
    const auto start = std::chrono::steady_clock::now();
    const Series &fitted = FittedSeries(), &unseen = UnseenSeries();
    for (int round = 0; round < kMostRounds; ++round) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      if (round >= kLeastRounds && elapsed.count() * (round + 1) / round > kSeconds) break;
      // What is fitted and what is predicted take turns, so that both meet the same machine.
      for (size_t i = 0; i < std::max(fitted.shapes.size(), unseen.shapes.size()); ++i) {
        if (i < fitted.shapes.size()) MeasureShape(fitted, i, round == 0);
        if (i < unseen.shapes.size()) MeasureShape(unseen, i, round == 0);
      }
    }
    Weigh();
    return ReportCalibration(MedianRates(), Cases(), memory_, again_);
  }

 private:
  static double ModelsOf(int rounds) {
    const size_t shapes = FittedSeries().shapes.size() + UnseenSeries().shapes.size();
    return static_cast<double>(2 * static_cast<size_t>(rounds) * shapes + WeighedRuns().size());
  }

  void MeasureShape(const Series& series, size_t index, bool with_memory) {
    const CalibrationShape& shape = series.shapes[index];
    std::unique_ptr<ParameterStore> store;
    for (const bool bf16 : {true, false}) {
      progress_.Update(done_++, shape.name);
      CalibrationModel model(shape, bf16, device_);
      if (!store) store = model.NewStore();
      std::vector<CalibratedMemory>* memory = with_memory && !series.fitted ? &memory_ : nullptr;
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const MachineRates before = MeasureRates(device_.context());
        const std::vector<MeasuredRun> runs = model.Run(series.settings, *store, memory);
        memory = nullptr;
        const MachineRates after = MeasureRates(device_.context());
        if (attempt + 1 < kAttempts && Drift(before, after) > kDrift) {
          ++again_;
          continue;
        }
        const MachineRates rates = Between(before, after);
        rates_.push_back(rates);
        const Architecture architecture = DescribeArchitecture(model.config());
        for (const MeasuredRun& run : runs) {
          Samples& samples = SamplesOf(run, series.fitted);
          samples.times.push_back(run.time.value());
          samples.parts.push_back(PartsOf(architecture, rates, run.work));
        }
        break;
      }
    }
  }

  static MachineRates Between(const MachineRates& a, const MachineRates& b) {
    MachineRates rates = a;
    rates.bf16_peak = 0.5 * (a.bf16_peak + b.bf16_peak);
    rates.f32_peak = 0.5 * (a.f32_peak + b.f32_peak);
    for (size_t i = 0; i < rates.reading.size(); ++i) {
      rates.reading[i].rate = 0.5 * (a.reading[i].rate + b.reading[i].rate);
    }
    return rates;
  }

  // In the order in which they were first measured.
  Samples& SamplesOf(const MeasuredRun& run, bool fitted) {
    const auto found = std::find_if(samples_.begin(), samples_.end(), [&](const Samples& samples) {
      return samples.run.work.kind == run.work.kind && samples.run.name == run.name;
    });
    if (found != samples_.end()) return *found;
    return samples_.emplace_back(Samples{run, fitted, {}, {}});
  }

  std::vector<Calibrated> Cases() const {
    std::vector<Calibrated> cases;
    for (const Samples& samples : samples_) {
      Calibrated c{.name = samples.run.name,
                   .kind = samples.run.work.kind,
                   .tokens = samples.run.tokens,
                   .measured = Seconds(Median(samples.times)),
                   .fitted = samples.fitted};
      const auto [least, most] = std::minmax_element(samples.times.begin(), samples.times.end());
      c.spread = (*most - *least) / c.measured.value();
      for (size_t part = 0; part < kWorkParts; ++part) {
        std::vector<double> values;
        for (const std::vector<double>& parts : samples.parts) values.push_back(parts[part]);
        c.parts.push_back(Median(values));
      }
      cases.push_back(std::move(c));
    }
    return cases;
  }

  MachineRates MedianRates() const {
    MachineRates rates = rates_.front();
    const auto median = [&](const auto& of) {
      std::vector<double> values;
      for (const MachineRates& one : rates_) values.push_back(of(one));
      return Median(values);
    };
    rates.bf16_peak = FlopsPerSecond(median([](const auto& r) { return r.bf16_peak.value(); }));
    rates.f32_peak = FlopsPerSecond(median([](const auto& r) { return r.f32_peak.value(); }));
    for (size_t i = 0; i < rates.reading.size(); ++i) {
      rates.reading[i].rate =
          Bytes(median([&](const auto& r) { return r.reading[i].rate.value(); })) / Seconds(1);
    }
    return rates;
  }

  void Weigh() {
    const Bytes empty = WeighRun(common_, 0);
    for (size_t i = 0; i < WeighedRuns().size(); ++i) {
      InterruptGuard::ThrowIfRequested("measuring");
      progress_.Update(done_++, "a process");
      const WeighedRun& run = WeighedRuns()[i];
      CalibratedMemory weighed =
          CalibrationModel(run.shape, run.bf16, device_).PlanProcess(run.setting);
      weighed.predicted += empty;
      weighed.measured = WeighRun(common_, i + 1);
      memory_.push_back(weighed);
    }
  }

  const CommonOptions& common_;
  Device& device_;
  Progress progress_;
  double done_ = 0;
  int again_ = 0;
  std::vector<Samples> samples_;
  std::vector<MachineRates> rates_;
  std::vector<CalibratedMemory> memory_;
};

}  // namespace

void AddPlanCalibrate(Command plan) {
  Command command = plan.AddCommand(
      "calibrate", "How wrong the planner is on this machine: measure, fit, predict, compare.");
  command.Footer("Example: fathom plan calibrate --threads 2 --json; it takes a few minutes");
  struct PlanCalibrateArguments {
    CommonOptions common;
    bool csv = false;
    size_t run = 0;
  };
  const auto arguments = std::make_shared<PlanCalibrateArguments>();
  arguments->common.AddTo(command);
  command.AddFlag("--csv", arguments->csv, "Print the result as CSV")
      .Excludes(command.GetOption("--json"));
  // What calibrate starts itself with.
  const Option run = command.AddOption("--run", arguments->run).Hidden();
  command.OnRun([arguments, run] {
    if (run.given()) return RunToBeWeighed(arguments->common, arguments->run);
    InterruptGuard guard;
    Device device(arguments->common.device, arguments->common.threads);
    const Report report = Calibration(arguments->common, device).Run();
    WriteStandardOutput(arguments->common.json ? report.ToJson()
                        : arguments->csv       ? report.ToCsv()
                                               : report.ToTable(OutputWidth()));
  });
}

}  // namespace fathom
