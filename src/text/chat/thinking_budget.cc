#include "text/chat/thinking_budget.h"

#include <string>
#include <utility>

#include "text/special_tokens.h"

namespace fathom {

ThinkingBudget::ThinkingBudget(const Tokenizer& tokenizer, bool inside, int64_t tokens,
                               std::shared_ptr<TokenConstraint> other)
    : tokenizer_(tokenizer),
      tokens_(tokens),
      end_(tokenizer.Encode("\n" + std::string(kThinkEnd) + "\n\n")),
      other_(std::move(other)),
      progress_{.splitter = ThinkingSplitter(inside)} {}

bool ThinkingBudget::Ends(const Progress& progress) const {
  if (progress.ended > 0) return progress.ended < end_.size();
  return progress.splitter.inside() && progress.thoughts >= tokens_;
}

void ThinkingBudget::Advance(Progress& progress, int32_t token) const {
  if (Ends(progress)) {
    ++progress.ended;
  } else if (progress.splitter.inside()) {
    ++progress.thoughts;
  }
  progress.splitter.Push(tokenizer_.TokenBytes(token));
}

std::span<const uint64_t> ThinkingBudget::Allowed(std::span<const int32_t> ahead) {
  Progress progress = progress_;
  for (const int32_t token : ahead) Advance(progress, token);
  if (!Ends(progress)) return other_ ? other_->Allowed(ahead) : std::span<const uint64_t>();
  const auto id = static_cast<size_t>(end_[progress.ended]);
  words_.assign(id / 64 + 1, 0);
  words_[id / 64] = uint64_t{1} << id % 64;
  return words_;
}

void ThinkingBudget::Accept(int32_t token) {
  Advance(progress_, token);
  if (other_) other_->Accept(token);
}

}  // namespace fathom
