#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options/command.h"
#include "infer/engine.h"
#include "infer/loaded_model.h"

namespace fathom {

// The options of sampling; what is not given comes from the model's generation_config.json.
struct SamplingOptions {
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> frequency_penalty, presence_penalty, repetition_penalty;
  std::optional<int64_t> top_k;

  void AddTo(Command command);
  SamplingParams Resolve(const GenerationDefaults& defaults, uint64_t seed) const;
};

// --draft, --draft-tokens: speculative decoding.
struct DraftOptions {
  std::string mode = "auto";
  int64_t tokens = 1;

  void AddTo(Command command);
  MtpUse wants_mtp() const;
  // Sets the engine's options. UsageError when the model cannot draft and has to.
  void Apply(const LoadedModel& model, EngineOptions& options) const;
};

// --think, --no-think: neither leaves it to the model's template.
void AddThinkFlags(Command command, std::optional<bool>& think);

// --bos, --no-bos: whether a text begins with the begin token; as tokenizer_config.json says if
// neither is given.
struct BosOption {
  bool always = false, never = false;

  void AddTo(Command command);
  // The ids of a text. Error when a begin token is asked for and there is none.
  std::vector<int32_t> Encode(const LoadedModel& model, std::string_view text) const;
};

}  // namespace fathom
