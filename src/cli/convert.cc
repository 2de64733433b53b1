#include "cli/convert.h"

#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/common.h"
#include "formats/adapted_source.h"
#include "formats/convert.h"
#include "formats/gguf_export.h"
#include "formats/gguf_model.h"
#include "formats/mapped_model.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

struct ConvertArguments {
  CommonOptions common;
  AdapterOption adapter;
  fs::path source, target;
  std::string dtype, format;
  uint64_t shard_bytes = WeightsWriter::kDefaultShardBytes;
  bool overwrite = false;
};

const std::map<std::string, WeightType> kTypes = {{"f32", WeightType::kF32},
                                                  {"bf16", WeightType::kBF16},
                                                  {"f16", WeightType::kF16},
                                                  {"fp8", WeightType::kFp8}};
const std::map<std::string, BlockFormat> kGgufTypes = {{"f32", BlockFormat::kF32},
                                                       {"bf16", BlockFormat::kBF16},
                                                       {"f16", BlockFormat::kF16},
                                                       {"q8_0", BlockFormat::kQ8_0},
                                                       {"q4_k", BlockFormat::kQ4K}};

bool WantsGguf(const ConvertArguments& arguments) {
  return arguments.format.empty() ? arguments.target.extension() == ".gguf"
                                  : arguments.format == "gguf";
}

// The weights' type of `types`; UsageError that lists them for another one.
template <typename Types>
auto TypeOf(const Types& types, const std::string& name, std::string_view format) {
  const auto found = types.find(name);
  if (found == types.end()) {
    std::vector<std::string> names;
    for (const auto& [known, type] : types) names.push_back(known);
    throw UsageError("convert", fmt::format("--dtype {} is not of format {}", name, format),
                     fmt::format("it can be {}", fmt::join(names, ", ")));
  }
  return found->second;
}

// Whether a is b or lies somewhere in it.
bool IsWithin(const fs::path& a, const fs::path& b) {
  const fs::path outer = fs::weakly_canonical(b);
  for (fs::path path = fs::weakly_canonical(a);; path = path.parent_path()) {
    if (path == outer) return true;
    if (path == path.parent_path()) return false;
  }
}

// What --overwrite replaces is gone: nothing but a model.
void CheckTarget(const ConvertArguments& arguments) {
  const fs::path& target = arguments.target;
  if (IsWithin(arguments.source, target)) {
    throw Error(target.string(), "is where the source is", "choose another place");
  }
  if (!fs::exists(target) || (fs::is_directory(target) && fs::is_empty(target))) return;
  if (!arguments.overwrite) {
    throw Error(target.string(), "is there already", "choose another place, or give --overwrite");
  }
  const bool model = WantsGguf(arguments)
                         ? IsGguf(target)
                         : fs::is_directory(target) && fs::exists(target / "config.json");
  if (!model) {
    throw Error(target.string(),
                fmt::format("is not a {}, and --overwrite replaces nothing else",
                            WantsGguf(arguments) ? "GGUF file" : "model directory"),
                "choose another place or remove it");
  }
}

void CheckSpace(const fs::path& target, uint64_t bytes) {
  fs::path existing = fs::absolute(target);
  while (!fs::exists(existing)) existing = existing.parent_path();
  const uint64_t available = fs::space(existing).available;
  if (bytes > available) {
    throw Error(target.string(),
                fmt::format("needs {}, and {} are free on that disk",
                            FormatBytes(static_cast<double>(bytes)),
                            FormatBytes(static_cast<double>(available))),
                "free some space or choose another disk");
  }
}

// What a conversion made, on stderr and as JSON on stdout.
void Report(const ConvertArguments& arguments, const ModelSource& source, size_t tensors,
            uint64_t bytes, double seconds) {
  const uint64_t from = source.bytes();
  if (!arguments.common.quiet) {
    fmt::print(stderr, "{}: {} tensors, {} of weights (from {}), {}\n", arguments.target.string(),
               tensors, FormatBytes(static_cast<double>(bytes)),
               FormatBytes(static_cast<double>(from)), FormatDuration(seconds));
  }
  if (arguments.common.json) {
    const nlohmann::ordered_json result = {{"path", arguments.target.string()},
                                           {"tensors", tensors},
                                           {"bytes", bytes},
                                           {"source_bytes", from},
                                           {"seconds", seconds}};
    WriteJson(result);
  }
}

void Convert(const ConvertArguments& arguments) {
  CheckTarget(arguments);
  MappedModel model(arguments.source);  // checks that the tensors are the model's
  std::optional<AdapterDirectory> adapter;
  std::optional<AdaptedSource> merged;
  if (!arguments.adapter.directory.empty()) {
    adapter.emplace(arguments.adapter.directory);
    adapter->Check(model.config(), model.store());
    merged.emplace(model.source(), *adapter);
  }
  const ModelSource& source = merged ? *merged : model.source();
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const InterruptGuard interrupt;
  const auto stop_if_interrupted = [&] {
    if (InterruptGuard::Requested())
      throw Error(arguments.target.string(), "interrupted", "nothing was left behind");
  };
  ThreadPool pool(arguments.common.threads);

  if (WantsGguf(arguments)) {
    const std::string dtype = arguments.dtype.empty() ? "bf16" : arguments.dtype;
    const BlockFormat format = TypeOf(kGgufTypes, dtype, "gguf");
    std::optional<Progress> progress;
    uint64_t bytes = 0;
    ExportGguf(source, arguments.target, format, pool, [&](uint64_t done, uint64_t total) {
      stop_if_interrupted();
      if (!progress) {
        CheckSpace(arguments.target, total);
        progress.emplace("converting", "bytes", static_cast<double>(total), arguments.common.quiet);
      }
      progress->Update(static_cast<double>(done));
      bytes = total;
    });
    if (progress) progress->Clear();
    Report(arguments, source, ModelSource::Open(arguments.target)->names().size(), bytes,
           seconds());
    return;
  }

  ConversionOptions options;
  if (!arguments.dtype.empty()) options.type = TypeOf(kTypes, arguments.dtype, "hf");
  options.shard_bytes = static_cast<int64_t>(arguments.shard_bytes);
  const Conversion conversion(source, options);
  CheckSpace(arguments.target, conversion.bytes());
  Progress progress("converting", "bytes", static_cast<double>(conversion.bytes()),
                    arguments.common.quiet);
  WriteDirectoryAtomically(arguments.target, [&](const fs::path& directory) {
    conversion.Write(directory, pool, [&](uint64_t written) {
      stop_if_interrupted();
      progress.Update(static_cast<double>(written));
    });
  });
  progress.Clear();
  Report(arguments, source, conversion.tensors(), conversion.bytes(), seconds());
}

}  // namespace

void AddConvertCommand(Command app) {
  Command command =
      app.AddCommand("convert", "Write a model in another precision or format, in little memory.");
  command.Footer(
      "Examples: fathom convert deepseek-v3 deepseek-v3-bf16 --dtype bf16\n"
      "          fathom convert my-model my-model.gguf --dtype q4_k\n"
      "          fathom convert my-model tuned --adapter runs/tuned/adapter\n"
      "Weights that have the type already are copied byte for byte. fp8 is as DeepSeek-V3's\n"
      "release: projections in blocks of 128 x 128, the rest in bf16.");
  const auto arguments = std::make_shared<ConvertArguments>();
  command.AddOption("SRC", arguments->source, "The model to read").Required();
  command.AddOption("DST", arguments->target, "The directory or the .gguf file to make").Required();
  arguments->adapter.AddTo(command);
  command.GetOption("--adapter").Describe("A LoRA adapter to merge into the weights");
  command
      .AddOption("--dtype", arguments->dtype,
                 "f32, bf16, f16 or fp8, and as the weights are if not given; in a GGUF file "
                 "f32, bf16 (if not given), f16, q8_0 or q4_k")
      .OneOf({"f32", "bf16", "f16", "fp8", "q8_0", "q4_k"});
  command
      .AddOption("--format", arguments->format,
                 "hf (a Hugging Face directory) or gguf; if not given, what DST ends with says")
      .OneOf({"hf", "gguf"});
  command
      .AddSize("--shard-size", arguments->shard_bytes,
               "The largest file of weights, such as 5GB or 500MB")
      .ShowDefault("5GB");
  command.AddFlag("--overwrite", arguments->overwrite, "Replace the model that is at DST");
  arguments->common.AddTo(command);
  command.OnRun([arguments] { Convert(*arguments); });
}

}  // namespace fathom
