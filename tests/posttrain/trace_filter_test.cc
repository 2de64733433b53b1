// What of hand-made traces is kept.

#include "posttrain/distill/trace_filter.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "posttrain/distill/distill_report.h"

namespace fathom::test {
namespace {

using nlohmann::json;
using Settings = std::vector<std::string>;

// Thoughts of some length that differ by their number in every word.
std::string Thoughts(int number, int words = 40) {
  std::string text;
  for (int i = 0; i < words; ++i) text += fmt::format("step{}of{} ", i, number);
  return text;
}

class TraceFilterTest : public testing::Test {
 protected:
  TraceFilterTest() : log_(directory_ / "traces.jsonl") {
    for (int i = 0; i < 4; ++i) {
      Question question;
      question.problem.id = std::to_string(i);
      question.problem.answers = {std::to_string(i)};
      question.problem.messages = {{"user", fmt::format("What is {} times one, Sir?", i)}};
      question.messages = question.problem.messages;
      question.hash = static_cast<uint64_t>(i);
      question.difficulty = i < 2 ? "1" : "2";
      questions_.push_back(question);
    }
  }

  // A good one, unless it is changed.
  Trace Good(int question, int64_t sample) const {
    Trace trace{.id = TraceJob{&questions_[static_cast<size_t>(question)], sample}.Id(),
                .question = std::to_string(question),
                .sample = sample,
                .messages = questions_[static_cast<size_t>(question)].messages};
    trace.answer = {.reasoning = Thoughts(100 * question + static_cast<int>(sample)),
                    .content = fmt::format("\\boxed{{{}}}", question),
                    .finish_reason = "stop",
                    .prompt_tokens = 10,
                    .completion_tokens = 50 + sample};
    return trace;
  }
  void Put(Trace trace) { log_.Add(std::move(trace)); }

  DistillConfig Config(Settings settings = {}) const {
    return DistillConfig::Parse(R"(
      output = "out"
      teacher.model = "teacher"
      [[data.source]]
      path = "problems.jsonl"
    )",
                                "distill.toml", directory_.path(), settings);
  }
  FilterResult Choose(const Settings& settings = {}) {
    const DistillConfig config = Config(settings);
    TraceFilter filter(config);
    return filter.Choose(questions_, log_);
  }
  // What the only trace is dropped for; "kept" where it is not.
  std::string Fate(const Settings& settings = {}) {
    const FilterResult result = Choose(settings);
    EXPECT_EQ(result.counts.traces, 1);
    if (result.counts.kept == 1) return "kept";
    for (size_t i = 0; i < result.counts.dropped.size(); ++i) {
      if (result.counts.dropped[i] == 1) return std::string(Name(static_cast<DropReason>(i)));
    }
    return "lost";
  }
  static std::vector<std::string> Ids(const FilterResult& result) {
    std::vector<std::string> ids;
    for (const Trace* trace : result.kept) ids.push_back(trace->id);
    return ids;
  }

  TemporaryDirectory directory_;
  TraceLog log_;
  std::vector<Question> questions_;
};

TEST_F(TraceFilterTest, AGoodTraceIsKept) {
  Put(Good(1, 0));
  EXPECT_EQ(Fate(), "kept");
  const FilterResult result = Choose();
  const json line = json::parse(ConversationLine(*result.kept.front()));
  EXPECT_EQ(line["messages"].size(), 2u);
  EXPECT_EQ(line["messages"][1]["role"], "assistant");
  EXPECT_EQ(line["messages"][1]["content"], "\\boxed{1}");
  EXPECT_EQ(line["messages"][1]["reasoning_content"], Thoughts(100));
  EXPECT_EQ(line["id"], "0000000000000001-0");
}

TEST_F(TraceFilterTest, WhatWasCutOffIsDropped) {
  Trace trace = Good(1, 0);
  trace.answer.finish_reason = "length";
  Put(trace);
  EXPECT_EQ(Fate(), "unfinished");
  EXPECT_EQ(Fate({"filter.finished=false"}), "kept");
}

TEST_F(TraceFilterTest, WrongAnswersAreDropped) {
  Trace trace = Good(1, 0);
  trace.answer.content = "\\boxed{2}";
  Put(trace);
  EXPECT_EQ(Fate(), "wrong");
  EXPECT_EQ(Fate({"filter.correct=false"}), "kept");
  // Nobody knows what is right.
  questions_[1].problem.answers.clear();
  EXPECT_EQ(Fate(), "kept");
}

TEST_F(TraceFilterTest, RightIsWhatSaysTheSame) {
  Trace trace = Good(1, 0);
  trace.answer.content = "So the answer is $\\frac{2}{2}$.";
  Put(trace);
  EXPECT_EQ(Fate(), "kept");
}

TEST_F(TraceFilterTest, TheLayoutHasToBeRight) {
  Trace trace = Good(1, 0);
  trace.answer.content = " \n";
  Put(trace);
  EXPECT_EQ(Fate({"filter.correct=false"}), "format");
}

TEST_F(TraceFilterTest, MarksInsideOfAnAnswerAreDropped) {
  Trace trace = Good(1, 0);
  trace.answer.content = "wait</think> \\boxed{1}";
  Put(trace);
  EXPECT_EQ(Fate(), "format");
}

TEST_F(TraceFilterTest, ThoughtsCanBeWanted) {
  Trace trace = Good(1, 0);
  trace.answer.reasoning.clear();
  Put(trace);
  EXPECT_EQ(Fate(), "kept");
  EXPECT_EQ(Fate({"filter.thoughts=true"}), "format");
}

TEST_F(TraceFilterTest, MixedLanguagesAreDropped) {
  Trace trace = Good(1, 0);
  trace.answer.reasoning =
      "First we multiply the numbers, 然后我们把它们加起来得到最后的结果, and then we are done";
  Put(trace);
  EXPECT_EQ(Fate(), "language");
  EXPECT_EQ(Fate({"filter.language_share=0.4"}), "kept");
  EXPECT_EQ(Fate({"filter.language_share=0"}), "kept");
}

TEST_F(TraceFilterTest, AnyLanguageWillDoUnlessOneIsWanted) {
  Trace trace = Good(1, 0);
  trace.answer.reasoning = "Сначала умножим числа, затем сложим их и получим результат";
  trace.answer.content = "Ответ: \\boxed{1}";
  Put(trace);
  EXPECT_EQ(Fate(), "kept");
  EXPECT_EQ(Fate({"filter.language=ru"}), "kept");
  EXPECT_EQ(Fate({"filter.language=en"}), "language");
}

TEST_F(TraceFilterTest, EndlessRepetitionIsDropped) {
  Trace trace = Good(1, 0);
  for (int i = 0; i < 20; ++i)
    trace.answer.reasoning += "But wait, let me check that once more with another number. ";
  Put(trace);
  EXPECT_EQ(Fate(), "repetition");
  EXPECT_EQ(Fate({"filter.repetition=1"}), "kept");
}

TEST_F(TraceFilterTest, LengthHasBounds) {
  Put(Good(1, 0));  // 50 tokens
  EXPECT_EQ(Fate({"filter.least_tokens=51"}), "short");
  EXPECT_EQ(Fate({"filter.least_tokens=50", "filter.most_tokens=50"}), "kept");
  EXPECT_EQ(Fate({"filter.most_tokens=49"}), "long");
}

TEST_F(TraceFilterTest, WithoutCountsBytesTellTheLength) {
  Trace trace = Good(1, 0);
  trace.answer.completion_tokens.reset();
  trace.answer.reasoning = Thoughts(1, 100);
  Put(trace);
  const auto tokens =
      static_cast<int64_t>((trace.answer.reasoning.size() + trace.answer.content.size()) / 4);
  EXPECT_EQ(Fate({fmt::format("filter.most_tokens={}", tokens)}), "kept");
  EXPECT_EQ(Fate({fmt::format("filter.most_tokens={}", tokens - 1)}), "long");
}

TEST_F(TraceFilterTest, OfAQuestionTheShortestAreKept) {
  for (int64_t sample = 3; sample >= 0; --sample) {
    Trace trace = Good(1, sample);
    trace.answer.completion_tokens = 100 - sample;
    Put(trace);
  }
  EXPECT_EQ(Ids(Choose({"filter.per_question=2"})),
            (std::vector<std::string>{"0000000000000001-3", "0000000000000001-2"}));
  EXPECT_EQ(Choose({"filter.per_question=2"}).counts.Dropped(DropReason::kSurplus), 2);
  const Settings random = {"filter.per_question=2", "filter.choose=random"};
  const auto chosen = Ids(Choose(random));
  EXPECT_EQ(Ids(Choose(random)), chosen);
  // The seed decides.
  bool other = false;
  for (int seed = 2; seed < 12; ++seed) {
    Settings seeded = random;
    seeded.push_back(fmt::format("seed={}", seed));
    other |= Ids(Choose(seeded)) != chosen;
  }
  EXPECT_TRUE(other);
}

TEST_F(TraceFilterTest, TheSameIsKeptOnce) {
  Trace again = Good(1, 1);
  again.answer = Good(1, 0).answer;
  again.answer.reasoning += "\n";
  Put(Good(1, 0));
  Put(again);
  for (const char* setting : {"filter.near_duplicate=0.8", "filter.near_duplicate=0"}) {
    const FilterResult result = Choose({setting});
    EXPECT_EQ(result.counts.kept, 1);
    EXPECT_EQ(result.counts.Dropped(DropReason::kDuplicate), 1);
  }
}

TEST_F(TraceFilterTest, NearlyTheSameIsKeptOnceAndDoesNotTakeAPlace) {
  Trace again = Good(1, 1);
  again.answer.reasoning = Thoughts(100) + "so that is it";
  Put(Good(1, 0));
  Put(again);
  Put(Good(1, 2));
  const Settings near = {"filter.per_question=2", "filter.near_duplicate=0.7"};
  EXPECT_EQ(Ids(Choose(near)),
            (std::vector<std::string>{"0000000000000001-0", "0000000000000001-2"}));
  EXPECT_EQ(Ids(Choose({"filter.per_question=2", "filter.near_duplicate=0"})),
            (std::vector<std::string>{"0000000000000001-0", "0000000000000001-1"}));
}

TEST_F(TraceFilterTest, EvaluationQuestionsAreNotLearnt) {
  std::ofstream(directory_ / "test.jsonl")
      << R"({"question": "what is 2 TIMES one sir", "answer": 2})"
      << "\n"
      << R"({"question": "A farmer has seventeen sheep and all but nine of them die in the storm"})"
      << "\n";
  Put(Good(1, 0));
  Put(Good(2, 0));  // its question is one
  Trace quotes = Good(3, 0);
  quotes.answer.reasoning +=
      "It is as with the farmer who has seventeen sheep, and all but nine of them die: no.";
  Put(quotes);
  const Settings settings = {"evaluation.source=[{path=\"test.jsonl\"}]", "evaluation.words=10"};
  const FilterResult result = Choose(settings);
  EXPECT_EQ(Ids(result), (std::vector<std::string>{"0000000000000001-0"}));
  EXPECT_EQ(result.counts.Dropped(DropReason::kContaminated), 2);
  EXPECT_EQ(result.counts.contaminated_questions, 1);
  EXPECT_EQ(Choose().counts.kept, 3);
}

TEST_F(TraceFilterTest, EveryTraceIsCounted) {
  for (int question = 0; question < 4; ++question) {
    for (int64_t sample = 0; sample < 4; ++sample) {
      Trace trace = Good(question, sample);
      if (question == 0) trace.answer.content = "\\boxed{7}";
      if (sample == 3) trace.answer.finish_reason = "length";
      Put(trace);
    }
  }
  const FilterResult result = Choose();
  const FilterCounts& counts = result.counts;
  EXPECT_EQ(counts.traces, 16);
  EXPECT_EQ(counts.kept, 6);
  EXPECT_EQ(counts.judged, 16);
  EXPECT_EQ(counts.right, 12);
  int64_t dropped = 0;
  for (const int64_t count : counts.dropped) dropped += count;
  EXPECT_EQ(dropped + counts.kept, counts.traces);
  EXPECT_EQ(counts.Dropped(DropReason::kUnfinished), 4);
  EXPECT_EQ(counts.Dropped(DropReason::kWrong), 3);
  EXPECT_EQ(counts.Dropped(DropReason::kSurplus), 3);
  EXPECT_EQ(counts.by_difficulty.at("1").questions, 2);
  EXPECT_EQ(counts.by_difficulty.at("1").kept_questions, 1);
  EXPECT_EQ(counts.by_difficulty.at("1").kept, 2);
  EXPECT_EQ(counts.by_difficulty.at("2").kept, 4);

  const auto report = ToJson(counts);
  EXPECT_EQ(report["dropped"]["wrong"], 3);
  EXPECT_EQ(report["by_difficulty"].size(), 2u);
  WriteDistillReport(directory_ / "report.html", Config(), counts);
  const std::string html = ReadFile(directory_ / "report.html");
  EXPECT_NE(html.find("6 of 16 traces are kept, of 3 of 4 questions"), std::string::npos);
}

TEST_F(TraceFilterTest, TheOrderOfTheFileDoesNotMatter) {
  for (const int64_t sample : {2, 0, 3, 1}) {
    for (const int question : {3, 1, 0, 2}) Put(Good(question, sample));
  }
  const auto ids = Ids(Choose());
  EXPECT_EQ(ids.size(), 8u);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(TraceFilterTest, WhatCannotWorkIsSaidAtTheStart) {
  const auto error = [&](const Settings& settings) -> std::string {
    try {
      Config(settings);
    } catch (const Error& thrown) {
      return thrown.what();
    }
    return "no error";
  };
  const auto expect = [&](const Settings& settings, const std::string& message) {
    EXPECT_NE(error(settings).find(message), std::string::npos) << error(settings);
  };
  const Settings endpoint = {"teacher.url=\"https://api.example.com/v1\""};
  const auto with = [&](const std::string& more) {
    Settings settings = endpoint;
    settings.push_back(more);
    return settings;
  };
  expect(endpoint, "teacher.licence is missing");
  expect(with("teacher.licence=MIT"), "no error");
  expect({"teacher.url=\"https://me:key@api.example.com\""}, "a key belongs into the environment");
  expect({"teacher.url=\"api.example.com\""}, "does not begin with https://");
  expect({"filter.langauge=en"}, "did you mean 'filter.language'");
  expect({"filter.language=xx"}, "'xx' is not known");
  expect({"data.source=[{generate=[\"arithmetc\"]}]"}, "did you mean 'arithmetic'");
  expect({"data.source=[{}]"}, "wants one of path and generate");
  expect({"student.optimizer.lrr=1"}, "did you mean 'student.optimizer.lr'");
  expect({"student.output=x"}, "student.output is the run's own");
  expect({"student.model.init_from=m"}, "no error");
}

TEST_F(TraceFilterTest, AConfigurationIsWrittenAsItCanBeRead) {
  const DistillConfig config =
      Config({"student.model.init_from=m", "student.epochs=3", "sampling.samples=7",
              "teacher.url=\"https://api.example.com/v1\"", "teacher.licence=MIT"});
  EXPECT_EQ(config.student->output.filename(), "student");
  EXPECT_EQ(config.student->data.sources[0].path.filename(), "sft.jsonl");
  const std::string text = config.ToToml();
  const DistillConfig again = DistillConfig::Parse(text, "config.toml", directory_.path(), {});
  EXPECT_EQ(again.ToToml(), text);
  EXPECT_EQ(again.student->epochs, 3);
  EXPECT_EQ(again.sampling.samples, 7);
}

}  // namespace
}  // namespace fathom::test
