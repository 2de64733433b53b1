#include "posttrain/evaluation/sample.h"

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr const char* kSettings = "evaluation";

std::string Line(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json ToJson(const Sample& sample) {
  ordered_json json = {{"problem", sample.problem},
                       {"sample", sample.index},
                       {"score", sample.score},
                       {"status", sample.status},
                       {"answer", sample.answer ? ordered_json(*sample.answer) : ordered_json()},
                       {"finish", sample.finish},
                       {"tokens", sample.tokens},
                       {"thinking_tokens", sample.thinking_tokens},
                       {"text", sample.text}};
  if (sample.budget > 0) json["budget"] = sample.budget;
  if (!sample.ids.empty()) json["ids"] = sample.ids;
  if (!sample.logprobs.empty()) {
    json["logprobs"] = sample.logprobs;
    json["bytes"] = sample.bytes;
  }
  return json;
}

Sample FromJson(const JsonValue& json) {
  Sample sample{.problem = std::string(json.At("problem").String()),
                .index = json.At("sample").Int(),
                .budget = json.IntOr("budget", 0),
                .text = std::string(json.At("text").String()),
                .tokens = json.At("tokens").Int(),
                .thinking_tokens = json.At("thinking_tokens").Int(),
                .finish = std::string(json.At("finish").String()),
                .score = json.At("score").Number(),
                .status = std::string(json.At("status").String())};
  if (const auto answer = json.Find("answer")) sample.answer = answer->String();
  if (const auto ids = json.Find("ids")) {
    for (const JsonValue& id : ids->Array()) sample.ids.push_back(static_cast<int32_t>(id.Int()));
  }
  if (const auto logprobs = json.Find("logprobs")) {
    for (const JsonValue& value : logprobs->Array()) sample.logprobs.push_back(value.Number());
    for (const JsonValue& value : json.At("bytes").Array()) sample.bytes.push_back(value.Int());
  }
  return sample;
}

}  // namespace

SampleLog::SampleLog(std::filesystem::path path, const ordered_json& settings)
    : path_(std::move(path)) {
  if (path_.empty()) return;
  lock_.emplace(path_);
  const bool exists = std::filesystem::file_size(path_) > 0;
  if (exists) Read(settings);
  file_ =
      std::make_unique<AppendFile>(path_, "free some space; the same command goes on from here");
  if (!exists) file_->Write(Line({{kSettings, settings}}));
}

void SampleLog::Read(const ordered_json& settings) {
  const std::string text = ReadFile(path_);
  size_t begin = 0;
  uint64_t number = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string where = fmt::format("{}:{}", path_.string(), ++number);
    const JsonDocument document(std::string_view(text).substr(begin, end - begin), where);
    if (number > 1) {
      Sample sample = FromJson(document.root());
      Key key{sample.problem, sample.index, sample.budget};
      samples_.insert_or_assign(std::move(key), std::move(sample));
      continue;
    }
    const auto header = document.root().IsObject() ? document.root().Find(kSettings) : std::nullopt;
    if (!header) {
      throw Error(path_.string(), "is no file of samples", "give --out another name");
    }
    const ordered_json before = ordered_json::parse(header->Minified());
    for (const auto& [key, value] : settings.items()) {
      if (before.contains(key) && before[key] == value) continue;
      throw Error(path_.string(),
                  fmt::format("holds samples of another evaluation: {} was {}, and is {}", key,
                              before.contains(key) ? before[key].dump() : "not set", value.dump()),
                  "give --out another name, or the settings that it has");
    }
  }
  // What follows the last line end was cut off.
  if (begin < text.size()) std::filesystem::resize_file(path_, begin);
}

const Sample* SampleLog::Find(const std::string& problem, int64_t index, int64_t budget) const {
  const auto found = samples_.find({problem, index, budget});
  return found == samples_.end() ? nullptr : &found->second;
}

void SampleLog::Add(Sample sample) {
  if (file_) file_->Write(Line(ToJson(sample)));
  Key key{sample.problem, sample.index, sample.budget};
  samples_.insert_or_assign(std::move(key), std::move(sample));
}

}  // namespace fathom
