#include "plan/market.h"

#include <cmath>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "plan/built_in_data.h"
#include "plan/fleet.h"

namespace fathom {
namespace {

struct Field {
  const char* key;
  SourcedValue* value;
  double smallest, largest;
};

void ReadFields(TomlTable table, bool is_base, std::initializer_list<Field> fields) {
  for (const Field& field : fields) {
    if (is_base) table.Require(field.key);
    *field.value = *ReadSourced(table, field.key, field.smallest, field.largest, *field.value);
  }
  table.Finish();
}

template <typename F>
void ReadFiles(const char* name, const std::optional<std::filesystem::path>& over, const F& read) {
  const auto parse = [&](std::string_view text, const std::string& where, bool is_base) {
    const toml::table parsed = ParseToml(text, where, {});
    TomlTable file(&parsed, where);
    read(file, is_base);
    file.Finish();
  };
  parse(BuiltInData(name), fmt::format("built-in {}.toml", name), true);
  if (over) parse(ReadFile(*over), over->string(), false);
}

}  // namespace

Market Market::Load(const std::optional<std::filesystem::path>& over) {
  Market m;
  ReadFiles("market", over, [&](TomlTable& file, bool is_base) {
    ReadFields(file.Table("market"), is_base,
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
  ReadFiles("fleet", over, [&](TomlTable& file, bool is_base) {
    ReadFields(file.Table("fleet"), is_base,
               {{"research", &f.research, 0, 1},
                {"training", &f.training, 0, 1},
                {"inference", &f.inference, 0, 1},
                {"operating_years", &f.operating_years, 0.1, 100},
                {"answer_tokens", &f.answer_tokens, 1, 1e7},
                {"answers_per_user", &f.answers_per_user, 0.001, 1e6},
                {"patience", &f.patience, 0.01, 1e6},
                {"queue", &f.queue, 0, 1000},
                {"closing", &f.closing, 1e-6, 0.999}});
    Published& p = f.published;
    ReadFields(file.Table("published"), is_base,
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
