#pragma once

#include <vector>

#include "text/added_tokens.h"

namespace fathom {

// The special tokens of what Fathom trains, spelled as DeepSeek-V3 and R1 spell them: the bars are
// U+FF5C, the low lines U+2581.
inline constexpr char kBeginOfSentence[] = "<｜begin▁of▁sentence｜>";
inline constexpr char kEndOfSentence[] = "<｜end▁of▁sentence｜>";
inline constexpr char kPad[] = "<｜▁pad▁｜>";
inline constexpr char kUser[] = "<｜User｜>";
inline constexpr char kAssistant[] = "<｜Assistant｜>";
inline constexpr char kFimHole[] = "<｜fim▁hole｜>";
inline constexpr char kFimBegin[] = "<｜fim▁begin｜>";
inline constexpr char kFimEnd[] = "<｜fim▁end｜>";
inline constexpr char kThinkBegin[] = "<think>";
inline constexpr char kThinkEnd[] = "</think>";

// In the order of their ids: begin 0, end 1, pad 2 as in DeepSeek-V3, then hole, begin and end of
// fill-in-the-middle, user, assistant, and the thinking marks, which are not `special`: they stay
// in decoded text, where what separates thought from answer looks for them.
std::vector<AddedToken> DeepSeekSpecialTokens();

}  // namespace fathom
