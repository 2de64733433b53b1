#include "infer/sampling/sampling_params.h"

#include <string_view>

#include "base/error.h"

namespace fathom {
namespace {

void Require(bool holds, std::string_view name, double value, std::string_view range) {
  if (!holds) throw UsageError(name, fmt::format("{} is out of range", value), range);
}

}  // namespace

void SamplingParams::Validate() const {
  Require(temperature == 0 || (temperature >= 0.01 && temperature <= 100), "temperature",
          temperature, "it can be 0 (greedy), or from 0.01 to 100");
  Require(top_p > 0 && top_p <= 1, "top_p", top_p, "it has to be above 0 and at most 1");
  Require(top_k >= 0, "top_k", static_cast<double>(top_k), "it can be 0 (off) or more");
  Require(min_p >= 0 && min_p <= 1, "min_p", min_p, "it has to be from 0 to 1");
  Require(frequency_penalty >= -2 && frequency_penalty <= 2, "frequency_penalty", frequency_penalty,
          "it has to be from -2 to 2");
  Require(presence_penalty >= -2 && presence_penalty <= 2, "presence_penalty", presence_penalty,
          "it has to be from -2 to 2");
  Require(repetition_penalty >= 0.1 && repetition_penalty <= 10, "repetition_penalty",
          repetition_penalty, "it has to be from 0.1 to 10; 1 is none");
  Require(logit_bias.size() <= kMostBiases, "logit_bias", static_cast<double>(logit_bias.size()),
          fmt::format("{} tokens can have one", kMostBiases));
  for (const TokenBias& one : logit_bias) {
    Require(one.bias >= -100 && one.bias <= 100, "logit_bias", one.bias,
            "it has to be from -100 to 100");
  }
}

}  // namespace fathom
