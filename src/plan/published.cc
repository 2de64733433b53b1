#include "plan/published.h"

#include <fmt/format.h>

#include <cmath>

#include "plan/report.h"
#include "plan/sourced_file.h"

namespace fathom {
namespace {

// With all the digits that were published.
std::string Shown(double value, std::string_view unit) {
  if (unit == "s") {
    return value < 1 ? fmt::format("{:g} ms", 1e3 * value) : fmt::format("{:g} s", value);
  }
  if (unit == "%") return fmt::format("{:g} %", value);
  if (unit == "1" || unit == "h") {
    return FormatNumber(value, value == std::floor(value) ? 0 : 2) + (unit == "h" ? " h" : "");
  }
  return FormatUnit(value, unit);
}

Published Load() {
  Published p;
  ReadSourcedFiles("published", {}, [&](TomlTable& file, bool is_base) {
    Published::Train& t = p.train;
    ReadSourcedFields(file.Table("train"), is_base,
                      {{"step_s", &t.step_s, 0, 1e6},
                       {"hours", &t.hours, 0, 1e12},
                       {"extension_hours", &t.extension_hours, 0, 1e12},
                       {"tuning_hours", &t.tuning_hours, 0, 1e12},
                       {"rent", &t.rent, 0, 1e6},
                       {"cost", &t.cost, 0, 1e12},
                       {"r1_zero_hours", &t.r1_zero_hours, 0, 1e12},
                       {"r1_data_hours", &t.r1_data_hours, 0, 1e12},
                       {"r1_hours", &t.r1_hours, 0, 1e12},
                       {"r1_cost", &t.r1_cost, 0, 1e12}});
    Published::Serve& s = p.serve;
    ReadSourcedFields(file.Table("serve"), is_base,
                      {{"prefill_node", &s.prefill_node, 0, 1e9},
                       {"decode_node", &s.decode_node, 0, 1e9},
                       {"day_cost", &s.day_cost, 0, 1e12},
                       {"day_income", &s.day_income, 0, 1e12},
                       {"margin", &s.margin, 0, 1e6},
                       {"bound_50_s", &s.bound_50_s, 0, 1e3},
                       {"bound_900_s", &s.bound_900_s, 0, 1e3}});
  });
  return p;
}

}  // namespace

const Published& Published::Get() {
  static const Published kPublished = Load();
  return kPublished;
}

std::string Against(const SourcedValue& published, double value, std::string_view unit) {
  return fmt::format("published {}, error {:+.1f} %; {}", Shown(published.likely, unit),
                     100 * (value / published.likely - 1), Cite(published));
}

std::string PublishedAs(const SourcedValue& published, std::string_view unit) {
  return fmt::format("published {}; {}", Shown(published.likely, unit), Cite(published));
}

}  // namespace fathom
