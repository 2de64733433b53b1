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
  constexpr const char* kNames[kWorkParts] = {"dense products",  "expert products",
                                              "reading weights", "attention",
                                              "elementwise",     "starting an operation"};
  return kNames[part];
}

BytesPerSecond MachineRates::RateOf(Bytes size) const {
  FATHOM_CHECK(!reading.empty());
  if (size <= reading.front().size) return reading.front().rate;
  for (size_t i = 1; i < reading.size(); ++i) {
    const Reading &below = reading[i - 1], &above = reading[i];
    if (size > above.size) continue;
    const double share = std::log(size / below.size) / std::log(above.size / below.size);
    return below.rate + (above.rate - below.rate) * share;
  }
  return reading.back().rate;
}

std::vector<double> PartsOf(const Architecture& architecture, const MachineRates& rates,
                            const MachineWork& work) {
  std::vector<double> parts(kWorkParts, 0);
  const bool training = work.kind == Kind::kTraining;
  const FlopsPerSecond peak = work.bf16 ? rates.bf16_peak : rates.f32_peak;
  const double element = work.bf16 ? 2 : 4;
  const double passes = training ? 3 : 1;
  // The head: of every token in training, of each sequence's last otherwise.
  const double head_rows = training ? work.tokens : work.kind == Kind::kDecode ? work.batch : 1;
  const double heads = training ? 1.0 + static_cast<double>(architecture.mtp.size()) : 1;
  double weights = 0;
  const auto add = [&](const MatrixProduct& product, double count, double tokens) {
    const double copies = product.routed() ? ChosenExperts(product, tokens) : 1;
    weights += count * copies * static_cast<double>(product.rows * product.columns) * element;
    parts[product.routed() ? 1 : 0] +=
        count * passes * product.forward_flops().value() * tokens / peak.value();
  };
  for (const auto& [index, count] : architecture.groups) {
    for (const MatrixProduct& product : architecture.layers[index].products) {
      add(product, static_cast<double>(count), work.tokens);
    }
  }
  if (training) {
    for (const LayerShape& module : architecture.mtp) {
      for (const MatrixProduct& product : module.products) add(product, 1, work.tokens);
    }
  }
  add(architecture.head, heads, head_rows);
  // All weights and the whole cache are read before any of them is read again.
  const double layers = static_cast<double>(architecture.layers.size()) +
                        (training ? static_cast<double>(architecture.mtp.size()) : 0);
  const double cache = training ? 0
                                : layers * work.batch * work.keys * element *
                                      static_cast<double>(architecture.config.cache_row_dim());
  const BytesPerSecond rate = rates.RateOf(Bytes(weights + cache));
  parts[2] = passes * weights / rate.value();
  const AttentionForm form = training ? AttentionForm::kExpanded : AttentionForm::kAbsorbed;
  parts[3] = (training ? 3.5 : 1) * layers * work.tokens * work.keys *
             AttentionFlopsPerKey(architecture.config, form).value() / peak.value();
  const double memory = rates.reading.back().rate.value();
  for (const auto& [index, count] : architecture.groups) {
    parts[4] +=
        static_cast<double>(count) * passes * work.tokens *
        ElementwiseBytes(architecture.config, architecture.layers[index].moe, PlanPrecision::kBf16)
            .value() /
        memory;
  }
  if (training) {
    // Masters, gradients and both moments are read, written and packed again, in f32.
    const double parameters =
        static_cast<double>(architecture.counts.total + architecture.counts.mtp);
    parts[4] += parameters * (12 + 16 + 4 + 2 * element) / memory;
  }
  parts[5] = kStart * layers * passes;
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
                         const std::vector<CalibratedMemory>& memory, int again) {
  Report report{.command = "calibrate", .title = "This machine, measured and predicted"};
  ReportSection& machine = report.sections.emplace_back(ReportSection{"machine", {}});
  machine.Add("bf16_peak", "peak in bf16", rates.bf16_peak, Origin::kInput, "measured now");
  machine.Add("f32_peak", "peak in f32", rates.f32_peak, Origin::kInput, "measured now");
  for (const MachineRates::Reading& reading : rates.reading) {
    machine.rows.push_back({fmt::format("reading_{:.0f}", reading.size.value()),
                            fmt::format("reading {} in turn", Format(reading.size)),
                            reading.rate.value(), "B/s", Format(reading.rate), Origin::kInput,
                            "measured now"});
  }

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
  std::vector<double> spreads;
  for (const Calibrated& c : cases) spreads.push_back(100 * c.spread);
  medians.AddNumber(
      "spread", "longest - shortest time of the same work", Median(spreads), 1, Origin::kInput,
      fmt::format("of the median; at most {:.0f} %: a machine that does other things too cannot be "
                  "predicted better than that",
                  *std::max_element(spreads.begin(), spreads.end())),
      "%");
  medians.AddNumber("again", "models measured again, as the machine drifted meanwhile", again, 0,
                    Origin::kInput);
  for (const bool process : {false, true}) {
    ReportTable table{.name = process
                                  ? "peak resident memory of whole processes, planned before them"
                                  : "memory of arenas, planned before the runs",
                      .columns = {{"measured", "measured", "B"},
                                  {"predicted", "predicted", "B"},
                                  {"error", "error", "%"}}};
    std::vector<double> errors;
    for (const CalibratedMemory& m : memory) {
      if (m.process != process) continue;
      const double error = 100 * (m.predicted / m.measured - 1);
      errors.push_back(std::abs(error));
      table.labels.push_back(m.name);
      table.rows.push_back({m.measured.value(), m.predicted.value(), error});
    }
    if (errors.empty()) continue;
    medians.AddNumber(process ? "memory" : "arenas",
                      process ? "memory of processes" : "memory of arenas", Median(errors), 1,
                      Origin::kPrediction, fmt::format("of {}", errors.size()), "%");
    report.tables.push_back(std::move(table));
  }
  report.sections.push_back(std::move(medians));
  return report;
}

}  // namespace fathom
