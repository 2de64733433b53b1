#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/parameters.h"
#include "model/precision.h"
#include "plan/units.h"

namespace fathom {

// A matrix that a token is multiplied with: y[rows] = W[rows, columns] x[columns].
struct MatrixProduct {
  std::string name;  // of the tensor within its layer, without the expert's number
  int64_t rows = 0, columns = 0;
  int64_t copies = 1;          // how many of it there are: the routed experts, otherwise 1
  int64_t uses_per_token = 1;  // how many of them a token uses

  int64_t parameters() const { return rows * columns * copies; }
  Flops forward_flops() const;  // of one token: 2 rows columns uses
  bool routed() const { return copies > 1; }
};

struct LayerShape {
  bool moe = false;
  std::vector<MatrixProduct> products;
  int64_t parameters = 0;         // all tensors of the layer
  int64_t routed_parameters = 0;  // of them, those of routed experts
};

// What one config.json says about sizes, from the same list of tensors that `fathom inspect`
// counts.
struct Architecture {
  ModelConfig config;
  ParameterCounts counts;
  std::vector<LayerShape> layers;  // main model
  // Layers of the main model that are alike: the first one's index, and how many there are.
  std::vector<std::pair<size_t, size_t>> groups;
  std::vector<LayerShape> mtp;  // MTP modules
  MatrixProduct head;
};
Architecture DescribeArchitecture(const ModelConfig& config);

// Whose keys are counted: those before the query (what has to be computed), or all of the sequence
// (what much of the literature counts).
enum class Masking : uint8_t { kCausal, kNonCausal };

// The attention core (scores and weighted values) of one query against one key, in one layer:
// 2 n_h (d_qk + d_v); absorbed 2 n_h (2 d_latent + d_rope).
Flops AttentionFlopsPerKey(const ModelConfig& config, AttentionForm form);

struct TokenFlops {
  FlopsPerToken products;   // with matrices
  FlopsPerToken attention;  // scores and weighted values
  FlopsPerToken total() const { return products + attention; }
};
// Of one token, averaged over a sequence of `length`: its query meets (length + 1) / 2 keys on
// average (causal) or `length` (non-causal).
TokenFlops ForwardFlops(const Architecture& architecture, int64_t length, Masking masking,
                        AttentionForm form = AttentionForm::kExpanded, bool with_mtp = false);
// Forward and backward: 3 times forward, the convention of published GFLOPs per token (a matrix
// product's backward is two products; recomputation is not counted).
TokenFlops TrainingFlops(const Architecture& architecture, int64_t length, Masking masking,
                         bool with_mtp = false);

// The cache of one token over all layers of the main model. bits: of one element.
BytesPerToken CacheBytes(const ModelConfig& config, double bits = 16);

// The same model with keys and values of `kv_heads` heads of the size of its value heads in place
// of its attention: num_attention_heads of them is multi-head attention. Experts are kept; without
// the router's selection bias (a few thousand numbers). Throws UsageError when the heads cannot be
// divided into kv_heads groups.
ModelConfig WithGroupedQueryAttention(const ModelConfig& config, int64_t kv_heads);

// Published models that plans are compared with, beside the presets: deepseek-67b, llama-1-7b,
// llama-1-13b, llama-1-33b, llama-1-65b, llama-3.1-405b, qwen2.5-72b; and the presets. Throws
// UsageError that lists them for another name.
ModelConfig PublishedConfig(std::string_view name);
std::vector<std::string> PublishedNames();

}  // namespace fathom
