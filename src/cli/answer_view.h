#pragma once

#include <string>
#include <string_view>

namespace fathom {

// An answer as it comes, told apart into thoughts (inside <think>...</think>) and what follows
// them. Marks may arrive in pieces: what could still become one is held back.
class AnswerView {
 public:
  // inside_thinking: the prompt already opened <think>. dims: thoughts are shown dimmed, for a
  // terminal; otherwise the text is shown as it is.
  AnswerView(bool inside_thinking, bool dims);

  // What to show now.
  std::string Push(std::string_view piece);
  // What is left to show at the end.
  std::string Finish();

  // Without the white space around them, where there are thoughts.
  std::string thoughts() const;
  std::string answer() const;

 private:
  std::string Show(std::string_view text, bool thought) const;

  bool inside_;
  bool dims_;
  std::string held_;
  std::string thoughts_, answer_;
};

}  // namespace fathom
