// A JSON Schema, a zero byte, and then choices: the schema as a grammar, and a text that the
// choices lead to in it. Every text that has begun can go on or is complete, and one that is
// complete is JSON.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    std::vector<uint8_t> bytes;
    for (int byte = 0; byte < 256; ++byte) {
      const auto value = static_cast<uint8_t>(byte);
      if (machine.Next(state, value) != StackMachine::kDead) bytes.push_back(value);
    }
    FATHOM_CHECK(!bytes.empty() || machine.state(state).complete, "'{}' is a dead end", text);
    if (machine.state(state).complete) JsonDocument(text, "text");
    if (bytes.empty() || i >= choices.size()) return;
    const uint8_t byte = bytes[static_cast<uint8_t>(choices[i]) % bytes.size()];
    text += static_cast<char>(byte);
    state = machine.Next(state, byte);
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
