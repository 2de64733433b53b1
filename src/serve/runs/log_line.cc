#include "serve/runs/log_line.h"

#include "base/error.h"

namespace fathom {
namespace {

// More than any log of ours has.
constexpr size_t kMostNumbers = 64, kMostName = 64;
constexpr size_t kMostLayers = 1024, kMostExperts = 4096;
constexpr int64_t kLargestStep = int64_t{1} << 53;

bool IsNumber(const JsonValue& value) {
  return value.IsInt() || value.IsUnsigned() ||
         !(value.IsNull() || value.IsBool() || value.IsString() || value.IsArray() ||
           value.IsObject());
}

void AddNumber(std::string name, double value, LogLine& line) {
  if (name.size() > kMostName || line.numbers.size() >= kMostNumbers) return;
  line.numbers.emplace_back(std::move(name), value);
}

void ReadLoad(const JsonValue& value, LogLine& line) {
  const std::vector<JsonValue> layers = value.Array();
  if (layers.empty() || layers.size() > kMostLayers) return;
  std::vector<std::vector<float>> load;
  for (const JsonValue& layer : layers) {
    if (!layer.IsArray()) return;
    std::vector<float>& row = load.emplace_back();
    for (const JsonValue& share : layer.Array()) {
      if (!IsNumber(share)) return;
      row.push_back(static_cast<float>(share.Number()));
    }
    if (row.empty() || row.size() != load[0].size() || row.size() > kMostExperts) return;
  }
  line.expert_load = std::move(load);
}

void ReadArray(std::string_view name, const JsonValue& value, LogLine& line) {
  if (name == "expert_load") return ReadLoad(value, line);
  const std::vector<JsonValue> elements = value.Array();
  if (elements.size() > kMostNumbers) return;
  if (name == "expert_layers") {
    for (const JsonValue& layer : elements) {
      if (layer.IsInt()) line.expert_layers.push_back(layer.Int());
    }
    return;
  }
  for (size_t i = 0; i < elements.size(); ++i) {
    if (IsNumber(elements[i]))
      AddNumber(fmt::format("{}_{}", name, i + 1), elements[i].Number(), line);
  }
}

std::optional<LogLine> Read(const JsonValue& root) {
  if (!root.IsObject()) return std::nullopt;
  LogLine line;
  bool has_step = false;
  for (const auto& [name, value] : root.Object()) {
    if (name == "kind") {
      if (!value.IsString() || value.String().size() > kMostName) return std::nullopt;
      line.kind = value.String();
    } else if (name == "step") {
      if (!value.IsInt()) return std::nullopt;
      line.step = value.Int();
      has_step = line.step >= 0 && line.step <= kLargestStep;
    } else if (name == "time") {
      if (IsNumber(value)) line.time = value.Number();
    } else if (name == "problems") {
      line.has_problems = true;
    } else if (name == "chat_template") {
      line.has_chat_template = true;
    } else if (name == "reward_kind") {
      line.has_reward_kind = true;
    } else if (value.IsArray()) {
      ReadArray(name, value, line);
    } else if (IsNumber(value)) {
      AddNumber(std::string(name), value.Number(), line);
    }
  }
  if (line.kind.empty() || !has_step) return std::nullopt;
  return line;
}

}  // namespace

std::optional<double> LogLine::Number(std::string_view name) const {
  for (const auto& [key, value] : numbers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<LogLine> ParseLogLine(std::string_view text) {
  if (!text.starts_with('{')) return std::nullopt;
  try {
    const JsonDocument document(text, "log");
    return Read(document.root());
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<LoggedSample> ParseSample(std::string_view text, int64_t step) {
  try {
    const JsonDocument document(text, "log");
    const JsonValue& root = document.root();
    if (root.At("kind").String() != "sample" || root.At("step").Int() != step) return std::nullopt;
    LoggedSample sample{.text = std::string(root.At("text").String())};
    if (const auto prompt = root.Find("prompt")) sample.prompt = prompt->String();
    if (const auto reward = root.Find("reward")) sample.reward = reward->Number();
    return sample;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace fathom
