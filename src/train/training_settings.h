#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/adapters.h"
#include "model/config.h"
#include "model/precision.h"

namespace fathom {

// What every run of gradient steps is told, whatever it trains on. Every key, its default and its
// meaning stand in docs/training.md.
struct TrainingSettings {
  std::filesystem::path output;  // the run directory

  int64_t batch_tokens = 8192;     // inputs a step; a multiple of the sequence length
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
    int64_t load_entries = 200;  // of a run's log, with the load of every expert; 0: none
  } balance;

  struct Mtp {
    double weight = 0.3, late_weight = 0.1;
    double switch_fraction = 0.67;  // of the steps
  } mtp;

  double ema_decay = 0;  // 0: none

  bool tensorboard = false;  // event files in OUTPUT/tensorboard

  struct Validation {
    int64_t every = 200;
    int64_t tokens = 65536;  // of what is held out, while training; at the end all of it
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
    // Whether the run ends with the weights that were best at a validation, not with the last ones.
    bool best = false;
  } checkpoint;

  // Adapters that are trained beside a frozen model; of runs that go on from one.
  struct Lora {
    int64_t rank = 0;  // 0: none, the model itself is trained
    double alpha = 32;
    bool use_rslora = false;
    double dropout = 0;                // nothing else is supported
    std::vector<std::string> targets;  // empty: the usual ones (AdapterOptions)
    bool routed_experts = false;
    std::filesystem::path base;  // no key of its own: model.init_from

    bool enabled() const { return rank > 0; }
    AdapterOptions Options() const {
      return {.rank = rank,
              .alpha = alpha,
              .rslora = use_rslora,
              .targets = targets,
              .routed_experts = routed_experts};
    }
  } lora;

  // Tokens computed at once, of a step of `step_tokens`.
  int64_t MicroBatchTokens(int64_t step_tokens) const {
    return micro_batch_tokens > 0 ? micro_batch_tokens : step_tokens;
  }
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

// One stretch of a run with its own model configuration, length of rows and learning rate.
struct TrainingStage {
  ModelConfig model;
  int64_t steps = 0, sequence_length = 0, batch_tokens = 0;
  std::string name = "training";  // in progress lines
  std::optional<double> lr;       // of every step; without it, the schedule's

  int64_t batch_rows() const { return batch_tokens / sequence_length; }
  // Rows computed at once.
  int64_t MicroBatchRows(const TrainingSettings& settings) const;
};

}  // namespace fathom
