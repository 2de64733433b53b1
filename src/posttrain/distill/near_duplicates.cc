#include "posttrain/distill/near_duplicates.h"

#include <algorithm>

#include "base/hash.h"
#include "posttrain/distill/text_words.h"

namespace fathom {
namespace {

// The finalizer of MurmurHash3 (Austin Appleby, public domain): every bit depends on every other.
uint64_t Mixed(uint64_t x) {
  x ^= x >> 33;
  x *= 0xFF51AFD7ED558CCD;
  x ^= x >> 33;
  x *= 0xC4CEB9FE1A85EC53;
  return x ^ (x >> 33);
}

}  // namespace

NearDuplicates::Signature NearDuplicates::SignatureOf(std::span<const uint64_t> words) {
  const std::vector<uint64_t> ngrams =
      NgramHashes(words, std::clamp<size_t>(words.size(), 1, kWords));
  Signature signature;
  signature.fill(UINT32_MAX);
  for (const uint64_t ngram : ngrams) {
    for (size_t i = 0; i < signature.size(); ++i) {
      // One function of two keys is many functions of one.
      const auto value = static_cast<uint32_t>(Mixed(ngram + i * 0x9E3779B97F4A7C15) >> 32);
      signature[i] = std::min(signature[i], value);
    }
  }
  return signature;
}

double NearDuplicates::Similarity(const Signature& a, const Signature& b) {
  size_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(equal) / static_cast<double>(a.size());
}

uint64_t NearDuplicates::BandKey(const Signature& signature, size_t band) {
  return HashOf({reinterpret_cast<const char*>(&signature[band * kBandValues]),
                 kBandValues * sizeof(uint32_t)},
                band);
}

bool NearDuplicates::Holds(const Signature& signature) const {
  for (size_t band = 0; band < kBands; ++band) {
    const auto found = bands_.find(BandKey(signature, band));
    if (found == bands_.end()) continue;
    for (const uint32_t text : found->second) {
      if (Similarity(signature, texts_[text]) >= threshold_) return true;
    }
  }
  return false;
}

void NearDuplicates::Add(const Signature& signature) {
  const auto text = static_cast<uint32_t>(texts_.size());
  texts_.push_back(signature);
  for (size_t band = 0; band < kBands; ++band) bands_[BandKey(signature, band)].push_back(text);
}

}  // namespace fathom
