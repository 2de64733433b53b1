#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fathom {

// The baseline that a language model has to beat: bytes predicted from the four before them, with
// interpolated Witten-Bell smoothing (Witten and Bell, IEEE Trans. Inf. Theory 37(4), 1991; Chen
// and Goodman, 1998, equation 17):
//   P_n(c | h) = (count(h c) + T(h) P_{n-1}(c | h')) / (count(h) + T(h)),
// T(h) the number of different bytes seen after h, h' the context without its oldest byte, and
// P_{-1} = 1/256. A context never seen passes P_{n-1} on. Documents are independent: the context is
// empty at the start of each.
class ByteBaseline {
 public:
  static constexpr int kOrder = 4;

  // Counts the bytes of one more document.
  void Train(std::string_view document);

  // To be called once, after the last Train and before the first prediction.
  void Finish();

  // P(byte | history): the last kOrder bytes of the history, or all of them if there are fewer.
  double Probability(std::string_view history, unsigned char byte) const;

  // The sum of -log2 P over the bytes of a document.
  double Bits(std::string_view document) const;

 private:
  // Open addressing; a key holds the order in its high bits, then the context, then the byte.
  class Table {
   public:
    struct Entry {
      uint64_t key = kEmpty;
      uint32_t count = 0;
      uint32_t distinct = 0;
    };
    static constexpr uint64_t kEmpty = ~uint64_t{0};

    Table() : entries_(size_t{1} << 12) {}
    Entry& At(uint64_t key);
    const Entry* Find(uint64_t key) const;
    const std::vector<Entry>& entries() const { return entries_; }

   private:
    size_t Slot(uint64_t key) const;
    void Grow();

    std::vector<Entry> entries_;
    size_t used_ = 0;
  };

  // context: the last `order` bytes, the newest lowest.
  static uint64_t GramKey(int order, uint64_t context, unsigned char byte);

  Table grams_;
  // Keyed by GramKey >> 8.
  Table contexts_;
};

}  // namespace fathom
