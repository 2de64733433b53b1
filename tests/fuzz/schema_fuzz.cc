// A JSON Schema, a zero byte, and then choices: the schema as a grammar, and a text that the
// choices lead to in it. Every text that has begun can go on or is complete, and one that is
// complete is JSON.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/stack_machine.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMostBytes = 300;  // of a text

std::optional<Grammar> Compiled(std::string_view schema) {
  try {
    const JsonDocument document(schema, "schema");
    GrammarBuilder builder("schema");
    const JsonText json(builder);
    const Expression values = SchemaValues(document.root(), json, builder);
    return builder.Build(builder.NewRule(values));
  } catch (const Error&) {
    return std::nullopt;
  }
}

void Follow(const Grammar& grammar, std::string_view choices) {
  LocalStates locals(grammar);
  StackMachine machine(locals);
  int32_t state = machine.Start(grammar.start());
  std::string text;
  for (size_t i = 0; text.size() < kMostBytes; ++i) {
    const bool complete = machine.state(state).complete;
    if (complete) JsonDocument(text, "text");
    // The first that may follow, from the one chosen on.
    const auto chosen = static_cast<uint8_t>(i < choices.size() ? choices[i] : 0);
    std::optional<uint8_t> next;
    for (int k = 0; k < 256 && !next; ++k) {
      const auto byte = static_cast<uint8_t>(chosen + k);
      if (machine.Next(state, byte) != StackMachine::kDead) next = byte;
    }
    FATHOM_CHECK(next || complete, "'{}' is a dead end", text);
    if (!next || i >= choices.size()) return;
    text += static_cast<char>(*next);
    state = machine.Next(state, *next);
    if (i % 100 == 99) state = machine.Keep(state);
  }
}

}  // namespace
}  // namespace fathom::grammar

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), input.size());
  const auto grammar = fathom::grammar::Compiled(input.substr(0, end));
  if (!grammar) return 0;
  try {
    fathom::grammar::Follow(*grammar, input.substr(std::min(end + 1, input.size())));
  } catch (const fathom::Error& error) {
    // Bounds of size and ambiguity are no findings; what is said to be complete and is not JSON is.
    const std::string_view what = error.what();
    if (!what.starts_with("grammar")) __builtin_trap();
  }
  return 0;
}
