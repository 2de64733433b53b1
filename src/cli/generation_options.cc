#include "cli/generation_options.h"

#include "base/error.h"

namespace fathom {

void SamplingOptions::AddTo(CLI::App& command) {
  command.add_option("--temperature", temperature, "0: always the most probable token");
  command.add_option("--top-p", top_p, "Only the most probable tokens that together reach this");
  command.add_option("--top-k", top_k, "Only so many most probable tokens; 0: all");
  command.add_option("--min-p", min_p,
                     "Only tokens at least this times as probable as the most probable one");
  command.add_option("--frequency-penalty", frequency_penalty,
                     "Taken from a token's logit for each time it has been written");
  command.add_option("--presence-penalty", presence_penalty,
                     "Taken from a token's logit once it has been written");
  command.add_option("--repetition-penalty", repetition_penalty,
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

void DraftOptions::AddTo(CLI::App& command) {
  command
      .add_option(
          "--draft", mode,
          "Guess tokens ahead with the model's MTP module and verify them together: auto "
          "(while it pays, and if the module fits into memory), on, off; answers are the same")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  command.add_option("--draft-tokens", tokens, "Tokens to guess at a time")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
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

void BosOption::AddTo(CLI::App& command) {
  CLI::Option* option = command.add_flag(
      "--bos", always,
      "Begin the text with the begin token; if not given, as tokenizer_config.json says");
  command.add_flag("--no-bos", never, "Do not begin the text with the begin token")
      ->excludes(option);
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
