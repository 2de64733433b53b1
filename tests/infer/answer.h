#pragma once

// What tests of the engine ask for and get.

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "infer/engine.h"
#include "model/config.h"

namespace fathom::test {

// What a request got, as bits.
struct Answer {
  std::vector<int32_t> tokens;
  std::vector<uint32_t> logprobs, sampled_logprobs;
  FinishReason finish = FinishReason::kNone;
  bool operator==(const Answer&) const = default;

  void Add(const EngineEvent& event) {
    EXPECT_EQ(finish, FinishReason::kNone) << "a token after the end";
    tokens.push_back(event.token);
    logprobs.push_back(std::bit_cast<uint32_t>(event.logprob));
    sampled_logprobs.push_back(std::bit_cast<uint32_t>(event.sampled_logprob));
    finish = event.finish;
  }
};

inline std::vector<int32_t> RandomPrompt(const ModelConfig& config, int64_t length, uint64_t seed) {
  RandomStream random(seed);
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < length; ++i) {
    prompt.push_back(
        static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(config.vocab_size))));
  }
  return prompt;
}

}  // namespace fathom::test
