#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "posttrain/distill/contamination.h"
#include "posttrain/distill/distill_config.h"
#include "posttrain/distill/questions.h"
#include "posttrain/distill/trace_log.h"
#include "posttrain/rewards/reward.h"

namespace fathom {

// Why a trace is not learnt from, in the order in which it is looked for: the first that holds
// counts.
enum class DropReason : uint8_t {
  kUnfinished,  // it was cut off, or ended otherwise than by itself
  kFormat,      // no content, no thoughts where they are wanted, or marks of thoughts inside
  kWrong,       // the answer is known, and is another
  kLanguage,    // too many words in other scripts
  kRepetition,  // too much of it came before in it
  kShort,
  kLong,          // tokens
  kContaminated,  // it, or its question, has words of an evaluation question
  kSurplus,       // as many as are wanted of its question are kept
  kDuplicate,     // nearly the same is kept already
  kCount,
};
std::string_view Name(DropReason reason);  // "unfinished", "format", ...

struct FilterCounts {
  // Of questions of one difficulty.
  struct Level {
    int64_t questions = 0, traces = 0;
    int64_t kept_questions = 0, kept = 0;  // questions of which a trace is kept
  };
  int64_t questions = 0, kept_questions = 0;
  int64_t contaminated_questions = 0;
  int64_t judged = 0, right = 0;  // traces whose answer could be judged
  int64_t traces = 0, kept = 0;
  int64_t kept_tokens = 0;  // of answers, by the teacher's tokenizer, as far as it counts them
  std::array<int64_t, static_cast<size_t>(DropReason::kCount)> dropped{};
  std::map<std::string, Level> by_difficulty;

  int64_t Dropped(DropReason reason) const { return dropped[static_cast<size_t>(reason)]; }
};

struct FilterResult {
  std::vector<const Trace*> kept;  // by question, in the order of the questions
  FilterCounts counts;
};

// Chooses what a student learns from. Its result is a function of questions, traces and
// configuration: not of the order in which the traces came.
class TraceFilter {
 public:
  // Reads the evaluation files. Errors as ReadTaskFile's.
  explicit TraceFilter(const DistillConfig& config);

  // Traces that are missing are passed over.
  FilterResult Choose(std::span<const Question> questions, const TraceLog& traces);

 private:
  struct Candidate;

  std::vector<Candidate> Candidates(const Question& question, const TraceLog& traces) const;
  // Marks what does not hold up by itself.
  void Judge(const Question& question, std::vector<Candidate>& candidates, FilterCounts& counts);
  // By the trace alone; kCount: nothing.
  DropReason Look(const Trace& trace) const;
  void Order(const Question& question, std::vector<Candidate>& candidates) const;

  const DistillConfig& config_;
  JudgeOptions judge_;
  std::unique_ptr<RewardFunction> external_;
  Contamination contamination_;
};

// A line of sft.jsonl, without its end: the conversation as `fathom sft` reads it, and the id of
// its trace.
std::string ConversationLine(const Trace& trace);

}  // namespace fathom
