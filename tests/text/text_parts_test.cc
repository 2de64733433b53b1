// Where an answer's text ends, and what of it was thought.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/chat/reasoning_parts.h"
#include "text/chat/stop_finder.h"

namespace fathom {
namespace {

// The text that comes out when it goes in in pieces of `size` bytes.
std::string Found(const std::string& text, const std::vector<std::string>& stops, size_t size,
                  bool& found) {
  StopFinder finder(stops);
  std::string out;
  for (size_t at = 0; at < text.size(); at += size) out += finder.Push(text.substr(at, size));
  found = finder.found();
  if (!found) out += finder.Finish();
  return out;
}

TEST(StopFinder, EndsBeforeTheFirstStopHoweverTheTextComes) {
  struct Case {
    std::string text;
    std::vector<std::string> stops;
    std::string expected;
    bool found;
  };
  const std::vector<Case> cases = {
      {"one two three", {"two"}, "one ", true},
      {"one two three", {"three", "wo"}, "one t", true},
      {"one two", {}, "one two", false},
      {"aaab", {"aab"}, "a", true},
      {"ababac", {"abac"}, "ab", true},
      {"ends in a begi", {"beginning"}, "ends in a begi", false},
      {"stop", {"stop"}, "", true},
      {"", {"x"}, "", false},
  };
  for (const Case& c : cases) {
    for (size_t size = 1; size <= c.text.size() + 1; ++size) {
      bool found = false;
      EXPECT_EQ(Found(c.text, c.stops, size, found), c.expected) << c.text << " by " << size;
      EXPECT_EQ(found, c.found) << c.text << " by " << size;
    }
  }
}

TEST(StopFinder, HoldsBackNoMoreThanItMust) {
  StopFinder finder({"###"});
  EXPECT_EQ(finder.Push("a #"), "a ");
  EXPECT_EQ(finder.Push("b"), "#b");
  EXPECT_EQ(finder.Push("##"), "");
  EXPECT_EQ(finder.Push("#c"), "");
  EXPECT_TRUE(finder.found());
  EXPECT_EQ(finder.Push("d"), "");
}

std::pair<std::string, std::string> Parts(const std::string& text, bool inside, size_t size) {
  ReasoningParts parts(inside);
  std::string reasoning, content;
  const auto add = [&](const ReasoningParts::Delta& delta) {
    reasoning += delta.reasoning;
    content += delta.content;
  };
  for (size_t at = 0; at < text.size(); at += size) add(parts.Push(text.substr(at, size)));
  add(parts.Finish());
  return {reasoning, content};
}

TEST(ReasoningParts, ThoughtsAndAnswerAreApartHoweverTheTextComes) {
  using Pair = std::pair<std::string, std::string>;
  for (size_t size : {1, 2, 3, 5, 100}) {
    SCOPED_TRACE(size);
    EXPECT_EQ(Parts("<think>\nLet me see.\n\nYes.\n</think>\n\nIt is 4.\n", false, size),
              Pair("Let me see.\n\nYes.", "It is 4.\n"));
    // The prompt has opened the thoughts.
    EXPECT_EQ(Parts("\nHm.\n</think>\n\n4", true, size), Pair("Hm.", "4"));
    // No tag at all, and one that is never closed.
    EXPECT_EQ(Parts("\n 4 < 5", false, size), Pair("", "\n 4 < 5"));
    EXPECT_EQ(Parts("still thinking", true, size), Pair("still thinking", ""));
    EXPECT_EQ(Parts("<think></think>\n4", false, size), Pair("", "4"));
  }
}

}  // namespace
}  // namespace fathom
