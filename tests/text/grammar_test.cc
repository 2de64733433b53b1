// Grammars over bytes, and what they allow of a vocabulary.

#include "text/grammar/grammar.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar/characters.h"
#include "text/grammar/grammar_constraint.h"
#include "text/grammar/json_text.h"
#include "text/grammar/number_range.h"
#include "text/grammar_matches.h"
#include "text/text_golden.h"
#include "text/utf8.h"

namespace fathom::test {
namespace {

using grammar::CharacterSet;
using grammar::Grammar;
using grammar::GrammarBuilder;
using grammar::GrammarConstraint;
using grammar::TokenGrammar;
using grammar::TokenTrie;
using E = grammar::Expression;

Grammar Of(const E& expression) {
  GrammarBuilder builder("test");
  return builder.Build(builder.NewRule(expression));
}

TEST(Grammar, ExpressionsAreWhatTheySay) {
  const Grammar grammar =
      Of(E::Sequence({E::Text("a"), E::Repeat(E::Choice({E::Text("bc"), E::Bytes('x', 'z')}), 1, 3),
                      E::Optional(E::Text("!"))}));
  for (const char* text : {"abc", "axyz", "abcbcbc", "ax!", "axbc!"}) {
    EXPECT_TRUE(Matches(grammar, text)) << text;
  }
  for (const char* text : {"", "a", "ab", "axxxx", "abcbcbcbc", "a!", "ax!!", "bc"}) {
    EXPECT_FALSE(Matches(grammar, text)) << text;
  }
}

// Brackets in brackets: as deep as one likes.
TEST(Grammar, RulesCallThemselves) {
  GrammarBuilder builder("test");
  const int list = builder.NewRule();
  builder.Define(
      list, E::Sequence({E::Text("("), E::Repeat(E::Call(list), 0, E::kUnbounded), E::Text(")")}));
  const Grammar grammar = builder.Build(list);
  EXPECT_TRUE(Matches(grammar, "(()(()))"));
  EXPECT_FALSE(Matches(grammar, "(()"));
  EXPECT_FALSE(Matches(grammar, "())"));
  const std::string deep(5000, '('), back(5000, ')');
  EXPECT_TRUE(Matches(grammar, deep + back));
  EXPECT_FALSE(Matches(grammar, deep + back + ")"));
}

// What could not be ended is not begun.
TEST(Grammar, DeadEndsAreCutOff) {
  GrammarBuilder builder("test");
  const int endless = builder.NewRule();
  builder.Define(endless, E::Sequence({E::Text("x"), E::Call(endless)}));
  const Grammar grammar = builder.Build(
      builder.NewRule(E::Choice({E::Text("ab"), E::Sequence({E::Text("ac"), E::Call(endless)})})));
  EXPECT_TRUE(Matches(grammar, "ab"));
  EXPECT_TRUE(ReadBy(grammar, "a").begin);
  EXPECT_FALSE(ReadBy(grammar, "ac").begin);
}

TEST(Grammar, WhatCannotBeReadIsRefused) {
  const auto build = [](auto define) {
    GrammarBuilder builder("here");
    const int rule = builder.NewRule();
    builder.Define(rule, define(rule));
    return builder.Build(rule);
  };
  EXPECT_THROW(build([](int) { return E::Nothing(); }), Error);
  EXPECT_THROW(build([](int rule) { return E::Sequence({E::Text("x"), E::Call(rule)}); }), Error);
  // Left recursion, plain and behind something that may be empty.
  EXPECT_THROW(build([](int rule) { return E::Choice({E::Call(rule), E::Text("x")}); }), Error);
  EXPECT_THROW(
      build([](int rule) {
        return E::Choice({E::Sequence({E::Optional(E::Text("y")), E::Call(rule)}), E::Text("x")});
      }),
      Error);
  EXPECT_THROW(build([](int) { return E::Repeat(E::Text("x"), 0, 1 << 20); }), Error);
  EXPECT_THROW(build([](int) {
                 return E::Repeat(E::Repeat(E::Repeat(E::Empty(), 1000, 1000), 1000, 1000), 1000,
                                  1000);
               }),
               Error);
}

// Every scalar value's encoding, and nothing that is ill-formed.
TEST(Grammar, CharactersAreWellFormedUtf8) {
  const Grammar all = Of(Utf8(CharacterSet::All()));
  const CharacterSet some({{'b', 'd'}, {0xE9, 0x7FF}, {0xFFFE, 0x10001}, {0x10FFFF, 0x10FFFF}});
  const Grammar part = Of(Utf8(some)), rest = Of(Utf8(some.Complement()));
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x1000 || (c > 0xD700 && c < 0x10010) ? 1 : 251) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, text);
    ASSERT_TRUE(Matches(all, text)) << static_cast<uint32_t>(c);
    ASSERT_EQ(Matches(part, text), some.Has(c)) << static_cast<uint32_t>(c);
    ASSERT_NE(Matches(rest, text), some.Has(c)) << static_cast<uint32_t>(c);
  }
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(Matches(all, text));
  }
}

TEST(Grammar, RangesOfIntegers) {
  for (const auto& [least, most] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 0}, {0, 255}, {7, 1234}, {100, 199}, {-5, 5}, {-1234, -7}, {-20, 0}, {99, 1001}}) {
    const Grammar grammar = Of(grammar::IntegersIn({.least = least, .most = most}));
    for (int64_t n = -2500; n <= 2500; ++n) {
      EXPECT_EQ(Matches(grammar, std::to_string(n)), least <= n && n <= most) << n;
    }
    EXPECT_FALSE(Matches(grammar, "-0"));
    EXPECT_FALSE(Matches(grammar, "01"));
  }
  const Grammar from = Of(grammar::IntegersIn({.least = 950})),
                to = Of(grammar::IntegersIn({.most = -3}));
  EXPECT_FALSE(Matches(from, "949"));
  EXPECT_TRUE(Matches(from, "950"));
  EXPECT_TRUE(Matches(from, "123456789012345678"));
  EXPECT_FALSE(Matches(from, "1234567890123456789"));
  EXPECT_FALSE(Matches(to, "-2"));
  EXPECT_FALSE(Matches(to, "5"));
  EXPECT_TRUE(Matches(to, "-30000"));
}

TEST(Grammar, RangesOfNumbers) {
  const Grammar closed = Of(grammar::NumbersIn({.least = 0, .most = 1}));
  for (const char* text : {"0", "0.0", "0.25", "1", "1.00"}) EXPECT_TRUE(Matches(closed, text));
  for (const char* text : {"1.01", "-0.1", "2", "1e0", "."}) EXPECT_FALSE(Matches(closed, text));
  const Grammar open =
      Of(grammar::NumbersIn({.least = -2, .most = 3, .least_open = true, .most_open = true}));
  for (const char* text : {"-1.999", "-1", "-0.5", "0", "2.999"}) {
    EXPECT_TRUE(Matches(open, text)) << text;
  }
  for (const char* text : {"-2", "-2.0", "-2.5", "3", "3.0", "12"}) {
    EXPECT_FALSE(Matches(open, text)) << text;
  }
}

Grammar AnyJson() {
  GrammarBuilder builder("test");
  const grammar::JsonText json(builder);
  return builder.Build(builder.NewRule(json.Value()));
}

TEST(JsonText, ReadsJson) {
  const Grammar grammar = AnyJson();
  for (const char* text :
       {"null", "true", "-0.5e+10", "\"\"", "\"a\\n\\u00e9\\ud83d\\ude00 \xC3\xA9\"", "[]", "[ ]",
        "{\n}", "[1, [2,3], {\"a\": {}}]", "{\"a\":1,\n\t\"b\": [\n    true\n]}"}) {
    EXPECT_TRUE(Matches(grammar, text)) << text;
  }
  for (const char* text :
       {"",         "nul",   "01",     "1.",      ".5",          "+1",
        "1e",       "\"",    "\"\n\"", "\"\\x\"", "\"\\ud800\"", "\"\\ude00\\ud800\"",
        "\"\xC3\"", "[1,]",  "[,]",    "{\"a\"}", "{1: 2}",      "{\"a\":1,}",
        "[1 2]",    "{} {}", "'a'"}) {
    EXPECT_FALSE(Matches(grammar, text)) << text;
  }
}

// ---- Tokens

const Tokenizer& GoldenTokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::FromJson(GoldenText("tokenizer.json"), "tokenizer.json");
  return tokenizer;
}

std::shared_ptr<const TokenTrie> Trie() {
  static const auto trie = std::make_shared<const TokenTrie>(GoldenTokenizer());
  return trie;
}

bool Has(std::span<const uint64_t> words, int32_t id) {
  const auto index = static_cast<size_t>(id);
  return index / 64 < words.size() && (words[index / 64] >> index % 64 & 1) != 0;
}

constexpr int32_t kStop = 1;

// The ids allowed after a text, each tried by itself.
void ExpectAllowed(const Grammar& grammar, const std::string& text,
                   std::span<const uint64_t> words) {
  for (int32_t id = 0; id < GoldenTokenizer().vocab_size(); ++id) {
    const std::string_view bytes = Trie()->BytesOf(id);
    bool expected = !bytes.empty() && ReadBy(grammar, text + std::string(bytes)).begin;
    if (id == kStop) expected = Matches(grammar, text);
    ASSERT_EQ(Has(words, id), expected) << "'" << text << "' and then '" << bytes << "'";
  }
}

TEST(GrammarConstraint, AllowsTheTokensThatCanComeAndNoOthers) {
  const Grammar grammar = AnyJson();
  const auto tokens = std::make_shared<TokenGrammar>(AnyJson(), Trie());
  for (const std::string text :
       {"", "{", "{\n  \"name\": \"a b\", \"list\": [1, -2.5, {\"x\": null}],", "[[[[\"\\", "12",
        "{\"a\": \"b\"}", "\"\xC3\xA9\\u12", "[true, \"in the middle of"}) {
    GrammarConstraint constraint(tokens, {kStop});
    std::string so_far;
    for (const int32_t id : GoldenTokenizer().Encode(text, {.added_tokens = false})) {
      ASSERT_TRUE(Has(constraint.Allowed({}), id)) << so_far;
      constraint.Accept(id);
      so_far += GoldenTokenizer().TokenBytes(id);
    }
    ExpectAllowed(grammar, text, constraint.Allowed({}));
  }
}

TEST(GrammarConstraint, LooksAheadWithoutGoingThere) {
  const auto tokens = std::make_shared<TokenGrammar>(AnyJson(), Trie());
  GrammarConstraint constraint(tokens, {kStop});
  const auto ids = GoldenTokenizer().Encode("[\"a\", 1");
  const auto copy = [](std::span<const uint64_t> words) {
    return std::vector<uint64_t>(words.begin(), words.end());
  };
  std::vector<std::vector<uint64_t>> seen;
  for (size_t n = 0; n <= ids.size(); ++n) {
    seen.push_back(copy(constraint.Allowed(std::span(ids).first(n))));
  }
  for (size_t n = 0; n < ids.size(); ++n) {
    EXPECT_EQ(copy(constraint.Allowed({})), seen[n]);
    constraint.Accept(ids[n]);
  }
  EXPECT_EQ(copy(constraint.Allowed({})), seen.back());
  // Behind the end there is only the end.
  const auto end =
      constraint.Allowed(std::vector<int32_t>{GoldenTokenizer().Encode("]")[0], kStop});
  for (int32_t id = 0; id < GoldenTokenizer().vocab_size(); ++id)
    EXPECT_EQ(Has(end, id), id == kStop);
}

// An added token comes where a grammar names it, and its name in letters does not pass for it.
TEST(GrammarConstraint, AddedTokensAreNoText) {
  const std::string mark = "<\xEF\xBD\x9CUser\xEF\xBD\x9C>";
  const int32_t id = GoldenTokenizer().RequireAddedTokenId(mark);
  const auto tokens = std::make_shared<TokenGrammar>(
      Of(E::Sequence({E::Text("a"), E::Text(grammar::MarkText(GoldenTokenizer(), mark)),
                      E::Repeat(Utf8(CharacterSet::All()), 0, E::kUnbounded)})),
      Trie());
  GrammarConstraint constraint(tokens, {kStop});
  constraint.Accept(GoldenTokenizer().Encode("a")[0]);
  const auto before = constraint.Allowed({});
  for (int32_t other = 0; other < GoldenTokenizer().vocab_size(); ++other) {
    EXPECT_EQ(Has(before, other), other == id) << Trie()->BytesOf(other);
  }
  constraint.Accept(id);
  EXPECT_FALSE(Has(constraint.Allowed({}), id));
  EXPECT_TRUE(Has(constraint.Allowed({}), GoldenTokenizer().Encode("a")[0]));
}

// An automaton with a state for every text is an error, before it takes all memory.
TEST(Grammar, StatesAreBounded) {
  const E letter = E::Bytes('a', 'z');
  const Grammar grammar = Of(E::Sequence(
      {E::Repeat(letter, 0, E::kUnbounded), E::Text("e"), E::Repeat(letter, 1000, 1000)}));
  grammar::LocalStates locals(grammar);
  grammar::StackMachine machine(locals);
  int32_t state = machine.Start(grammar.start());
  uint64_t random = 1;
  EXPECT_THROW(
      {
        for (int i = 0; i < 100000; ++i) {
          random = random * 6364136223846793005 + 1442695040888963407;
          state = machine.Next(state, random >> 63 != 0 ? 'e' : 'a');
        }
      },
      Error);
}

// A long answer does not gather states without end.
TEST(GrammarConstraint, LongAnswersStayInBounds) {
  const auto tokens = std::make_shared<TokenGrammar>(AnyJson(), Trie());
  GrammarConstraint constraint(tokens, {kStop});
  const int32_t open = GoldenTokenizer().Encode("[")[0], close = GoldenTokenizer().Encode("]")[0];
  for (int i = 0; i < 10000; ++i) constraint.Accept(open);
  EXPECT_FALSE(Has(constraint.Allowed({}), kStop));
  for (int i = 0; i < 10000; ++i) constraint.Accept(close);
  EXPECT_TRUE(Has(constraint.Allowed({}), kStop));
  EXPECT_FALSE(Has(constraint.Allowed({}), close));
}

}  // namespace
}  // namespace fathom::test
