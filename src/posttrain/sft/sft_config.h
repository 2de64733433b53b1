#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml/toml_reader.h"
#include "data/source.h"
#include "train/training_settings.h"

namespace fathom {

// Supervised fine-tuning on conversations as an sft.toml describes it. Every key, its default and
// its meaning stand in docs/fine-tuning.md and docs/training.md.
struct SftConfig : TrainingSettings {
  SftConfig();

  struct Model {
    std::filesystem::path init_from;  // what is tuned: a model directory or a GGUF file
    bool mtp = true;                  // false: leaves the MTP modules out
  } model;

  struct Data {
    std::vector<SourceSpec> sources;
    int64_t sequence_length = 2048;
    double held_out_fraction = 0.02;
    std::string turns = "all";          // or "last": which answers of a conversation are learnt
    std::string too_long = "drop";      // or "truncate"
    std::string solution = "thoughts";  // or "content": what those of problems become
  } data;

  // A teacher with the same tokenizer whose probabilities are learnt, too (SoftTargets,
  // model/language_model_loss.h).
  struct Soft {
    std::filesystem::path teacher;  // a model directory or a GGUF file; empty: none
    double weight = 0.5, temperature = 1;
  } soft_targets;

  double epochs = 2;
  int64_t steps = 0;  // in place of epochs, unless it is 0

  // As RunConfig's.
  static SftConfig Load(const std::filesystem::path& path,
                        const std::vector<std::string>& overrides);
  static SftConfig Parse(std::string_view text, std::string_view where,
                         const std::filesystem::path& base,
                         const std::vector<std::string>& overrides);
  // From a table that is read already; prefix: its place in `where`, "" for a whole file.
  static SftConfig Read(const toml::table& table, std::string_view where,
                        const std::filesystem::path& base, const std::string& prefix);
  std::string ToToml() const;
  std::map<std::string, std::string> Values() const;
};

}  // namespace fathom
