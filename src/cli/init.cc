#include "cli/init.h"

#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/common.h"
#include "formats/model_directory.h"
#include "model/parameters.h"
#include "text/chat/fathom_format.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

struct InitArguments {
  CommonOptions common;
  std::string model;
  fs::path out;
  fs::path tokenizer;
  std::string dtype = "f32";
  int64_t layers = 0;
  int64_t vocabulary = 0;
};

ModelConfig Config(const InitArguments& arguments) {
  const fs::path path = arguments.model;
  ModelConfig config = fs::is_regular_file(path)
                           ? ModelConfig::FromJson(ReadFile(path), path.string())
                       : path.extension() == ".json" ? throw Error(path.string(), "does not exist")
                                                     : PresetConfig(arguments.model);
  if (arguments.layers > 0) config.num_hidden_layers = arguments.layers;
  if (arguments.vocabulary > 0) {
    config.vocab_size = arguments.vocabulary;
    if (config.bos_token_id >= config.vocab_size) config.bos_token_id = -1;
    std::erase_if(config.eos_token_ids, [&](int64_t id) { return id >= config.vocab_size; });
  }
  return config;
}

// The files of a tokenizer that are put beside the weights.
struct TokenizerFiles {
  std::string tokenizer, config;
};

TokenizerFiles ReadTokenizer(const fs::path& path, ModelConfig& config) {
  const fs::path directory = fs::is_directory(path) ? path : path.parent_path();
  const fs::path file = fs::is_directory(path) ? path / "tokenizer.json" : path;
  TokenizerFiles files{.tokenizer = ReadFile(file)};
  const Tokenizer tokenizer = Tokenizer::FromJson(files.tokenizer, file.string());
  if (tokenizer.vocab_size() > config.vocab_size) {
    throw Error(file.string(),
                fmt::format("the tokenizer has {} ids, the model's vocab_size is {}",
                            tokenizer.vocab_size(), config.vocab_size),
                "make the model's larger with --vocab-size, or train a smaller tokenizer");
  }
  const fs::path config_path = directory / "tokenizer_config.json";
  files.config = fs::exists(config_path) ? ReadFile(config_path)
                                         : DeepSeekTokenizerConfig(config.max_position_embeddings);
  const JsonDocument document(files.config, config_path.string());
  const auto id = [&](const char* key) -> std::optional<int64_t> {
    const auto token = document.root().Find(key);
    if (!token) return std::nullopt;
    const JsonValue content = token->IsObject() ? token->At("content") : *token;
    return tokenizer.AddedTokenId(content.String());
  };
  if (const auto bos = id("bos_token")) config.bos_token_id = *bos;
  if (const auto eos = id("eos_token")) config.eos_token_ids = {*eos};
  return files;
}

void Init(InitArguments& arguments) {
  ModelConfig config = Config(arguments);
  config.Validate(arguments.model);
  if (fs::exists(arguments.out) &&
      !(fs::is_directory(arguments.out) && fs::is_empty(arguments.out))) {
    throw Error(arguments.out.string(), "is there already", "choose another place or remove it");
  }
  TokenizerFiles tokenizer;
  if (!arguments.tokenizer.empty()) tokenizer = ReadTokenizer(arguments.tokenizer, config);

  const ParameterCounts counts = CountParameters(config);
  const int64_t parameters = counts.total + counts.mtp;
  const int64_t needed = parameters * static_cast<int64_t>(sizeof(float));
  const int64_t available = AvailableMemory();
  if (needed > available) {
    throw Error(arguments.model,
                fmt::format("not enough memory: {} parameters x 4 bytes = {}, and {} are available",
                            FormatCount(static_cast<double>(parameters)),
                            FormatBytes(static_cast<double>(needed)),
                            FormatBytes(static_cast<double>(available))),
                "use fewer --layers or a smaller preset");
  }
  const uint64_t seed = arguments.common.seed.value_or(0);
  ThreadPool pool(arguments.common.threads);
  // Gradients are never touched, so that there is no memory behind them.
  ParameterStore store(config, DType::kF32, HostAllocator());
  InitializeParameters(config, seed, pool, store, arguments.common.quiet);
  WriteDirectoryAtomically(arguments.out, [&](const fs::path& directory) {
    SaveModel(directory, config, store, arguments.dtype == "bf16" ? DType::kBF16 : DType::kF32,
              arguments.common.quiet);
    if (tokenizer.tokenizer.empty()) return;
    WriteFileAtomically(directory / "tokenizer.json", tokenizer.tokenizer);
    WriteFileAtomically(directory / "tokenizer_config.json", tokenizer.config);
  });
  if (!arguments.common.quiet) {
    fmt::print(stderr, "{}: {} parameters ({} active, {} in MTP modules), {}, seed {}\n",
               arguments.out.string(), FormatCount(static_cast<double>(parameters)),
               FormatCount(static_cast<double>(counts.active)),
               FormatCount(static_cast<double>(counts.mtp)), arguments.dtype, seed);
  }
  if (arguments.common.json) {
    const nlohmann::ordered_json result = {{"directory", arguments.out.string()},
                                           {"parameters", counts.total},
                                           {"active_parameters", counts.active},
                                           {"mtp_parameters", counts.mtp},
                                           {"dtype", arguments.dtype},
                                           {"seed", seed}};
    WriteJson(result);
  }
}

}  // namespace

void AddInitCommand(Command app) {
  Command command = app.AddCommand("init", "Make a model directory with random weights.");
  command.Footer("Example: fathom init nano my-model --tokenizer my-tokenizer --dtype bf16");
  const auto arguments = std::make_shared<InitArguments>();
  command
      .AddOption("MODEL", arguments->model,
                 fmt::format("{}; or a config.json", fmt::join(PresetNames(), ", ")))
      .Required();
  command.AddOption("DIR", arguments->out, "The directory to make").Required();
  command.AddOption("--layers", arguments->layers, "Another number of layers (without MTP)")
      .InRange(1, 10000);
  command.AddOption("--vocab-size", arguments->vocabulary, "Another size of the vocabulary")
      .InRange(1, int64_t{1} << 24);
  command.AddOption("--dtype", arguments->dtype, "The type of the weights, f32 or bf16")
      .OneOf({"f32", "bf16"})
      .ShowDefault();
  command.AddOption("--tokenizer", arguments->tokenizer,
                    "A tokenizer.json, or a directory with one, to be put beside the weights");
  arguments->common.AddTo(command);
  command.GetOption("--seed").Describe("Seed of the random weights; 0 if not given");
  command.OnRun([arguments] { Init(*arguments); });
}

}  // namespace fathom
