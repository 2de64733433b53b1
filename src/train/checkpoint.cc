#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/mapped_model.h"
#include "formats/model_directory.h"
#include "formats/safetensors_writer.h"
#include "ops/backend.h"
#include "text/chat/fathom_format.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr int kFormatVersion = 4;
constexpr const char* kStepPrefix = "step-";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";

void WriteModel(const fs::path& directory, const ModelConfig& config, const ParameterStore& store,
                const ModelCompanions& companions, DType dtype, bool quiet) {
  if (companions.adapter) {
    SaveAdapter(directory, config, store, *companions.adapter);
  } else {
    SaveModel(directory, config, store, dtype, quiet);
  }
  companions.tokenizer->Save(directory / "tokenizer.json");
  if (!companions.files.contains(kTokenizerConfig)) {
    WriteFileAtomically(directory / kTokenizerConfig,
                        DeepSeekTokenizerConfig(config.max_position_embeddings));
  }
  for (const auto& [name, text] : companions.files) WriteFileAtomically(directory / name, text);
}

void LoadTensor(const SafetensorsFile& file, const std::string& name, const Tensor& into) {
  const ConstTensor value = file.Get(name);
  if (!(value.shape() == into.shape()) || value.dtype() != into.dtype()) {
    throw Error(file.path().string(),
                fmt::format("tensor '{}' is {} {}, the run has {} {}", name, Name(value.dtype()),
                            value.shape().ToString(), Name(into.dtype()), into.shape().ToString()),
                "resume with the configuration that the checkpoint was made with");
  }
  ConvertElements(value, into);
}

std::vector<std::pair<int64_t, fs::path>> Checkpoints(const fs::path& output) {
  std::vector<std::pair<int64_t, fs::path>> found;
  const fs::path directory = output / "checkpoints";
  if (!fs::is_directory(directory)) return found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStepPrefix)) continue;
    const char* begin = name.data() + std::string_view(kStepPrefix).size();
    const char* end = name.data() + name.size();
    int64_t step = 0;
    const auto [stopped, code] = std::from_chars(begin, end, step);
    if (code == std::errc() && stopped == end) found.emplace_back(step, entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

ParameterAverage::ParameterAverage(double decay, ParameterStore& store, Allocator& allocator)
    : decay_(decay), store_(&store), arena_(MemoryRole::kOptimizer, allocator) {
  for (const Parameter* parameter : store.masters()) {
    averages_.emplace_back(parameter, arena_.New(parameter->master.dtype(), parameter->spec.shape));
  }
}

void ParameterAverage::Reset(Context& context) {
  for (const auto& [parameter, average] : averages_)
    context.backend->Cast(context, parameter->master, average);
}

void ParameterAverage::Update(Context& context) {
  for (const auto& [parameter, average] : averages_) {
    context.backend->Lerp(context, parameter->master, 1 - decay_, average);
  }
}

void ParameterAverage::Swap(Context& context) {
  for (const auto& [parameter, average] : averages_) {
    ArenaScope scope(*context.workspace);
    const Tensor copy = context.workspace->New(average.dtype(), average.shape());
    context.backend->Cast(context, average, copy);
    context.backend->Cast(context, parameter->master, average);
    context.backend->Cast(context, copy, parameter->master);
  }
  store_->MarkChanged();
}

void SaveCheckpoint(const fs::path& directory, const ModelConfig& config,
                    const ParameterStore& store, const Optimizer& optimizer,
                    const ParameterAverage* average, const ModelCompanions& companions,
                    const TrainingProgress& progress, bool quiet) {
  CreateDirectories(directory.parent_path());
  WriteDirectoryAtomically(directory, [&](const fs::path& temporary) {
    WriteModel(temporary, config, store, companions, DType::kF32, quiet);
    const fs::path trainer = temporary / "trainer";
    CreateDirectories(trainer);
    std::vector<SafetensorsItem> items;
    for (const Optimizer::State& state : optimizer.states()) {
      items.push_back({state.parameter->spec.name + ".m", state.m, state.m.dtype()});
      items.push_back({state.parameter->spec.name + ".v", state.v, state.v.dtype()});
    }
    WriteSafetensors(trainer / "optimizer.safetensors", items, {}, quiet);
    if (average != nullptr) {
      items.clear();
      for (const auto& [parameter, value] : average->averages()) {
        items.push_back({parameter->spec.name, value, value.dtype()});
      }
      WriteSafetensors(trainer / "average.safetensors", items, {}, quiet);
    }
    const nlohmann::ordered_json state = {
        {"format", kFormatVersion},
        {"step", progress.step},
        {"stage", progress.stage},
        {"stage_step", progress.stage_step},
        {"tokens", progress.tokens},
        {"seconds", progress.seconds},
        {"loss", progress.loss},
        {"draws", progress.draws},
        {"start_score", progress.start_score},
        {"best_step", progress.best_step},
        {"best_score", progress.best_score},
        {"micro_batch_tokens", progress.micro_batch_tokens},
        {"data_fingerprint", fmt::format("{:016x}", progress.data_fingerprint)},
        {"row_settings", progress.row_settings},
        {"base_fingerprint", progress.base_fingerprint},
        {"tokenizer_fingerprint", fmt::format("{:016x}", companions.tokenizer->fingerprint())},
        {"ranks", 1}};
    // Paths are the user's and may be any bytes.
    constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
    WriteFileAtomically(trainer / "state.json", state.dump(2, ' ', false, kReplace) + "\n");
  });
}

TrainingProgress ReadProgress(const fs::path& directory) {
  const fs::path path = directory / "trainer" / "state.json";
  const std::string text = ReadFile(path);
  const JsonDocument document(text, path.string());
  const JsonValue& state = document.root();
  if (state.At("format").Int() != kFormatVersion) {
    throw Error(path.string(), fmt::format("format {} is not known", state.At("format").Int()),
                "it was written by another version of fathom");
  }
  const auto count = [&](std::string_view key) {
    const JsonValue value = state.At(key);
    if (value.Int() < 0)
      throw Error(value.path(), fmt::format("{} is negative", value.Int()), "the file is damaged");
    return value.Int();
  };
  TrainingProgress progress;
  progress.step = count("step");
  progress.stage = count("stage");
  progress.stage_step = count("stage_step");
  progress.tokens = static_cast<uint64_t>(count("tokens"));
  progress.seconds = state.At("seconds").Number();
  progress.loss = state.At("loss").Number();
  progress.draws = static_cast<uint64_t>(count("draws"));
  progress.start_score = state.At("start_score").Number();
  progress.best_step = state.At("best_step").Int();
  progress.best_score = state.At("best_score").Number();
  progress.micro_batch_tokens = count("micro_batch_tokens");
  const std::string_view fingerprint = state.At("data_fingerprint").String();
  std::from_chars(fingerprint.data(), fingerprint.data() + fingerprint.size(),
                  progress.data_fingerprint, 16);
  for (const auto& [key, value] : state.At("row_settings").Object())
    progress.row_settings.emplace(key, value.String());
  progress.base_fingerprint = state.At("base_fingerprint").String();
  return progress;
}

TrainingProgress LoadCheckpoint(const fs::path& directory, const ModelConfig& config,
                                TrainedModel& model, const Optimizer& optimizer,
                                const ParameterAverage* average) {
  TrainingProgress progress = ReadProgress(directory);
  model.CheckBase(fs::exists(directory / kAdapterConfigFile), progress.base_fingerprint);
  LoadTrained(directory, config, model);
  const SafetensorsFile moments(directory / "trainer" / "optimizer.safetensors");
  for (const Optimizer::State& state : optimizer.states()) {
    LoadTensor(moments, state.parameter->spec.name + ".m", state.m);
    LoadTensor(moments, state.parameter->spec.name + ".v", state.v);
  }
  if (average != nullptr) {
    const fs::path path = directory / "trainer" / "average.safetensors";
    if (!fs::exists(path)) {
      throw Error("ema_decay",
                  fmt::format("{} is not there: the run went without an average", path.string()),
                  "set it back to 0, or start a run with another output that goes on from these "
                  "weights with model.init_from");
    }
    const SafetensorsFile file(path);
    for (const auto& [parameter, value] : average->averages())
      LoadTensor(file, parameter->spec.name, value);
  }
  return progress;
}

std::optional<fs::path> NewestCheckpoint(const fs::path& output) {
  const auto found = Checkpoints(output);
  if (found.empty()) return std::nullopt;
  return found.back().second;
}

std::optional<int64_t> OldestCheckpointStep(const fs::path& output) {
  const auto found = Checkpoints(output);
  if (found.empty()) return std::nullopt;
  return found.front().first;
}

void PruneCheckpoints(const fs::path& output, int64_t keep) {
  const auto found = Checkpoints(output);
  for (size_t i = 0; i + static_cast<size_t>(keep) < found.size(); ++i)
    fs::remove_all(found[i].second);
}

void LoadTrained(const fs::path& directory, const ModelConfig& config, TrainedModel& model) {
  if (model.adapters()) {
    AdapterDirectory(directory).ReadInto(model.store());
  } else {
    LoadMasters(directory, config, model.store());
  }
}

void ExportModel(const fs::path& directory, const ModelConfig& config, const ParameterStore& store,
                 const ModelCompanions& companions, DType dtype, bool quiet) {
  WriteDirectoryAtomically(directory, [&](const fs::path& temporary) {
    WriteModel(temporary, config, store, companions, dtype, quiet);
  });
}

}  // namespace fathom
