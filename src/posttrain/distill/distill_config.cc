#include "posttrain/distill/distill_config.h"

#include "base/error.h"
#include "base/file.h"
#include "data/tasks/problem_generator.h"
#include "posttrain/answers/answer_extraction.h"
#include "posttrain/rewards/language.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

constexpr double kMostSeconds = 86400;

template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  fields.Field("output", config.output);
  fields.Field("seed", config.seed, 0);
  fields.Section("data", [&](auto& section) {
    const DistillConfig::Source plain;
    section.Sections("source", config.sources, plain, [](auto& table, auto& source) {
      table.Field("path", source.path);
      table.Field("generate", source.generate);
      table.Field("count", source.count, 1, 100'000'000);
      table.Field("least_difficulty", source.least_difficulty, 1, kMostDifficult);
      table.Field("most_difficulty", source.most_difficulty, 1, kMostDifficult);
    });
  });
  fields.Section("prompt", [&](auto& section) {
    section.Field("system", config.prompt.system);
    section.Field("instruction", config.prompt.instruction);
    section.Field("think", config.prompt.think, {"auto", "model", "on", "off"});
  });
  fields.Section("teacher", [&](auto& section) {
    section.Field("model", config.teacher.model);
    section.Field("url", config.teacher.url);
    section.Field("key_env", config.teacher.key_env);
    section.Field("licence", config.teacher.licence);
    section.Field("at_a_time", config.teacher.at_a_time, 1, 4096);
    section.Field("requests_per_minute", config.teacher.requests_per_minute, 0, 1e9);
    section.Field("tokens_per_minute", config.teacher.tokens_per_minute, 0, 1e12);
    section.Field("timeout", config.teacher.timeout, 1, kMostSeconds);
    section.Field("attempts", config.teacher.attempts, 1, 1000);
    section.Field("give_up_after", config.teacher.give_up_after, 1, 10000);
    section.Field("backoff", config.teacher.backoff, 0.001, kMostSeconds);
    section.Field("most_backoff", config.teacher.most_backoff, 0.001, kMostSeconds);
    section.Field("send_seed", config.teacher.send_seed);
  });
  fields.Section("sampling", [&](auto& section) {
    section.Field("samples", config.sampling.samples, 1, 100'000);
    section.Field("max_tokens", config.sampling.max_tokens, 1, 1 << 24);
    section.Field("temperature", config.sampling.temperature, 0, 100);
    section.Field("top_p", config.sampling.top_p, 1e-6, 1);
    section.Field("top_k", config.sampling.top_k, 0);
    section.Field("min_p", config.sampling.min_p, 0, 1);
  });
  fields.Section("filter", [&](auto& section) {
    section.Field("correct", config.filter.correct);
    section.Field("finished", config.filter.finished);
    section.Field("thoughts", config.filter.thoughts);
    section.Field("language", config.filter.language);
    section.Field("language_share", config.filter.language_share, 0, 1);
    section.Field("repetition", config.filter.repetition, 0, 1);
    section.Field("least_tokens", config.filter.least_tokens, 0);
    section.Field("most_tokens", config.filter.most_tokens, 0);
    section.Field("near_duplicate", config.filter.near_duplicate, 0, 1);
    section.Field("per_question", config.filter.per_question, 1, 1'000'000);
    section.Field("choose", config.filter.choose, {"shortest", "random"});
    section.Field("extract", config.filter.extract);
    section.Field("verifier", config.filter.verifier);
    section.Field("verifier_workers", config.filter.verifier_workers, 1, 1024);
    section.Field("verifier_timeout", config.filter.verifier_timeout, 0.001, kMostSeconds);
  });
  fields.Section("evaluation", [&](auto& section) {
    section.Field("words", config.evaluation.words, 2, 1000);
    const DistillConfig::Evaluation::File plain;
    section.Sections("source", config.evaluation.sources, plain, [](auto& table, auto& source) {
      table.Require("path");
      table.Field("path", source.path);
    });
  });
}

class Checker {
 public:
  explicit Checker(std::string_view where) : where_(where) {}

  void Require(bool holds, const std::string& what, std::string_view hint = {}) const {
    if (!holds) throw Error(where_, what, hint);
  }

  void Sources(const DistillConfig& config) const {
    Require(!config.sources.empty(), "there is no [[data.source]]",
            "give at least one, for example [[data.source]] path = \"problems.jsonl\"");
    for (const DistillConfig::Source& source : config.sources) {
      Require(source.path.empty() != source.generate.empty(),
              "a [[data.source]] wants one of path and generate",
              "for example path = \"problems.jsonl\", or generate = [\"arithmetic\"]");
      Require(source.least_difficulty <= source.most_difficulty,
              "least_difficulty is more than most_difficulty");
      for (const std::string& kind : source.generate) FindProblemGenerator(kind);
    }
  }

  void Teacher(const DistillConfig::Teacher& teacher) const {
    Require(!teacher.model.empty(), "teacher.model is missing",
            "a model directory; or, with teacher.url, the name that the endpoint knows it by");
    Require(teacher.backoff <= teacher.most_backoff,
            "teacher.backoff is more than teacher.most_backoff");
    if (!teacher.is_endpoint()) {
      Require(teacher.key_env.empty(), "teacher.key_env is given, and teacher.url is not");
      return;
    }
    Require(teacher.url.starts_with("https://") || teacher.url.starts_with("http://"),
            "teacher.url does not begin with https:// or http://",
            "for example \"https://api.example.com/v1\"");
    // The configuration is written into the run's directory.
    Require(teacher.url.find_first_of("@?#") == std::string::npos,
            "teacher.url holds more than an address",
            "a key belongs into the environment, and its variable's name into teacher.key_env");
    Require(!teacher.licence.empty(), "teacher.licence is missing",
            "another's answers come under its terms, and some forbid to train on them: say what "
            "allows it; every trace will carry it");
  }

 private:
  std::string_view where_;
};

void CheckTogether(const DistillConfig& config, std::string_view where) {
  const Checker check(where);
  check.Require(!config.output.empty(), "output is missing",
                "the run's directory, for example output = \"runs/distilled\"");
  check.Sources(config);
  check.Teacher(config.teacher);
  const DistillConfig::Filter& filter = config.filter;
  check.Require(filter.language.empty() || ScriptOfLanguage(filter.language).has_value(),
                fmt::format("filter.language '{}' is not known", filter.language),
                "for example \"en\" or \"zh\"; or leave it out");
  check.Require(filter.most_tokens == 0 || filter.least_tokens <= filter.most_tokens,
                "filter.least_tokens is more than filter.most_tokens");
  ParseAnswerRules(filter.extract, fmt::format("{}: filter.extract", where));
}

// The student's table with what the run itself decides in it.
SftConfig StudentOf(const toml::table& given, const DistillConfig& config, std::string_view where,
                    const std::filesystem::path& base) {
  toml::table table = given;
  const auto refuse = [&](bool holds, std::string_view key) {
    if (holds) throw Error(where, fmt::format("student.{} is the run's own", key), "leave it out");
  };
  refuse(table.contains("output"), "output");
  table.insert("output", std::filesystem::absolute(config.output / "student").string());
  if (!table.contains("data")) table.insert("data", toml::table());
  if (toml::table* data = table["data"].as_table()) {
    refuse(data->contains("source"), "data.source");
    data->insert("source",
                 toml::array(toml::table{
                     {"path", std::filesystem::absolute(config.conversations()).string()}}));
  }
  return SftConfig::Read(table, where, base, "student.");
}

}  // namespace

std::string DistillConfig::Think() const {
  if (prompt.think != "auto") return prompt.think;
  // Not every endpoint knows what it would be asked.
  return teacher.is_endpoint() ? "model" : "on";
}

EvaluationPromptOptions DistillConfig::PromptOptions() const {
  EvaluationPromptOptions options{.system = prompt.system, .instruction = prompt.instruction};
  if (Think() != "model") options.think = Think() == "on";
  return options;
}

JudgeOptions DistillConfig::Judge() const {
  return {.rules = ParseAnswerRules(filter.extract, "filter.extract")};
}

DistillConfig DistillConfig::Load(const std::filesystem::path& path,
                                  const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

DistillConfig DistillConfig::Parse(std::string_view text, std::string_view where,
                                   const std::filesystem::path& base,
                                   const std::vector<std::string>& overrides) {
  return Read(ParseToml(text, where, overrides), where, base);
}

DistillConfig DistillConfig::Read(const toml::table& table, std::string_view where,
                                  const std::filesystem::path& base) {
  TomlTable known(&table, std::string(where));
  const bool has_student = known.Has("student");
  FieldReader root(std::move(known), base);
  DistillConfig config;
  Describe(config, root);
  root.Finish();
  CheckTogether(config, where);
  // A local teacher is a path as any other.
  if (!config.teacher.is_endpoint())
    config.teacher.model =
        std::filesystem::absolute(base / config.teacher.model).lexically_normal().string();
  if (has_student) {
    const toml::table* student = table["student"].as_table();
    if (student == nullptr) throw Error(where, "student is no table", "write it as [student]");
    config.student = StudentOf(*student, config, where, base);
  }
  return config;
}

std::string DistillConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  toml::table table = root.Take();
  if (student) {
    toml::table settings = toml::parse(student->ToToml());
    settings.erase("output");
    if (toml::table* data = settings["data"].as_table()) data->erase("source");
    table.insert("student", std::move(settings));
  }
  return TomlText(table);
}

}  // namespace fathom
