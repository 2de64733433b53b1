#pragma once

#include <cstdint>
#include <vector>

#include "formats/model_source.h"
#include "infer/sampling/sampler.h"

namespace fathom {

// What a model directory says about how to generate with it.
struct GenerationDefaults {
  // generation_config.json: temperature, top_p, top_k, min_p, repetition_penalty ("do_sample":
  // false is greedy); what it leaves out is off.
  SamplingParams sampling;
  // eos_token_id of generation_config.json (a number or several), else of config.json.
  std::vector<int32_t> stop_ids;
  // bos_token of tokenizer_config.json, else bos_token_id of config.json; -1: the vocabulary has
  // none.
  int32_t bos_id = -1;
  // Whether a text begins with it: add_bos_token of tokenizer_config.json.
  bool add_bos = false;
};

// Both files may be missing. tokenizer may be null. Throws Error for what they say that cannot be.
GenerationDefaults ReadGenerationDefaults(const ModelSource& source, const ModelConfig& config,
                                          const Tokenizer* tokenizer);

}  // namespace fathom
