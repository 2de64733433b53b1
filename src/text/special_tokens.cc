#include "text/special_tokens.h"

namespace fathom {

std::vector<AddedToken> DeepSeekSpecialTokens() {
  std::vector<AddedToken> tokens;
  for (const char* content : {kBeginOfSentence, kEndOfSentence, kPad, kFimHole, kFimBegin, kFimEnd,
                              kUser, kAssistant, kThinkBegin, kThinkEnd}) {
    AddedToken token;
    token.id = static_cast<int32_t>(tokens.size());
    token.content = content;
    token.special = content != kThinkBegin && content != kThinkEnd;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace fathom
