#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Tells an answer that comes piece by piece apart into thoughts (inside <think>...</think>, which
// stand at its beginning or nowhere), the answer itself, and the marks between them. A mark may
// arrive in several pieces: what could still become one is held back.
class ThinkingSplitter {
 public:
  enum class Part { kAnswer, kThought, kMark };
  struct Piece {
    Part part;
    std::string text;  // not empty
  };

  // inside_thinking: the prompt already opened <think> (EndsInsideThinking, prompt.h).
  explicit ThinkingSplitter(bool inside_thinking)
      : state_(inside_thinking ? State::kInside : State::kBefore) {}

  std::vector<Piece> Push(std::string_view text);
  // Whether what comes next is a thought, or the mark that ends them.
  bool inside() const { return state_ == State::kInside; }
  // What is left at the end.
  std::vector<Piece> Finish();

 private:
  enum class State : uint8_t {
    kBefore,  // nothing but white space has come
    kInside,
    kAfter,  // what comes is the answer, whatever it looks like
  };
  State state_;
  std::string held_;
};

}  // namespace fathom
