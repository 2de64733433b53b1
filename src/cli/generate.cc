#include "cli/generate.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "cli/model_engine.h"
#include "text/stream_decoder.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct GenerateArguments {
  CommonOptions common;
  PrecisionOption precision;
  AdapterOption adapter;
  SamplingOptions sampling;
  BosOption bos;
  CacheOptions cache;
  DraftOptions draft;
  std::filesystem::path directory;
  std::string prompt;
  std::optional<int64_t> max_tokens;
  int64_t choices = 1;
  bool ignore_stop = false;
};

constexpr int64_t kDefaultMaxTokens = 256;

// One of the answers under way.
struct Choice {
  explicit Choice(const Tokenizer& tokenizer) : decoder(tokenizer) {}

  StreamDecoder decoder;
  std::string text;
  std::vector<int32_t> tokens;
  std::vector<double> logprobs;
  FinishReason finish = FinishReason::kNone;
  RequestUsage usage;  // when it is finished
};

class Generation {
 public:
  explicit Generation(GenerateArguments& arguments)
      : arguments_(arguments),
        device_(arguments.common.device, arguments.common.threads),
        model_(arguments.directory, arguments.precision.Get(), arguments.draft.wants_mtp(),
               arguments.adapter.directory) {}

  void Run() {
    Prepare();
    const bool stream = choices_.size() == 1 && !arguments_.common.json;
    Engine& engine = engine_->engine();
    for (size_t i = 0; i < choices_.size(); ++i) {
      request_.choice = i;
      engine.AddRequest(request_);  // ids are 0, 1, ...
    }
    InterruptGuard guard;
    const auto start = Clock::now();
    const auto prompt_tokens = static_cast<int64_t>(request_.prompt.size());
    const auto count = static_cast<int64_t>(choices_.size());
    Progress progress("prompt", "tokens", static_cast<double>(count * prompt_tokens),
                      arguments_.common.quiet);
    Progress answers("answers", "tokens", static_cast<double>(count * request_.max_tokens),
                     arguments_.common.quiet || stream);
    while (!engine.idle() && !InterruptGuard::Requested()) {
      const auto events = engine.Step();
      if (events.empty() && generated_ == 0) {
        progress.Update(static_cast<double>(engine.statistics().tokens));
      }
      if (!events.empty() && generated_ == 0) {
        progress.Clear();
        first_token_ = Clock::now() - start;
      }
      for (const EngineEvent& event : events) Take(event, stream);
      answers.Update(static_cast<double>(generated_));
    }
    answers.Clear();
    total_ = Clock::now() - start;
    for (Choice& choice : choices_) {
      const std::string rest = choice.decoder.Finish();
      choice.text += rest;
      if (stream) WriteStandardOutput(rest + "\n");
    }
    if (arguments_.common.json) {
      WriteJson(Json());
    } else if (!stream) {
      for (size_t i = 0; i < choices_.size(); ++i) {
        WriteStandardOutput(fmt::format("--- {}\n{}\n", i, choices_[i].text));
      }
    }
    if (!arguments_.common.quiet) Summary();
    InterruptGuard::ThrowIfRequested("generating");
  }

 private:
  void Prepare() {
    request_.prompt = arguments_.bos.Encode(
        model_, arguments_.prompt == "-" ? ReadStandardInput() : arguments_.prompt);
    // With nothing to go on from, a text begins.
    if (request_.prompt.empty() && model_.defaults().bos_id >= 0 && !arguments_.bos.never) {
      request_.prompt.push_back(model_.defaults().bos_id);
    }
    request_.sampling = arguments_.sampling.Resolve(model_.defaults(), arguments_.common.Seed());
    if (!arguments_.ignore_stop) request_.stop_ids = model_.defaults().stop_ids;
    const auto prompt = static_cast<int64_t>(request_.prompt.size());
    const int64_t context = model_.config().max_position_embeddings;
    request_.max_tokens = arguments_.max_tokens.value_or(
        std::max<int64_t>(1, std::min(kDefaultMaxTokens, context - prompt)));
    RequireContext(prompt, request_.max_tokens, context);
    for (int64_t i = 0; i < arguments_.choices; ++i) {
      choices_.emplace_back(model_.RequireTokenizer());
    }
    const int64_t length = prompt + request_.max_tokens;
    // The prompt's whole pages are shared; each answer has a copy of what is left of it, and one
    // page to grow, which the scheduler asks for before it starts another one.
    const int64_t shared = prompt / KvCache::kPageTokens;
    const int64_t pages = shared + 1 + arguments_.choices * (KvCache::Pages(length) - shared + 1);
    EngineOptions options;
    arguments_.draft.Apply(model_, options);
    engine_.emplace(device_, model_, arguments_.cache, pages, KvCache::Pages(length), options,
                    arguments_.common.quiet);
  }

  void Take(const EngineEvent& event, bool stream) {
    if (event.finish == FinishReason::kFailed) throw Error("generate", event.error);
    ++generated_;
    Choice& choice = choices_[static_cast<size_t>(event.request)];
    choice.tokens.push_back(event.token);
    choice.logprobs.push_back(event.logprob);
    choice.finish = event.finish;
    if (event.finish != FinishReason::kNone) choice.usage = event.usage;
    if (event.finish == FinishReason::kStop) return;
    const std::string piece = choice.decoder.Push(event.token);
    choice.text += piece;
    if (stream && !piece.empty()) WriteStandardOutput(piece);
  }

  double DecodeSpeed() const {
    const double seconds = (total_ - first_token_).count();
    const auto after_first = static_cast<double>(generated_) - static_cast<double>(choices_.size());
    return seconds > 0 && after_first > 0 ? after_first / seconds : 0;
  }

  ordered_json Json() const {
    ordered_json json;
    json["prompt_tokens"] = request_.prompt;
    json["seed"] = request_.sampling.seed;
    json["temperature"] = request_.sampling.temperature;
    json["top_p"] = request_.sampling.top_p;
    json["top_k"] = request_.sampling.top_k;
    json["min_p"] = request_.sampling.min_p;
    json["choices"] = ordered_json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      const bool ended = choice.finish != FinishReason::kNone;
      json["choices"].push_back({{"index", i},
                                 {"text", choice.text},
                                 {"tokens", choice.tokens},
                                 {"logprobs", choice.logprobs},
                                 {"finish_reason", ended ? Name(choice.finish) : "interrupted"}});
    }
    json["usage"] = ordered_json::array();
    for (const Choice& choice : choices_) {
      const RequestUsage& usage = choice.usage;
      json["usage"].push_back({{"cached_tokens", usage.cached_tokens},
                               {"disk_tokens", usage.disk_tokens},
                               {"answer_tokens", usage.answer_tokens},
                               {"guessed_tokens", usage.guessed_tokens},
                               {"accepted_tokens", usage.accepted_tokens},
                               {"preemptions", usage.preemptions},
                               {"recomputed_tokens", usage.recomputed_tokens},
                               {"queue_seconds", usage.queue_seconds},
                               {"first_token_seconds", usage.first_token_seconds},
                               {"seconds", usage.seconds}});
    }
    json["seconds_to_first_token"] = first_token_.count();
    json["decode_tokens_per_second"] = DecodeSpeed();
    return json;
  }

  void Summary() const {
    int64_t cached = 0, guessed = 0, accepted = 0;
    for (const Choice& choice : choices_) {
      cached += choice.usage.cached_tokens;
      guessed += choice.usage.guessed_tokens;
      accepted += choice.usage.accepted_tokens;
    }
    fmt::print(
        stderr,
        "{} prompt tokens{}, first token after {}; {} tokens at {:.1f} tokens/s{}; seed {}\n",
        request_.prompt.size(),
        cached > 0 ? fmt::format(" ({} in all came out of the cache)", cached) : "",
        FormatDuration(first_token_.count()), generated_, DecodeSpeed(),
        guessed > 0 ? fmt::format(" ({} of {} guesses held)", accepted, guessed) : "",
        request_.sampling.seed);
  }

  GenerateArguments& arguments_;
  Device device_;
  LoadedModel model_;
  std::optional<ModelEngine> engine_;
  GenerationRequest request_;
  std::vector<Choice> choices_;
  int64_t generated_ = 0;
  std::chrono::duration<double> first_token_{0}, total_{0};
};

}  // namespace

void AddGenerateCommand(Command app) {
  Command command = app.AddCommand("generate", "Continue a text.");
  command.Footer(
      "Example: fathom generate my-model --prompt 'int main(' --max-tokens 100 --seed 1");
  const auto arguments = std::make_shared<GenerateArguments>();
  command.AddOption("MODEL", arguments->directory, "A model directory or a .gguf file").Required();
  command.AddOption("--prompt", arguments->prompt, "The text to go on from; - reads it on stdin")
      .Required();
  command
      .AddOption("--max-tokens", arguments->max_tokens,
                 "Tokens to write at most; 256, or what the context holds, if not given")
      .InRange(1, int64_t{1} << 40);
  command.AddOption("--n", arguments->choices, "Answers to write").InRange(1, 1024).ShowDefault();
  command.AddFlag("--ignore-eos", arguments->ignore_stop, "Do not stop at the end token");
  arguments->sampling.AddTo(command);
  arguments->bos.AddTo(command);
  arguments->draft.AddTo(command);
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->adapter.AddTo(command);
  arguments->common.AddTo(command);
  command.OnRun([arguments] { Generation(*arguments).Run(); });
}

}  // namespace fathom
