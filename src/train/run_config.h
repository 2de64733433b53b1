#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.h"
#include "train/training_settings.h"

namespace fathom {

// A pre-training run as run.toml describes it. Every key, its default and its meaning stand in
// docs/training.md.
struct RunConfig : TrainingSettings {
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
  bool byte_baseline = true;  // validation.byte_baseline

  // Stages of context extension after the main one: YaRN with `factor` over the main sequence
  // length.
  struct Extension {
    int64_t steps = 0, sequence_length = 0, batch_tokens = 0;
    double factor = 1;
    double lr = 0;
  };
  std::vector<Extension> extensions;

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
};

}  // namespace fathom
