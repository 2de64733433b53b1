#include "cli/generation_options.h"

#include "base/error.h"

namespace fathom {

void SamplingOptions::AddTo(Command command) {
  command.AddOption("--temperature", temperature, "0: always the most probable token");
  command.AddOption("--top-p", top_p, "Only the most probable tokens that together reach this");
  command.AddOption("--top-k", top_k, "Only so many most probable tokens; 0: all");
  command.AddOption("--min-p", min_p,
                    "Only tokens at least this times as probable as the most probable one");
  command.AddOption("--frequency-penalty", frequency_penalty,
                    "Taken from a token's logit for each time it has been written");
  command.AddOption("--presence-penalty", presence_penalty,
                    "Taken from a token's logit once it has been written");
  command.AddOption("--repetition-penalty", repetition_penalty,
                    "Divides the positive logits of tokens of prompt and answer, multiplies the "
                    "negative ones; 1: off");
}

SamplingParams SamplingOptions::Resolve(const GenerationDefaults& defaults, uint64_t seed) const {
  SamplingParams params = defaults.sampling;
  if (temperature) params.temperature = *temperature;
  if (top_p) params.top_p = *top_p;
  if (top_k) params.top_k = *top_k;
  if (min_p) params.min_p = *min_p;
  if (frequency_penalty) params.frequency_penalty = *frequency_penalty;
  if (presence_penalty) params.presence_penalty = *presence_penalty;
  if (repetition_penalty) params.repetition_penalty = *repetition_penalty;
  params.seed = seed;
  params.Validate();
  return params;
}

void DraftOptions::AddTo(Command command) {
  command
      .AddOption(
          "--draft", mode,
          "Guess tokens ahead with the model's MTP module and verify them together: auto "
          "(while it pays, and if the module fits into memory), on, off; answers are the same")
      .OneOf({"auto", "on", "off"})
      .ShowDefault();
  command.AddOption("--draft-tokens", tokens, "Tokens to guess at a time")
      .InRange(1, 16)
      .ShowDefault();
}

MtpUse DraftOptions::wants_mtp() const {
  return mode == "off" ? MtpUse::kNone : mode == "on" ? MtpUse::kRequired : MtpUse::kIfItFits;
}

void DraftOptions::Apply(const LoadedModel& model, EngineOptions& options) const {
  if (mode == "on" && model.config().num_nextn_predict_layers == 0) {
    throw UsageError("--draft on", "this model has no MTP module to guess with", "leave it away");
  }
  options.draft = mode == "on"    ? DraftMode::kOn
                  : mode == "off" ? DraftMode::kOff
                                  : DraftMode::kAuto;
  options.draft_tokens = tokens;
}

void AddThinkFlags(Command command, std::optional<bool>& think) {
  const Option first = command.AddFlagThat(
      "--think", [&think] { think = true; },
      "Let the model think first, where its template lets one choose");
  command
      .AddFlagThat(
          "--no-think", [&think] { think = false; }, "Let it answer at once")
      .Excludes(first);
}

void BosOption::AddTo(Command command) {
  Option option = command.AddFlag(
      "--bos", always,
      "Begin the text with the begin token; if not given, as tokenizer_config.json says");
  command.AddFlag("--no-bos", never, "Do not begin the text with the begin token").Excludes(option);
}

std::vector<int32_t> BosOption::Encode(const LoadedModel& model, std::string_view text) const {
  const Tokenizer& tokenizer = model.RequireTokenizer();
  std::vector<int32_t> ids;
  if (always || (model.defaults().add_bos && !never)) {
    if (model.defaults().bos_id < 0) {
      throw Error(model.directory().string(), "has no begin token", "leave --bos away");
    }
    ids.push_back(model.defaults().bos_id);
  }
  tokenizer.Encode(text, {}, ids);
  return ids;
}

}  // namespace fathom
