#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.h"
#include "model/config.h"
#include "model/precision.h"

namespace fathom {

// A pre-training run as run.toml describes it. Every key, its default and its meaning stand in
// docs/training.md.
struct RunConfig {
  std::filesystem::path output;  // the run directory

  struct Model {
    std::string preset;               // or ...
    std::filesystem::path config;     // ... a config.json, or ...
    std::filesystem::path init_from;  // ... a model directory to go on from
    double initializer_range = 0;     // 0: the model's own
    bool mtp = true;                  // false: leaves the MTP modules out
  } model;

  struct TokenizerChoice {
    // A tokenizer.json or a directory with one; empty: trained on the data.
    std::filesystem::path path;
    int64_t train_bytes = 16 << 20;  // how much text the training reads
  } tokenizer;

  struct Data {
    std::vector<SourceSpec> sources;
    int64_t sequence_length = 512;
    bool document_mask = true;
    double held_out_fraction = 0.02;
    double fim_rate = 0;
  } data;

  int64_t steps = 1000;
  int64_t batch_tokens = 8192;     // inputs a step; a multiple of sequence_length
  int64_t micro_batch_tokens = 0;  // 0: the whole step at once
  uint64_t seed = 1;

  struct Optimizer {
    double lr = 3e-3, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip = 1;
    std::string moments = "f32";  // or "bf16"
  } optimizer;

  struct Schedule {
    std::string type = "wsd";  // "wsd", "cosine", "constant"
    int64_t warmup_steps = 100;
    double decay_fraction = 0.2;  // wsd: the last part of the steps
    double min_lr_ratio = 0.1;
  } schedule;

  struct PrecisionChoice {
    std::string recipe = "bf16";         // "bf16", "f32", "fp8" (model/precision.h)
    std::string scales = "amax";         // of fp8; or "ue8m0": powers of two, "tensor"
    bool recompute = false;              // norms and MLA up-projections
    std::string attention = "expanded";  // or "absorbed"
  } precision;

  struct Balance {
    double bias_speed = 1e-3;
    double bias_stop_fraction = 0.97;  // of the steps; after it the biases stay
    double sequence_alpha = 1e-4;
  } balance;

  struct Mtp {
    double weight = 0.3, late_weight = 0.1;
    double switch_fraction = 0.67;  // of the steps
  } mtp;

  double ema_decay = 0;  // 0: none

  bool tensorboard = false;  // event files in OUTPUT/tensorboard

  // Stages of context extension after the main one: YaRN with `factor` over the main sequence
  // length.
  struct Extension {
    int64_t steps = 0, sequence_length = 0, batch_tokens = 0;
    double factor = 1;
    double lr = 0;
  };
  std::vector<Extension> extensions;

  struct Validation {
    int64_t every = 200;
    int64_t tokens = 65536;  // of the held-out documents, while training; at the end all of them
    bool byte_baseline = true;
  } validation;

  struct Sample {
    int64_t every = 0;  // 0: never
    std::string prompt;
    int64_t tokens = 64;
    double temperature = 0.8;
  } sample;

  struct Checkpoints {
    int64_t every = 500;
    int64_t keep = 2;
  } checkpoint;

  // Throws Error for a syntax error, an unknown key (naming the nearest), a wrong type, a value out
  // of range or values that contradict each other. Paths are relative to the file's folder.
  static RunConfig Load(const std::filesystem::path& path,
                        const std::vector<std::string>& overrides);
  static RunConfig Parse(std::string_view text, std::string_view where,
                         const std::filesystem::path& base,
                         const std::vector<std::string>& overrides);
  // All keys with their values, as TOML that Parse reads back.
  std::string ToToml() const;
  // The same as pairs: "data.source[0].weight" -> "1.0".
  std::map<std::string, std::string> Values() const;

  Precision ModelPrecision() const {
    if (precision.recipe == "f32") return Precision::F32();
    if (precision.recipe == "bf16") return Precision::BF16();
    return Precision::FP8(precision.scales == "ue8m0"    ? DType::kE4M3Ue8m0
                          : precision.scales == "tensor" ? DType::kE4M3Tensor
                                                         : DType::kE4M3);
  }
  AttentionForm Form() const {
    return precision.attention == "absorbed" ? AttentionForm::kAbsorbed : AttentionForm::kExpanded;
  }
};

}  // namespace fathom
