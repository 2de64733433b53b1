#include "text/chat/prompt.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "text/jinja/python_text.h"
#include "text/special_tokens.h"

namespace fathom {

std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, const jinja::Text& prompt) {
  constexpr EncodeOptions kPlain{.added_tokens = false};
  const std::vector<AddedToken>& added = tokenizer.added_tokens();
  const AddedTokenMatcher matcher(added, tokenizer.normalizer());
  std::vector<int32_t> ids;
  std::string plain;         // since the last added token
  bool takes_space = false;  // that token takes the white space after it along
  const auto put = [&](std::string_view text) {
    if (takes_space) text.remove_prefix(jinja::LeadingSpace(text));
    takes_space = takes_space && text.empty();
    plain += text;
  };
  prompt.ForEachRun([&](std::string_view piece, bool trusted) {
    if (!trusted) return put(piece);
    matcher.Split(piece, [&](std::string_view text, int32_t id) {
      if (id < 0) return put(text);
      const auto token =
          std::lower_bound(added.begin(), added.end(), id,
                           [](const AddedToken& one, int32_t wanted) { return one.id < wanted; });
      // The matcher sees one run at a time; the white space may be in another one.
      if (token->lstrip) plain.resize(plain.size() - jinja::TrailingSpace(plain));
      tokenizer.Encode(plain, kPlain, ids);
      plain.clear();
      ids.push_back(id);
      takes_space = token->rstrip;
    });
  });
  tokenizer.Encode(plain, kPlain, ids);
  return ids;
}

bool BeginAnswer(const AnswerBeginning& beginning, jinja::Text& prompt) {
  bool inside = EndsInsideThinking(prompt);
  if (beginning.reasoning && !inside) {
    prompt.Append(std::string(kThinkBegin) + "\n", true);
    inside = true;
  }
  if (beginning.reasoning) prompt.Append(*beginning.reasoning, false);
  if (inside && !beginning.content.empty()) {
    prompt.Append("\n" + std::string(kThinkEnd) + "\n\n", true);
    inside = false;
  }
  prompt.Append(beginning.content, false);
  return inside;
}

bool EndsInsideThinking(const jinja::Text& prompt) {
  constexpr std::string_view kBegin = kThinkBegin;
  std::string_view text = prompt.bytes();
  text.remove_suffix(jinja::TrailingSpace(text));
  if (!text.ends_with(kBegin)) return false;
  // All of the mark has to be the template's own.
  for (size_t i = text.size() - kBegin.size(); i < text.size(); ++i) {
    if (!prompt.TrustedAt(i)) return false;
  }
  return true;
}

}  // namespace fathom
