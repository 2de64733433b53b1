#include "data/tasks/task_file.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "base/error.h"
#include "data/test_corpus.h"

namespace fathom {
namespace {

using Strings = std::vector<std::string>;

class TaskFile : public testing::Test {
 protected:
  std::vector<TaskProblem> Read(std::string_view content, size_t limit = 0) {
    PutFile(directory_ / "t.jsonl", content);
    return ReadTaskFile(directory_ / "t.jsonl", limit);
  }
  TaskProblem ReadOne(std::string_view content) { return Read(content).at(0); }

  TemporaryDirectory directory_;
};

TEST_F(TaskFile, OwnForm) {
  const auto problems = Read(
      "{\"question\": \"1+1?\", \"answer\": 2}\n\n"
      "{\"id\": \"b\", \"system\": \"Be brief.\", \"question\": \"Capital of France?\", "
      "\"answer\": [\"Paris\", \"Paree\"], \"kind\": \"text\", \"solution\": \"It is Paris.\"}\n"
      "{\"question\": \"Make 6 of 2, 3\", \"answer\": \"6\", \"kind\": \"expression\", "
      "\"numbers\": [2, 3]}\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
      "\"content\": \"Ask.\", \"reasoning_content\": \"A greeting.\"}, {\"role\": \"user\", "
      "\"content\": \"Sort 3 1\"}], \"kind\": \"external\"}\n");
  ASSERT_EQ(problems.size(), 4u);
  // The id is the line, blank ones counted.
  EXPECT_EQ(problems[0].id, "1");
  EXPECT_EQ(problems[0].kind, AnswerKind::kMath);
  EXPECT_EQ(problems[0].answers, Strings{"2"});
  EXPECT_EQ(problems[0].question(), "1+1?");
  EXPECT_EQ(problems[1].id, "b");
  ASSERT_EQ(problems[1].messages.size(), 2u);
  EXPECT_EQ(problems[1].messages[0].role, "system");
  EXPECT_EQ(problems[1].messages[0].content, "Be brief.");
  EXPECT_EQ(problems[1].answers, (Strings{"Paris", "Paree"}));
  EXPECT_EQ(problems[1].solution, "It is Paris.");
  EXPECT_EQ(problems[2].id, "4");
  EXPECT_EQ(problems[2].kind, AnswerKind::kExpression);
  EXPECT_EQ(problems[2].numbers, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(problems[3].messages.size(), 3u);
  EXPECT_EQ(problems[3].messages[1].reasoning, "A greeting.");
  EXPECT_TRUE(problems[3].answers.empty());
}

// A row of the published file.
TEST_F(TaskFile, Gsm8kAsItIs) {
  const TaskProblem problem = ReadOne(
      R"({"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether in April and May?", "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.\n#### 72"})");
  EXPECT_EQ(problem.answers, Strings{"72"});
  EXPECT_EQ(problem.kind, AnswerKind::kMath);
  EXPECT_EQ(problem.solution,
            "Natalia sold 48/2 = 24 clips in May.\n"
            "Natalia sold 48+24 = 72 clips altogether in April and May.");
  EXPECT_TRUE(problem.question().starts_with("Natalia sold"));
}

TEST_F(TaskFile, MathAsItIs) {
  const TaskProblem problem = ReadOne(
      R"({"problem": "What is $\\frac{1}{2}+1$?", "solution": "$\\boxed{\\frac{3}{2}}$", "answer": "\\frac{3}{2}", "level": 1})");
  EXPECT_EQ(problem.answers, Strings{"\\frac{3}{2}"});
  EXPECT_EQ(problem.solution, "$\\boxed{\\frac{3}{2}}$");
  EXPECT_NE(problem.row.find("\"level\":1"), std::string::npos);
}

TEST_F(TaskFile, TheRightChoiceIsALetterANumberOrAText) {
  for (const char* answer : {"\"B\"", "1", "\"four\"", "\" four \""}) {
    const TaskProblem problem =
        ReadOne(R"({"question": "2+2", "choices": ["five", "four", "six"], "answer": )" +
                std::string(answer) + "}");
    EXPECT_EQ(problem.kind, AnswerKind::kChoice);
    EXPECT_EQ(problem.answers, Strings{"B"}) << answer;
  }
  // What is one of the choices is no letter.
  EXPECT_EQ(ReadOne(R"({"question": "?", "choices": ["B", "A"], "answer": "B"})").answers,
            Strings{"A"});
}

TEST_F(TaskFile, BadRowsSayFileAndLine) {
  const std::string good = "{\"question\": \"q\", \"answer\": 1}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"answer": 1})", "t.jsonl:2: has no key 'question'"},
      {R"({"question": "q"})", "t.jsonl:2: has no key 'answer'"},
      {R"({"question": " ", "answer": 1})", "t.jsonl:2: the question is empty"},
      {R"({"question": "q", "answer": " "})", "t.jsonl:2: the answer is empty"},
      {R"({"question": "q", "answer": "so\n#### "})", "t.jsonl:2: the answer is empty behind ####"},
      {R"({"question": "q", "answer": []})", "t.jsonl:2: 'answer' is an empty list"},
      {R"({"question": 5, "answer": 1})", "t.jsonl:2: question: expected a string, found 5"},
      {R"({"question": "q", "answer": 1, "kind": "maths"})",
       "t.jsonl:2: there is no kind of answer 'maths' (did you mean 'math'?)"},
      {R"({"question": "q", "answer": 1, "kind": "expression"})",
       "t.jsonl:2: has no key 'numbers'"},
      {R"({"question": "q", "answer": 1, "kind": "choice"})", "t.jsonl:2: has no key 'choices'"},
      {R"({"question": "q", "answer": "E", "choices": ["a", "b"]})",
       "t.jsonl:2: the answer 'E' is none of the 2 choices"},
      {R"({"question": "q", "answer": 2, "choices": ["a", "b"]})",
       "t.jsonl:2: the answer '2' is none of the 2 choices"},
      {R"({"question": "q", "answer": 0, "choices": ["a"]})", "t.jsonl:2: has 1 choices"},
      {R"({"messages": [], "answer": 1})", "t.jsonl:2: 'messages' end with the model's own turn"},
      {R"({"messages": [{"content": "q"}], "answer": 1})", "t.jsonl:2: messages[0]: key 'role'"},
      {R"({"id": "1", "question": "q", "answer": 1})", "t.jsonl:2: has the id '1' of line 1"},
      {"[1]", "t.jsonl:2: is not a JSON object"},
      {R"({"question": "q", "answer": 1)", "t.jsonl:2"},
  };
  for (const auto& [line, message] : cases) EXPECT_ERROR(Read(good + line + "\n"), message);
  EXPECT_ERROR(Read("\n \n"), "t.jsonl: holds no problem");
}

TEST_F(TaskFile, ALimitEndsTheReading) {
  EXPECT_EQ(Read("{\"question\": \"q\", \"answer\": 1}\nnot JSON\n", 1).size(), 1u);
}

TEST_F(TaskFile, CompressedFilesAreRead) {
  const std::string text = "{\"question\": \"q\", \"answer\": \"yes\"}\n";
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  PutFile(directory_ / "t.jsonl.zst", packed);
  EXPECT_EQ(ReadTaskFile(directory_ / "t.jsonl.zst").at(0).answers, Strings{"yes"});
}

}  // namespace
}  // namespace fathom
