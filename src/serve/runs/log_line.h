#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace fathom {

// Numbers by name, in the order in which they were written.
using NamedNumbers = std::vector<std::pair<std::string, double>>;

// A line of log.jsonl (docs/training.md), as far as it can be believed.
struct LogLine {
  std::string kind;  // "start", "step", "validation", "sample", "result", or what else it says
  int64_t step = 0;
  double time = 0;  // seconds since 1970; 0: it does not say
  // Every other number. Of a list of numbers ("mtp_loss") each is one: "mtp_loss_1", "mtp_loss_2".
  NamedNumbers numbers;
  // Of every layer with experts; empty: there is none, or rows are of different lengths.
  std::vector<std::vector<float>> expert_load;
  std::vector<int64_t> expert_layers;
  // Of a start: whether problems are solved for rewards, and whether answers of chats are learnt.
  bool has_problems = false, has_chat_template = false, has_reward_kind = false;

  std::optional<double> Number(std::string_view name) const;
};

// Nothing for what is not an object with a kind and a step (JSON that is broken or cut off, too).
std::optional<LogLine> ParseLogLine(std::string_view text);

// What a sample's line shows.
struct LoggedSample {
  std::string text, prompt;
  std::optional<double> reward;
};
// Nothing when the line is not a sample of that step.
std::optional<LoggedSample> ParseSample(std::string_view text, int64_t step);

}  // namespace fathom
