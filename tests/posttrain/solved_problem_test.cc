#include "posttrain/sft/solved_problem.h"

#include <gtest/gtest.h>

#include "data/tasks/task_file.h"

namespace fathom::test {
namespace {

std::vector<ChatMessage> Solved(std::string_view row, SolutionPart part = SolutionPart::kThoughts) {
  const JsonDocument document(row, "row");
  return SolvedConversation(ReadTaskRow(document.root(), "row", "1"), part);
}

TEST(SolvedProblem, Gsm8kIsReadAsItIs) {
  constexpr std::string_view kRow =
      R"({"question": "48 clips, and half as many?", )"
      R"("answer": "48/2 = <<48/2=24>>24 clips.\n48+24 = <<48+24=72>>72.\n#### 72"})";
  const auto thought = Solved(kRow);
  ASSERT_EQ(thought.size(), 2);
  EXPECT_EQ(thought[0].role, "user");
  EXPECT_EQ(thought[0].content, "48 clips, and half as many?");
  EXPECT_EQ(thought[1].role, "assistant");
  EXPECT_EQ(thought[1].reasoning, "48/2 = 24 clips.\n48+24 = 72.");
  EXPECT_EQ(thought[1].content, "\\boxed{72}");
  const auto said = Solved(kRow, SolutionPart::kContent);
  EXPECT_EQ(said[1].reasoning, std::nullopt);
  EXPECT_EQ(said[1].content, "48/2 = 24 clips.\n48+24 = 72.\n\\boxed{72}");
}

TEST(SolvedProblem, MathGeneratedOnesAndChoices) {
  const auto math = Solved(R"({"problem": "1/2?", "solution": "Half.", "answer": "\\frac12"})");
  EXPECT_EQ(math[1].reasoning, "Half.");
  EXPECT_EQ(math[1].content, "\\boxed{\\frac12}");
  // What a solver would say, and not the number it comes to; the system prompt stays.
  const auto countdown =
      Solved(R"({"system": "Count.", "question": "Make 5.", "answer": "5", "kind": "expression", )"
             R"("numbers": [2, 3], "response": "2 + 3"})");
  ASSERT_EQ(countdown.size(), 3);
  EXPECT_EQ(countdown[0].content, "Count.");
  EXPECT_EQ(countdown[2].content, "\\boxed{2 + 3}");
  EXPECT_EQ(countdown[2].reasoning, std::nullopt);
  const auto choice = Solved(R"({"question": "Sky?", "choices": ["red", "blue"], "answer": 1})");
  EXPECT_EQ(choice[0].content, "Sky?\nA. red\nB. blue");
  EXPECT_EQ(choice[1].content, "\\boxed{B}");
}

}  // namespace
}  // namespace fathom::test
