#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "plan/sourced_value.h"

namespace fathom {

// What was published of models, and of DeepSeek-V3's training and serving, as
// src/plan/data/published.toml has it: reports are compared with these numbers, no model takes its
// inputs from them.
struct Published {
  struct Train {
    SourcedValue step_s, hours, extension_hours, tuning_hours, rent, cost;
    SourcedValue r1_zero_hours, r1_data_hours, r1_hours, r1_cost;
  } train;
  struct Serve {
    SourcedValue prefill_node, decode_node;  // tokens a second
    SourcedValue day_cost, day_income, margin;
    SourcedValue bound_50_s, bound_900_s;
  } serve;

  // Of a model; nothing where nothing was found.
  struct Model {
    std::optional<SourcedValue> parameters, active, training_flops, cache_bytes, a100_hours,
        a100_tokens;
  };
  std::map<std::string, Model, std::less<>> models;  // by the names of PublishedNames

  static const Published& Get();
  // Of a model that is not in it: nothing of anything.
  static const Model& Of(std::string_view model);
};

// "published 19.926 s, error -16.3 %; ISCA 2025, 2025-05", for notes. unit: as of a report's row.
std::string Against(const SourcedValue& published, double value, std::string_view unit = "1");
// The same, or nothing where nothing was published.
std::string Against(const std::optional<SourcedValue>& published, double value,
                    std::string_view unit = "1");
// The same of an identity, which has no error to speak of: "published $87,072; SOURCE, DATE".
std::string PublishedAs(const SourcedValue& published, std::string_view unit = "1");

}  // namespace fathom
