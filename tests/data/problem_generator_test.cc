#include "data/tasks/problem_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "data/small_arithmetic.h"
#include "data/tasks/problem_set.h"
#include "data/tasks/task_file.h"
#include "data/test_corpus.h"

namespace fathom {
namespace {

constexpr uint64_t kDraws = 60;

WorkedProblem Draw(std::string_view kind, int difficulty, uint64_t index) {
  return DrawProblem(FindProblemGenerator(kind), difficulty, ProblemPart::kTrain, 7, index);
}

// Calls check(problem) for many problems of every difficulty.
template <typename Check>
void ForMany(std::string_view kind, Check check) {
  for (int difficulty = 1; difficulty <= kMostDifficult; ++difficulty) {
    for (uint64_t i = 0; i < kDraws; ++i) {
      const WorkedProblem problem = Draw(kind, difficulty, i);
      SCOPED_TRACE(problem.question);
      ASSERT_FALSE(problem.answer.empty());
      check(problem);
      if (testing::Test::HasFailure()) return;
    }
  }
}

std::string Between(const std::string& text, std::string_view begin, std::string_view end) {
  const size_t first = text.find(begin) + begin.size();
  return text.substr(first, text.find(end, first) - first);
}

// The part of a step before what it adds in words.
std::string Equation(const std::string& step) { return step.substr(0, step.find(',')); }

TEST(ProblemGenerator, ArithmeticIsRightAtEveryStep) {
  ForMany("arithmetic", [](const WorkedProblem& problem) {
    const std::string expression = Between(problem.question, "What is ", "?");
    const double value = SmallArithmetic(expression).Value();
    EXPECT_EQ(value, std::stod(problem.answer));
    for (const std::string& step : problem.steps) {
      ExpectEquationsHold(Equation(step));
      const size_t rest = step.find("leaves ");
      if (rest != std::string::npos) {
        EXPECT_EQ(SmallArithmetic(step.substr(rest + 7)).Value(), value) << step;
      }
    }
  });
}

TEST(ProblemGenerator, CountdownUsesEveryNumberOnce) {
  ForMany("countdown", [](const WorkedProblem& problem) {
    EXPECT_EQ(problem.kind, AnswerKind::kExpression);
    EXPECT_EQ(SmallArithmetic(problem.response).Value(), std::stod(problem.answer));
    std::vector<int64_t> used;
    for (size_t i = 0; i < problem.response.size(); ++i) {
      if (std::isdigit(problem.response[i]) == 0) continue;
      size_t length = 0;
      used.push_back(std::stoll(problem.response.substr(i), &length));
      i += length - 1;
    }
    std::vector<int64_t> given = problem.numbers;
    std::sort(used.begin(), used.end());
    std::sort(given.begin(), given.end());
    EXPECT_EQ(used, given);
    for (const std::string& step : problem.steps) {
      if (!step.starts_with("Try ")) continue;
      std::string operations = Between(step, "Try ", ": ");
      for (size_t comma; (comma = operations.find(',')) != std::string::npos;) {
        ExpectEquationsHold(operations.substr(0, comma));
        operations.erase(0, comma + 1);
      }
      ExpectEquationsHold(operations);
    }
  });
}

TEST(ProblemGenerator, EquationsHoldAtEveryStep) {
  ForMany("equation", [](const WorkedProblem& problem) {
    std::map<char, double> unknowns;
    std::string equations = problem.question.substr(problem.question.find(": ") + 2);
    if (problem.answer.front() == '(') {
      const size_t comma = problem.answer.find(',');
      unknowns = {{'x', std::stod(problem.answer.substr(1))},
                  {'y', std::stod(problem.answer.substr(comma + 1))}};
      const size_t both = equations.find(" and ");
      ExpectEquationsHold(equations.substr(0, both), unknowns);
      equations = equations.substr(both + 5);
    } else {
      unknowns = {{'x', SmallArithmetic(problem.answer).Value()}};
    }
    ExpectEquationsHold(equations, unknowns);
    for (const std::string& step : problem.steps) {
      ExpectEquationsHold(step.substr(step.find(": ") + 2), unknowns);
    }
  });
}

TEST(ProblemGenerator, SortingSorts) {
  ForMany("sorting", [](const WorkedProblem& problem) {
    const auto split = [](std::string text) {
      std::vector<std::string> items;
      for (size_t comma; (comma = text.find(", ")) != std::string::npos;) {
        items.push_back(text.substr(0, comma));
        text.erase(0, comma + 2);
      }
      items.push_back(text);
      return items;
    };
    std::vector<std::string> given =
        split(problem.question.substr(problem.question.find(": ") + 2));
    const bool words = problem.question.starts_with("Sort these words");
    const bool falls = problem.question.find("largest to") != std::string::npos ||
                       problem.question.find("last first") != std::string::npos;
    std::sort(given.begin(), given.end(), [&](const std::string& a, const std::string& b) {
      const bool less = words ? a < b : std::stoi(a) < std::stoi(b);
      return falls ? !less && a != b : less;
    });
    EXPECT_EQ(split(problem.answer), given);
  });
}

TEST(ProblemGenerator, StringsAreWhatTheyAsk) {
  ForMany("strings", [](const WorkedProblem& problem) {
    const std::string& q = problem.question;
    if (q.ends_with("backwards.")) {
      const std::string word = Between(q, "word ", " ");
      EXPECT_EQ(problem.answer, std::string(word.rbegin(), word.rend()));
    } else if (q.starts_with("How often")) {
      const std::string word = Between(q, "word ", "?");
      const char letter = Between(q, "letter ", " ")[0];
      EXPECT_EQ(std::stoi(problem.answer), std::count(word.begin(), word.end(), letter));
    } else if (q.starts_with("Which letter")) {
      const std::string word = Between(q, "word ", "?");
      EXPECT_EQ(problem.answer, std::string(1, word[std::stoul(Between(q, "number ", " ")) - 1]));
    } else if (q.find("without") != std::string::npos) {
      std::string word = Between(q, "word ", " ");
      std::erase(word, Between(q, "letter ", ".")[0]);
      EXPECT_EQ(problem.answer, word);
    } else {
      std::string word = Between(q, "word ", " ");
      std::sort(word.begin(), word.end());
      EXPECT_EQ(problem.answer, word);
    }
  });
}

TEST(ProblemGenerator, PassKeysAreInTheTextOnceAndAnywhere) {
  std::array<int, 4> quarters{};
  ForMany("passkey", [&](const WorkedProblem& problem) {
    const std::string& text = problem.question;
    const size_t at = text.find("the pass key is " + problem.answer + ".");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(text.find(problem.answer), text.rfind(problem.answer));
    EXPECT_TRUE(text.ends_with(" What is the pass key?"));
    ++quarters[4 * at / text.size()];
  });
  for (const int count : quarters) EXPECT_GT(count, 100);  // of 150, 10 a standard deviation
}

TEST(ProblemGenerator, PassKeyTextsAreTwiceAsLongAtEveryLevel) {
  for (int difficulty = 1; difficulty <= kMostDifficult; ++difficulty) {
    const std::string text = Draw("passkey", difficulty, 0).question;
    const auto words = std::count(text.begin(), text.end(), ' ') + 1;
    EXPECT_NEAR(static_cast<double>(words), 32 << difficulty, 24);  // what is around it is 20 words
  }
}

TEST(ProblemGenerator, WordProblemsAddUp) {
  ForMany("words", [](const WorkedProblem& problem) {
    // What the canonical form says of the story: "words:12;+5;+3*4;/2;price3".
    std::string events = problem.canonical.substr(6);
    double amount = std::stod(events);
    while (events.find(';') != std::string::npos) {
      events.erase(0, events.find(';') + 1);
      std::string event = events.substr(0, events.find(';'));
      if (event.starts_with("price")) event = "*" + event.substr(5);
      amount = SmallArithmetic(std::to_string(amount) + event).Value();
    }
    EXPECT_EQ(amount, std::stod(problem.answer));
    for (const std::string& step : problem.steps) ExpectEquationsHold(step);
    EXPECT_TRUE(problem.steps.back().ends_with("= " + problem.answer));
  });
}

TEST(ProblemGenerator, DifficultyGrows) {
  for (const ProblemGenerator& generator : ProblemGenerators()) {
    std::vector<double> words;
    for (const int difficulty : {1, 4, 8}) {
      double sum = 0;
      for (uint64_t i = 0; i < kDraws; ++i) {
        const WorkedProblem problem = Draw(generator.name, difficulty, i);
        sum += static_cast<double>(problem.question.size());
        for (const std::string& step : problem.steps) sum += static_cast<double>(step.size());
      }
      words.push_back(sum);
    }
    EXPECT_LT(words[0], words[1]) << generator.name;
    EXPECT_LT(words[1], words[2]) << generator.name;
  }
}

TEST(ProblemGenerator, AProblemIsAFunctionOfItsNumber) {
  for (const ProblemGenerator& generator : ProblemGenerators()) {
    const auto draw = [&](uint64_t seed, uint64_t index) {
      return DrawProblem(generator, 5, ProblemPart::kTrain, seed, index).question;
    };
    const std::string third = draw(1, 3);
    draw(1, 4);
    EXPECT_EQ(draw(1, 3), third);
    EXPECT_NE(draw(2, 3), third);
    EXPECT_NE(draw(1, 4), third);
  }
}

// Whatever seeds and difficulties the two were drawn with.
TEST(ProblemGenerator, NoHeldOutProblemIsATrainingProblem) {
  for (const ProblemGenerator& generator : ProblemGenerators()) {
    std::set<std::string> train;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      for (uint64_t i = 0; i < 500; ++i) {
        train.insert(
            DrawProblem(generator, 1 + static_cast<int>(i % 3), ProblemPart::kTrain, seed, i)
                .canonical);
      }
    }
    for (uint64_t i = 0; i < 500; ++i) {
      const WorkedProblem problem =
          DrawProblem(generator, 1 + static_cast<int>(i % 3), ProblemPart::kHeldOut, 99, i);
      EXPECT_FALSE(train.contains(problem.canonical)) << problem.canonical;
    }
  }
}

// The same numbers, told of somebody else or in another order, are no new problem.
TEST(ProblemGenerator, CanonicalFormsSeeThroughTheTelling) {
  for (const char* kind : {"countdown", "sorting", "words"}) {
    std::map<std::string, std::string> question_of;
    int retold = 0;
    for (uint64_t i = 0; i < 4000; ++i) {
      const WorkedProblem problem = Draw(kind, 1, i);
      const auto [entry, is_new] = question_of.emplace(problem.canonical, problem.question);
      if (!is_new && entry->second != problem.question) ++retold;
    }
    EXPECT_GT(retold, 10) << kind;
  }
}

TEST(ProblemGenerator, AboutOneInTenIsHeldOut) {
  int held_out = 0;
  RandomStream random(5);
  for (int i = 0; i < 4000; ++i) {
    if (PartOf(FindProblemGenerator("words").draw(random, 6)) == ProblemPart::kHeldOut) ++held_out;
  }
  EXPECT_NEAR(held_out, 400, 5 * 19);  // five standard deviations
}

TEST(ProblemGenerator, AnUnknownKindNamesTheNearest) {
  EXPECT_ERROR(FindProblemGenerator("countdwn"), "did you mean 'countdown'?");
}

ProblemSetOptions AllKinds(uint64_t count) {
  ProblemSetOptions options{.least_difficulty = 1, .most_difficulty = 4, .count = count, .seed = 3};
  for (const ProblemGenerator& generator : ProblemGenerators()) {
    options.generators.push_back(&generator);
  }
  return options;
}

TEST(ProblemSet, IsReadBackAsATask) {
  TemporaryDirectory directory;
  std::string rows;
  std::vector<std::string> questions;
  std::set<std::string> canonical;
  ForEachProblem(AllKinds(240), [&](const SetProblem& problem) {
    rows += ProblemRow(problem, {}) + "\n";
    questions.push_back(problem.problem.question);
    canonical.insert(problem.problem.canonical);
  });
  EXPECT_EQ(canonical.size(), 240u);
  PutFile(directory / "t.jsonl", rows);
  const auto problems = ReadTaskFile(directory / "t.jsonl");
  ASSERT_EQ(problems.size(), 240u);
  for (size_t i = 0; i < problems.size(); ++i) EXPECT_EQ(problems[i].question(), questions[i]);
  // Kinds take turns, then difficulties.
  EXPECT_TRUE(problems[1].id.starts_with("countdown-1-"));
  EXPECT_EQ(problems[1].kind, AnswerKind::kExpression);
  EXPECT_FALSE(problems[1].numbers.empty());
  EXPECT_TRUE(problems[ProblemGenerators().size()].id.starts_with("arithmetic-2-"));
}

TEST(ProblemSet, ChatAndTextRows) {
  ProblemSetOptions options = AllKinds(1);
  options.generators = {&FindProblemGenerator("arithmetic")};
  options.least_difficulty = options.most_difficulty = 2;
  ForEachProblem(options, [](const SetProblem& problem) {
    const std::string& answer = problem.problem.answer;
    const auto row = [&](ProblemForm form, AnswerMark mark = AnswerMark::kBoxed) {
      return nlohmann::json::parse(ProblemRow(problem, {.form = form, .mark = mark}));
    };
    const auto messages = row(ProblemForm::kChat)["messages"];
    EXPECT_EQ(messages[0]["content"], problem.problem.question);
    EXPECT_EQ(messages[1]["content"], "\\boxed{" + answer + "}");
    EXPECT_EQ(messages[1]["reasoning_content"],
              problem.problem.steps[0] + "\n" + problem.problem.steps[1]);
    const auto content = [&](AnswerMark mark) {
      return row(ProblemForm::kChat, mark)["messages"][1]["content"].get<std::string>();
    };
    EXPECT_EQ(content(AnswerMark::kHash), "#### " + answer);
    EXPECT_EQ(content(AnswerMark::kTags), "<answer>" + answer + "</answer>");
    EXPECT_EQ(content(AnswerMark::kSentence), "The answer is " + answer + ".");
    EXPECT_EQ(row(ProblemForm::kText)["text"],
              "Problem: " + problem.problem.question + "\nSolution:\n" + problem.problem.steps[0] +
                  "\n" + problem.problem.steps[1] + "\nAnswer: " + answer + "\n");
  });
}

TEST(ProblemSet, NoNumberIsLargerThanAskedFor) {
  ProblemSetOptions options = AllKinds(300);
  options.generators = {&FindProblemGenerator("words"), &FindProblemGenerator("arithmetic")};
  options.least_difficulty = 2;
  options.most_difficulty = 3;
  options.largest = 20;
  int twenties = 0;
  const uint64_t found = ForEachProblem(options, [&](const SetProblem& problem) {
    const std::string text = ProblemRow(problem, {.form = ProblemForm::kText});
    for (size_t i = text.find("Problem:"); i < text.size(); ++i) {
      if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) continue;
      size_t digits = 0;
      const int number = std::stoi(text.substr(i), &digits);
      EXPECT_LE(number, 20) << text;
      if (number == 20) ++twenties;
      i += digits;
    }
  });
  EXPECT_EQ(found, 300u);
  EXPECT_GT(twenties, 0);
}

TEST(ProblemSet, HastyAnswersAreRightAndNotWorkedOut) {
  int hasty = 0;
  ForEachProblem(AllKinds(400), [&](const SetProblem& problem) {
    const auto answer = [&](double share) {
      return nlohmann::json::parse(
          ProblemRow(problem, {.form = ProblemForm::kChat, .hasty = share}))["messages"][1];
    };
    const auto worked = answer(0), easy = answer(1), some = answer(0.25);
    EXPECT_EQ(easy["reasoning_content"], "That is easy.");
    EXPECT_NE(worked["reasoning_content"], easy["reasoning_content"]);
    EXPECT_EQ(easy["content"], worked["content"]);
    EXPECT_TRUE(some == worked || some == easy);
    const std::string text = nlohmann::json::parse(
        ProblemRow(problem, {.form = ProblemForm::kText, .hasty = 1}))["text"];
    EXPECT_NE(text.find("Solution:\nThat is easy.\nAnswer: " + problem.problem.response),
              std::string::npos)
        << text;
    if (some == easy) ++hasty;
  });
  // Of 400 a quarter, within four standard deviations.
  EXPECT_NEAR(hasty, 100, 35);
}

TEST(ProblemSet, EndsWhereThereIsNothingNew) {
  ProblemSetOptions options = AllKinds(100'000);
  options.generators = {&FindProblemGenerator("words")};
  options.most_difficulty = 1;
  std::set<std::string> canonical;
  const uint64_t found = ForEachProblem(options, [&](const SetProblem& problem) {
    EXPECT_TRUE(canonical.insert(problem.problem.canonical).second);
  });
  EXPECT_EQ(found, canonical.size());
  // 26 amounts, and at most 19 numbers to be gained or lost.
  EXPECT_GT(found, 26 * 19 / 2);
  EXPECT_LT(found, 26 * 38);
}

}  // namespace
}  // namespace fathom
