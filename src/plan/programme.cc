#include "plan/programme.h"

#include "base/error.h"
#include "plan/published.h"
#include "plan/sourced_file.h"

namespace fathom {

Programme Programme::Load(const std::optional<std::filesystem::path>& over) {
  Programme p;
  ReadSourcedFiles("programme", over, [&](TomlTable& file, bool is_base) {
    ReadSourcedFields(file.Table("programme"), is_base,
                      {{"restarts", &p.restarts, 0, 100},
                       {"later_training", &p.later_training, 0, 100},
                       {"reinforcement", &p.reinforcement, 0, 1000},
                       {"experiments", &p.experiments, 0, 1000},
                       {"data", &p.data, 0, 1e12},
                       {"people", &p.people, 0, 1e6},
                       {"person_year", &p.person_year, 0, 1e8},
                       {"years", &p.years, 0, 100}});
  });
  return p;
}

ProgrammeCost CostOf(const Programme& p, Seconds run, DollarsPerSecond rent) {
  ProgrammeCost cost{.restarts = run * p.restarts.likely,
                     .later_training = run * p.later_training.likely,
                     .reinforcement = run * p.reinforcement.likely,
                     .experiments = run * p.experiments.likely};
  cost.all = run + cost.restarts + cost.later_training + cost.reinforcement + cost.experiments;
  cost.compute = cost.all * rent;
  cost.data = Dollars(p.data.likely);
  cost.people = Dollars(p.people.likely * p.person_year.likely * p.years.likely);
  return cost;
}

void AddProgramme(const Programme& p, Seconds run, DollarsPerSecond rent, bool compare_with_v3,
                  Report& report) {
  const ProgrammeCost cost = CostOf(p, run, rent);
  ReportSection& section = report.sections.emplace_back(ReportSection{"the whole programme", {}});
  section.Add("run", "the pre-training run", run * rent, Origin::kPrediction);
  const auto part = [&](const char* key, const char* label, Seconds time,
                        const SourcedValue& share) {
    section.Add(key, label, time * rent, Origin::kPrediction,
                fmt::format("{:g} of the run: {}", share.likely, Cite(share)));
  };
  part("restarts", "failed runs and restarts", cost.restarts, p.restarts);
  part("later_training", "longer context, fine-tuning", cost.later_training, p.later_training);
  section.Add(
      "reinforcement", "reinforcement learning", cost.reinforcement * rent, Origin::kPrediction,
      compare_with_v3
          ? Against(Published::Get().train.r1_cost, (cost.reinforcement * rent).value(), "USD") +
                "; its share of V3's hours is an input, the run's hours are predicted"
          : fmt::format("{:g} of the run: {}", p.reinforcement.likely, Cite(p.reinforcement)));
  part("experiments", "experiments and ablations", cost.experiments, p.experiments);
  section.AddNumber("device_hours", "device-hours of all that", InHours(cost.all), 0,
                    Origin::kPrediction, "", "h");
  section.Add("compute", "computing", cost.compute, Origin::kPrediction);
  section.Add("data", "data", cost.data, Origin::kPrediction, Cite(p.data));
  section.Add("people", "people", cost.people, Origin::kPrediction,
              fmt::format("{:g} people, {} a year each, {:g} years; {}", p.people.likely,
                          Format(Dollars(p.person_year.likely)), p.years.likely, Cite(p.people)));
  section.Add("total", "the whole programme", cost.total(), Origin::kPrediction,
              "without buying the devices, and with DeepSeek's people and data unless others are "
              "given");
  section.AddNumber("share", "of it the pre-training run", 100 * (run * rent / cost.total()), 1,
                    Origin::kPrediction, "", "%");
}

std::vector<UncertainInput> UncertainInputs(Programme& p) {
  return {{"lost to failures, of the run", &p.restarts},
          {"context extension and fine-tuning, of the run", &p.later_training},
          {"reinforcement learning, of the run", &p.reinforcement},
          {"experiments, of the run", &p.experiments},
          {"dollars for data", &p.data},
          {"people", &p.people},
          {"dollars a person and year", &p.person_year},
          {"years of work", &p.years}};
}

}  // namespace fathom
