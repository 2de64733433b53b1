#include "plan/intervals.h"

#include <algorithm>
#include <cmath>
#include <iterator>
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
    for (size_t j = 0; j < likely_.size(); ++j) inputs_[j].Set(likely_[j]);
  }

 private:
  std::span<const UncertainInput> inputs_;
  std::vector<double> likely_;
};

using Predictions = std::unordered_map<std::string, double>;

Predictions PredictionsOf(const Report& report) {
  Predictions values;
  for (const ReportSection& section : report.sections) {
    for (const ReportRow& row : section.rows) {
      if (row.origin == Origin::kPrediction && std::isfinite(row.value)) {
        values.emplace(RowKey(section.name, row.key), row.value);
      }
    }
  }
  return values;
}

// A tornado without bars for every prediction, the headlines' first.
std::vector<ReportTornado> EmptyTornados(std::span<const Headline> headlines,
                                         const Report& report) {
  std::vector<ReportTornado> tornados, others;
  for (const Headline& headline : headlines) {
    const ReportRow* row = report.Find(headline.section, headline.key);
    if (row == nullptr) continue;
    tornados.push_back(
        {headline.section, headline.key, row->label, row->unit, row->value, {}, true});
  }
  for (const ReportSection& section : report.sections) {
    for (const ReportRow& row : section.rows) {
      const auto is_this = [&](const ReportTornado& tornado) {
        return tornado.section == section.name && tornado.key == row.key;
      };
      if (row.origin != Origin::kPrediction ||
          std::any_of(tornados.begin(), tornados.end(), is_this)) {
        continue;
      }
      others.push_back({section.name, row.key, row.label, row.unit, row.value, {}, false});
    }
  }
  std::move(others.begin(), others.end(), std::back_inserter(tornados));
  return tornados;
}

void SortBars(ReportTornado& tornado) {
  // An end that does not work counts as wider than anything.
  const auto size = [](const ReportTornado::Bar& bar) {
    const double swing = std::abs(bar.at_high - bar.at_low);
    return std::isfinite(swing) ? swing : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(tornado.bars.begin(), tornado.bars.end(),
                   [&](const auto& a, const auto& b) { return size(a) > size(b); });
}

void AddTornados(std::span<const UncertainInput> inputs, const std::function<Report()>& evaluate,
                 std::span<const Headline> headlines, Report& report) {
  const KeptValues kept(inputs);
  std::vector<ReportTornado> tornados = EmptyTornados(headlines, report);
  const auto outputs = [&](const UncertainInput& input, double value) {
    Predictions predictions;
    input.Set(value);
    try {
      predictions = PredictionsOf(evaluate());
    } catch (const Error&) {
      // At this end of the range the plan does not work: no number says so.
    }
    kept.Restore();
    return predictions;
  };
  for (const UncertainInput& input : inputs) {
    if (input.value->low == input.value->high) continue;
    const Predictions low = outputs(input, input.value->low),
                      high = outputs(input, input.value->high);
    for (ReportTornado& tornado : tornados) {
      const std::string key = RowKey(tornado.section, tornado.key);
      const auto at = [&](const Predictions& predictions) {
        const auto found = predictions.find(key);
        return found == predictions.end() ? kNone : found->second;
      };
      const double at_low = at(low), at_high = at(high);
      // What an input does not reach differs by rounding at most.
      if (std::abs(at_high - at_low) <= 1e-12 * std::abs(at_low)) continue;
      tornado.bars.push_back({input.name, input.value->low, input.value->high, at_low, at_high});
    }
  }
  for (ReportTornado& tornado : tornados) {
    SortBars(tornado);
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
        values[j] =
            RangeQuantile(*inputs[j].value,
                          RandomStream(MixKey(seed, j), static_cast<uint64_t>(i)).NextUniform());
      }
      for (size_t j = 0; j < inputs.size(); ++j) inputs[j].Set(values[j]);
      try {
        for (const auto& [key, value] : PredictionsOf(evaluate())) outputs[key].push_back(value);
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
        return values[static_cast<size_t>(
            std::lround(share * static_cast<double>(values.size() - 1)))];
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
