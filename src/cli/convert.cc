#include "cli/convert.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/common.h"
#include "formats/convert.h"
#include "formats/mapped_model.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  CommonOptions common;
  fs::path source, target;
  std::string dtype;
  uint64_t shard_bytes = WeightsWriter::kDefaultShardBytes;
  bool overwrite = false;
};

const std::map<std::string, WeightType> kTypes = {{"f32", WeightType::kF32},
                                                  {"bf16", WeightType::kBF16},
                                                  {"f16", WeightType::kF16},
                                                  {"fp8", WeightType::kFp8}};

// Whether a is b or lies somewhere in it.
bool IsWithin(const fs::path& a, const fs::path& b) {
  const fs::path outer = fs::weakly_canonical(b);
  for (fs::path path = fs::weakly_canonical(a);; path = path.parent_path()) {
    if (path == outer) return true;
    if (path == path.parent_path()) return false;
  }
}

// What --overwrite replaces is gone: nothing but a model.
void CheckTarget(const Arguments& arguments) {
  const fs::path& target = arguments.target;
  if (IsWithin(arguments.source, target)) {
    throw Error(target.string(), "is where the source is", "choose another place");
  }
  if (!fs::exists(target) || (fs::is_directory(target) && fs::is_empty(target))) return;
  if (!arguments.overwrite) {
    throw Error(target.string(), "is there already", "choose another place, or give --overwrite");
  }
  if (!fs::is_directory(target) || !fs::exists(target / "config.json")) {
    throw Error(target.string(), "is not a model directory, and --overwrite replaces no other",
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

void Convert(const Arguments& arguments) {
  CheckTarget(arguments);
  const MappedModel model(arguments.source);  // checks that the tensors are the model's
  ConversionOptions options;
  if (!arguments.dtype.empty()) options.type = kTypes.at(arguments.dtype);
  options.shard_bytes = static_cast<int64_t>(arguments.shard_bytes);
  const Conversion conversion(model.source(), options);
  const auto total = static_cast<double>(conversion.bytes());
  CheckSpace(arguments.target, conversion.bytes());

  const auto start = std::chrono::steady_clock::now();
  const InterruptGuard interrupt;
  ThreadPool pool(arguments.common.threads);
  Progress progress("converting", "bytes", total, arguments.common.quiet);
  WriteDirectoryAtomically(arguments.target, [&](const fs::path& directory) {
    conversion.Write(directory, pool, [&](uint64_t written) {
      if (InterruptGuard::Requested())
        throw Error(arguments.target.string(), "interrupted", "nothing was left behind");
      progress.Update(static_cast<double>(written));
    });
  });
  progress.Clear();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const uint64_t from = model.source().bytes();
  if (!arguments.common.quiet) {
    fmt::print(stderr, "{}: {} tensors, {} of weights (from {}), {}\n", arguments.target.string(),
               conversion.tensors(), FormatBytes(total), FormatBytes(static_cast<double>(from)),
               FormatDuration(seconds));
  }
  if (arguments.common.json) {
    const nlohmann::ordered_json result = {{"directory", arguments.target.string()},
                                           {"tensors", conversion.tensors()},
                                           {"bytes", conversion.bytes()},
                                           {"source_bytes", from},
                                           {"seconds", seconds}};
    WriteStandardOutput(result.dump() + "\n");
  }
}

}  // namespace

void AddConvertCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "convert", "Write a model in another precision, or in other shards, in little memory.");
  command->footer(
      "Example: fathom convert deepseek-v3 deepseek-v3-bf16 --dtype bf16\n"
      "Weights that have the type already are copied byte for byte. fp8 is as DeepSeek-V3's\n"
      "release: projections in blocks of 128 x 128, the rest in bf16.");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("SRC", arguments->source, "The model to read")->required();
  command->add_option("DST", arguments->target, "The directory to make")->required();
  command
      ->add_option("--dtype", arguments->dtype,
                   "f32, bf16, f16 or fp8; as the weights are if not given")
      ->check(CLI::IsMember({"f32", "bf16", "f16", "fp8"}));
  command
      ->add_option("--shard-size", arguments->shard_bytes,
                   "The largest file of weights, such as 5GB or 500MB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->default_str("5GB");
  command->add_flag("--overwrite", arguments->overwrite, "Replace the model that is at DST");
  arguments->common.AddTo(*command);
  command->callback([arguments] { Convert(*arguments); });
}

}  // namespace fathom
