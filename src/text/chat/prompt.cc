#include "text/chat/prompt.h"

#include <string>
#include <string_view>

#include "text/jinja/python_text.h"
#include "text/special_tokens.h"

namespace fathom {

std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, const jinja::Text& prompt) {
  constexpr EncodeOptions kPlain{.added_tokens = false};
  const AddedTokenMatcher matcher(tokenizer.added_tokens(), tokenizer.normalizer());
  std::vector<int32_t> ids;
  std::string plain;  // since the last added token
  const auto flush = [&] {
    tokenizer.Encode(plain, kPlain, ids);
    plain.clear();
  };
  prompt.ForEachRun([&](std::string_view piece, bool trusted) {
    if (!trusted) {
      plain += piece;
      return;
    }
    matcher.Split(piece, [&](std::string_view text, int32_t id) {
      if (id < 0) {
        plain += text;
      } else {
        flush();
        ids.push_back(id);
      }
    });
  });
  flush();
  return ids;
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
