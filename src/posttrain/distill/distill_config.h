#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "posttrain/evaluation/prompt.h"
#include "posttrain/rewards/answer_judge.h"
#include "posttrain/sft/sft_config.h"

namespace fathom {

// Distillation as a distill.toml describes it: a teacher's answers, what of them is kept, and the
// student that learns from it. Every key, its default and its meaning stand in
// docs/distillation.md.
struct DistillConfig {
  std::filesystem::path output;
  uint64_t seed = 1;

  // A task file, questions without answers, or generated problems.
  struct Source {
    std::filesystem::path path;
    std::vector<std::string> generate;  // kinds of problems, in place of a path
    int64_t count = 1000;               // generated ones
    int64_t least_difficulty = 1, most_difficulty = 3;
  };
  std::vector<Source> sources;

  struct Prompt {
    std::string system, instruction;
    // "on", "off": where the template, or the endpoint, can; "auto": on, but of an endpoint
    // "model".
    std::string think = "auto";
  } prompt;

  struct Teacher {
    std::string model;    // a directory or a GGUF file; with a url the name that it has there
    std::string url;      // of an OpenAI-compatible API, ".../v1"; empty: a local model
    std::string key_env;  // the variable of the environment that has the key
    std::string licence;  // what allows training on the answers
    int64_t at_a_time = 32;
    double requests_per_minute = 0, tokens_per_minute = 0;  // 0: no limit
    double timeout = 600;                                   // seconds for one answer
    int64_t attempts = 8;                                   // at one answer
    int64_t give_up_after = 10;                             // failures in a row
    double backoff = 1, most_backoff = 60;                  // seconds
    bool send_seed = true;
    bool is_endpoint() const { return !url.empty(); }
  } teacher;

  struct Sampling {
    int64_t samples = 4;  // to each question
    int64_t max_tokens = 4096;
    // What R1's authors recommend (github.com/deepseek-ai/DeepSeek-R1).
    double temperature = 0.6, top_p = 0.95, min_p = 0;
    int64_t top_k = 0;
  } sampling;

  struct Filter {
    bool correct = true, finished = true, thoughts = false;
    std::string language;                       // a code; empty: whichever most words are in
    double language_share = 0.9;                // of the words, at least
    double repetition = 0.3;                    // share of 8-word runs that came before, at most
    int64_t least_tokens = 0, most_tokens = 0;  // of an answer; 0: no bound
    double near_duplicate = 0.8;  // Jaccard similarity that is too much; 0: equal ones alone
    int64_t per_question = 2;
    std::string choose = "shortest";  // or "random": which of a question's come first
    std::string extract = "boxed,tags,hash,sentence,number,line";
    std::string verifier;  // a command that judges answers of kind external
    int64_t verifier_workers = 2;
    double verifier_timeout = 10;
  } filter;

  struct Evaluation {
    struct File {
      std::filesystem::path path;
    };
    std::vector<File> sources;  // what nothing learnt may share words with
    int64_t words = 13;         // in a row
  } evaluation;

  // Tuned on what is kept; its output is OUTPUT/student. Nothing: the run ends with the data.
  std::optional<SftConfig> student;

  std::filesystem::path traces() const { return output / "traces.jsonl"; }
  std::filesystem::path conversations() const { return output / "sft.jsonl"; }
  // prompt.think without "auto".
  std::string Think() const;
  EvaluationPromptOptions PromptOptions() const;
  JudgeOptions Judge() const;

  // As RunConfig's.
  static DistillConfig Load(const std::filesystem::path& path,
                            const std::vector<std::string>& overrides);
  static DistillConfig Parse(std::string_view text, std::string_view where,
                             const std::filesystem::path& base,
                             const std::vector<std::string>& overrides);
  // From a table that is read already.
  static DistillConfig Read(const toml::table& table, std::string_view where,
                            const std::filesystem::path& base);
  std::string ToToml() const;
};

}  // namespace fathom
