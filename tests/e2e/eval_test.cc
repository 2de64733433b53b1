// `fathom problems` and `fathom eval` as a user calls them, checked with `fathom generate` and
// `fathom score`.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/temporary_directory.h"

namespace fathom::test {
namespace {

using nlohmann::json;

class EvalTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    ASSERT_EQ(Run("tokenize train --vocab-size 400 --quiet --out " + Path("tokenizer") +
                  " " FATHOM_SOURCE_DIR "/src/base/error.h"),
              0);
    for (const char* seed : {"3", "4"}) {
      ASSERT_EQ(Run("init nano " + Path("model" + std::string(seed)) + " --layers 2 --seed " +
                    seed + " --tokenizer " + Path("tokenizer")),
                0)
          << ReadFile(Path("err"));
    }
  }
  static void TearDownTestSuite() { directory_.reset(); }

  static std::string Path(const std::string& name) { return (*directory_ / name).string(); }
  static void Put(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
  }

  static int Run(const std::string& arguments) {
    const std::string command =
        FATHOM_BINARY " " + arguments + " </dev/null >" + Path("out") + " 2>" + Path("err");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static json RunJson(const std::string& arguments) {
    EXPECT_EQ(Run(arguments), 0) << arguments << "\n" << ReadFile(Path("err"));
    return json::parse(ReadFile(Path("out")));
  }
  static void ExpectFailure(const std::string& arguments, int code, const std::string& message) {
    EXPECT_EQ(Run(arguments), code) << arguments;
    EXPECT_NE(ReadFile(Path("err")).find(message), std::string::npos) << ReadFile(Path("err"));
  }
  // The samples of a file, by problem and index, without the line before them.
  static std::map<std::pair<std::string, int>, json> Samples(const std::string& path) {
    std::map<std::pair<std::string, int>, json> samples;
    std::istringstream lines(ReadFile(path));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      const json sample = json::parse(line);
      samples[{sample["problem"], sample["sample"]}] = sample;
    }
    return samples;
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
};
std::unique_ptr<TemporaryDirectory> EvalTest::directory_;

constexpr const char* kGreedy = " --plain --temperature 0 --max-tokens 12 --quiet --json ";

TEST_F(EvalTest, ProblemsAreWrittenAndHeldOutOnesAreOthers) {
  ASSERT_EQ(
      Run("problems words equation --count 200 --difficulty 2-4 --out " + Path("train.jsonl")), 0);
  ASSERT_EQ(Run("problems words equation --count 100 --difficulty 2-4 --held-out --seed 9 --out " +
                Path("test.jsonl")),
            0);
  std::set<std::string> questions;
  const auto read = [&](const std::string& name) {
    std::istringstream lines(ReadFile(Path(name)));
    std::string line;
    while (std::getline(lines, line)) {
      EXPECT_TRUE(questions.insert(json::parse(line)["id"]).second) << line;
    }
  };
  read("train.jsonl");
  read("test.jsonl");
  EXPECT_EQ(questions.size(), 300u);
  ExpectFailure("problems wrods", 2, "did you mean 'words'?");
  ExpectFailure("problems words --difficulty 1 --count 5000", 1, "different ones of these kinds");
  ExpectFailure("problems words --difficulty 0", 2, "'0' is no difficulty");
}

TEST_F(EvalTest, AnAnswerIsWhatGenerateWrites) {
  Put("q.jsonl", "{\"question\": \"int main\", \"answer\": 5}\n");
  RunJson("eval " + Path("model3") + kGreedy + "--task " + Path("q.jsonl") + " --out " +
          Path("g.jsonl"));
  const json written = RunJson("generate " + Path("model3") +
                               " --temperature 0 --max-tokens 12 --quiet --json "
                               "--prompt 'Problem: int main\nSolution:\n'");
  const std::string text = Samples(Path("g.jsonl")).at({"1", 0})["text"];
  EXPECT_EQ(text, written["choices"][0]["text"]);
  EXPECT_FALSE(text.empty());
}

TEST_F(EvalTest, WhatTheModelSaysIsRightWhereItIsTheAnswer) {
  Put("a.jsonl",
      "{\"question\": \"one\", \"answer\": 5}\n{\"question\": \"two\", \"answer\": 6}\n");
  const std::string options = std::string(kGreedy) + "--extract whole ";
  RunJson("eval " + Path("model3") + options + "--task " + Path("a.jsonl") + " --out " +
          Path("a.out"));
  const auto samples = Samples(Path("a.out"));
  json one = {{"question", "one"}, {"kind", "text"}, {"answer", samples.at({"1", 0})["text"]}};
  Put("b.jsonl", one.dump() + "\n{\"question\": \"two\", \"answer\": 6}\n");
  const json result =
      RunJson("eval " + Path("model3") + options + "--task " + Path("b.jsonl"))["result"];
  EXPECT_EQ(result["accuracy"]["value"], 0.5);
  EXPECT_EQ(result["problems"], 2);
}

TEST_F(EvalTest, AnInterruptedEvaluationGoesOnWhereItWas) {
  const std::string command = "eval " + Path("model3") +
                              " --plain --task arithmetic --limit 6 --max-tokens 8 --quiet --json ";
  const json whole = RunJson(command + "--samples 3 --out " + Path("whole.jsonl"));
  EXPECT_EQ(whole["result"]["samples_each"], 3);
  EXPECT_EQ(whole["result"]["pass_at"].size(), 3u);
  // Fewer samples first; then with a line cut off, as after a kill.
  RunJson(command + "--samples 2 --out " + Path("part.jsonl"));
  const std::string text = ReadFile(Path("part.jsonl"));
  Put("part.jsonl", text.substr(0, text.size() - 20));
  EXPECT_EQ(RunJson(command + "--samples 3 --out " + Path("part.jsonl")), whole);
  EXPECT_EQ(Samples(Path("part.jsonl")), Samples(Path("whole.jsonl")));
  // Once all is there, nothing is computed.
  const std::string done = ReadFile(Path("part.jsonl"));
  EXPECT_EQ(RunJson(command + "--samples 3 --out " + Path("part.jsonl")), whole);
  EXPECT_EQ(ReadFile(Path("part.jsonl")), done);
  ExpectFailure(command + "--samples 3 --temperature 0.5 --out " + Path("part.jsonl"), 1,
                "temperature was");
}

TEST_F(EvalTest, ChoicesHaveTheProbabilitiesThatScoreGives) {
  Put("c.jsonl", R"({"question": "Sky?", "choices": ["blue", "a long red"], "answer": "A"})"
                 "\n");
  RunJson("eval " + Path("model3") + " --quiet --json --method choices --task " + Path("c.jsonl") +
          " --out " + Path("c.out"));
  const json sample = Samples(Path("c.out")).at({"1", 0});
  const auto score = [&](const std::string& text) {
    const json tokens =
        RunJson("score " + Path("model3") + " --quiet --json --text '" + text + "'");
    return tokens["logprobs"];
  };
  const std::string context = "Question: Sky?\nAnswer:";
  const size_t length = score(context).size();
  size_t i = 0;
  for (const char* choice : {" blue", " a long red"}) {
    double sum = 0;
    const json logprobs = score(context + choice);
    for (size_t j = length; j < logprobs.size(); ++j) sum += logprobs[j].get<double>();
    EXPECT_NEAR(sample["logprobs"][i++].get<double>(), sum, 1e-5) << choice;
  }
  EXPECT_EQ(sample["bytes"], (json{4, 10}));
  const json letters = RunJson("eval " + Path("model3") +
                               " --quiet --json --method letters --task " + Path("c.jsonl"));
  EXPECT_EQ(letters["result"]["problems"], 1);
  ExpectFailure("eval " + Path("model3") + " --quiet --method choices --task arithmetic", 1,
                "has no choices");
}

TEST_F(EvalTest, TextsHaveTheBitsThatScoreGives) {
  // A file of any name, when it is named.
  Put("text.h", "#include <vector>\nint main() { return 0; }\n");
  const json score = RunJson("score " + Path("model3") + " --bos --quiet --json --text '" +
                             ReadFile(Path("text.h")) + "'");
  const json whole =
      RunJson("eval " + Path("model3") + " --quiet --json --text " + Path("text.h"))["result"];
  EXPECT_NEAR(whole["bits_per_byte"].get<double>(), score["bits_per_byte"].get<double>(), 1e-6);
  EXPECT_NEAR(whole["perplexity"].get<double>(), score["perplexity"].get<double>(), 1e-4);
  // In windows every token is scored once as well.
  const json windows = RunJson("eval " + Path("model3") + " --quiet --json --window 8 --text " +
                               Path("text.h"))["result"];
  EXPECT_EQ(windows["scored_tokens"], whole["scored_tokens"]);
  EXPECT_EQ(windows["scored_bytes"], whole["scored_bytes"]);
  ExpectFailure("eval " + Path("model3"), 2, "wants one of --task and --text");
}

TEST_F(EvalTest, ThoughtsAreCutOffAtABudget) {
  // The template opens <think>, and a model that knows nothing never closes it.
  const json result = RunJson(
      "eval " + Path("model3") +
      " --think --task words --limit 3 --max-tokens 20 --budgets 4,8 --quiet --json --out " +
      Path("budget.jsonl"))["result"];
  ASSERT_EQ(result["budgets"].size(), 3u);
  EXPECT_EQ(result["budgets"][0]["budget"], 4);
  EXPECT_EQ(result["budgets"][0]["mean_thinking_tokens"], 4);
  EXPECT_EQ(result["budgets"][1]["mean_thinking_tokens"], 8);
  EXPECT_TRUE(result["budgets"][2]["budget"].is_null());
  EXPECT_NE(ReadFile(Path("budget.jsonl")).find("</think>"), std::string::npos);
}

TEST_F(EvalTest, TwoModelsAreComparedOnTheSameProblems) {
  const std::string task = " --plain --task words --limit 5 --max-tokens 6 --quiet --json ";
  const json same = RunJson("eval " + Path("model3") + task + "--against " + Path("model3"));
  EXPECT_EQ(same["comparison"]["difference"]["value"], 0);
  EXPECT_EQ(same["comparison"]["p"], 1);
  const json other = RunJson("eval " + Path("model3") + task + "--against " + Path("model4") +
                             " --out " + Path("x.jsonl"));
  EXPECT_EQ(other["against"]["model"], Path("model4"));
  EXPECT_NE(Samples(Path("x.jsonl")), Samples(Path("x.jsonl.against")));
}

TEST_F(EvalTest, AnExternalCommandJudges) {
  Put("e.jsonl",
      "{\"question\": \"q\", \"kind\": \"external\", \"reward\": 0.75}\n"
      "{\"question\": \"r\", \"kind\": \"external\", \"reward\": 1}\n");
  Put("judge.sh",
      "while read -r line; do case \"$line\" in *0.75*) echo '{\"reward\": 0.75}';; "
      "*) echo '{\"reward\": 1}';; esac; done\n");
  const std::string command =
      "eval " + Path("model3") + " --plain --max-tokens 4 --quiet --json --task " + Path("e.jsonl");
  const json result = RunJson(command + " --verifier 'sh " + Path("judge.sh") + "'")["result"];
  EXPECT_EQ(result["accuracy"]["value"], 0.875);
  ExpectFailure(command, 1, "is judged by a command, and there is none");
}

TEST_F(EvalTest, ExamplesAreShownSolved) {
  const std::string command =
      "eval " + Path("model3") + " --plain --max-tokens 4 --limit 2 --quiet --json ";
  EXPECT_EQ(RunJson(command + "--task countdown --shots 2")["result"]["problems"], 2);
  Put("q.jsonl", "{\"question\": \"int main\", \"answer\": 5}\n");
  ExpectFailure(command + "--shots 1 --task " + Path("q.jsonl"), 2, "--examples");
  ExpectFailure(command + "--task " + Path("nowhere.jsonl"), 1, "does not exist");
  ExpectFailure(command + "--task arithmetc", 2, "did you mean 'arithmetic'?");
  Put("bad.jsonl", "{\"question\": \"q\"}\n");
  ExpectFailure(command + "--task " + Path("bad.jsonl"), 1, "bad.jsonl:1: has no key 'answer'");
}

}  // namespace
}  // namespace fathom::test
