#include "cli/eval.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "cli/model_engine.h"
#include "data/documents.h"
#include "posttrain/evaluation/named_task.h"
#include "posttrain/evaluation/task_evaluation.h"
#include "posttrain/evaluation/text_scoring.h"
#include "posttrain/verifier/external_judge.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct EvalArguments {
  CommonOptions common;
  PrecisionOption precision;
  AdapterOption adapter;  // of the model, not of the one it is compared with
  SamplingOptions sampling;
  CacheOptions cache;
  DraftOptions draft;
  std::filesystem::path directory, against;
  std::string task;
  std::filesystem::path text, examples, out;
  std::string text_field = "text";
  size_t limit = 0, shots = 0;
  std::string method = "generate";
  std::string extract;
  TaskEvaluationOptions options;
  VerifierOptions verifier;
  int64_t window = 0;
};

const std::map<std::string, EvaluationMethod> kMethods = {
    {"generate", EvaluationMethod::kGenerate},
    {"choices", EvaluationMethod::kChoiceTexts},
    {"letters", EvaluationMethod::kChoiceLetters}};

// A model that is open, with what it takes to ask it.
struct OpenModel {
  OpenModel(EvalArguments& arguments, const std::filesystem::path& path,
            const std::filesystem::path& adapter)
      : device(arguments.common.device, arguments.common.threads),
        model(path, arguments.precision.Get(), arguments.draft.wants_mtp(), adapter) {}

  // For so many sequences at a time, of so many tokens at most.
  Engine& Start(EvalArguments& arguments, int64_t sequences, int64_t length) {
    const int64_t each = KvCache::Pages(length) + 1;
    EngineOptions options{.max_running = sequences, .max_length = length};
    arguments.draft.Apply(model, options);
    engine.emplace(device, model, arguments.cache, sequences * each, each, options,
                   arguments.common.quiet);
    return engine->engine();
  }

  Device device;
  LoadedModel model;
  std::optional<ModelEngine> engine;
};

std::string Heading(const std::filesystem::path& model, const std::filesystem::path& adapter) {
  return adapter.empty() ? model.string()
                         : fmt::format("{} + {}", model.string(), adapter.string());
}

ordered_json ModelJson(const std::filesystem::path& model, const std::filesystem::path& adapter) {
  ordered_json json = {{"model", model.string()}};
  if (!adapter.empty()) json["adapter"] = adapter.string();
  return json;
}

// One task, one model.
struct TaskResult {
  std::vector<double> scores;  // by problem
  ordered_json json;
  std::string text;
};

class TaskCommand {
 public:
  explicit TaskCommand(EvalArguments& arguments)
      : arguments_(arguments),
        task_(LoadTask(arguments.task, arguments.limit, arguments.shots, arguments.examples)) {
    TaskEvaluationOptions& options = arguments.options;
    options.method = kMethods.at(arguments.method);
    options.prompt.examples = task_.examples;
    if (!arguments.extract.empty()) {
      options.judge.rules = ParseAnswerRules(arguments.extract, "--extract");
    }
    std::sort(options.budgets.begin(), options.budgets.end());
    // What is measured should be the same tomorrow.
    if (!arguments.common.seed) arguments.common.seed = 0;
    if (options.method != EvaluationMethod::kGenerate) {
      // Probabilities are compared behind plain text, and once.
      options.prompt.plain = true;
      options.samples_each = 1;
    }
    if (!arguments.verifier.command.empty()) external_ = MakeExternalReward(arguments.verifier);
  }

  void Run() {
    const TaskResult first =
        Evaluate(arguments_.directory, arguments_.adapter.directory, arguments_.out);
    ordered_json json = {{"task", task_.name}, {"result", first.json}};
    std::string text = first.text;
    if (!arguments_.against.empty()) {
      std::filesystem::path out = arguments_.out;
      if (!out.empty()) out += ".against";
      const TaskResult second = Evaluate(arguments_.against, {}, out);
      const PairedDifference difference = ComparePaired(first.scores, second.scores);
      json["against"] = second.json;
      json["comparison"] = ToJson(difference);
      text += second.text + ToText(difference);
    }
    if (arguments_.common.json) {
      WriteJson(json);
    } else {
      WriteStandardOutput(text);
    }
  }

 private:
  TaskResult Evaluate(const std::filesystem::path& path, const std::filesystem::path& adapter,
                      const std::filesystem::path& out) {
    OpenModel open(arguments_, path, adapter);
    TaskEvaluationOptions options = arguments_.options;
    options.sampling = arguments_.sampling.Resolve(open.model.defaults(), arguments_.common.Seed());
    TaskEvaluation evaluation(open.model, task_.problems, options, external_.get());
    SampleLog log(out, Settings(open, options));
    const int64_t missing = evaluation.Missing(log);
    if (!arguments_.common.quiet && log.size() > 0) {
      fmt::print(stderr, "{}: {} samples are there, {} are missing\n", out.string(), log.size(),
                 missing);
    }
    if (missing > 0 || !options.budgets.empty()) RunMissing(open, evaluation, log, missing);
    TaskResult result;
    result.json = ModelJson(path, adapter);
    result.text = Heading(path, adapter) + ": ";
    if (options.method == EvaluationMethod::kGenerate) {
      const EvaluationSummary summary = Summarize(task_.problems, log, options.samples_each,
                                                  options.budgets, options.judge.match);
      result.scores = summary.scores;
      result.json.update(ToJson(summary));
      result.text += ToText(summary);
    } else {
      const ChoiceSummary summary = SummarizeChoices(task_.problems, log);
      result.scores = summary.scores;
      result.json.update(ToJson(summary));
      result.text += ToText(summary);
    }
    result.json["seed"] = options.sampling.seed;
    return result;
  }

  void RunMissing(OpenModel& open, TaskEvaluation& evaluation, SampleLog& log, int64_t missing) {
    const bool generates = arguments_.options.method == EvaluationMethod::kGenerate;
    const int64_t sequences =
        generates ? std::clamp<int64_t>(missing, 1, arguments_.options.at_a_time) : 8;
    Engine& engine = open.Start(arguments_, sequences, evaluation.longest());
    const InterruptGuard guard;
    Progress progress(task_.name, generates ? "samples" : "problems", static_cast<double>(missing),
                      arguments_.common.quiet);
    const bool whole = evaluation.Run(engine, log, [&](int64_t samples, int64_t tokens) {
      progress.Update(static_cast<double>(samples),
                      generates ? fmt::format("{} tokens", FormatCount(static_cast<double>(tokens)))
                                : std::string());
      return !InterruptGuard::Requested();
    });
    progress.Clear();
    if (whole) return;
    throw Error("eval", "was interrupted",
                log.path().empty()
                    ? std::string("with --out FILE its samples are kept, and the same "
                                  "command goes on")
                    : fmt::format("{} samples are in {}: the same command goes on", log.size(),
                                  log.path().string()));
  }

  // What decides a sample.
  ordered_json Settings(const OpenModel& open, const TaskEvaluationOptions& options) const {
    const EvaluationPromptOptions& prompt = options.prompt;
    const SamplingParams& sampling = options.sampling;
    Hash64 examples;
    for (const TaskProblem& example : prompt.examples) examples.UpdateField(example.row);
    std::string rules;
    for (const AnswerRule rule : options.judge.rules) {
      rules += fmt::format("{}{}", rules.empty() ? "" : ",", Name(rule));
    }
    std::string model = std::filesystem::weakly_canonical(open.model.directory()).string();
    if (!open.model.adapter().empty())
      model += " + " + std::filesystem::weakly_canonical(open.model.adapter()).string();
    return {{"model", model},
            {"task", task_.name},
            {"content", task_.fingerprint},
            {"method", arguments_.method},
            {"plain", prompt.plain},
            {"system", prompt.system},
            {"instruction", prompt.instruction},
            {"think", prompt.think ? ordered_json(*prompt.think) : ordered_json()},
            {"shots", prompt.examples.size()},
            {"examples", fmt::format("{:016x}", examples.Digest())},
            {"max_tokens", options.max_tokens},
            {"temperature", sampling.temperature},
            {"top_p", sampling.top_p},
            {"top_k", sampling.top_k},
            {"min_p", sampling.min_p},
            {"frequency_penalty", sampling.frequency_penalty},
            {"presence_penalty", sampling.presence_penalty},
            {"repetition_penalty", sampling.repetition_penalty},
            {"seed", sampling.seed},
            {"extract", rules},
            {"tolerance", options.judge.match.relative_tolerance},
            {"verifier", arguments_.verifier.command}};
  }

  EvalArguments& arguments_;
  NamedTask task_;
  std::unique_ptr<RewardFunction> external_;
};

TextScore ScoreWith(EvalArguments& arguments, const std::filesystem::path& path,
                    const std::filesystem::path& adapter, const std::vector<std::string>& texts,
                    double bytes) {
  OpenModel open(arguments, path, adapter);
  const int64_t context = open.model.config().max_position_embeddings;
  size_t longest = 0;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  // A text has no more tokens than bytes, and the begin token.
  const int64_t window = std::min({arguments.window > 0 ? arguments.window : context, context,
                                   std::max<int64_t>(4, static_cast<int64_t>(longest) + 1)});
  Engine& engine = open.Start(arguments, 8, window);
  const Tokenizer& tokenizer = open.model.RequireTokenizer();
  const InterruptGuard guard;
  // Some four bytes a token.
  Progress progress("scoring", "tokens", bytes / 4, arguments.common.quiet);
  const TextScore score = ScoreTexts(
      engine, tokenizer, texts,
      {.window = window, .context = window / 2, .begin_token = open.model.defaults().bos_id},
      [&](int64_t tokens) {
        progress.Update(static_cast<double>(tokens));
        return !InterruptGuard::Requested();
      });
  InterruptGuard::ThrowIfRequested("eval");
  if (score.tokens == 0) throw Error(arguments.text.string(), "holds no text to score");
  return score;
}

ordered_json TextJson(const std::filesystem::path& model, const std::filesystem::path& adapter,
                      const TextScore& score) {
  ordered_json json = ModelJson(model, adapter);
  json.update({{"texts", score.texts},
               {"scored_tokens", score.tokens},
               {"scored_bytes", score.bytes},
               {"bits_per_byte", score.bits_per_byte()},
               {"perplexity", score.perplexity()}});
  return json;
}

void EvaluateText(EvalArguments& arguments) {
  SourceSpec source{.path = arguments.text, .text_field = arguments.text_field};
  // A file that is named is meant, whatever its name.
  if (!std::filesystem::is_directory(arguments.text)) {
    source.extensions.push_back(arguments.text.extension().string());
  }
  std::vector<std::string> texts;
  double bytes = 0;
  ForEachDocument(source, ListFiles(source), [&](const Document& document, const ReadStatistics&) {
    if (arguments.limit > 0 && texts.size() >= arguments.limit) return;
    texts.emplace_back(document.text);
    bytes += static_cast<double>(document.text.size());
  });
  std::vector<std::filesystem::path> models = {arguments.directory};
  if (!arguments.against.empty()) models.push_back(arguments.against);
  ordered_json json = {{"text", arguments.text.string()}};
  for (size_t i = 0; i < models.size(); ++i) {
    const std::filesystem::path adapter = i == 0 ? arguments.adapter.directory : "";
    const TextScore score = ScoreWith(arguments, models[i], adapter, texts, bytes);
    json[i == 0 ? "result" : "against"] = TextJson(models[i], adapter, score);
    if (arguments.common.json) continue;
    WriteStandardOutput(fmt::format(
        "{}: {:.4f} bits per byte, perplexity {:.4f} a token; {} tokens, {} bytes of {} text{}\n",
        Heading(models[i], adapter), score.bits_per_byte(), score.perplexity(), score.tokens,
        score.bytes, score.texts, score.texts == 1 ? "" : "s"));
  }
  if (arguments.common.json) WriteJson(json);
}

void AddTaskOptions(Command command, const std::shared_ptr<EvalArguments>& arguments) {
  TaskEvaluationOptions& options = arguments->options;
  constexpr int64_t kMostTokens = int64_t{1} << 24;
  command
      .AddOption("--samples", options.samples_each,
                 "Answers to each problem: with several also pass@k and the majority's")
      .InRange(1, 100'000)
      .ShowDefault();
  command.AddOption("--max-tokens", options.max_tokens, "Tokens of an answer at most")
      .InRange(1, kMostTokens)
      .ShowDefault();
  command.AddOption("--at-a-time", options.at_a_time, "Answers under way at a time")
      .InRange(1, 4096)
      .ShowDefault();
  command
      .AddOption("--budgets", options.budgets,
                 "Also accuracy where thoughts are cut off after so many tokens and an answer is "
                 "forced, such as 64,256,1024")
      .Delimiter(',')
      .InRange(1, kMostTokens);
  command
      .AddOption("--method", arguments->method,
                 "generate: the model writes; choices: the most likely of the choices' texts, "
                 "letters: of their letters")
      .OneOf(kMethods)
      .ShowDefault();
  command.AddFlag("--plain", options.prompt.plain,
                  "Ask in plain text and not by the chat template: for base models");
  command.AddOption("--shots", arguments->shots, "Solved problems shown before each question")
      .InRange(0, 1000)
      .ShowDefault();
  command.AddOption("--examples", arguments->examples,
                    "The file of problems that are shown; a generated task has its own");
  command.AddOption("--system", options.prompt.system, "A system prompt for problems without one");
  command.AddOption("--instruction", options.prompt.instruction,
                    "Put behind every question, such as 'Put your final answer within \\boxed{}.'");
  AddThinkFlags(command, options.prompt.think);
  command.AddOption("--extract", arguments->extract,
                    "Where answers are looked for, in order: boxed, tags, hash, sentence, number, "
                    "line, whole; boxed,tags,hash,sentence,number,line if not given");
  command
      .AddOption("--tolerance", options.judge.match.relative_tolerance,
                 "Numbers that differ by no more than this part are equal")
      .InRange(0.0, 0.5);
  command.AddOption("--verifier", arguments->verifier.command,
                    "The command that judges problems of kind external (docs/reasoning.md)");
  command.AddOption("--verifier-workers", arguments->verifier.workers, "Processes that run it")
      .InRange(1, 256)
      .ShowDefault();
  command
      .AddOption("--verifier-timeout", arguments->verifier.timeout_seconds,
                 "Seconds that it has for an answer")
      .InRange(0.01, 86'400.0)
      .ShowDefault();
}

void Evaluate(EvalArguments& arguments) {
  if (arguments.task.empty() == arguments.text.empty()) {
    throw UsageError("eval", "wants one of --task and --text");
  }
  if (arguments.text.empty()) {
    TaskCommand(arguments).Run();
  } else {
    EvaluateText(arguments);
  }
}

}  // namespace

void AddEvalCommand(Command app) {
  Command command = app.AddCommand(
      "eval", "Measure a model: right answers with their intervals, or bits per byte of texts.");
  command.Footer(
      "Example: fathom eval my-model --task gsm8k-test.jsonl --samples 4 --out results.jsonl\n"
      "         fathom eval my-base --task arithmetic:2 --plain --shots 4 --temperature 0");
  const auto arguments = std::make_shared<EvalArguments>();
  command.AddOption("MODEL", arguments->directory, "A model directory or a .gguf file").Required();
  Option task = command.AddOption(
      "--task", arguments->task,
      "A .jsonl file of problems, or held-out problems of a kind that `fathom problems` makes, "
      "with a difficulty: arithmetic, countdown:2-4");
  command
      .AddOption("--text", arguments->text,
                 "A text file, .jsonl with texts, or a folder of them: bits per byte, perplexity")
      .Excludes(task);
  command
      .AddOption("--text-field", arguments->text_field, "Key of a .jsonl line that holds its text")
      .ShowDefault();
  command.AddOption("--against", arguments->against,
                    "Another model, asked the same; with a paired test");
  command.AddOption("--limit", arguments->limit, "Problems or texts at most, the first ones");
  command.AddOption("--out", arguments->out,
                    "Keep every sample in this file, a line each; the same command goes on where "
                    "it was");
  command
      .AddOption("--window", arguments->window,
                 "With --text: tokens of a window, the first half of which is only read where a "
                 "text goes on; the model's context if not given")
      .InRange(4, int64_t{1} << 24);
  AddTaskOptions(command, arguments);
  arguments->sampling.AddTo(command);
  arguments->draft.AddTo(command);
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->adapter.AddTo(command);
  arguments->common.AddTo(command);
  command.GetOption("--seed").Describe("Seed of the random numbers; 0 if not given");
  command.OnRun([arguments] { Evaluate(*arguments); });
}

}  // namespace fathom
