#include "posttrain/distill/local_teacher.h"

#include <algorithm>

#include "base/error.h"
#include "infer/loaded_model.h"
#include "posttrain/evaluation/sample_engine.h"
#include "posttrain/evaluation/sample_runner.h"
#include "text/chat/answer_reader.h"

namespace fathom {
namespace {

class LocalTeacher : public Teacher {
 public:
  LocalTeacher(Context& context, const DistillConfig& config, bool quiet)
      : context_(context),
        config_(config),
        quiet_(quiet),
        model_(config.teacher.model, std::nullopt, MtpUse::kIfItFits),
        prompts_(model_, config.PromptOptions()) {}

  void Answer(std::span<const TraceJob> jobs, TeacherListener& listener) override {
    Prepare(jobs, listener);
    if (samples_.empty()) return;
    const Tokenizer& tokenizer = model_.RequireTokenizer();
    const auto at_a_time =
        std::min(config_.teacher.at_a_time, static_cast<int64_t>(samples_.size()));
    SampleEngine sampling(context_, model_, at_a_time, longest_, quiet_);
    SampleRules rules{.stop_ids = prompts_.stop_ids()};
    rules.sampling = model_.defaults().sampling;
    rules.sampling.temperature = config_.sampling.temperature;
    rules.sampling.top_p = config_.sampling.top_p;
    rules.sampling.top_k = config_.sampling.top_k;
    rules.sampling.min_p = config_.sampling.min_p;
    rules.sampling.Validate();
    RunSamples(
        sampling.engine(), tokenizer, samples_, rules, at_a_time,
        [&](size_t i, WrittenSample sample) {
          listener.OnAnswer(samples_[i].problem, Parted(samples_[i], std::move(sample)));
        },
        [&](int64_t tokens) { return listener.GoesOn(tokens); });
  }

 private:
  void Prepare(std::span<const TraceJob> jobs, TeacherListener& listener) {
    const int64_t context = model_.config().max_position_embeddings;
    EvaluationPrompt prompt;
    const Question* asked = nullptr;
    for (size_t i = 0; i < jobs.size(); ++i) {
      // Jobs of a question come together.
      if (asked != jobs[i].question) prompt = prompts_.Make(jobs[i].question->problem);
      asked = jobs[i].question;
      const auto length = static_cast<int64_t>(prompt.ids.size());
      if (length >= context) {
        listener.OnRefused(
            i, fmt::format("its {} tokens leave no room in the context of {}", length, context));
        continue;
      }
      SampleJob job{.problem = i,
                    .prompt = prompt.ids,
                    .inside_thinking = prompt.inside_thinking,
                    .max_tokens = std::min(config_.sampling.max_tokens, context - length),
                    .seed = jobs[i].seed};
      longest_ = std::max(longest_, length + job.max_tokens);
      samples_.push_back(std::move(job));
    }
  }

  static TeacherAnswer Parted(const SampleJob& job, WrittenSample sample) {
    AnswerReader reader(job.inside_thinking, ToolCallForm::kNone, /*several_calls=*/false);
    TeacherAnswer answer{.finish_reason = sample.completion.finished ? "stop" : "length",
                         .prompt_tokens = static_cast<int64_t>(job.prompt.size()),
                         .completion_tokens = sample.completion.tokens};
    for (const AnswerReader::News& news : {reader.Push(sample.completion.text), reader.Finish()}) {
      answer.reasoning += news.reasoning;
      answer.content += news.content;
    }
    return answer;
  }

  Context& context_;
  const DistillConfig& config_;
  bool quiet_;
  LoadedModel model_;
  EvaluationPrompts prompts_;
  std::vector<SampleJob> samples_;
  int64_t longest_ = 0;
};

}  // namespace

std::unique_ptr<Teacher> MakeLocalTeacher(Context& context, const DistillConfig& config,
                                          bool quiet) {
  return std::make_unique<LocalTeacher>(context, config, quiet);
}

}  // namespace fathom
