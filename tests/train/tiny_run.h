#pragma once

// A model small enough to train in a test, and a language for it whose entropy is known.

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_directory.h"
#include "model/config.h"
#include "train/run_config.h"

namespace fathom::test {

// Checkpoints flush to the disk, which is most of what a run of a tiny model does. Where there is a
// file system in memory, temporary directories go there.
inline const bool kTemporaryInMemory = [] {
  if (!std::filesystem::is_directory("/dev/shm")) return false;
  return setenv("TMPDIR", "/dev/shm", /*replace=*/0) == 0;
}();

// About 20 thousand parameters with everything in them: a dense layer, one with 4 experts, an MTP
// module. The vocabulary has room for the special tokens, the bytes and 34 merges.
inline ModelConfig TinyRunModel() {
  ModelConfig config;
  config.vocab_size = 300;
  config.hidden_size = 32;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 48;
  config.moe_intermediate_size = 16;
  config.first_k_dense_replace = 1;
  config.n_routed_experts = 4;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 2;
  config.n_group = 1;
  config.topk_group = 1;
  config.routed_scaling_factor = 1;
  config.q_lora_rank = 24;
  config.kv_lora_rank = 16;
  config.qk_nope_head_dim = 16;
  config.qk_rope_head_dim = 8;
  config.v_head_dim = 16;
  config.num_nextn_predict_layers = 1;
  config.max_position_embeddings = 64;
  config.initializer_range = 0.1;
  return config;
}

// The same size with DeepSeek-V2's gate, and with Qwen2's attention and a tied head.
inline ModelConfig TinyV2Run() {
  ModelConfig config = TinyRunModel();
  config.family = Family::kDeepseekV2;
  config.norm_topk_prob = false;
  config.num_nextn_predict_layers = 0;
  return config;
}
inline ModelConfig TinyQwen2Run() {
  ModelConfig config = TinyRunModel();
  config.family = Family::kQwen2;
  config.n_routed_experts = config.n_shared_experts = 0;
  config.num_nextn_predict_layers = 0;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.attention_bias = config.tie_word_embeddings = true;
  config.rope_layout = RopeLayout::kHalves;
  return config;
}

// A document of `words` words of 7 bytes each, the space included. There are 8 words that differ in
// their first letter; after each, one of two others follows, both as likely. So a word carries one
// bit given the word before it (and the first three bits), but the four bytes before a letter, "xyz
// " always, say nothing about it.
inline std::string LanguageDocument(int words, uint64_t seed) {
  RandomStream random(seed);
  std::string text;
  uint64_t word = random.NextBelow(8);
  for (int i = 0; i < words; ++i) {
    text += static_cast<char>('a' + word);
    text += "wxyz. ";
    word = (3 * word + 1 + 4 * random.NextBelow(2)) % 8;
  }
  return text;
}
inline double LanguageBits(int words) { return 3.0 + (words - 1); }

// OUTPUT/../texts/NNN.txt
inline void WriteLanguage(const std::filesystem::path& folder, int documents, int words,
                          uint64_t seed = 0) {
  std::filesystem::create_directories(folder);
  for (int i = 0; i < documents; ++i) {
    std::ofstream(folder / fmt::format("{:04}.txt", i), std::ios::binary)
        << LanguageDocument(words, MixKey(seed, static_cast<uint64_t>(i)));
  }
}

// A run of the tiny model on DIRECTORY/texts into DIRECTORY/run; settings as with --set.
inline RunConfig TinyRun(const std::filesystem::path& directory,
                         const std::vector<std::string>& settings = {},
                         const ModelConfig& model = TinyRunModel()) {
  std::ofstream(directory / "config.json") << model.ToJson("float32");
  constexpr char kText[] = R"(
    output = "run"
    steps = 12
    batch_tokens = 256
    model.config = "config.json"
    precision.recipe = "f32"
    optimizer.lr = 0.01
    schedule.warmup_steps = 2
    checkpoint = {every = 4, keep = 2}
    validation = {every = 0, byte_baseline = false}
    [data]
    sequence_length = 64
    held_out_fraction = 0.2
    [[data.source]]
    path = "texts"
  )";
  return RunConfig::Parse(kText, "run.toml", directory, settings);
}

}  // namespace fathom::test
