#include "posttrain/sft/soft_teacher.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace fathom {
namespace {

// What a vocabulary has at an id, for a message.
std::string Shown(const Tokenizer& tokenizer, int32_t id) {
  if (id >= tokenizer.vocab_size()) return "nothing";
  return fmt::format("'{}'", ReplaceInvalidUtf8(tokenizer.TokenBytes(id)));
}

void RequireSameTokens(const std::filesystem::path& teacher, const LoadedModel& model,
                       const ChatModel& student) {
  constexpr std::string_view kHint =
      "probabilities are learnt token by token: take a teacher with the student's tokenizer, or "
      "leave soft_targets out and learn from its answers alone (fathom distill)";
  const Tokenizer& theirs = model.RequireTokenizer();
  const Tokenizer& ours = student.tokenizer;
  for (int32_t id = 0; id < std::max(theirs.vocab_size(), ours.vocab_size()); ++id) {
    const bool same = id < theirs.vocab_size() && id < ours.vocab_size() &&
                      theirs.TokenBytes(id) == ours.TokenBytes(id);
    if (same) continue;
    throw Error(teacher.string(),
                fmt::format("has another tokenizer than the student: token {} is {}, and {} here",
                            id, Shown(theirs, id), Shown(ours, id)),
                kHint);
  }
  if (model.config().vocab_size == student.config.vocab_size) return;
  throw Error(teacher.string(),
              fmt::format("has {} logits, and the student {}", model.config().vocab_size,
                          student.config.vocab_size),
              kHint);
}

}  // namespace

SoftTeacher::SoftTeacher(Context& context, const std::filesystem::path& teacher,
                         const ChatModel& student, double weight, double temperature, bool quiet)
    : model_(teacher) {
  RequireSameTokens(teacher, model_, student);
  model_.Pack(context, {.pages = 1, .batch_tokens = 1, .logit_rows = 1}, quiet);
  targets_ = {.teacher = &model_.transformer(),
              .form = AttentionForm::kAbsorbed,
              .weight = weight,
              .temperature = temperature};
}

}  // namespace fathom
