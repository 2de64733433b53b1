#include "posttrain/evaluation/task_evaluation.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "posttrain/evaluation/choice_scoring.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

// A thought that is cut off ends so; its answer begins behind it.
std::string ThoughtEnd() { return fmt::format("\n{}\n\n", kThinkEnd); }

// Samples that wait for an external judge, so that it can look at several at a time.
constexpr size_t kJudgedTogether = 32;

}  // namespace

TaskEvaluation::TaskEvaluation(const LoadedModel& model, std::span<const TaskProblem> problems,
                               TaskEvaluationOptions options, RewardFunction* external)
    : model_(model),
      problems_(problems),
      options_(std::move(options)),
      external_(external),
      prompts_(model, options_.prompt) {
  const int64_t context = model.config().max_position_embeddings;
  const bool generates = options_.method == EvaluationMethod::kGenerate;
  for (const TaskProblem& problem : problems) {
    if (generates && external == nullptr) RequireOwnJudge(problem, "give one with --verifier");
    if (!generates) {
      if (problem.kind != AnswerKind::kChoice) {
        throw Error(fmt::format("problem {}", problem.id), "has no choices",
                    "--method choices wants them; leave it away to let the model write");
      }
      // No more tokens than bytes, and the begin token.
      size_t bytes = prompts_.ChoiceContext(problem).size() + 2;
      for (const std::string& choice : problem.choices) bytes += choice.size();
      longest_ = std::max(longest_, std::min(context, static_cast<int64_t>(bytes)));
      continue;
    }
    EvaluationPrompt prompt = prompts_.Make(problem);
    const auto length = static_cast<int64_t>(prompt.ids.size());
    if (length >= context) {
      throw Error(fmt::format("problem {}", problem.id),
                  fmt::format("its prompt of {} tokens leaves no room in the context of {}", length,
                              context),
                  "take fewer examples, or leave the problem out");
    }
    longest_ = std::max(longest_, length + AnswerTokens(prompt.ids.size()));
    if (!options_.budgets.empty()) {
      longest_ = std::min(context, longest_ + options_.answer_tokens);
    }
    prompt_of_.push_back(std::move(prompt));
  }
}

int64_t TaskEvaluation::AnswerTokens(size_t prompt) const {
  return std::min(options_.max_tokens,
                  model_.config().max_position_embeddings - static_cast<int64_t>(prompt));
}

bool TaskEvaluation::IsThere(const SampleLog& log, const TaskProblem& problem,
                             int64_t index) const {
  const Sample* sample = log.Find(problem.id, index, 0);
  // Budgets go on from the tokens, which an evaluation without them did not keep.
  return sample != nullptr &&
         (options_.budgets.empty() || sample->thinking_tokens == 0 || !sample->ids.empty());
}

int64_t TaskEvaluation::Missing(const SampleLog& log) const {
  int64_t missing = 0;
  for (const TaskProblem& problem : problems_) {
    for (int64_t i = 0; i < options_.samples_each; ++i) {
      if (!IsThere(log, problem, i)) ++missing;
    }
  }
  return missing;
}

bool TaskEvaluation::Run(Engine& engine, SampleLog& log,
                         FunctionRef<bool(int64_t samples, int64_t tokens)> progress) {
  if (options_.method != EvaluationMethod::kGenerate) return RunChoices(engine, log, progress);
  std::vector<SampleJob> jobs;
  for (size_t i = 0; i < problems_.size(); ++i) {
    for (int64_t index = 0; index < options_.samples_each; ++index) {
      if (IsThere(log, problems_[i], index)) continue;
      const EvaluationPrompt& prompt = prompt_of_[i];
      jobs.push_back(
          {i, index, prompt.ids, prompt.inside_thinking, AnswerTokens(prompt.ids.size())});
    }
  }
  if (!RunJobs(engine, log, jobs, 0, progress)) return false;
  return std::all_of(options_.budgets.begin(), options_.budgets.end(),
                     [&](int64_t budget) { return RunBudget(engine, log, budget, progress); });
}

bool TaskEvaluation::RunBudget(Engine& engine, SampleLog& log, int64_t budget,
                               FunctionRef<bool(int64_t samples, int64_t tokens)> progress) {
  const Tokenizer& tokenizer = model_.RequireTokenizer();
  const std::vector<int32_t> end = tokenizer.Encode(ThoughtEnd());
  const int64_t context = model_.config().max_position_embeddings;
  std::vector<SampleJob> jobs;
  for (size_t i = 0; i < problems_.size(); ++i) {
    for (int64_t index = 0; index < options_.samples_each; ++index) {
      const Sample& whole = *log.Find(problems_[i].id, index, 0);
      if (whole.thinking_tokens <= budget || log.Find(whole.problem, index, budget) != nullptr) {
        continue;
      }
      SampleJob job{i, index, prompt_of_[i].ids, prompt_of_[i].inside_thinking};
      job.prompt.insert(job.prompt.end(), whole.ids.begin(), whole.ids.begin() + budget);
      job.prompt.insert(job.prompt.end(), end.begin(), end.end());
      job.max_tokens =
          std::min(options_.answer_tokens, context - static_cast<int64_t>(job.prompt.size()));
      if (job.max_tokens > 0) jobs.push_back(std::move(job));
    }
  }
  return RunJobs(engine, log, jobs, budget, progress);
}

std::string TaskEvaluation::ForcedText(const Sample& whole, int64_t budget) const {
  const std::span<const int32_t> ids(whole.ids);
  return model_.RequireTokenizer().Decode(ids.first(static_cast<size_t>(budget))) + ThoughtEnd();
}

Sample TaskEvaluation::Judged(const TaskProblem& problem, const SampleJob& job,
                              WrittenSample written, int64_t budget) const {
  Sample sample{.problem = problem.id,
                .index = job.index,
                .budget = budget,
                .tokens = written.completion.tokens,
                .thinking_tokens = written.thinking_tokens,
                .finish = written.completion.finished ? "stop" : "length"};
  if (problem.kind != AnswerKind::kExternal) {
    const Judgement judgement = JudgeCompletion(problem, written.completion, options_.judge);
    sample.answer = judgement.answer;
    sample.score = judgement.right ? 1 : 0;
  }
  sample.text = std::move(written.completion.text);
  if (!options_.budgets.empty() && budget == 0) sample.ids = std::move(written.ids);
  return sample;
}

bool TaskEvaluation::RunJobs(Engine& engine, SampleLog& log, const std::vector<SampleJob>& jobs,
                             int64_t budget,
                             FunctionRef<bool(int64_t samples, int64_t tokens)> progress) {
  struct Waiting {
    Sample sample;
    const TaskProblem* problem;
    bool inside_thinking;
  };
  std::vector<Waiting> waiting;
  const auto judge = [&] {
    std::vector<Completion> completions;
    for (const Waiting& one : waiting) {
      completions.push_back({.text = one.sample.text,
                             .inside_thinking = one.inside_thinking,
                             .finished = one.sample.finish == "stop",
                             .tokens = one.sample.tokens});
    }
    std::vector<RewardInput> inputs;
    for (size_t i = 0; i < waiting.size(); ++i) {
      inputs.push_back({waiting[i].problem, &completions[i]});
    }
    std::vector<RewardValue> values(waiting.size());
    external_->Score(inputs, values);
    for (size_t i = 0; i < waiting.size(); ++i) {
      const RewardValue value = Checked(values[i], 0);
      waiting[i].sample.score = value.value;
      waiting[i].sample.status = Name(value.status);
      log.Add(std::move(waiting[i].sample));
    }
    waiting.clear();
  };
  int64_t done = 0;
  bool goes_on = true;
  const SampleRules rules{options_.sampling, prompts_.stop_ids(), prompts_.stop_texts()};
  RunSamples(
      engine, model_.RequireTokenizer(), jobs, rules, options_.at_a_time,
      [&](size_t i, WrittenSample written) {
        const SampleJob& job = jobs[i];
        const TaskProblem& problem = problems_[job.problem];
        if (budget > 0) {
          Completion& completion = written.completion;
          completion.text =
              ForcedText(*log.Find(problem.id, job.index, 0), budget) + completion.text;
          completion.tokens += budget;
          written.thinking_tokens = budget;
        }
        Sample sample = Judged(problem, job, std::move(written), budget);
        ++done;
        if (problem.kind != AnswerKind::kExternal) return log.Add(std::move(sample));
        waiting.push_back({std::move(sample), &problem, job.inside_thinking});
        if (waiting.size() >= kJudgedTogether) judge();
      },
      [&](int64_t tokens) { return goes_on = progress(done, tokens); });
  if (!waiting.empty() && goes_on) judge();
  return goes_on;
}

bool TaskEvaluation::RunChoices(Engine& engine, SampleLog& log,
                                FunctionRef<bool(int64_t samples, int64_t tokens)> progress) {
  const bool letters = options_.method == EvaluationMethod::kChoiceLetters;
  const auto job_of = [&](const TaskProblem& problem) {
    TaskProblem shown = problem;
    if (!letters) shown.choices.clear();
    ChoiceJob job{prompts_.ChoiceContext(shown), {}};
    for (size_t i = 0; i < problem.choices.size(); ++i) {
      job.choices.push_back(" " + (letters ? ChoiceLetter(i) : problem.choices[i]));
    }
    return job;
  };
  std::vector<ChoiceJob> jobs;
  std::vector<const TaskProblem*> problems;
  for (const TaskProblem& problem : problems_) {
    if (log.Find(problem.id, 0, 0) != nullptr) continue;
    jobs.push_back(job_of(problem));
    problems.push_back(&problem);
  }
  bool goes_on = true;
  auto scores = ScoreChoices(engine, model_.RequireTokenizer(), jobs, EncodePlainText(model_, ""),
                             model_.config().max_position_embeddings,
                             [&](int64_t done) { return goes_on = progress(done, 0); });
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (scores[i].logprobs.empty()) continue;
    Sample sample{.problem = problems[i]->id, .finish = "stop"};
    sample.answer = ChoiceLetter(scores[i].Best(/*by_byte=*/false));
    sample.score = *sample.answer == problems[i]->answers.front() ? 1 : 0;
    sample.logprobs = std::move(scores[i].logprobs);
    sample.bytes = std::move(scores[i].bytes);
    log.Add(std::move(sample));
  }
  return goes_on;
}

}  // namespace fathom
