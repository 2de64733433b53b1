// What constrained decoding costs a token, on one thread:
//
//   fathom_grammar_bench TOKENIZER.json
//
// A document is written token by token as its tokenizer cuts it. First: a grammar that is new,
// whose tables are made meanwhile. Then: the same grammar in a later request.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar/grammar_constraint.h"
#include "text/grammar/json_schema.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

double Microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

struct Example {
  const char* name;
  const char* schema;
  const char* document;
};

constexpr const char* kInvoice = R"({
  "customer": "Müller & Söhne GmbH, Hauptstraße 17, 80331 München",
  "number": "A-2024-00017",
  "lines": [
    {"text": "Replacement of the cooling pump, including travel and small parts", "amount": 1284.5, "paid": true},
    {"text": "A second visit, because the first pump was not the right one", "amount": 99, "paid": false}
  ],
  "remark": "The customer called twice; please answer within a week, in German if possible."
})";

constexpr Example kExamples[] = {
    {"any JSON", "{}", kInvoice},
    {"schema", R"({"type": "object", "additionalProperties": false,
       "required": ["customer", "number", "lines", "remark"],
       "properties": {"customer": {"type": "string"}, "number": {"type": "string"},
         "lines": {"type": "array", "items": {"type": "object", "additionalProperties": false,
           "required": ["text", "amount", "paid"],
           "properties": {"text": {"type": "string"}, "amount": {"type": "number"},
                          "paid": {"type": "boolean"}}}},
         "remark": {"type": "string"}}})",
     kInvoice},
    {"lengths and patterns", R"({"type": "object", "additionalProperties": false,
       "required": ["customer", "number", "lines", "remark"],
       "properties": {"customer": {"type": "string", "maxLength": 200},
         "number": {"type": "string", "pattern": "^[A-Z]-[0-9]{4}-[0-9]{5}$"},
         "lines": {"type": "array", "maxItems": 10, "items": {"type": "object",
           "additionalProperties": false, "required": ["text", "amount", "paid"],
           "properties": {"text": {"type": "string", "minLength": 5, "maxLength": 1000},
                          "amount": {"type": "number", "minimum": 0}, "paid": {"type": "boolean"}}}},
         "remark": {"type": "string", "maxLength": 500}}})",
     kInvoice},
};

void Run(const Example& example, const Tokenizer& tokenizer,
         const std::shared_ptr<const grammar::TokenTrie>& trie) {
  const auto begin = Clock::now();
  const JsonDocument document(example.schema, "schema");
  grammar::GrammarBuilder builder("schema");
  const grammar::JsonText json(builder);
  const grammar::Expression values = SchemaValues(document.root(), json, builder);
  const auto tokens =
      std::make_shared<grammar::TokenGrammar>(builder.Build(builder.NewRule(values)), trie);
  const double compile = Microseconds(Clock::now() - begin);
  const std::vector<int32_t> ids = tokenizer.Encode(example.document, {.added_tokens = false});
  std::vector<double> first, later;
  for (int round = 0; round < 50; ++round) {
    grammar::GrammarConstraint constraint(tokens, {1});
    for (const int32_t id : ids) {
      const auto start = Clock::now();
      const auto allowed = constraint.Allowed({});
      const auto word = static_cast<size_t>(id) / 64;
      FATHOM_CHECK(word < allowed.size() && (allowed[word] >> (id % 64) & 1) != 0,
                   "'{}' is not allowed", tokenizer.TokenBytes(id));
      constraint.Accept(id);
      (round == 0 ? first : later).push_back(Microseconds(Clock::now() - start));
    }
  }
  std::ranges::sort(later);
  const auto total = [](const std::vector<double>& times) {
    return std::accumulate(times.begin(), times.end(), 0.0);
  };
  const auto count = static_cast<double>(ids.size());
  fmt::print(
      "{}: {} tokens; compiled in {:.2f} ms; first request {:.0f} us a token; later ones {:.1f} us "
      "(median {:.1f}, 99 % {:.1f})\n",
      example.name, ids.size(), compile / 1000, total(first) / count,
      total(later) / static_cast<double>(later.size()), later[later.size() / 2],
      later[later.size() * 99 / 100]);
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fathom_grammar_bench TOKENIZER.json\n", stderr);
    return 2;
  }
  try {
    const fathom::Tokenizer tokenizer = fathom::Tokenizer::Load(argv[1]);
    const auto begin = fathom::Clock::now();
    const auto trie = std::make_shared<const fathom::grammar::TokenTrie>(tokenizer);
    fmt::print("{} ids, {} nodes, {:.0f} ms to sort them\n", tokenizer.vocab_size(), trie->size(),
               fathom::Microseconds(fathom::Clock::now() - begin) / 1000);
    for (const fathom::Example& example : fathom::kExamples) Run(example, tokenizer, trie);
  } catch (const fathom::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
