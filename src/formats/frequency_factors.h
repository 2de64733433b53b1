#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model/config.h"

namespace fathom {

// What the scaling of a configuration divides the frequency of each rotated pair by; with these
// GGUF files say Llama 3's scaling (rope_freqs.weight).
std::vector<float> FrequencyFactors(const ModelConfig& config);

// Llama 3's scaling that has these factors, one for each pair of a head, with the base theta of the
// frequencies; nothing when none has. Low and high factor and original context cannot be told from
// one another, only what they do to the pairs: those of the releases (1 and 4) where they explain
// the factors, else some that give the same frequencies.
std::optional<Llama3Scaling> Llama3ScalingOf(std::span<const float> factors, double theta);

}  // namespace fathom
