#include "posttrain/r1/pipeline_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

std::string HashOfConfiguration(const PipelineStage& stage) {
  return fmt::format("{:016x}", HashOf(stage.ToToml()));
}

bool IsInside(const fs::path& path, const fs::path& directory) {
  const fs::path relative = path.lexically_relative(directory);
  return !relative.empty() && *relative.begin() != "..";
}

// The stages whose models or files it reads.
std::vector<const PipelineStage*> ReadBy(const PipelineStage& stage, const PipelineConfig& config) {
  std::vector<const PipelineStage*> found;
  for (const PipelineStage& other : config.stages) {
    for (const fs::path& input : stage.inputs()) {
      if (&other == &stage || !IsInside(input, other.output())) continue;
      found.push_back(&other);
      break;
    }
  }
  return found;
}

// What a stage has when it is done.
fs::path Product(const PipelineStage& stage) {
  if (!stage.makes().empty()) return stage.makes();
  return std::get<DistillConfig>(stage.run).conversations();
}

}  // namespace

PipelineRecord::PipelineRecord(fs::path path) : path_(std::move(path)) {
  if (!fs::exists(path_)) return;
  const JsonDocument document(ReadFile(path_), path_.string());
  next_ = document.root().At("next").Int();
  for (const auto& [name, stage] : document.root().At("done").Object()) {
    Done& done = done_[std::string(name)];
    done.configuration = stage.At("configuration").String();
    done.seconds = stage.At("seconds").Number();
    done.number = stage.At("number").Int();
    for (const auto& [read, number] : stage.At("read").Object())
      done.read[std::string(read)] = number.Int();
  }
}

bool PipelineRecord::IsDone(const PipelineStage& stage, const PipelineConfig& config) const {
  const auto found = done_.find(stage.name);
  if (found == done_.end() || !fs::exists(Product(stage))) return false;
  const Done& done = found->second;
  const auto again = fmt::format("remove {} to run it again", stage.output().string());
  if (done.configuration != HashOfConfiguration(stage)) {
    throw Error(fmt::format("stage '{}'", stage.name),
                "is done, and its configuration is another now",
                fmt::format("{}; or give it what {} says", again,
                            (stage.output() / "config.toml").string()));
  }
  for (const PipelineStage* input : ReadBy(stage, config)) {
    const auto made = done_.find(input->name);
    const auto read = done.read.find(input->name);
    if (made != done_.end() && read != done.read.end() && made->second.number == read->second &&
        fs::exists(Product(*input))) {
      continue;
    }
    throw Error(fmt::format("stage '{}'", stage.name),
                fmt::format("is done, and stage '{}', which it read, is to be made anew or was",
                            input->name),
                again);
  }
  return true;
}

double PipelineRecord::Seconds(const std::string& name) const {
  const auto found = done_.find(name);
  return found == done_.end() ? 0 : found->second.seconds;
}

void PipelineRecord::SetDone(const PipelineStage& stage, const PipelineConfig& config,
                             double seconds) {
  Done& done = done_[stage.name];
  done = {.configuration = HashOfConfiguration(stage), .seconds = seconds, .number = next_++};
  for (const PipelineStage* input : ReadBy(stage, config))
    done.read[input->name] = done_.at(input->name).number;
  nlohmann::ordered_json stages = nlohmann::ordered_json::object();
  for (const auto& [name, of] : done_) {
    stages[name] = {{"configuration", of.configuration},
                    {"seconds", of.seconds},
                    {"number", of.number},
                    {"read", of.read}};
  }
  WriteFileAtomically(path_,
                      nlohmann::ordered_json{{"next", next_}, {"done", stages}}.dump(1) + "\n");
}

}  // namespace fathom
