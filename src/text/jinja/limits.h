#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::jinja {

// What a template may take. It comes with a model file, so it is a stranger's program: whatever it
// does, it ends, and in little memory. Reaching a limit is an Error.
struct Limits {
  size_t template_bytes = size_t{1} << 20;
  // Height of the syntax tree.
  int nesting = 200;
  // Evaluations inside each other, macros that call themselves included, and nesting of the data
  // that is printed or compared.
  int depth = 600;
  // Evaluations, plus one for every 32 bytes or element that a filter or method looks at.
  uint64_t steps = 20'000'000;
  // All strings and containers that one rendering makes, whether still in use or not.
  size_t memory_bytes = size_t{256} << 20;
  size_t output_bytes = size_t{32} << 20;
  // Python's sandbox has the same one.
  int64_t range = 100'000;
};

// What to do when one is reached: while a template is read, and while it runs.
inline constexpr const char* kTemplateHint =
    "no chat template needs so much; put another one into chat_template.jinja of the model";
inline constexpr const char* kRenderHint =
    "shorten the conversation, or put another template into chat_template.jinja of the model";

}  // namespace fathom::jinja
