#include "plan/market.h"

#include <cmath>

#include "plan/fleet.h"
#include "plan/sourced_file.h"

namespace fathom {

Market Market::Load(const std::optional<std::filesystem::path>& over) {
  Market m;
  ReadSourcedFiles("market", over, [&](TomlTable& file, bool is_base) {
    ReadSourcedFields(file.Table("market"), is_base,
                      {{"progress", &m.progress, 1, 1e6},
                       {"gpt3_fall", &m.gpt3_fall, 1, 1e12},
                       {"gpt3_years", &m.gpt3_years, 0.01, 100},
                       {"gpt4_fall", &m.gpt4_fall, 1, 1e12},
                       {"next_fall", &m.next_fall, 1, 1e12},
                       {"leader_output", &m.leader_output, 0.0001, 1e6},
                       {"leader_input", &m.leader_input, 0.0001, 1e6},
                       {"lag", &m.lag, 0, 100},
                       {"elasticity", &m.elasticity, 0, 100},
                       {"supply_elasticity", &m.supply_elasticity, 0, 100}});
  });
  return m;
}

Fleet Fleet::Load(const std::optional<std::filesystem::path>& over) {
  Fleet f;
  ReadSourcedFiles("fleet", over, [&](TomlTable& file, bool is_base) {
    ReadSourcedFields(file.Table("fleet"), is_base,
                      {{"research", &f.research, 0, 1},
                       {"training", &f.training, 0, 1},
                       {"inference", &f.inference, 0, 1},
                       {"operating_years", &f.operating_years, 0.1, 100},
                       {"answers_per_user", &f.answers_per_user, 0.001, 1e6},
                       {"patience", &f.patience, 0.01, 1e6},
                       {"queue", &f.queue, 0, 1000},
                       {"closing", &f.closing, 1e-6, 0.999}});
    Published& p = f.published;
    ReadSourcedFields(file.Table("published"), is_base,
                      {{"v1_capital", &p.v1_capital, 0, 1e13},
                       {"v1_operating", &p.v1_operating, 0, 1e13},
                       {"v2_capital", &p.v2_capital, 0, 1e13},
                       {"v2_operating", &p.v2_operating, 0, 1e13},
                       {"v2_hopper_capital", &p.v2_hopper_capital, 0, 1e13},
                       {"v2_yearly", &p.v2_yearly, 0, 1e13},
                       {"v2_hopper_yearly", &p.v2_hopper_yearly, 0, 1e13}});
  });
  return f;
}

double PriceAfter(double price, double progress, double years) {
  return price / std::pow(progress, years);
}

double YearlyProgress(double fall, double years) { return std::pow(fall, 1 / years); }

double SpendingFactor(double fall, double elasticity) { return std::pow(fall, elasticity - 1); }

double HourPriceFactor(double fall, double elasticity, double supply_elasticity) {
  const double sum = elasticity + supply_elasticity;
  return sum > 0 ? std::pow(fall, (elasticity - 1) / sum) : 1;
}

}  // namespace fathom
