#pragma once

// What stands in for a model in tests of everything around it: a row is a hash of its token and of
// the row before it, read through the sequence's pages, and the next token is a hash of the last
// row. So whatever is wrong with pages shows as wrong tokens.

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "infer/executor.h"

namespace fathom::test {

class StubExecutor : public Executor {
 public:
  StubExecutor(int64_t pages, int64_t page_tokens, int32_t vocabulary = 50)
      : page_tokens_(page_tokens),
        vocabulary_(vocabulary),
        rows_(static_cast<size_t>(pages * page_tokens), kPoison) {}

  static uint64_t Row(uint64_t before, int32_t token) {
    uint64_t x =
        (before ^ (static_cast<uint64_t>(token) + 0x9E3779B97F4A7C15)) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
  }
  int32_t Next(uint64_t row) const {
    return static_cast<int32_t>(row % static_cast<uint64_t>(vocabulary_));
  }
  // What a request gets when nobody else is there.
  std::vector<int32_t> Answer(const std::vector<int32_t>& prompt, int64_t max_tokens,
                              const std::vector<int32_t>& stops) const {
    uint64_t row = kFirst;
    for (const int32_t token : prompt) row = Row(row, token);
    std::vector<int32_t> answer;
    while (static_cast<int64_t>(answer.size()) < max_tokens) {
      answer.push_back(Next(row));
      if (std::find(stops.begin(), stops.end(), answer.back()) != stops.end()) break;
      row = Row(row, answer.back());
    }
    return answer;
  }

  int64_t pages() const override { return static_cast<int64_t>(rows_.size()) / page_tokens_; }
  int64_t page_tokens() const override { return page_tokens_; }
  int64_t page_bytes() const override { return page_tokens_ * 8; }
  void CopyPage(int32_t from, int32_t to) override {
    for (int64_t i = 0; i < page_tokens_; ++i) At(to, i) = At(from, i);
  }
  void ReadPage(int32_t page, std::span<std::byte> bytes) override {
    std::memcpy(bytes.data(), &At(page, 0), bytes.size());
  }
  void WritePage(int32_t page, std::span<const std::byte> bytes) override {
    std::memcpy(&At(page, 0), bytes.data(), bytes.size());
  }

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t max_length() const override { return 1 << 20; }
  bool drafts() const override { return true; }
  const ExpertLoad& expert_load() const override { return expert_load_; }
  std::vector<PieceResult> Compute(std::span<const Piece> pieces) override {
    std::vector<PieceResult> results;
    std::set<std::pair<int32_t, int64_t>> written;
    for (const Piece& piece : pieces) {
      uint64_t row = piece.first_position == 0 ? kFirst : Read(piece, piece.first_position - 1);
      int64_t position = piece.first_position;
      PieceResult& result = results.emplace_back();
      const int64_t known = std::ssize(piece.tokens) - piece.guesses;
      bool holds = true;
      uint64_t last = 0;
      for (int64_t i = 0; i < std::ssize(piece.tokens); ++i) {
        const int32_t token = piece.tokens[static_cast<size_t>(i)];
        row = Row(row, token);
        // A guess holds when it is what was drawn in its place.
        if (i >= known) holds = holds && token == result.drawn.back().token;
        if (i >= known - 1 && holds && piece.sampler != nullptr) {
          result.drawn.push_back({.token = Next(row)});
          last = row;
        }
        const int32_t page = piece.pages[static_cast<size_t>(position / page_tokens_)];
        if (!written.emplace(page, position % page_tokens_).second) ++overwritten_;
        At(page, position % page_tokens_) = row;
        ++position;
      }
      for (int64_t i = 0; i < piece.drafts && piece.sampler != nullptr; ++i) {
        last = Row(last, i == 0 ? result.drawn.back().token : result.guesses.back());
        // Two of three guesses are right.
        result.guesses.push_back(last % 3 == 0 ? static_cast<int32_t>(last % 7) : Next(last));
      }
    }
    return results;
  }

  // Rows that two sequences wrote in one step.
  int64_t overwritten() const { return overwritten_; }

 private:
  static constexpr uint64_t kPoison = 0xDEADBEEF, kFirst = 42;

  uint64_t& At(int32_t page, int64_t row) {
    return rows_[static_cast<size_t>(page * page_tokens_ + row)];
  }
  uint64_t Read(const Piece& piece, int64_t position) {
    return At(piece.pages[static_cast<size_t>(position / page_tokens_)], position % page_tokens_);
  }

  int64_t page_tokens_;
  int32_t vocabulary_;
  std::vector<uint64_t> rows_;
  int64_t overwritten_ = 0;
  ExpertLoad expert_load_;  // it has no experts
};

}  // namespace fathom::test
