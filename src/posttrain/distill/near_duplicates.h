#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom {

// Texts that are nearly the same: the Jaccard similarity of their sets of runs of 5 words, as Lee
// et al. compare texts (arXiv 2107.06499: 0.8 is a near duplicate), estimated by MinHash (Broder
// 1997) with 128 hash functions (standard error 0.035 at 0.8). Texts are compared that agree in one
// of 32 bands of 4 values: a pair of similarity 0.8 is missed once in 10^7. Memory: 512 bytes a
// text.
class NearDuplicates {
 public:
  using Signature = std::array<uint32_t, 128>;
  static constexpr size_t kWords = 5;

  // threshold: in (0, 1].
  explicit NearDuplicates(double threshold) : threshold_(threshold) {}

  // Of texts with fewer than kWords words: of all of them together.
  static Signature SignatureOf(std::span<const uint64_t> words);
  static double Similarity(const Signature& a, const Signature& b);

  // Whether a text was added that is at least as similar as the threshold.
  bool Holds(const Signature& signature) const;
  void Add(const Signature& signature);

 private:
  static constexpr size_t kBandValues = 4, kBands = 32;
  static uint64_t BandKey(const Signature& signature, size_t band);

  double threshold_;
  std::vector<Signature> texts_;
  std::unordered_map<uint64_t, std::vector<uint32_t>> bands_;  // which texts have a band's values
};

}  // namespace fathom
