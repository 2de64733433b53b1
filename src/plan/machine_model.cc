#include "plan/machine_model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/layer_work.h"

namespace fathom {
namespace {

using Kind = MachineWork::Kind;
constexpr double kStart = 10e-6;

// Experts that `tokens` tokens choose, when each chooses at random.
double ChosenExperts(const MatrixProduct& product, double tokens) {
  const double all = static_cast<double>(product.copies);
  const double share = static_cast<double>(product.uses_per_token) / all;
  return all * (1 - std::pow(1 - share, tokens));
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

const char* Name(Kind kind) {
  switch (kind) {
    case Kind::kPrefill:
      return "prefill";
    case Kind::kDecode:
      return "decode";
    case Kind::kTraining:
      return "training";
  }
  return "";
}

}  // namespace

const char* WorkPartName(size_t part) {
  constexpr const char* kNames[kWorkParts] = {"dense products", "expert products", "attention",
                                              "elementwise", "starting an operation"};
  return kNames[part];
}

std::vector<double> PartsOf(const Architecture& architecture, const MachineRates& rates,
                            const MachineWork& work) {
  std::vector<double> parts(kWorkParts, 0);
  const bool training = work.kind == Kind::kTraining;
  const FlopsPerSecond peak = work.bf16 ? rates.bf16_peak : rates.f32_peak;
  const double element = work.bf16 ? 2 : 4;
  const double passes = training ? 3 : 1;
  // Weights lie in the last cache as far as all that a step reads fits there.
  double touched = 0;
  const auto each_product = [&](const auto& take) {
    const auto layer = [&](const LayerShape& shape, double count) {
      for (const MatrixProduct& product : shape.products) take(product, count);
    };
    for (const auto& [index, count] : architecture.groups) {
      layer(architecture.layers[index], static_cast<double>(count));
    }
    if (training) {
      for (const LayerShape& module : architecture.mtp) layer(module, 1);
    }
  };
  const auto weights = [&](const MatrixProduct& product) {
    const double copies = product.routed() ? ChosenExperts(product, work.tokens) : 1;
    return copies * static_cast<double>(product.rows * product.columns) * element;
  };
  each_product(
      [&](const MatrixProduct& product, double count) { touched += count * weights(product); });
  const double cached = touched > 0 ? std::min(1.0, rates.cache_size.value() / 2 / touched) : 0;
  const auto read_time = [&](double bytes) {
    return bytes * cached / rates.cache.value() + bytes * (1 - cached) / rates.bandwidth.value();
  };
  each_product([&](const MatrixProduct& product, double count) {
    const double flops = product.forward_flops().value() * work.tokens;
    const double time = passes * std::max(flops / peak.value(), read_time(weights(product)));
    parts[product.routed() ? 1 : 0] += count * time;
  });
  // The head: of every token in training, of each sequence's last otherwise.
  const double rows = training ? work.tokens : work.kind == Kind::kDecode ? work.batch : 1;
  const MatrixProduct& head = architecture.head;
  const double heads = training ? 1.0 + static_cast<double>(architecture.mtp.size()) : 1;
  parts[0] += heads * passes *
              std::max(head.forward_flops().value() * rows / peak.value(),
                       read_time(static_cast<double>(head.rows * head.columns) * element));
  const double layers = static_cast<double>(architecture.layers.size()) +
                        (training ? static_cast<double>(architecture.mtp.size()) : 0);
  const AttentionForm form = training ? AttentionForm::kExpanded : AttentionForm::kAbsorbed;
  parts[2] = (training ? 3.5 : 1) * layers * work.tokens * work.keys *
             AttentionFlopsPerKey(architecture.config, form).value() / peak.value();
  for (const auto& [index, count] : architecture.groups) {
    parts[3] +=
        static_cast<double>(count) * (training ? 3 : 1) * work.tokens *
        ElementwiseBytes(architecture.config, architecture.layers[index].moe, PlanPrecision::kBf16)
            .value() /
        rates.bandwidth.value();
  }
  if (training) {
    // Masters, gradients and both moments are read, written and packed again, in f32.
    const double parameters =
        static_cast<double>(architecture.counts.total + architecture.counts.mtp);
    parts[3] += parameters * (12 + 16 + 4 + 2 * element) / rates.bandwidth.value();
  }
  parts[4] = kStart * layers * passes;
  for (double& part : parts) part *= work.repeats;
  return parts;
}

std::vector<double> FitFactors(const std::vector<Calibrated>& cases) {
  std::vector<double> factors(kWorkParts, 1);
  // Coordinate descent: for each factor in turn the best value >= 0 while the others stay.
  for (int round = 0; round < 20000; ++round) {
    double moved = 0;
    for (size_t j = 0; j < kWorkParts; ++j) {
      double numerator = 0, denominator = 0;
      for (const Calibrated& c : cases) {
        const double t = c.measured.value();
        double rest = 0;
        for (size_t k = 0; k < kWorkParts; ++k) {
          if (k != j) rest += factors[k] * c.parts[k];
        }
        numerator += c.parts[j] / t * (1 - rest / t);
        denominator += c.parts[j] / t * (c.parts[j] / t);
      }
      const double best = denominator > 0 ? std::max(0.0, numerator / denominator) : 0;
      moved = std::max(moved, std::abs(best - factors[j]));
      factors[j] = best;
    }
    if (moved < 1e-9) break;
  }
  return factors;
}

Report ReportCalibration(const MachineRates& rates, const std::vector<Calibrated>& cases,
                         const std::vector<CalibratedMemory>& memory) {
  Report report{.command = "calibrate", .title = "This machine, measured and predicted"};
  ReportSection& machine = report.sections.emplace_back(ReportSection{"machine", {}});
  machine.Add("bf16_peak", "peak in bf16", rates.bf16_peak, Origin::kInput, "measured now");
  machine.Add("f32_peak", "peak in f32", rates.f32_peak, Origin::kInput, "measured now");
  const auto bandwidth = [&](const char* key, const char* label, BytesPerSecond rate) {
    machine.rows.push_back(
        {key, label, rate.value(), "B/s", Format(rate), Origin::kInput, "measured now"});
  };
  bandwidth("bandwidth", "reading memory", rates.bandwidth);
  bandwidth("cache", "reading the last cache", rates.cache);
  machine.Add("cache_size", "the last cache", rates.cache_size, Origin::kInput);

  std::vector<double> all_errors;
  ReportSection medians{"median errors of what was not fitted", {}};
  for (const Kind kind : {Kind::kPrefill, Kind::kDecode, Kind::kTraining}) {
    std::vector<Calibrated> fitted;
    for (const Calibrated& c : cases) {
      if (c.kind == kind && c.fitted) fitted.push_back(c);
    }
    if (fitted.empty()) continue;
    const std::vector<double> factors = FitFactors(fitted);
    ReportSection& found = report.sections.emplace_back(
        ReportSection{fmt::format("{}: efficiencies", Name(kind)), {}});
    for (size_t part = 0; part + 1 < kWorkParts; ++part) {
      if (factors[part] > 0) {
        found.AddNumber(fmt::format("part_{}", part), WorkPartName(part), 100 / factors[part], 1,
                        Origin::kPrediction, "of the machine's rate, fitted", "%");
      } else {
        found.AddText(fmt::format("part_{}", part), WorkPartName(part), "takes no time of its own");
      }
    }
    found.Add("start", "started operations of a layer", Seconds(kStart * factors.back()),
              Origin::kPrediction, "fitted");
    for (const bool seen : {true, false}) {
      ReportTable table{
          .name = fmt::format("{}: {}", Name(kind), seen ? "fitted" : "predicted, not seen before"),
          .columns = {{"measured", "measured", "token/s"},
                      {"predicted", "predicted", "token/s"},
                      {"error", "error", "%"}}};
      std::vector<double> errors;
      for (const Calibrated& c : cases) {
        if (c.kind != kind || c.fitted != seen) continue;
        double time = 0;
        for (size_t part = 0; part < kWorkParts; ++part) time += factors[part] * c.parts[part];
        const double measured = c.tokens / c.measured.value(), predicted = c.tokens / time;
        errors.push_back(100 * std::abs(predicted / measured - 1));
        table.labels.push_back(c.name);
        table.rows.push_back({measured, predicted, 100 * (predicted / measured - 1)});
      }
      if (table.rows.empty()) continue;
      report.tables.push_back(std::move(table));
      if (seen) continue;
      all_errors.insert(all_errors.end(), errors.begin(), errors.end());
      medians.AddNumber(Name(kind), fmt::format("{}, tokens/s", Name(kind)), Median(errors), 1,
                        Origin::kPrediction, fmt::format("of {}", errors.size()), "%");
    }
  }
  medians.AddNumber("throughput", "all of them", Median(all_errors), 1, Origin::kPrediction,
                    fmt::format("of {}", all_errors.size()), "%");
  ReportTable table{
      .name = "memory of runs, planned before them",
      .columns = {
          {"measured", "measured", "B"}, {"predicted", "predicted", "B"}, {"error", "error", "%"}}};
  std::vector<double> errors;
  for (const CalibratedMemory& m : memory) {
    const double error = 100 * (m.predicted / m.measured - 1);
    errors.push_back(std::abs(error));
    table.labels.push_back(m.name);
    table.rows.push_back({m.measured.value(), m.predicted.value(), error});
  }
  medians.AddNumber("memory", "memory", Median(errors), 1, Origin::kPrediction,
                    fmt::format("of {}", errors.size()), "%");
  report.tables.push_back(std::move(table));
  report.sections.push_back(std::move(medians));
  return report;
}

}  // namespace fathom
