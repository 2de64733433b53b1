#include "data/byte_baseline.h"

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

constexpr int kOrderShift = 8 * (ByteBaseline::kOrder + 1);

uint64_t LowBytes(uint64_t value, int count) { return value & ((uint64_t{1} << (8 * count)) - 1); }

}  // namespace

size_t ByteBaseline::Table::Slot(uint64_t key) const {
  const size_t mask = entries_.size() - 1;
  size_t slot = (key * 0x9E3779B97F4A7C15) >> 24 & mask;
  while (entries_[slot].key != key && entries_[slot].key != kEmpty) slot = (slot + 1) & mask;
  return slot;
}

ByteBaseline::Table::Entry& ByteBaseline::Table::At(uint64_t key) {
  size_t slot = Slot(key);
  if (entries_[slot].key == kEmpty) {
    if (2 * (used_ + 1) > entries_.size()) {
      Grow();
      slot = Slot(key);
    }
    ++used_;
    entries_[slot].key = key;
  }
  return entries_[slot];
}

const ByteBaseline::Table::Entry* ByteBaseline::Table::Find(uint64_t key) const {
  const Entry& entry = entries_[Slot(key)];
  return entry.key == kEmpty ? nullptr : &entry;
}

void ByteBaseline::Table::Grow() {
  std::vector<Entry> old(2 * entries_.size());
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.key != kEmpty) entries_[Slot(entry.key)] = entry;
  }
}

uint64_t ByteBaseline::GramKey(int order, uint64_t context, unsigned char byte) {
  return static_cast<uint64_t>(order) << kOrderShift | context << 8 | byte;
}

void ByteBaseline::Train(std::string_view document) {
  uint64_t history = 0;
  int length = 0;
  for (const char c : document) {
    const auto byte = static_cast<unsigned char>(c);
    for (int order = 0; order <= length; ++order)
      ++grams_.At(GramKey(order, LowBytes(history, order), byte)).count;
    history = history << 8 | byte;
    length = std::min(length + 1, kOrder);
  }
}

void ByteBaseline::Finish() {
  for (const Table::Entry& gram : grams_.entries()) {
    if (gram.key == Table::kEmpty) continue;
    Table::Entry& context = contexts_.At(gram.key >> 8);
    context.count += gram.count;
    ++context.distinct;
  }
}

double ByteBaseline::Probability(std::string_view history, unsigned char byte) const {
  const int length = static_cast<int>(std::min<size_t>(history.size(), kOrder));
  uint64_t bytes = 0;
  for (const char c : history.substr(history.size() - static_cast<size_t>(length)))
    bytes = bytes << 8 | static_cast<unsigned char>(c);
  double probability = 1.0 / 256;
  for (int order = 0; order <= length; ++order) {
    const uint64_t key = GramKey(order, LowBytes(bytes, order), byte);
    const Table::Entry* context = contexts_.Find(key >> 8);
    // A context that was never seen has no longer one that was.
    if (context == nullptr) break;
    const Table::Entry* gram = grams_.Find(key);
    const double count = gram == nullptr ? 0 : gram->count;
    const double distinct = context->distinct;
    probability = (count + distinct * probability) / (context->count + distinct);
  }
  return probability;
}

double ByteBaseline::Bits(std::string_view document) const {
  double bits = 0;
  for (size_t i = 0; i < document.size(); ++i)
    bits -= std::log2(Probability(document.substr(0, i), static_cast<unsigned char>(document[i])));
  return bits;
}

}  // namespace fathom
