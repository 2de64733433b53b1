#include "infer/loaded_model.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
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

LoadedModel::LoadedModel(const std::filesystem::path& directory, std::optional<Precision> precision)
    : directory_(directory),
      mapped_(directory),
      config_(WithoutMtp(mapped_.config())),
      precision_(precision ? *precision : OwnPrecision(mapped_.store())),
      converted_(MemoryRole::kWeights) {
  DecodeSmallTensors();
  tokenizer_ = mapped_.source().LoadTokenizer();
  if (tokenizer_ && tokenizer_->vocab_size() > config_.vocab_size) {
    throw Error(directory.string(),
                fmt::format("the tokenizer has {} ids, the model's vocab_size is {}",
                            tokenizer_->vocab_size(), config_.vocab_size),
                "tokenizer and model do not belong together");
  }
  defaults_ = ReadGenerationDefaults(mapped_.source(), config_, tokenizer());
}

void LoadedModel::DecodeSmallTensors() {
  for (const auto& parameter : mapped_.store().all()) {
    const DType dtype = parameter->value.dtype();
    const bool usable =
        !parameter->value.empty() && (dtype == DType::kF32 || dtype == DType::kBF16);
    const bool bias = parameter->spec.kind == ParameterKind::kRouterBias;
    if (usable && (!bias || dtype == DType::kF32)) continue;
    const std::string& name = parameter->spec.name;
    if (parameter->spec.kind == ParameterKind::kMatrix && name != kEmbedding) {
      mapped_.store().SetValue(name, {});  // decoded when it is packed
      continue;
    }
    const Tensor value = converted_.New(bias ? DType::kF32 : precision_.act, parameter->spec.shape);
    parameter->stored->Read(0, value);
    mapped_.store().SetValue(name, value);
  }
}

const Tokenizer& LoadedModel::RequireTokenizer() const {
  if (!tokenizer_) {
    throw Error(directory_.string(), "has no tokenizer",
                "text needs one: `fathom tokenize train` makes it");
  }
  return *tokenizer_;
}

void LoadedModel::Pack(Context& context, const InferenceSize& size) {
  memory_ = PlanInference(config_, precision_, mapped_.store(), context, size);
  const int64_t available = AvailableMemory();
  if (memory_.total() > available) {
    throw Error(directory_.string(),
                fmt::format("not enough memory: {}, and {} are available", memory_.ToString(),
                            FormatBytes(static_cast<double>(available))),
                precision_.act == DType::kF32 ? "compute in bf16, or use a smaller model or context"
                                              : "use a smaller model or context");
  }
  transformer_.emplace(config_, precision_, mapped_.store(), context.backend->allocator());
  transformer_->Pack(context, AttentionForm::kAbsorbed, /*training=*/false);
}

const Transformer& LoadedModel::transformer() const {
  FATHOM_CHECK(transformer_.has_value(), "Pack comes first");
  return *transformer_;
}

}  // namespace fathom
