#pragma once

#include <cstddef>
#include <string>

#include "base/message_digest.h"
#include "formats/model_source.h"

namespace fathom {

// Adds names, types and shapes of all tensors to a digest, and one row of at most `sampled` of
// them, evenly spread: enough to tell models apart that were trained differently, without reading
// all of them.
void AddWeights(const ModelSource& source, size_t sampled, MessageDigest& digest);

// SHA-256 of that with a row of every tensor, as hexadecimal digits.
std::string WeightsFingerprint(const ModelSource& source);

}  // namespace fathom
