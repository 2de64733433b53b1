#include "text/bpe_encoder.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kShortWord = 48;  // bytes; up to here scanning beats the heap
constexpr int32_t kNoMerge = INT32_MAX;

uint64_t HashWord(std::string_view word) {
  uint64_t hash = word.size() * 0x9E3779B97F4A7C15u;
  const char* p = word.data();
  size_t left = word.size();
  const auto mix = [&](uint64_t chunk) {
    hash = (hash ^ chunk) * 0xD6E8FEB86659FD93u;
    hash ^= hash >> 32;
  };
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, p, 8);
    mix(chunk);
  }
  if (left > 0) {
    uint64_t chunk = 0;
    std::memcpy(&chunk, p, left);
    mix(chunk);
  }
  return hash;
}

}  // namespace

BpeEncoder::BpeEncoder(const BpeModel& model) : model_(model), cache_(kCacheSlots) {}

void BpeEncoder::Encode(std::string_view word, std::vector<int32_t>& ids) {
  if (word.size() > kCachedBytes) return EncodeUnseen(word, ids);
  if (word.size() == 1) {
    ids.push_back(model_.ByteId(static_cast<uint8_t>(word[0])));
    return;
  }
  if (word.empty()) return;
  CachedWord& cached = cache_[HashWord(word) % kCacheSlots];
  if (cached.bytes == word.size() &&
      std::memcmp(cached.word.data(), word.data(), word.size()) == 0) {
    ids.insert(ids.end(), cached.ids.begin(), cached.ids.begin() + cached.count);
    return;
  }
  const size_t before = ids.size();
  EncodeUnseen(word, ids);
  const size_t count = ids.size() - before;
  if (count > kCachedIds) return;
  cached.bytes = static_cast<uint8_t>(word.size());
  cached.count = static_cast<uint8_t>(count);
  std::memcpy(cached.word.data(), word.data(), word.size());
  std::copy(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), cached.ids.begin());
}

void BpeEncoder::EncodeUnseen(std::string_view word, std::vector<int32_t>& ids) {
  if (const int32_t whole = model_.WholeWord(word); whole >= 0) {
    ids.push_back(whole);
  } else if (word.size() <= kShortWord) {
    MergeShort(word, ids);
  } else {
    MergeLong(word, ids);
  }
}

void BpeEncoder::MergeShort(std::string_view word, std::vector<int32_t>& ids) {
  size_t count = word.size();
  symbols_.resize(count);
  with_next_.resize(count);
  const auto look_up = [&](size_t i) {
    const auto* merge = i + 1 < count ? model_.FindMerge(symbols_[i], symbols_[i + 1]) : nullptr;
    with_next_[i] = merge != nullptr ? *merge : BpeModel::RankedMerge{kNoMerge, -1};
  };
  for (size_t i = 0; i < count; ++i) symbols_[i] = model_.ByteId(static_cast<uint8_t>(word[i]));
  for (size_t i = 0; i < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (with_next_[i].rank < with_next_[best].rank) best = i;
    }
    if (with_next_[best].rank == kNoMerge) break;
    symbols_[best] = with_next_[best].result;
    --count;
    std::copy(symbols_.begin() + best + 2, symbols_.begin() + count + 1,
              symbols_.begin() + best + 1);
    std::copy(with_next_.begin() + best + 2, with_next_.begin() + count + 1,
              with_next_.begin() + best + 1);
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  ids.insert(ids.end(), symbols_.begin(), symbols_.begin() + count);
}

void BpeEncoder::MergeLong(std::string_view word, std::vector<int32_t>& ids) {
  if (word.size() >= INT32_MAX) {
    throw Error("tokeniser", "a word of 2 GiB or more cannot be encoded", "split the document");
  }
  const auto size = static_cast<int32_t>(word.size());
  nodes_.resize(word.size());
  for (int32_t i = 0; i < size; ++i) {
    nodes_[i] = {model_.ByteId(static_cast<uint8_t>(word[i])), i - 1, i + 1};
  }
  heap_.clear();
  const auto candidate_at = [&](int32_t position, auto&& add) {
    const int32_t next = nodes_[position].next;
    if (next == size) return;
    const auto* merge = model_.FindMerge(nodes_[position].id, nodes_[next].id);
    if (merge != nullptr) add({merge->rank, position, nodes_[position].id, nodes_[next].id});
  };
  const auto push = [&](const Candidate& candidate) {
    heap_.push_back(candidate);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  };
  for (int32_t i = 0; i < size; ++i) {
    candidate_at(i, [&](const Candidate& candidate) { heap_.push_back(candidate); });
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Candidate top = heap_.back();
    heap_.pop_back();
    Node& node = nodes_[top.position];
    if (node.id != top.left || node.next == size || nodes_[node.next].id != top.right) continue;
    node.id = model_.FindMerge(top.left, top.right)->result;
    Node& absorbed = nodes_[node.next];
    absorbed.id = -1;
    node.next = absorbed.next;
    if (node.next < size) nodes_[node.next].previous = top.position;
    if (node.previous >= 0) candidate_at(node.previous, push);
    candidate_at(top.position, push);
  }
  for (int32_t i = 0; i < size; i = nodes_[i].next) ids.push_back(nodes_[i].id);
  // A rare giant must not stay in memory.
  if (word.size() > (1 << 16)) {
    nodes_ = {};
    heap_ = {};
  }
}

}  // namespace fathom
