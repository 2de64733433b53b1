#include "plan/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "plan/uncertainty.h"

namespace fathom {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string RowKey(const std::string& section, const std::string& key) {
  return section + '\n' + key;
}

// Puts the inputs back, whatever happens.
class KeptValues {
 public:
  explicit KeptValues(std::span<const UncertainInput> inputs) : inputs_(inputs) {
    for (const UncertainInput& input : inputs) likely_.push_back(input.value->likely);
  }
  ~KeptValues() { Restore(); }
  KeptValues(const KeptValues&) = delete;
  KeptValues& operator=(const KeptValues&) = delete;
  void Restore() const {
    for (size_t j = 0; j < likely_.size(); ++j) inputs_[j].value->likely = likely_[j];
  }

 private:
  std::span<const UncertainInput> inputs_;
  std::vector<double> likely_;
};

void AddTornados(std::span<const UncertainInput> inputs, const std::function<Report()>& evaluate,
                 std::span<const Headline> headlines, Report& report) {
  const KeptValues kept(inputs);
  std::vector<ReportTornado> tornados;
  for (const Headline& headline : headlines) {
    const ReportRow* row = report.Find(headline.section, headline.key);
    if (row == nullptr) continue;
    tornados.push_back({headline.section, headline.key, row->label, row->unit, row->value, {}});
  }
  const auto outputs = [&] {
    std::vector<double> values(tornados.size(), kNone);
    try {
      const Report moved = evaluate();
      for (size_t t = 0; t < tornados.size(); ++t) {
        const ReportRow* row = moved.Find(tornados[t].section, tornados[t].key);
        if (row != nullptr) values[t] = row->value;
      }
    } catch (const Error&) {
      // At this end of the range the plan does not work: NaN says so.
    }
    return values;
  };
  for (const UncertainInput& input : inputs) {
    if (input.value->low == input.value->high) continue;
    input.value->likely = input.value->low;
    const std::vector<double> low = outputs();
    input.value->likely = input.value->high;
    const std::vector<double> high = outputs();
    kept.Restore();
    for (size_t t = 0; t < tornados.size(); ++t) {
      if (low[t] == high[t]) continue;
      tornados[t].bars.push_back(
          {input.name, input.value->low, input.value->high, low[t], high[t]});
    }
  }
  for (ReportTornado& tornado : tornados) {
    // An end that does not work counts as wider than anything.
    const auto size = [](const ReportTornado::Bar& bar) {
      const double swing = std::abs(bar.at_high - bar.at_low);
      return std::isfinite(swing) ? swing : std::numeric_limits<double>::infinity();
    };
    std::stable_sort(tornado.bars.begin(), tornado.bars.end(),
                     [&](const auto& a, const auto& b) { return size(a) > size(b); });
    if (!tornado.bars.empty()) report.tornados.push_back(std::move(tornado));
  }
}

}  // namespace

void AddIntervals(std::span<const UncertainInput> inputs, const std::function<Report()>& evaluate,
                  std::span<const Headline> headlines, uint64_t seed, int samples, Report& report) {
  if (samples <= 0) return;
  AddTornados(inputs, evaluate, headlines, report);
  std::unordered_map<std::string, std::vector<double>> outputs;
  int failed = 0;
  std::string failure;
  {
    const KeptValues kept(inputs);
    for (int i = 0; i < samples; ++i) {
      kept.Restore();
      std::vector<double> values(inputs.size());
      for (size_t j = 0; j < inputs.size(); ++j) {
        values[j] = TriangularQuantile(
            *inputs[j].value,
            RandomStream(MixKey(seed, j), static_cast<uint64_t>(i)).NextUniform());
      }
      for (size_t j = 0; j < inputs.size(); ++j) inputs[j].value->likely = values[j];
      try {
        const Report sample = evaluate();
        for (const ReportSection& section : sample.sections) {
          for (const ReportRow& row : section.rows) {
            if (row.origin == Origin::kPrediction && std::isfinite(row.value)) {
              outputs[RowKey(section.name, row.key)].push_back(row.value);
            }
          }
        }
      } catch (const Error& error) {
        ++failed;
        failure = error.what();
      }
    }
  }
  for (ReportSection& section : report.sections) {
    for (ReportRow& row : section.rows) {
      const auto found = outputs.find(RowKey(section.name, row.key));
      if (found == outputs.end() || row.origin != Origin::kPrediction) continue;
      std::vector<double>& values = found->second;
      std::sort(values.begin(), values.end());
      const auto at = [&](double share) {
        return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
      };
      const Interval interval{at(0.05), at(0.95)};
      if (interval.low < interval.high) row.interval = interval;
    }
  }
  if (failed == 0) return;
  ReportSection& section = report.sections.emplace_back(ReportSection{"uncertainty", {}});
  section.AddNumber("failed", "samples in which the plan does not work", 100.0 * failed / samples,
                    1, Origin::kPrediction, failure, "%");
}

}  // namespace fathom
