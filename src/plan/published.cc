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
  if (unit == "FLOP/token") return fmt::format("{:g} GFLOP", value / 1e9);
  // Four digits, as FormatCount gives, are not fewer than were published of millions.
  if (unit == "h" || (unit == "1" && value >= 1e6)) return FormatUnit(value, unit);
  if (unit == "1") return FormatNumber(value, value == std::floor(value) ? 0 : 2);
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
    TomlTable models = file.Table("models");
    for (const std::string& name : models.Names()) {
      TomlTable table = models.Table(name);
      Published::Model& model = p.models[name];
      model.parameters = ReadSourced(table, "parameters", 0, 1e15);
      model.active = ReadSourced(table, "active", 0, 1e15);
      model.training_flops = ReadSourced(table, "training_flops", 0, 1e18);
      model.cache_bytes = ReadSourced(table, "cache_bytes", 0, 1e12);
      model.a100_hours = ReadSourced(table, "a100_hours", 0, 1e12);
      model.a100_tokens = ReadSourced(table, "a100_tokens", 0, 1e18);
      table.Finish();
    }
  });
  return p;
}

}  // namespace

const Published& Published::Get() {
  static const Published kPublished = Load();
  return kPublished;
}

const Published::Model& Published::Of(std::string_view model) {
  static const Model kNothing;
  const auto& models = Get().models;
  const auto found = models.find(model);
  return found == models.end() ? kNothing : found->second;
}

std::string Against(const std::optional<SourcedValue>& published, double value,
                    std::string_view unit) {
  return published ? Against(*published, value, unit) : "";
}

std::string Against(const SourcedValue& published, double value, std::string_view unit) {
  return fmt::format("published {}, error {:+.1f} %; {}", Shown(published.likely, unit),
                     100 * (value / published.likely - 1), Cite(published));
}

std::string PublishedAs(const SourcedValue& published, std::string_view unit) {
  return fmt::format("published {}; {}", Shown(published.likely, unit), Cite(published));
}

}  // namespace fathom
