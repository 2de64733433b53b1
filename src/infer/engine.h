#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "infer/draft_policy.h"
#include "infer/executor.h"
#include "infer/scheduler/scheduler.h"

namespace fathom {

enum class DraftMode : uint8_t {
  kAuto,  // as long as it pays, which is measured (DraftPolicy)
  kOn,
  kOff,
};

struct EngineOptions {
  int64_t step_tokens = 512;  // tokens computed in one step at most, over all requests
  int64_t max_running = 256;  // requests that hold pages at a time
  // Tokens of a sequence, prompt and answer together; 0: what the model is made for.
  int64_t max_length = 0;
  // Requests that wait, over all and of one user; 0: any number.
  int64_t max_waiting = 0, max_waiting_per_user = 0;
  int64_t age_steps = 1024;  // SchedulerOptions::age_steps
  // Speculative decoding, where the executor can guess: tokens guessed at a time. It changes how
  // fast answers come, never what they are.
  DraftMode draft = DraftMode::kAuto;
  int64_t draft_tokens = 1;
  // The disk tier: files of prefixes, and what they are a function of besides the tokens
  // (ModelIdentity). Null: none. Has to outlive the engine.
  PrefixStore* store = nullptr;
  std::string model;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  std::shared_ptr<TokenConstraint> constraint;  // of what is written, this answer's alone; or null
  uint64_t choice = 0;            // which of several answers to the same prompt; see Sampler
  int64_t max_tokens = 256;       // of the answer; 0: the prompt is scored, nothing is written
  std::vector<int32_t> stop_ids;  // the answer ends with the first of these
  // The hidden state of the prompt's last token is wanted, and nothing else: max_tokens is 0.
  bool embeds = false;
  // Tokens of the prompt from this position on (at least 1) are scored; 0: none.
  int64_t score_from = 0;
  int64_t top_logprobs = 0;  // also the most likely tokens at each scored and written position
  int priority = 0;          // the higher is served first
  std::string user;          // among users of equal priority, shares are fair
  // Prefixes are shared between requests of equal salts only.
  std::string cache_salt;
  // When somebody began to wait for it; if not given, when it is added.
  std::optional<std::chrono::steady_clock::time_point> arrival = {};
};

enum class FinishReason : uint8_t {
  kNone,    // it goes on
  kStop,    // the token is a stop id
  kLength,  // max_tokens are there, or the prompt is scored
  kFailed,  // EngineEvent::error says why
};
std::string_view Name(FinishReason reason);  // "stop", "length", "error"; empty for kNone

// What a request has taken.
struct RequestUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, that did not have to be computed
  int64_t disk_tokens = 0;    // of all, that came out of files
  int64_t answer_tokens = 0;
  int64_t preemptions = 0;
  int64_t recomputed_tokens = 0;   // because of preemptions
  int64_t guessed_tokens = 0;      // of the answer, that were guessed and verified
  int64_t accepted_tokens = 0;     // of these, that held
  double queue_seconds = 0;        // until the first of it was computed
  double first_token_seconds = 0;  // from its arrival to its first token; 0: there was none
  double seconds = 0;              // from its arrival to its end
};

// One token that was written, or scored, or whose hidden state was asked for; or only the end of a
// request that failed.
struct EngineEvent {
  int64_t request = 0;
  bool scored = false;  // it is one of the prompt
  int32_t token = -1;
  int64_t position = 0;  // absolute, in the sequence
  // ln p(token) of the model itself: at temperature 1, before any truncation (what a scorer and a
  // trainer compute).
  float logprob = 0;
  // The same at the request's temperature, before bias, penalties, constraint and truncation; with
  // greedy sampling, `logprob`.
  float sampled_logprob = 0;
  std::vector<RankedToken> top;
  std::vector<float> hidden;  // [hidden], what the head reads, after the final norm
  FinishReason finish = FinishReason::kNone;
  std::string error;
  RequestUsage usage;  // of a written token: so far; whole when it is finished
};

// There is no room in the queue; later there may be.
class QueueFullError : public Error {
 public:
  using Error::Error;
};

// Error when a prompt and an answer of `answer` tokens are more than a context of `context`: for a
// look before a model is packed.
void RequireContext(int64_t prompt, int64_t answer, int64_t context);

// Generates and scores for many requests at once: each Step computes one batch made of pieces of
// prompts and one token of every answer under way, as the scheduler says (infer/scheduler), on
// pages that the prefix cache hands out (infer/cache). What a request gets (tokens and log-probs,
// bit for bit) is a function of the model and the request: not of the others, of how its prompt was
// cut, of where its pages lie, of what was cached in memory or on disk, or of preemptions (the
// numerics contract, docs/architecture.md).
//
// Not thread-safe.
class Engine : private SequencePages {
 public:
  // The executor's pages are used by this engine alone; it has to outlive it.
  explicit Engine(Executor& executor, const EngineOptions& options = {});
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Returns the request's id: 0, 1, ... Throws UsageError for parameters out of range and an empty
  // prompt; Error for ids outside the vocabulary, and when prompt and answer can never fit into the
  // model's context or the cache; QueueFullError, unless it `joins` the request before it, which
  // has found room in the queue: another answer to the same client.
  int64_t AddRequest(GenerationRequest request, bool joins = false);
  // Gives up a request, wherever it stands; ids that are unknown or finished are ignored. What was
  // computed stays cached.
  void Cancel(int64_t id);

  // Another mode from the next step on; whatever it is, answers are the same.
  void SetDraft(DraftMode mode) { options_.draft = mode; }

  // Whether there is nothing to do.
  bool idle() const { return sequences_.empty(); }
  // Computes one batch; what it produced, in the order of the requests. Empty when only pieces of
  // prompts were computed.
  std::vector<EngineEvent> Step();

  struct Statistics {
    int64_t steps = 0;
    // Rows of prompts and answers that requests have got, computed or cached: for progress
    // displays.
    int64_t tokens = 0;
    int64_t prompt_tokens = 0;    // of these, those of prompts
    int64_t computed_tokens = 0;  // recomputed ones included
    int64_t cached_tokens = 0;
    int64_t preemptions = 0;
    // By their place among a step's guesses of a sequence: how often there was one to verify, and
    // how often it held (and those before it).
    std::vector<int64_t> guessed, accepted;
  };
  const Statistics& statistics() const { return statistics_; }
  const Scheduler& scheduler() const { return scheduler_; }
  const PrefixCache& cache() const { return cache_; }
  const ExpertLoad& expert_load() const { return executor_.expert_load(); }

  // Aborts when pages are lost, owned twice, or counted wrongly. For tests; between steps.
  void CheckInvariants() const;

 private:
  using Clock = std::chrono::steady_clock;

  // A request under way.
  struct Sequence {
    int64_t id;
    GenerationRequest request;
    Sampler sampler;
    CacheSequence cache;
    std::vector<int32_t> tokens;   // prompt and answer
    std::vector<int32_t> guesses;  // of what follows
    DraftState draft;
    int64_t seen = 0;         // rows that it has had at some time
    int64_t next_scored = 0;  // position; 0: none
    Clock::time_point arrival;
    bool started = false;
    RequestUsage usage;

    int64_t prompt() const { return static_cast<int64_t>(request.prompt.size()); }
    int64_t length() const { return static_cast<int64_t>(tokens.size()); }
    // Rows that have to be computed before the next token is drawn: nobody needs that of the last
    // token of a prompt which is only scored.
    int64_t rows() const {
      return request.max_tokens > 0 || request.embeds ? length() : length() - 1;
    }
    // Rows that may come out of the cache: what is wanted of a token needs its row computed.
    int64_t cacheable() const;
  };

  // SequencePages
  int64_t Available() const override { return cache_.available(); }
  int64_t Extend(int64_t request, bool all) override;
  uint64_t UnitUnderWay(int64_t request) const override;
  bool Reserve(int64_t request, int64_t length) override;
  void Release(int64_t request) override;

  void Check(const GenerationRequest& request) const;
  // Whether the step drafts: all of its answers, and its prompts for the answers to come.
  bool Drafts(const Scheduler::Step& step);
  // guessed: memory for tokens and guesses side by side.
  Piece MakePiece(Sequence& sequence, const Scheduler::Grant& grant, bool drafts,
                  std::vector<int32_t>& guessed);
  void CountGuesses(Sequence& sequence, const Scheduler::Grant& grant, const PieceResult& result);
  // Takes over what was computed; true when the request is finished.
  bool Take(Sequence& sequence, const Scheduler::Grant& grant, PieceResult result,
            std::vector<EngineEvent>& events);
  void Remove(std::map<int64_t, Sequence>::iterator sequence);

  Executor& executor_;
  EngineOptions options_;
  PrefixCache cache_;
  Scheduler scheduler_;
  std::map<int64_t, Sequence> sequences_;
  int64_t next_id_ = 0;
  Statistics statistics_;
  DraftPolicy policy_;
  bool drafted_ = false;  // in the last step
};

}  // namespace fathom
