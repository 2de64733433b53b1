#include "serve/runs/run_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "serve/http/request_id.h"
#include "serve/message/message.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostSampleText = 256 << 10, kMostSamplesOfAStep = 64;
constexpr double kLargestPlace = 1e15;

Series::Place PlaceOf(const LogLine& line, const Series& steps) {
  const auto within = [](double value, double fallback) {
    return value >= 0 && value <= kLargestPlace ? value : fallback;
  };
  const double tokens = line.Number("tokens").value_or(steps.last().tokens);
  return {.step = static_cast<double>(line.step),
          .tokens = within(tokens, steps.last().tokens),
          .time = within(line.time, 0)};
}

ordered_json Numbers(const std::map<std::string, double>& numbers) {
  ordered_json json = ordered_json::object();
  for (const auto& [name, value] : numbers) json[name] = value;
  return json;
}

}  // namespace

std::string_view KindOfRun(const LogLine& start) {
  return start.has_problems        ? "rl"
         : start.has_reward_kind   ? "reward"
         : start.has_chat_template ? "sft"
                                   : "pretraining";
}

RunRecord::RunRecord(const std::filesystem::path& directory)
    : log_(directory / "log.jsonl"), follower_(log_) {
  NextEpoch();
}

// Not one that another start of this program has used.
void RunRecord::NextEpoch() { epoch_ = NewRequestId(); }

void RunRecord::Anew() {
  NextEpoch();
  kind_ = "pretraining";
  facts_.clear();
  expert_layers_.clear();
  result_.clear();
  broken_lines_ = 0;
  steps_.Clear();
  validations_.Clear();
  loads_ = LoadHistory();
  samples_.clear();
}

void RunRecord::TakeStart(const LogLine& line) {
  kind_ = KindOfRun(line);
  for (const auto& [name, value] : line.numbers) facts_[name] = value;
  expert_layers_ = line.expert_layers;
  result_.clear();
}

void RunRecord::TakeResult(const LogLine& line) {
  for (const auto& [name, value] : line.numbers) result_[name] = value;
  // The last point of the curves of what was held out, but where it is that of an earlier step.
  if (result_.count("best_step") > 0) return;
  NamedNumbers held_out;
  for (const auto& number : line.numbers) {
    if (validations_.Has(number.first)) held_out.push_back(number);
  }
  const Series::Place place = PlaceOf(line, steps_);
  if (held_out.empty() || validations_.last().step >= place.step) return;
  if (validations_.Add(place, held_out)) NextEpoch();
}

void RunRecord::Take(std::string_view text, uint64_t offset) {
  std::optional<LogLine> line = ParseLogLine(text);
  if (!line) {
    if (!text.empty()) ++broken_lines_;
    return;
  }
  bool changed = false;
  if (line->kind == "start") {
    TakeStart(*line);
  } else if (line->kind == "step") {
    changed = steps_.Add(PlaceOf(*line, steps_), line->numbers);
    if (!line->expert_load.empty())
      changed = loads_.Add(line->step, std::move(line->expert_load)) || changed;
  } else if (line->kind == "validation") {
    changed = validations_.Add(PlaceOf(*line, steps_), line->numbers);
  } else if (line->kind == "sample") {
    if (samples_.size() >= kMostSamples) {
      samples_.erase(samples_.begin(), samples_.begin() + kMostSamples / 2);
      changed = true;
    }
    samples_.push_back({line->step, offset, text.size()});
  } else if (line->kind == "result") {
    TakeResult(*line);
  }
  if (changed) NextEpoch();
}

void RunRecord::ReadOn() {
  follower_.Read(
      kBytesAtOnce, [this] { Anew(); },
      [this](std::string_view text, uint64_t offset) { Take(text, offset); });
}

std::string RunRecord::NewsJson(const Seen& seen) {
  const std::lock_guard lock(mutex_);
  ReadOn();
  const bool known = seen.epoch == epoch_;
  const ordered_json head = {{"epoch", epoch_},
                             {"kind", kind_},
                             {"read", follower_.position()},
                             {"size", follower_.size()},
                             {"behind", follower_.behind()},
                             {"broken_lines", broken_lines_ + follower_.passed_over()},
                             {"start", Numbers(facts_)},
                             {"expert_layers", expert_layers_},
                             {"result", Numbers(result_)}};
  std::string json = JsonText(head);
  json.pop_back();
  json += ",\"steps\":";
  steps_.AppendJson(known ? seen.steps : 0, json);
  json += ",\"validations\":";
  validations_.AppendJson(known ? seen.validations : 0, json);
  const size_t from = std::min(known ? seen.samples : 0, samples_.size());
  json += fmt::format(R"(,"samples":{{"from":{},"step":[)", from);
  for (size_t i = from; i < samples_.size(); ++i)
    json += fmt::format("{}{}", i > from ? "," : "", samples_[i].step);
  json += "]}";
  if (seen.wants_loads) {
    json += ",\"loads\":";
    loads_.AppendJson(known ? seen.loads : 0, json);
  }
  return json + "}\n";
}

std::string RunRecord::SamplesJson(int64_t step) {
  const std::lock_guard lock(mutex_);
  ordered_json samples = ordered_json::array();
  for (const SamplePlace& place : samples_) {
    if (place.step != step || samples.size() >= kMostSamplesOfAStep) continue;
    // The file may be another one by now; then this is no such line.
    auto sample = ParseSample(ReadPart(log_, place.offset, place.size), step);
    if (!sample) continue;
    if (sample->text.size() > kMostSampleText) {
      sample->text.resize(kMostSampleText);
      sample->text += " ...";
    }
    ordered_json one = {{"text", std::move(sample->text)}, {"prompt", std::move(sample->prompt)}};
    if (sample->reward) one["reward"] = *sample->reward;
    samples.push_back(std::move(one));
  }
  return JsonText({{"samples", std::move(samples)}}) + "\n";
}

}  // namespace fathom
