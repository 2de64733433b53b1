#include "infer/loaded_model.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "formats/adapter_directory.h"
#include "ops/backend.h"

namespace fathom {
namespace {

ModelConfig WithoutMtp(ModelConfig config) {
  config.num_nextn_predict_layers = 0;
  return config;
}

constexpr std::string_view kEmbedding = "model.embed_tokens.weight";

// bf16, except where that would round what the files say: f32, f16 (and f64).
Precision OwnPrecision(const ParameterStore& store) {
  const std::string& type = store.Get(kEmbedding).stored->type();
  return type == "F32" || type == "F16" || type == "F64" ? Precision::F32() : Precision::BF16();
}

}  // namespace

LoadedModel::LoadedModel(const std::filesystem::path& directory, std::optional<Precision> precision,
                         MtpUse mtp, std::filesystem::path adapter, ModelHead head)
    : directory_(directory),
      adapter_(std::move(adapter)),
      mapped_(directory),
      mtp_(mtp),
      config_(mtp == MtpUse::kNone ? WithoutMtp(mapped_.config()) : mapped_.config()),
      precision_(precision ? *precision : OwnPrecision(mapped_.store())) {
  config_.RequireHead(head, directory.string());
  mapped_.DecodeSmallTensors(precision_.act);
  if (!adapter_.empty()) AdapterDirectory(adapter_).AddTo(config_, mapped_.store());
  tokenizer_ = mapped_.source().LoadTokenizer();
  if (tokenizer_ && tokenizer_->vocab_size() > config_.vocab_size) {
    throw Error(directory.string(),
                fmt::format("the tokenizer has {} ids, the model's vocab_size is {}",
                            tokenizer_->vocab_size(), config_.vocab_size),
                "tokenizer and model do not belong together");
  }
  defaults_ = ReadGenerationDefaults(mapped_.source(), config_, tokenizer());
}

const Tokenizer& LoadedModel::RequireTokenizer() const {
  if (!tokenizer_) {
    throw Error(directory_.string(), "has no tokenizer",
                "text needs one: `fathom tokenize train` makes it");
  }
  return *tokenizer_;
}

void LoadedModel::Plan(Context& context, const InferenceSize& size, int64_t available, bool quiet) {
  memory_ = PlanInference(config_, precision_, mapped_.store(), context, size);
  if (config_.num_nextn_predict_layers == 0) return;
  const ModelConfig without = WithoutMtp(config_);
  const InferenceMemory less = PlanInference(without, precision_, mapped_.store(), context, size);
  const std::string module =
      fmt::format("MTP module to guess ahead with ({} parameters, {})",
                  FormatCount(static_cast<double>(CountParameters(config_).mtp)),
                  FormatBytes(static_cast<double>(memory_.total() - less.total())));
  if (mtp_ == MtpUse::kIfItFits && memory_.total() > available) {
    if (!quiet) {
      spdlog::info("no room for the {}; {} are available", module,
                   FormatBytes(static_cast<double>(available)));
    }
    config_ = without;
    memory_ = less;
  } else if (!quiet) {
    spdlog::info("with the {}; --draft off leaves it out", module);
  }
}

void LoadedModel::Pack(Context& context, const InferenceSize& size, bool quiet) {
  const int64_t available = AvailableMemory();
  Plan(context, size, available, quiet);
  if (memory_.total() > available) {
    throw Error(directory_.string(),
                fmt::format("not enough memory: {}, and {} are available", memory_.ToString(),
                            FormatBytes(static_cast<double>(available))),
                WhatFits(available, size));
  }
  transformer_.emplace(config_, precision_, mapped_.store(), context.backend->allocator());
  Progress progress("packing weights", "bytes", static_cast<double>(memory_.packed), quiet);
  transformer_->Pack(context, AttentionForm::kAbsorbed, /*training=*/false,
                     [&](size_t bytes) { progress.Update(static_cast<double>(bytes)); });
}

std::string LoadedModel::WhatFits(int64_t available, const InferenceSize& size) const {
  const int64_t left = available - (memory_.total() - memory_.cache);
  const int64_t tokens = left > 0
                             ? left / KvCache::BytesPerToken(config_, precision_, size.format) /
                                   KvCache::kPageTokens * KvCache::kPageTokens
                             : 0;
  if (tokens > 0) {
    return fmt::format("a cache of {} tokens would fit, {} were asked for", tokens,
                       size.pages * KvCache::kPageTokens);
  }
  if (precision_.act == DType::kF32) return "compute in bf16 (--dtype bf16)";
  // Bits of a parameter in the formats that `fathom convert` writes and products read as they are.
  const ParameterCounts counts = CountParameters(config_);
  for (const auto& [name, bits] : {std::pair{"q8_0", 8.5}, {"q4_k", 4.6}}) {
    const auto bytes = static_cast<double>(counts.total) * bits / 8;
    if (bytes < 0.9 * static_cast<double>(memory_.packed) &&
        bytes + static_cast<double>(memory_.workspace) < static_cast<double>(available)) {
      return fmt::format(
          "as {} its weights would take about {}: fathom convert {} model.gguf --dtype {}", name,
          FormatBytes(bytes), directory_.string(), name);
    }
  }
  return fmt::format(
      "with weights of 4.6 bits (q4_k), a model of up to {:.3g} billion parameters "
      "fits; this one has {:.3g} billion",
      static_cast<double>(available) * 8 / 4.6e9, static_cast<double>(counts.total) / 1e9);
}

const Transformer& LoadedModel::transformer() const {
  FATHOM_CHECK(transformer_.has_value(), "Pack comes first");
  return *transformer_;
}

}  // namespace fathom
