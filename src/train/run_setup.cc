#include "train/run_setup.h"

#include <algorithm>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/documents.h"
#include "data/text_pieces.h"
#include "formats/model_source.h"
#include "text/bpe_trainer.h"
#include "text/chat/fathom_format.h"
#include "train/checkpoint.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// Text of all sources for the tokenizer to learn from: pieces of documents, `limit` bytes of them
// at most, chosen by hash of document and number, so that each source counts in proportion to its
// text and long documents like short ones. Held-out documents are left out.
std::vector<std::string> SampleDocuments(const RunConfig& config, int64_t limit, bool quiet) {
  struct Piece {
    uint64_t place;  // those with the lowest are kept
    std::string text;
    bool operator<(const Piece& other) const { return place < other.place; }
  };
  std::vector<std::vector<SourceFile>> files;
  double total = 0;
  for (const SourceSpec& source : config.data.sources) {
    files.push_back(ListFiles(source));
    for (const SourceFile& file : files.back()) total += static_cast<double>(file.size);
  }
  const auto piece_bytes = static_cast<size_t>(std::clamp<int64_t>(limit / 64, 256, 1 << 16));
  std::vector<Piece> heap;  // the highest place on top
  uint64_t threshold = UINT64_MAX;
  int64_t kept = 0;
  double done = 0;
  Progress progress("choosing text for the tokenizer", "bytes", total, quiet);
  for (size_t i = 0; i < files.size(); ++i) {
    const auto take = [&](const Document& document, const ReadStatistics& so_far) {
      InterruptGuard::ThrowIfRequested("choosing text for the tokenizer");
      progress.Update(done + static_cast<double>(so_far.file_bytes));
      if (IsHeldOut(document.name, config.seed, config.data.held_out_fraction)) return;
      const uint64_t key = HashOf(document.name, MixKey(config.seed, i));
      std::string_view rest = document.text;
      for (uint64_t number = 0; !rest.empty(); ++number) {
        const size_t length = FirstPieceLength(rest, piece_bytes);
        const uint64_t place = MixKey(key, number);
        if (place < threshold) {
          heap.push_back({place, std::string(rest.substr(0, length))});
          std::push_heap(heap.begin(), heap.end());
          kept += static_cast<int64_t>(length);
        }
        while (kept > limit && heap.size() > 1) {
          std::pop_heap(heap.begin(), heap.end());
          kept -= static_cast<int64_t>(heap.back().text.size());
          threshold = heap.back().place;
          heap.pop_back();
        }
        rest.remove_prefix(length);
      }
    };
    done += static_cast<double>(ForEachDocument(config.data.sources[i], files[i], take).file_bytes);
  }
  std::vector<std::string> documents;
  documents.reserve(heap.size());
  for (Piece& piece : heap) documents.push_back(std::move(piece.text));
  return documents;
}

std::shared_ptr<const Tokenizer> MakeTokenizer(const RunConfig& config, int64_t vocab_size,
                                               ThreadPool& pool, bool quiet) {
  if (!config.tokenizer.path.empty())
    return std::make_shared<Tokenizer>(Tokenizer::Load(config.tokenizer.path));
  if (!config.model.init_from.empty())
    return std::make_shared<Tokenizer>(Tokenizer::Load(config.model.init_from));
  // A run that goes on has its tokenizer; what an attempt without a checkpoint left may be of
  // another model or other data.
  if (const auto checkpoint = NewestCheckpoint(config.output))
    return std::make_shared<Tokenizer>(Tokenizer::Load(*checkpoint));
  const std::vector<std::string> documents =
      SampleDocuments(config, config.tokenizer.train_bytes, quiet);
  const std::vector<std::string_view> views(documents.begin(), documents.end());
  BpeTrainerOptions options;
  options.vocab_size = vocab_size;
  options.quiet = quiet;
  Tokenizer tokenizer = TrainTokenizer(PreTokenizer::DeepSeekV3(), views, options, pool);
  tokenizer.Save(config.output / "tokenizer.json");
  return std::make_shared<Tokenizer>(std::move(tokenizer));
}

}  // namespace

ModelConfig RunModelConfig(const RunConfig& config) {
  ModelConfig model;
  if (!config.model.preset.empty()) {
    model = PresetConfig(config.model.preset);
  } else if (!config.model.config.empty()) {
    model = ModelConfig::FromJson(ReadFile(config.model.config), config.model.config.string());
  } else {
    model = ReadModelConfig(config.model.init_from);
  }
  const auto& from = config.model.config.empty() ? config.model.init_from : config.model.config;
  model.RequireHead(ModelHead::kLanguage, from.string());
  if (config.model.initializer_range > 0) model.initializer_range = config.model.initializer_range;
  if (!config.model.mtp) model.num_nextn_predict_layers = 0;
  model.max_position_embeddings =
      std::max(model.max_position_embeddings, config.data.sequence_length);
  return model;
}

ModelConfig ExtendedConfig(const ModelConfig& base, const RunConfig& config,
                           const RunConfig::Extension& extension) {
  ModelConfig model = base;
  if (std::holds_alternative<Llama3Scaling>(base.rope_scaling)) {
    throw Error("extension", "the model's rope scaling 'llama3' cannot be followed by YaRN",
                "such a model has a long context already");
  }
  YarnScaling yarn;
  // As the family's config.json has it: DeepSeek scales the softmax, the others cosines and sines.
  if (!base.latent_attention()) yarn.mscale = yarn.mscale_all_dim = 0;
  yarn.factor = extension.factor;
  yarn.original_max_position_embeddings = config.data.sequence_length;
  model.rope_scaling = yarn;
  model.max_position_embeddings = std::max(base.max_position_embeddings, extension.sequence_length);
  return model;
}

std::vector<TrainingStage> RunStages(const RunConfig& config, const ModelConfig& model) {
  std::vector<TrainingStage> stages = {{.model = model,
                                        .steps = config.steps,
                                        .sequence_length = config.data.sequence_length,
                                        .batch_tokens = config.batch_tokens}};
  for (const RunConfig::Extension& extension : config.extensions) {
    stages.push_back({.model = ExtendedConfig(model, config, extension),
                      .steps = extension.steps,
                      .sequence_length = extension.sequence_length,
                      .batch_tokens = extension.batch_tokens,
                      .name = fmt::format("extending to {}", extension.sequence_length),
                      .lr = extension.lr});
  }
  return stages;
}

namespace {

// The tokens that begin and end a document: DeepSeek's where the tokenizer has them, otherwise
// those of the model that the run goes on from.
void SetEndsOfDocuments(const RunConfig& config, RunInputs& inputs) {
  ModelConfig& model = inputs.model;
  const bool own = !config.model.init_from.empty() && !model.eos_token_ids.empty() &&
                   !inputs.tokenizer->AddedTokenId(kEndOfSentence);
  if (own) {
    inputs.end_token = static_cast<int32_t>(model.eos_token_ids[0]);
    return;
  }
  inputs.end_token = inputs.tokenizer->RequireAddedTokenId(kEndOfSentence);
  model.eos_token_ids = {inputs.end_token};
  model.bos_token_id = inputs.tokenizer->RequireAddedTokenId(kBeginOfSentence);
}

}  // namespace

ModelCompanions CompanionsOf(const fs::path& model, const Tokenizer& tokenizer) {
  ModelCompanions companions{.tokenizer = &tokenizer};
  const auto source = ModelSource::Open(model);
  for (const char* name :
       {"tokenizer_config.json", "generation_config.json", "chat_template.jinja"}) {
    auto text = source->SideFile(name);
    // Fathom's own says how long the context is, which the run may change.
    const bool own = text == DeepSeekTokenizerConfig(source->config().max_position_embeddings);
    if (text && !own) companions.files.emplace(name, *std::move(text));
  }
  return companions;
}

RunInputs PrepareRun(const RunConfig& config, ThreadPool& pool, bool quiet) {
  RunInputs inputs;
  inputs.model = RunModelConfig(config);
  CreateDirectories(config.output);
  inputs.tokenizer = MakeTokenizer(config, inputs.model.vocab_size, pool, quiet);
  if (inputs.tokenizer->vocab_size() > inputs.model.vocab_size) {
    throw Error("tokenizer",
                fmt::format("its vocabulary of {} does not fit the model's vocab_size of {}",
                            inputs.tokenizer->vocab_size(), inputs.model.vocab_size),
                "use a tokenizer that belongs to the model, or a larger vocab_size");
  }
  SetEndsOfDocuments(config, inputs);
  inputs.companions = config.tokenizer.path.empty() && !config.model.init_from.empty()
                          ? CompanionsOf(config.model.init_from, *inputs.tokenizer)
                          : ModelCompanions{.tokenizer = inputs.tokenizer.get()};
  // It would end answers where the run's documents do not.
  if (inputs.model.eos_token_ids != RunModelConfig(config).eos_token_ids)
    inputs.companions.files.erase("generation_config.json");

  const std::shared_ptr<const Tokenizer> tokenizer = inputs.tokenizer;
  const TokenizerInfo info{.encode =
                               [tokenizer](std::string_view text, std::vector<int32_t>& ids) {
                                 ids.clear();
                                 tokenizer->Encode(text, {.added_tokens = false}, ids);
                               },
                           .vocabulary = inputs.model.vocab_size,
                           .fingerprint = tokenizer->fingerprint()};
  const auto documents = [](const TokenStore& store) {
    return fmt::format("{} document{}", store.documents(), store.documents() == 1 ? "" : "s");
  };
  const HeldOutOptions held_out{.fraction = config.data.held_out_fraction, .seed = config.seed};
  for (size_t i = 0; i < config.data.sources.size(); ++i) {
    inputs.corpora.push_back(MakeTokenCorpus(config.data.sources[i], held_out, info,
                                             config.output / "data" / fmt::format("source-{}", i),
                                             pool, quiet));
    const TokenCorpus& corpus = inputs.corpora.back();
    spdlog::info("{}: {}, {} tokens to train on; {}, {} held out", corpus.name,
                 documents(*corpus.train), FormatCount(static_cast<double>(corpus.train->tokens())),
                 documents(*corpus.held_out),
                 FormatBytes(static_cast<double>(corpus.held_out->bytes())));
  }
  if (std::all_of(inputs.corpora.begin(), inputs.corpora.end(),
                  [](const TokenCorpus& corpus) { return corpus.held_out->documents() == 0; })) {
    spdlog::warn(
        "no document is held out, so there is no validation and no bits per byte (documents are "
        "held out whole: give more of them or a larger data.held_out_fraction)");
  }
  return inputs;
}

TrainingRows MakeTrainingRows(const RunConfig& config, const RunInputs& inputs, int stage) {
  const RunConfig::Extension* extension =
      stage == 0 ? nullptr : &config.extensions[static_cast<size_t>(stage - 1)];
  TrainingRowsOptions options;
  options.sequence_length =
      extension != nullptr ? extension->sequence_length : config.data.sequence_length;
  options.batch_rows = (extension != nullptr ? extension->batch_tokens : config.batch_tokens) /
                       options.sequence_length;
  options.depth = inputs.model.num_nextn_predict_layers;
  options.document_mask = config.data.document_mask;
  options.vocabulary = inputs.model.vocab_size;
  options.packing.end_token = inputs.end_token;
  // A begin token opens every document, as it opens every prompt.
  options.packing.begin_token = static_cast<int32_t>(inputs.model.bos_token_id);
  options.packing.seed = MixKey(config.seed, static_cast<uint64_t>(stage));
  if (config.data.fim_rate > 0) {
    options.packing.fill_in_the_middle = {
        .rate = config.data.fim_rate,
        .begin_token = inputs.tokenizer->RequireAddedTokenId(kFimBegin),
        .hole_token = inputs.tokenizer->RequireAddedTokenId(kFimHole),
        .end_token = inputs.tokenizer->RequireAddedTokenId(kFimEnd)};
  }
  std::vector<TrainingSource> sources;
  for (size_t i = 0; i < inputs.corpora.size(); ++i) {
    sources.push_back(
        {inputs.corpora[i].name, config.data.sources[i].weight, inputs.corpora[i].train});
  }
  return TrainingRows(std::move(sources), options);
}

std::map<std::string, std::string> RowSettings(const RunConfig& config, int stage) {
  const std::string prefix = stage == 0 ? "" : fmt::format("extension[{}].", stage - 1);
  std::map<std::string, std::string> settings = config.Values();
  std::erase_if(settings, [&](const auto& setting) {
    const std::string& key = setting.first;
    const bool decides = (key.starts_with("data.") && !key.ends_with(".name")) || key == "seed" ||
                         key == prefix + "batch_tokens" || key == prefix + "sequence_length";
    return !decides;
  });
  return settings;
}

}  // namespace fathom
