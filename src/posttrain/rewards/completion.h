#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// What a model wrote for a problem.
struct Completion {
  std::string text;              // with its tags, without the end token
  bool inside_thinking = false;  // the prompt already opened <think> (EndsInsideThinking)
  bool finished = true;          // it ended itself, and was not cut off
  int64_t tokens = 0;
};

struct CompletionParts {
  std::string_view thinking;  // between <think> and </think>
  std::string_view answer;    // behind the last </think>; all of it where nothing was thought
  // Whether a thought that began also ended. Where not, there is no answer.
  bool closed = true;
};

// Points into the completion's text.
CompletionParts SplitCompletion(const Completion& completion);

// How a completion has to be laid out.
enum class ThinkFormat : uint8_t {
  kThink,        // R1's: <think>thoughts</think> answer
  kThinkAnswer,  // R1-Zero's: <think>thoughts</think> <answer>answer</answer>
};

// Whether it has that layout: each tag once and in this order, nothing outside of them (but the
// answer of kThink), and neither part blank. A tag that the prompt opened counts.
bool HasFormat(const Completion& completion, ThinkFormat format);

}  // namespace fathom
