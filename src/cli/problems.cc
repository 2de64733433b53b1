#include "cli/problems.h"

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/common.h"
#include "data/tasks/problem_set.h"
#include "posttrain/evaluation/named_task.h"

namespace fathom {
namespace {

struct ProblemsArguments {
  std::vector<std::string> kinds;
  uint64_t count = 1000;
  std::string difficulty = "1-3";
  uint64_t seed = 0;
  bool held_out = false, quiet = false;
  int64_t largest = 0;
  std::string form = "task", mark = "boxed";
  double hasty = 0;
  std::filesystem::path out;
};

const std::map<std::string, ProblemForm> kForms = {
    {"task", ProblemForm::kTask}, {"chat", ProblemForm::kChat}, {"text", ProblemForm::kText}};
const std::map<std::string, AnswerMark> kMarks = {{"boxed", AnswerMark::kBoxed},
                                                  {"hash", AnswerMark::kHash},
                                                  {"tags", AnswerMark::kTags},
                                                  {"sentence", AnswerMark::kSentence}};

constexpr size_t kBlock = size_t{1} << 16;

void WriteProblems(const ProblemsArguments& arguments) {
  ProblemSetOptions options{
      .part = arguments.held_out ? ProblemPart::kHeldOut : ProblemPart::kTrain,
      .count = arguments.count,
      .seed = arguments.seed,
      .largest = arguments.largest};
  const DifficultyRange difficulty = ParseDifficulty(arguments.difficulty, "problems --difficulty");
  options.least_difficulty = difficulty.least;
  options.most_difficulty = difficulty.most;
  for (const std::string& kind : arguments.kinds) {
    if (kind == "all") {
      for (const ProblemGenerator& generator : ProblemGenerators()) {
        options.generators.push_back(&generator);
      }
    } else {
      options.generators.push_back(&FindProblemGenerator(kind));
    }
  }
  std::optional<AtomicFile> file;
  if (!arguments.out.empty()) file.emplace(arguments.out);
  std::string rows;
  const auto write = [&] {
    if (file) {
      file->Write(rows);
    } else {
      WriteStandardOutput(rows);
    }
    rows.clear();
  };
  Progress progress("problems", "problems", static_cast<double>(arguments.count),
                    arguments.quiet || !file);
  const RowStyle style{.form = kForms.at(arguments.form),
                       .mark = kMarks.at(arguments.mark),
                       .hasty = arguments.hasty};
  uint64_t done = 0;
  const uint64_t found = ForEachProblem(options, [&](const SetProblem& problem) {
    rows += ProblemRow(problem, style);
    rows += '\n';
    if (rows.size() >= kBlock) write();
    progress.Update(static_cast<double>(++done));
  });
  progress.Clear();
  if (found < options.count) {
    throw Error("problems",
                fmt::format("there are about {} different ones of these kinds and difficulties{}",
                            found, options.largest > 0 ? " without larger numbers" : ""),
                "ask for fewer, or for more kinds or difficulties");
  }
  write();
  if (!file) return;
  file->Commit();
  if (!arguments.quiet) {
    fmt::print(stderr, "{}: {} problems, {}\n", arguments.out.string(), arguments.count,
               arguments.held_out ? "held out" : "for training");
  }
}

std::string KindsHelp() {
  std::string help = "all, or some of:";
  for (const ProblemGenerator& generator : ProblemGenerators()) {
    help += fmt::format("\n{} ({})", generator.name, generator.description);
  }
  return help;
}

}  // namespace

void AddProblemsCommand(Command app) {
  Command command =
      app.AddCommand("problems", "Make problems with verifiable answers, one a line, as JSON.");
  command.Footer(
      "Example: fathom problems arithmetic countdown --count 500 --difficulty 2-4 --out "
      "train.jsonl\n"
      "         fathom problems arithmetic countdown --count 200 --held-out --out test.jsonl");
  const auto arguments = std::make_shared<ProblemsArguments>();
  command.AddOption("KIND", arguments->kinds, KindsHelp()).Required();
  command.AddOption("--count", arguments->count, "How many, all different")
      .InRange(1, 100'000'000)
      .ShowDefault();
  command
      .AddOption(
          "--difficulty", arguments->difficulty,
          fmt::format("1 to {}, or a range of which each has the same share", kMostDifficult))
      .ShowDefault();
  command
      .AddOption("--largest", arguments->largest,
                 "No number is larger, on the way neither; any if not given")
      .InRange(1, 1'000'000'000'000);
  command.AddFlag("--held-out", arguments->held_out,
                  "The held-out problems, which no call without this gives, whatever its seed");
  command
      .AddOption("--form", arguments->form,
                 "task: for `fathom eval` and reinforcement learning; chat: with thoughts and "
                 "answer, for fine-tuning; text: worked out as plain text, for pre-training")
      .OneOf(kForms)
      .ShowDefault();
  command
      .AddOption("--mark", arguments->mark,
                 "How answers of --form chat are marked: boxed (\\boxed{42}), hash (#### 42), "
                 "tags (<answer>42</answer>), sentence (The answer is 42.)")
      .OneOf(kMarks)
      .ShowDefault();
  command
      .AddOption("--hasty", arguments->hasty,
                 "Share of the answers of --form chat and text that come without having been "
                 "worked out, behind a thought that says nothing")
      .InRange(0.0, 1.0)
      .ShowDefault();
  command.AddOption("--out", arguments->out, "The file to write; stdout if not given");
  command.AddOption("--seed", arguments->seed, "Seed of the random numbers; 0 if not given")
      .InRange(0, int64_t{1} << 53);
  command.AddFlag("--quiet", arguments->quiet, "Print results, warnings and errors only");
  command.OnRun([arguments] { WriteProblems(*arguments); });
}

}  // namespace fathom
