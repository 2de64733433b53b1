#include "posttrain/distill/trace_filter.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "data/tasks/task_file.h"
#include "posttrain/distill/near_duplicates.h"
#include "posttrain/distill/text_words.h"
#include "posttrain/rewards/language.h"
#include "posttrain/verifier/external_judge.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kChoiceStreams = 0x64697374696C6C63;
constexpr size_t kRepetitionWords = 8;
// Where the teacher does not count: few texts have fewer bytes a token.
constexpr int64_t kBytesPerToken = 4;

constexpr Script kScripts[] = {
    Script::kLatin, Script::kHan,    Script::kJapanese, Script::kHangul,     Script::kCyrillic,
    Script::kGreek, Script::kArabic, Script::kHebrew,   Script::kDevanagari, Script::kThai};

int64_t TokensOf(const TeacherAnswer& answer) {
  return answer.completion_tokens.value_or(
      static_cast<int64_t>(answer.reasoning.size() + answer.content.size()) / kBytesPerToken);
}

bool HasMark(std::string_view text) {
  return text.find(kThinkBegin) != std::string_view::npos ||
         text.find(kThinkEnd) != std::string_view::npos;
}

std::string WholeText(const TeacherAnswer& answer) {
  return answer.reasoning + "\n" + answer.content;
}

// Of the words, those in the script that is wanted, or that most are in.
double LanguageShare(const std::string& text, const std::string& code) {
  if (!code.empty()) return ShareOfWords(text, ScriptOfLanguage(code).value());
  double most = 0;
  for (const Script script : kScripts) {
    most = std::max(most, ShareOfWords(text, script));
    if (most > 0.5) break;  // no other can have more
  }
  return most;
}

// What is kept, to find it again.
class KeptTexts {
 public:
  // near: similarity that is too much; 0: only equal words are.
  explicit KeptTexts(double near) : looks_near_(near > 0), near_(near) {}

  // False: it was there, or nearly so.
  bool Add(const std::vector<uint64_t>& words) {
    const uint64_t hash =
        HashOf({reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t)});
    if (whole_.contains(hash)) return false;
    if (looks_near_) {
      const auto signature = NearDuplicates::SignatureOf(words);
      if (near_.Holds(signature)) return false;
      near_.Add(signature);
    }
    whole_.insert(hash);
    return true;
  }

 private:
  bool looks_near_;
  NearDuplicates near_;
  std::unordered_set<uint64_t> whole_;
};

}  // namespace

std::string_view Name(DropReason reason) {
  constexpr std::string_view kNames[] = {"unfinished", "format",   "wrong", "language",
                                         "repetition", "short",    "long",  "contaminated",
                                         "surplus",    "duplicate"};
  return kNames[static_cast<size_t>(reason)];
}

struct TraceFilter::Candidate {
  const Trace* trace;
  Completion completion;  // what is judged
  std::optional<DropReason> dropped;
};

TraceFilter::TraceFilter(const DistillConfig& config)
    : config_(config),
      judge_(config.Judge()),
      contamination_(static_cast<size_t>(config.evaluation.words)) {
  if (!config.filter.verifier.empty()) {
    external_ = MakeExternalReward({.command = config.filter.verifier,
                                    .workers = static_cast<int>(config.filter.verifier_workers),
                                    .timeout_seconds = config.filter.verifier_timeout});
  }
  for (const DistillConfig::Evaluation::File& file : config.evaluation.sources) {
    for (const TaskProblem& problem : ReadTaskFile(file.path, 0, TaskAnswers::kOptional))
      contamination_.AddQuestion(problem.question());
  }
}

std::vector<TraceFilter::Candidate> TraceFilter::Candidates(const Question& question,
                                                            const TraceLog& traces) const {
  std::vector<Candidate> candidates;
  for (int64_t sample = 0; sample < config_.sampling.samples; ++sample) {
    const Trace* trace = traces.Find(TraceJob{&question, sample}.Id());
    if (trace == nullptr) continue;
    const TeacherAnswer& answer = trace->answer;
    Completion completion{.text = answer.content,
                          .finished = answer.finish_reason == "stop",
                          .tokens = TokensOf(answer)};
    if (!answer.reasoning.empty()) {
      completion.text =
          fmt::format("{}{}{}{}", kThinkBegin, answer.reasoning, kThinkEnd, answer.content);
    }
    candidates.push_back({.trace = trace, .completion = std::move(completion)});
  }
  return candidates;
}

DropReason TraceFilter::Look(const Trace& trace) const {
  const DistillConfig::Filter& filter = config_.filter;
  const TeacherAnswer& answer = trace.answer;
  if (filter.finished && answer.finish_reason != "stop") return DropReason::kUnfinished;
  const bool lacks_thoughts = filter.thoughts && Trimmed(answer.reasoning).empty();
  if (Trimmed(answer.content).empty() || lacks_thoughts || HasMark(answer.reasoning) ||
      HasMark(answer.content)) {
    return DropReason::kFormat;
  }
  const std::string text = WholeText(answer);
  if (filter.language_share > 0 && LanguageShare(text, filter.language) < filter.language_share) {
    return DropReason::kLanguage;
  }
  const std::vector<uint64_t> words = WordHashes(text);
  if (RepeatedShare(words, kRepetitionWords) > filter.repetition) return DropReason::kRepetition;
  const int64_t tokens = TokensOf(answer);
  if (tokens < filter.least_tokens) return DropReason::kShort;
  if (filter.most_tokens > 0 && tokens > filter.most_tokens) return DropReason::kLong;
  if (contamination_.IsInText(words)) return DropReason::kContaminated;
  return DropReason::kCount;
}

void TraceFilter::Judge(const Question& question, std::vector<Candidate>& candidates,
                        FilterCounts& counts) {
  const TaskProblem& problem = question.problem;
  const bool external = problem.kind == AnswerKind::kExternal && external_ != nullptr;
  if (!external && problem.answers.empty()) return;
  std::vector<RewardValue> values(candidates.size());
  if (external) {
    std::vector<RewardInput> inputs;
    for (const Candidate& candidate : candidates)
      inputs.push_back({&problem, &candidate.completion});
    external_->Score(inputs, values);
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    const bool right = external ? Checked(values[i], 0).value > 0.5
                                : JudgeCompletion(problem, candidate.completion, judge_).right;
    ++counts.judged;
    counts.right += right ? 1 : 0;
    // What was cut off or has no answer is dropped for that.
    const bool earlier = candidate.dropped && *candidate.dropped < DropReason::kWrong;
    if (config_.filter.correct && !right && !earlier) candidate.dropped = DropReason::kWrong;
  }
}

void TraceFilter::Order(const Question& question, std::vector<Candidate>& candidates) const {
  if (config_.filter.choose == "random") {
    RandomStream random(MixKey(MixKey(config_.seed, kChoiceStreams), question.hash));
    for (size_t i = candidates.size(); i > 1; --i)
      std::swap(candidates[i - 1], candidates[random.NextBelow(i)]);
    return;
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return TokensOf(a.trace->answer) < TokensOf(b.trace->answer);
  });
}

FilterResult TraceFilter::Choose(std::span<const Question> questions, const TraceLog& traces) {
  FilterResult result;
  FilterCounts& counts = result.counts;
  KeptTexts kept_texts(config_.filter.near_duplicate);
  for (const Question& question : questions) {
    std::vector<Candidate> candidates = Candidates(question, traces);
    FilterCounts::Level& level = counts.by_difficulty[question.difficulty];
    ++counts.questions;
    ++level.questions;
    const std::vector<uint64_t> words = WordHashes(question.problem.question());
    const bool contaminated = !contamination_.empty() && contamination_.IsInQuestion(words);
    counts.contaminated_questions += contaminated ? 1 : 0;
    for (Candidate& candidate : candidates) {
      DropReason reason = Look(*candidate.trace);
      if (contaminated) reason = std::min(reason, DropReason::kContaminated);
      if (reason != DropReason::kCount) candidate.dropped = reason;
    }
    Judge(question, candidates, counts);
    Order(question, candidates);
    int64_t kept = 0;
    for (Candidate& candidate : candidates) {
      ++counts.traces;
      ++level.traces;
      const TeacherAnswer& answer = candidate.trace->answer;
      if (!candidate.dropped && kept == config_.filter.per_question)
        candidate.dropped = DropReason::kSurplus;
      if (!candidate.dropped &&
          !kept_texts.Add(WordHashes(question.problem.question() + "\n" + WholeText(answer)))) {
        candidate.dropped = DropReason::kDuplicate;
      }
      if (candidate.dropped) {
        ++counts.dropped[static_cast<size_t>(*candidate.dropped)];
        continue;
      }
      ++kept;
      counts.kept_tokens += TokensOf(answer);
      result.kept.push_back(candidate.trace);
    }
    counts.kept += kept;
    level.kept += kept;
    if (kept == 0) continue;
    ++counts.kept_questions;
    ++level.kept_questions;
  }
  return result;
}

std::string ConversationLine(const Trace& trace) {
  ordered_json messages = ordered_json::array();
  for (const ChatMessage& message : trace.messages) {
    ordered_json json = {{"role", message.role}, {"content", message.content}};
    // What stood in the question is no answer to learn.
    if (message.role == "assistant") json["weight"] = 0;
    messages.push_back(std::move(json));
  }
  ordered_json answer = {{"role", "assistant"}};
  if (!trace.answer.reasoning.empty()) answer["reasoning_content"] = trace.answer.reasoning;
  answer["content"] = trace.answer.content;
  messages.push_back(std::move(answer));
  const ordered_json line = {{"id", trace.id}, {"messages", std::move(messages)}};
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace fathom
