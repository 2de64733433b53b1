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

Precision OwnPrecision(const ParameterStore& store) {
  const DType dtype = store.Get("lm_head.weight").value.dtype();
  return dtype == DType::kBF16 ? Precision::BF16() : Precision::F32();
}

}  // namespace

LoadedModel::LoadedModel(const std::filesystem::path& directory, std::optional<Precision> precision)
    : directory_(directory),
      mapped_(directory),
      config_(WithoutMtp(mapped_.config())),
      precision_(precision ? *precision : OwnPrecision(mapped_.store())),
      converted_(MemoryRole::kWeights) {
  CheckTypes();
  if (std::filesystem::exists(directory / "tokenizer.json")) {
    tokenizer_.emplace(Tokenizer::Load(directory));
    if (tokenizer_->vocab_size() > config_.vocab_size) {
      throw Error((directory / "tokenizer.json").string(),
                  fmt::format("the tokenizer has {} ids, the model's vocab_size is {}",
                              tokenizer_->vocab_size(), config_.vocab_size),
                  "tokenizer and model do not belong together");
    }
  }
  defaults_ = ReadGenerationDefaults(directory, config_, tokenizer());
}

void LoadedModel::CheckTypes() {
  for (const auto& parameter : mapped_.store().all()) {
    const ConstTensor value = parameter->value;
    if (value.dtype() != DType::kF32 && value.dtype() != DType::kBF16) {
      throw Error(
          directory_.string(),
          fmt::format("tensor '{}' is of type {}", parameter->spec.name, Name(value.dtype())),
          "weights have to be f32 or bf16");
    }
    if (parameter->spec.kind == ParameterKind::kRouterBias && value.dtype() != DType::kF32) {
      const Tensor bias = converted_.New(DType::kF32, value.shape());
      ConvertElements(value, bias);
      mapped_.store().SetValue(parameter->spec.name, bias);
    }
  }
}

const Tokenizer& LoadedModel::RequireTokenizer() const {
  if (!tokenizer_) {
    throw Error(directory_.string(), "has no tokenizer.json",
                "text needs one: `fathom tokenize train` makes it");
  }
  return *tokenizer_;
}

void LoadedModel::Pack(Context& context, int64_t cache_tokens, int64_t batch_tokens,
                       int64_t logit_rows) {
  memory_ = PlanInference(config_, precision_, mapped_.store(), context, cache_tokens, batch_tokens,
                          logit_rows);
  const int64_t available = AvailableMemory();
  if (memory_.total() > available) {
    throw Error(directory_.string(),
                fmt::format("not enough memory: {}, and {} are available", memory_.ToString(),
                            FormatBytes(static_cast<double>(available))),
                precision_.act == DType::kF32 ? "compute in bf16, or use a smaller model or context"
                                              : "use a smaller model or context");
  }
  transformer_.emplace(config_, precision_, mapped_.store(), context.backend->allocator());
  transformer_->Pack(context, /*training=*/false);
}

const Transformer& LoadedModel::transformer() const {
  FATHOM_CHECK(transformer_.has_value(), "Pack comes first");
  return *transformer_;
}

}  // namespace fathom
