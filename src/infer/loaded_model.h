#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "formats/mapped_model.h"
#include "infer/inference_memory.h"
#include "infer/sampling/generation_defaults.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

namespace fathom {

// Whether the MTP modules, which guess ahead, are loaded with a model that has some.
enum class MtpUse : uint8_t {
  kNone,
  kIfItFits,  // into the available memory, beside everything else
  kRequired,
};

// A model directory or GGUF file opened for inference: configuration, mapped weights, tokenizer
// (where there is one) and generation defaults. Opening reads headers and the tokenizer only; Pack
// makes the model ready to compute.
class LoadedModel {
 public:
  // precision: what to compute in; nothing: f32 for f32 and f16 weights, else bf16. adapter: a
  // directory as PEFT saves it, that is applied to the weights; empty: none. Throws
  // Error when a file is missing or wrong, when the model has not this head, and when the tokenizer
  // has ids that the model has no embedding for.
  explicit LoadedModel(const std::filesystem::path& directory,
                       std::optional<Precision> precision = std::nullopt,
                       MtpUse mtp = MtpUse::kNone, std::filesystem::path adapter = {},
                       ModelHead head = ModelHead::kLanguage);

  const std::filesystem::path& directory() const { return directory_; }
  // Empty: none.
  const std::filesystem::path& adapter() const { return adapter_; }
  // Without MTP unless it is used; with kIfItFits, Pack may still leave it out.
  const ModelConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  const MappedModel& mapped() const { return mapped_; }
  const GenerationDefaults& defaults() const { return defaults_; }
  // Null when the directory has none.
  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  // Error when the directory has none.
  const Tokenizer& RequireTokenizer() const;

  // Makes the packed copies, after checking that they, the cache and the workspace fit into the
  // available memory: if not, throws Error with the arithmetic before anything is allocated. Unless
  // quiet, shows its progress, and says whether MTP modules are loaded. The context has to outlive
  // this object.
  void Pack(Context& context, const InferenceSize& size, bool quiet = true);
  // Fatal before Pack.
  const Transformer& transformer() const;
  const InferenceMemory& memory() const { return memory_; }

 private:
  // Plans the memory; leaves MTP modules out where they may be and what is available wants that.
  void Plan(Context& context, const InferenceSize& size, int64_t available, bool quiet);
  // What could be done when a model does not fit into so many bytes.
  std::string WhatFits(int64_t available, const InferenceSize& size) const;
  std::filesystem::path directory_, adapter_;
  MappedModel mapped_;
  MtpUse mtp_;
  ModelConfig config_;
  Precision precision_;
  std::optional<Tokenizer> tokenizer_;
  GenerationDefaults defaults_;
  std::optional<Transformer> transformer_;
  InferenceMemory memory_;
};

}  // namespace fathom
