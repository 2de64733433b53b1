#include "posttrain/distill/distill.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "posttrain/distill/distill_report.h"
#include "posttrain/distill/endpoint_teacher.h"
#include "posttrain/distill/local_teacher.h"
#include "posttrain/distill/questions.h"
#include "posttrain/distill/trace_log.h"
#include "posttrain/rewards/answer_judge.h"
#include "posttrain/sft/sft.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

TraceSampling SamplingOf(const DistillConfig& config, uint64_t seed) {
  return {.temperature = config.sampling.temperature,
          .top_p = config.sampling.top_p,
          .min_p = config.sampling.min_p,
          .top_k = config.sampling.top_k,
          .max_tokens = config.sampling.max_tokens,
          .think = config.Think(),
          .seed = seed};
}

// What one of them says that the other does not; empty where they agree.
std::string Difference(const TraceSampling& was, const TraceSampling& is) {
  const auto differs = [](const char* key, const auto& before, const auto& now) {
    return before == now ? std::string() : fmt::format("{} was {}, and is {}", key, before, now);
  };
  for (const std::string& found : {differs("sampling.temperature", was.temperature, is.temperature),
                                   differs("sampling.top_p", was.top_p, is.top_p),
                                   differs("sampling.top_k", was.top_k, is.top_k),
                                   differs("sampling.min_p", was.min_p, is.min_p),
                                   differs("sampling.max_tokens", was.max_tokens, is.max_tokens),
                                   differs("prompt.think", was.think, is.think)}) {
    if (!found.empty()) return found;
  }
  return was.seed == is.seed ? "" : "the seed was another";
}

std::vector<TraceJob> JobsOf(const DistillConfig& config, const QuestionSet& set) {
  std::vector<TraceJob> jobs;
  for (const Question& question : set.questions) {
    for (int64_t sample = 0; sample < config.sampling.samples; ++sample)
      jobs.push_back({&question, sample, SampleSeed(config.seed, question, sample)});
  }
  return jobs;
}

void RequireJudge(const DistillConfig& config, const QuestionSet& set) {
  if (!config.filter.correct || !config.filter.verifier.empty()) return;
  for (const Question& question : set.questions) {
    RequireOwnJudge(question.problem, "give one with filter.verifier, or filter.correct = false");
  }
}

// Those that the log has not. Throws Error for traces that were asked for otherwise.
std::vector<TraceJob> MissingJobs(const DistillConfig& config, const std::vector<TraceJob>& jobs,
                                  const TraceLog& log) {
  std::vector<TraceJob> missing;
  for (const TraceJob& job : jobs) {
    const Trace* trace = log.Find(job.Id());
    if (trace == nullptr) {
      missing.push_back(job);
      continue;
    }
    const Provenance& from = trace->provenance;
    const std::string difference =
        from.teacher != config.teacher.model
            ? fmt::format("teacher.model was {}, and is {}", from.teacher, config.teacher.model)
            : Difference(from.sampling, SamplingOf(config, job.seed));
    if (difference.empty()) continue;
    throw Error(log.path().string(), fmt::format("was collected otherwise: {}", difference),
                "give another output, or the settings that it has");
  }
  return missing;
}

double LeastSeconds(const DistillConfig& config, int64_t requests) {
  if (!config.teacher.is_endpoint() || config.teacher.requests_per_minute <= 0) return 0;
  return 60 * static_cast<double>(requests) / config.teacher.requests_per_minute;
}

std::string KeyOf(const DistillConfig::Teacher& teacher) {
  if (teacher.key_env.empty()) return "";
  const char* key = std::getenv(teacher.key_env.c_str());
  if (key == nullptr || *key == 0) {
    throw Error("teacher.key_env", fmt::format("the environment has no {}", teacher.key_env),
                fmt::format("export {}=... before the command", teacher.key_env));
  }
  const std::string text = key;
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == 0x7F; }))
    throw Error("teacher.key_env",
                fmt::format("{} holds white space, which no key has", teacher.key_env));
  return text;
}

std::unique_ptr<Teacher> MakeTeacher(Context& context, const DistillConfig& config, bool quiet) {
  const DistillConfig::Teacher& teacher = config.teacher;
  if (!teacher.is_endpoint()) return MakeLocalTeacher(context, config, quiet);
  return MakeEndpointTeacher({.endpoint = {.url = teacher.url,
                                           .model = teacher.model,
                                           .key = KeyOf(teacher),
                                           .sampling = SamplingOf(config, 0),
                                           .send_seed = teacher.send_seed},
                              .pace = {.requests_per_minute = teacher.requests_per_minute,
                                       .tokens_per_minute = teacher.tokens_per_minute,
                                       .backoff_seconds = teacher.backoff,
                                       .most_backoff_seconds = teacher.most_backoff,
                                       // Of nothing that lasts: two runs should differ.
                                       .seed = static_cast<uint64_t>(std::time(nullptr))},
                              .at_a_time = teacher.at_a_time,
                              .timeout_seconds = teacher.timeout,
                              .attempts = teacher.attempts,
                              .give_up_after = teacher.give_up_after});
}

// Puts what the teacher says into the log.
class Collecting : public TeacherListener {
 public:
  Collecting(const DistillConfig& config, const DistillOptions& options,
             const std::vector<TraceJob>& jobs, TraceLog& log, DistillSummary& summary)
      : config_(config),
        options_(options),
        jobs_(jobs),
        log_(log),
        summary_(summary),
        progress_("asking the teacher", "traces", static_cast<double>(jobs.size()), options.quiet) {
  }

  void OnAnswer(size_t number, TeacherAnswer answer) override {
    const TraceJob& job = jobs_[number];
    const DistillConfig::Teacher& teacher = config_.teacher;
    log_.Add({.id = job.Id(),
              .question = job.question->problem.id,
              .sample = job.sample,
              .messages = job.question->messages,
              .answer = std::move(answer),
              .provenance = {.teacher = teacher.model,
                             .host = HostOf(teacher.url),
                             .time = UtcTime(std::time(nullptr)),
                             .sampling = SamplingOf(config_, job.seed),
                             .licence = teacher.licence,
                             .fathom = options_.version}});
    ++summary_.asked;
  }

  void OnRefused(size_t job, const std::string& why) override {
    if (summary_.refused++ > 0) return;
    summary_.first_refusal = fmt::format("question {}: {}", jobs_[job].question->problem.id, why);
  }

  bool GoesOn(int64_t tokens) override {
    log_.MaySync();
    std::string note = fmt::format("{} tokens", FormatCount(static_cast<double>(tokens)));
    if (summary_.refused > 0) note += fmt::format(", {} refused", summary_.refused);
    progress_.Update(static_cast<double>(summary_.asked + summary_.refused), note);
    return !InterruptGuard::Requested();
  }

 private:
  const DistillConfig& config_;
  const DistillOptions& options_;
  const std::vector<TraceJob>& jobs_;
  TraceLog& log_;
  DistillSummary& summary_;
  Progress progress_;
};

// Has what is missing answered.
void Collect(Context& context, const DistillConfig& config, const DistillOptions& options,
             const std::vector<TraceJob>& jobs, TraceLog& log, DistillSummary& summary) {
  const InterruptGuard interrupt;
  try {
    const auto teacher = MakeTeacher(context, config, options.quiet);
    Collecting collecting(config, options, jobs, log, summary);
    teacher->Answer(jobs, collecting);
  } catch (const Error& error) {
    log.Sync();
    if (log.size() == 0) throw;
    throw Error("", error.what(),
                fmt::format("{} traces are in {}: the same command with --resume goes on",
                            log.size(), log.path().string()));
  }
  log.Sync();
  summary.interrupted = InterruptGuard::Requested();
  if (summary.refused > 0) {
    spdlog::warn("{} answers were refused, the first one to {}; --resume asks for them again",
                 summary.refused, summary.first_refusal);
  }
}

void WriteConversations(const fs::path& path, const std::vector<const Trace*>& traces) {
  AtomicFile file(path);
  for (const Trace* trace : traces) file.Write(ConversationLine(*trace) + "\n");
  file.Commit();
}

}  // namespace

DistillPlan PlanDistillation(const DistillConfig& config) {
  const QuestionSet set = ReadQuestions(config);
  const std::vector<TraceJob> jobs = JobsOf(config, set);
  DistillPlan plan{.questions = static_cast<int64_t>(set.questions.size()),
                   .repeated = static_cast<int64_t>(set.repeated),
                   .traces = static_cast<int64_t>(jobs.size()),
                   .missing = static_cast<int64_t>(jobs.size())};
  if (fs::exists(config.traces())) {
    const TraceLog log(config.traces());
    plan.missing = static_cast<int64_t>(MissingJobs(config, jobs, log).size());
  }
  plan.most_tokens = plan.missing * config.sampling.max_tokens;
  plan.least_seconds = LeastSeconds(config, plan.missing);
  return plan;
}

DistillSummary RunDistillation(Context& context, const DistillConfig& config,
                               const DistillOptions& options) {
  if (!options.resume && fs::exists(config.traces())) {
    throw Error(config.output.string(), "holds the traces of a run already",
                "give --resume to go on with it, or another output");
  }
  const QuestionSet set = ReadQuestions(config);
  if (set.repeated > 0)
    spdlog::info("{} questions come more than once, and are asked once", set.repeated);
  RequireJudge(config, set);
  if (config.student) CheckSft(context, *config.student);
  TraceFilter filter(config);  // its files are read before anybody is asked
  CreateDirectories(config.output);
  TraceLog log(config.traces());
  const std::vector<TraceJob> wanted = JobsOf(config, set);
  const std::vector<TraceJob> missing = MissingJobs(config, wanted, log);
  WriteFileAtomically(config.output / "config.toml", config.ToToml());
  spdlog::info("{} questions, {} answers to each: {} are there, {} are missing",
               set.questions.size(), config.sampling.samples, wanted.size() - missing.size(),
               missing.size());
  DistillSummary summary;
  if (!missing.empty()) Collect(context, config, options, missing, log, summary);
  summary.missing = static_cast<int64_t>(missing.size()) - summary.asked;
  if (summary.interrupted) return summary;

  const FilterResult chosen = filter.Choose(set.questions, log);
  WriteConversations(config.conversations(), chosen.kept);
  WriteDistillReport(config.output / "report.html", config, chosen.counts);
  summary.filter = chosen.counts;
  if (chosen.kept.empty()) {
    const std::string hint = fmt::format("{} says why", (config.output / "report.html").string());
    if (config.student)
      throw Error(config.conversations().string(), "holds nothing for the student to learn", hint);
    spdlog::warn("none of {} traces is kept; {}", log.size(), hint);
  }
  if (!config.student) return summary;
  // A run that ended before its student began has none to go on with.
  const bool goes_on = options.resume && fs::exists(config.student->output);
  try {
    summary.student = RunSft(context, *config.student, {.resume = goes_on, .quiet = options.quiet});
  } catch (const Error& error) {
    if (!goes_on) throw;
    throw Error("", error.what(),
                fmt::format("or take {} away, for a student that begins anew with what is kept now",
                            config.student->output.string()));
  }
  return summary;
}

}  // namespace fathom
