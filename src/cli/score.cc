#include "cli/score.h"

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "cli/model_engine.h"
#include "cli/score_rows.h"
#include "infer/scorer.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct ScoreArguments {
  CommonOptions common;
  PrecisionOption precision;
  AdapterOption adapter;
  BosOption bos;
  std::filesystem::path directory;
  std::optional<std::string> text;
  std::string tokens;
  std::filesystem::path rows;
  CacheFormatOption cache;
  ScoreOptions options;
};

// For every token null (the first) or [[id, log-probability], ...].
ordered_json TopJson(const TokenScores& scores) {
  ordered_json positions = ordered_json::array({nullptr});
  for (const auto& ranked : scores.top) {
    ordered_json tokens = ordered_json::array();
    for (const RankedToken& token : ranked) tokens.push_back({token.token, token.logprob});
    positions.push_back(std::move(tokens));
  }
  return positions;
}

void Score(ScoreArguments& arguments) {
  const int given = (arguments.text.has_value() ? 1 : 0) + (arguments.tokens.empty() ? 0 : 1) +
                    (arguments.rows.empty() ? 0 : 1);
  if (given != 1) throw UsageError("score", "wants one of --text, --tokens and --rows");
  if (!arguments.rows.empty()) {
    if (!arguments.adapter.directory.empty())
      throw UsageError("score --rows", "reward models have no adapters", "leave out --adapter");
    Device device(arguments.common.device, arguments.common.threads);
    ScoreRows(device.context(), arguments.directory, arguments.precision.Get(), arguments.rows,
              arguments.common.quiet);
    return;
  }
  if (arguments.options.top > 0 && !arguments.common.json) {
    throw UsageError("score --top", "is shown with --json only", "add --json");
  }
  arguments.options.format = arguments.cache.Get();
  Device device(arguments.common.device, arguments.common.threads);
  LoadedModel model(arguments.directory, arguments.precision.Get(), MtpUse::kNone,
                    arguments.adapter.directory);
  std::vector<int32_t> tokens;
  if (arguments.text) {
    tokens =
        arguments.bos.Encode(model, *arguments.text == "-" ? ReadStandardInput() : *arguments.text);
  } else if (arguments.tokens == "-") {
    tokens = ParseTokenIds(ReadStandardInput(), "standard input");
  } else {
    tokens = ParseTokenIds(ReadFile(arguments.tokens), arguments.tokens);
  }
  if (tokens.size() < 2) {
    throw Error("score", fmt::format("there are {} tokens", tokens.size()),
                "at least two are needed: the first is only read");
  }
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t chunk = arguments.options.chunk_tokens;
  model.Pack(device.context(),
             {.pages = ScorePages(model.config(), count, arguments.options),
              .format = arguments.options.format,
              .batch_tokens = chunk,
              .logit_rows = chunk},
             arguments.common.quiet);
  Progress progress("scoring", "tokens", static_cast<double>(count), arguments.common.quiet);
  const TokenScores scores =
      ScoreTokens(device.context(), model.transformer(), tokens, arguments.options,
                  [&](int64_t done) { progress.Update(static_cast<double>(done)); });
  progress.Clear();
  const std::vector<float>& logprobs = scores.logprobs;

  double total = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < logprobs.size(); ++i) {
    total += logprobs[i];
    if (model.tokenizer() != nullptr) {
      const int32_t id = tokens[i + 1];
      // Special tokens stand for no text.
      if (!model.tokenizer()->IsSpecial(id)) {
        bytes += static_cast<int64_t>(model.tokenizer()->TokenBytes(id).size());
      }
    }
  }
  const auto scored = static_cast<double>(logprobs.size());
  const double perplexity = std::exp(-total / scored);
  const double bits_per_byte =
      bytes > 0 ? -total / std::log(2.0) / static_cast<double>(bytes) : std::nan("");
  if (arguments.common.json) {
    ordered_json json;
    json["tokens"] = tokens;
    // The first token is only read.
    json["logprobs"] = ordered_json::array({nullptr});
    for (const float logprob : logprobs) json["logprobs"].push_back(logprob);
    if (arguments.options.top > 0) json["top"] = TopJson(scores);
    json["scored_tokens"] = logprobs.size();
    json["total_logprob"] = total;
    json["perplexity"] = perplexity;
    json["scored_bytes"] = bytes;
    json["bits_per_byte"] = bytes > 0 ? ordered_json(bits_per_byte) : ordered_json(nullptr);
    WriteJson(json);
    return;
  }
  std::string lines = fmt::format("{}\t-\n", tokens[0]);
  for (size_t i = 0; i < logprobs.size(); ++i) {
    lines += fmt::format("{}\t{:.9g}\n", tokens[i + 1], logprobs[i]);
  }
  WriteStandardOutput(lines);
  if (arguments.common.quiet) return;
  fmt::print(stderr, "{} token{}, total log-probability {:.9g}, perplexity {:.6g}", logprobs.size(),
             logprobs.size() == 1 ? "" : "s", total, perplexity);
  if (bytes > 0) fmt::print(stderr, ", {:.6g} bits per byte over {} bytes", bits_per_byte, bytes);
  fmt::print(stderr, "\n");
}

}  // namespace

void AddScoreCommand(Command app) {
  Command command = app.AddCommand(
      "score",
      "The log-probability of every token of a text, in nats, at full precision; or, with --rows, "
      "what a reward model makes of answers.");
  command.Footer("Example: fathom score my-model --text 'int main() {' --json");
  const auto arguments = std::make_shared<ScoreArguments>();
  command.AddOption("MODEL", arguments->directory, "A model directory or a .gguf file").Required();
  Option text = command.AddOption("--text", arguments->text, "The text; - reads it on stdin");
  command
      .AddOption("--tokens", arguments->tokens,
                 "A file of token ids separated by spaces instead; - reads them on stdin")
      .Excludes(text);
  command.AddOption("--rows", arguments->rows,
                    "A .jsonl file of answers in their conversations, for a reward model to score "
                    "(docs/reward-models.md)");
  command
      .AddOption("--window", arguments->options.window,
                 "Score a longer text in windows of so many tokens, each without what came "
                 "before; the model's context if not given")
      .InRange(1, int64_t{1} << 24);
  command
      .AddOption("--top", arguments->options.top,
                 "With --json, also the ids and log-probabilities of the N most likely tokens "
                 "at every position")
      .InRange(0, int64_t{1} << 24);
  arguments->bos.AddTo(command);
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->adapter.AddTo(command);
  arguments->common.AddTo(command);
  command.OnRun([arguments] { Score(*arguments); });
}

}  // namespace fathom
