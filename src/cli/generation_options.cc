#include "cli/generation_options.h"

#include "base/error.h"

namespace fathom {

void SamplingOptions::AddTo(CLI::App& command) {
  command.add_option("--temperature", temperature, "0: always the most probable token");
  command.add_option("--top-p", top_p, "Only the most probable tokens that together reach this");
  command.add_option("--top-k", top_k, "Only so many most probable tokens; 0: all");
  command.add_option("--min-p", min_p,
                     "Only tokens at least this times as probable as the most probable one");
}

SamplingParams SamplingOptions::Resolve(const GenerationDefaults& defaults, uint64_t seed) const {
  SamplingParams params = defaults.sampling;
  if (temperature) params.temperature = *temperature;
  if (top_p) params.top_p = *top_p;
  if (top_k) params.top_k = *top_k;
  if (min_p) params.min_p = *min_p;
  params.seed = seed;
  params.Validate();
  return params;
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
