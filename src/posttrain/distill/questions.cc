#include "posttrain/distill/questions.h"

#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "data/tasks/problem_set.h"
#include "data/tasks/task_file.h"

namespace fathom {
namespace {

std::string DifficultyOf(const TaskProblem& problem) {
  const JsonDocument row(problem.row, "row");
  for (const char* key : {"difficulty", "level"}) {
    if (const auto value = row.root().Find(key))
      return value->IsString() ? std::string(value->String()) : value->Minified();
  }
  return "";
}

uint64_t HashOfMessages(const std::vector<ChatMessage>& messages) {
  Hash64 hash;
  for (const ChatMessage& message : messages) {
    hash.UpdateField(message.role);
    hash.UpdateField(message.content);
  }
  return hash.Digest();
}

class Reader {
 public:
  explicit Reader(const DistillConfig& config) : options_(config.PromptOptions()) {}

  void Add(TaskProblem problem) {
    Question question{.problem = std::move(problem)};
    question.messages = AskedMessages(question.problem, options_);
    question.hash = HashOfMessages(question.messages);
    if (!seen_.insert(question.hash).second) {
      ++set_.repeated;
      return;
    }
    question.difficulty = DifficultyOf(question.problem);
    set_.questions.push_back(std::move(question));
  }

  void Generate(const DistillConfig::Source& source, uint64_t seed) {
    ProblemSetOptions options{.least_difficulty = static_cast<int>(source.least_difficulty),
                              .most_difficulty = static_cast<int>(source.most_difficulty),
                              // What is held out stays so.
                              .part = ProblemPart::kTrain,
                              .count = static_cast<uint64_t>(source.count),
                              .seed = seed};
    for (const std::string& kind : source.generate)
      options.generators.push_back(&FindProblemGenerator(kind));
    const uint64_t found =
        ForEachProblem(options, [&](const SetProblem& problem) { Add(AsTask(problem)); });
    if (found == options.count) return;
    throw Error(
        "data.source",
        fmt::format("there are about {} different problems of these kinds and difficulties", found),
        "ask for fewer, or for higher difficulties");
  }

  QuestionSet Take() { return std::move(set_); }

 private:
  EvaluationPromptOptions options_;
  std::unordered_set<uint64_t> seen_;
  QuestionSet set_;
};

}  // namespace

QuestionSet ReadQuestions(const DistillConfig& config) {
  Reader reader(config);
  for (const DistillConfig::Source& source : config.sources) {
    if (!source.generate.empty()) {
      reader.Generate(source, config.seed);
      continue;
    }
    for (TaskProblem& problem : ReadTaskFile(source.path, 0, TaskAnswers::kOptional))
      reader.Add(std::move(problem));
  }
  return reader.Take();
}

std::string TraceJob::Id() const { return fmt::format("{:016x}-{}", question->hash, sample); }

uint64_t SampleSeed(uint64_t seed, const Question& question, int64_t sample) {
  return MixKey(MixKey(seed, question.hash), static_cast<uint64_t>(sample)) & 0x7FFFFFFF;
}

}  // namespace fathom
