#include "infer/engine.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string_view Name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kFailed:
      return "error";
  }
  FATHOM_CHECK(false);
}

Engine::Engine(Executor& executor, const EngineOptions& options)
    : executor_(executor),
      options_(options),
      cache_(executor, options.model, options.store),
      scheduler_({.step_tokens = options.step_tokens,
                  .max_running = options.max_running,
                  .age_steps = options.age_steps,
                  .page_tokens = executor.page_tokens()}) {
  FATHOM_CHECK(options.step_tokens > 0 && options.max_running > 0);
  if (options_.max_length == 0) options_.max_length = executor.max_length();
}

void RequireContext(int64_t prompt, int64_t answer, int64_t context) {
  // The rows of a prompt's last token are not needed when nothing follows it.
  const int64_t in_context = answer == 0 ? context + 1 : context;
  if (prompt > in_context || answer > in_context - prompt) {
    throw Error("request",
                fmt::format("{} tokens of prompt + {} of answer are more than the context of {}",
                            prompt, answer, context),
                "shorten one of them");
  }
}

void Engine::Check(const GenerationRequest& request) const {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) {
    throw UsageError("prompt", "is empty", "give at least one token, for instance the begin token");
  }
  const bool scores = request.score_from > 0;
  if (request.embeds && (request.max_tokens != 0 || scores)) {
    throw UsageError("max_tokens", "a hidden state is asked for alone", "it has to be 0");
  }
  if (request.max_tokens < (scores || request.embeds ? 0 : 1)) {
    throw UsageError("max_tokens", fmt::format("{} is out of range", request.max_tokens),
                     "it has to be at least 1");
  }
  if (request.score_from < 0 || (scores && request.score_from >= prompt)) {
    throw UsageError("score_from", fmt::format("{} is out of range", request.score_from),
                     "the first token that can be scored is the second of the prompt");
  }
  if (request.top_logprobs < 0) {
    throw UsageError("top_logprobs", fmt::format("{} is out of range", request.top_logprobs));
  }
  const int64_t vocabulary = executor_.vocabulary();
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] < 0 || request.prompt[i] >= vocabulary) {
      throw Error(fmt::format("prompt, token {}", i),
                  fmt::format("id {} is outside the model's vocabulary of {}", request.prompt[i],
                              vocabulary));
    }
  }
  for (const TokenBias& one : request.sampling.logit_bias) {
    if (one.token < 0 || one.token >= vocabulary) {
      throw UsageError("logit_bias", fmt::format("id {} is outside the model's vocabulary of {}",
                                                 one.token, vocabulary));
    }
  }
  // A prompt's last token has a row if something is made of it.
  const int64_t after = request.embeds ? 1 : request.max_tokens;
  RequireContext(request.embeds ? prompt - 1 : prompt, after, options_.max_length);
  const int64_t pages = cache_.Pages(prompt + after - 1);
  if (pages > cache_.pages()) {
    throw Error(
        "request",
        fmt::format("{} tokens of prompt + {} of answer need {} cache pages of {} tokens, "
                    "and there are {}",
                    prompt, request.max_tokens, pages, cache_.page_tokens(), cache_.pages()),
        "shorten one of them or give more memory to the cache");
  }
}

int64_t Engine::AddRequest(GenerationRequest request, bool joins) {
  Check(request);
  if (!joins && options_.max_waiting > 0 && scheduler_.waiting() >= options_.max_waiting) {
    throw QueueFullError(
        "", fmt::format("too many requests are waiting already ({})", scheduler_.waiting()),
        "try again later");
  }
  if (!joins && options_.max_waiting_per_user > 0 &&
      scheduler_.WaitingOf(request.user) >= options_.max_waiting_per_user) {
    throw QueueFullError("",
                         fmt::format("too many of this user's requests are waiting already ({})",
                                     scheduler_.WaitingOf(request.user)),
                         "try again later");
  }
  Sampler sampler(request.sampling, request.choice, request.prompt, request.constraint);
  const int64_t id = next_id_++;
  const Clock::time_point arrival = request.arrival.value_or(Clock::now());
  Sequence sequence{
      .id = id, .request = std::move(request), .sampler = std::move(sampler), .arrival = arrival};
  sequence.tokens = sequence.request.prompt;
  sequence.next_scored = sequence.request.score_from;
  sequence.usage.prompt_tokens = sequence.prompt();
  sequence.cache = cache_.Open(sequence.request.cache_salt);
  scheduler_.Add(id, sequence.request.user, sequence.request.priority, sequence.rows());
  sequences_.emplace(id, std::move(sequence));
  return id;
}

void Engine::Cancel(int64_t id) {
  const auto found = sequences_.find(id);
  if (found != sequences_.end()) Remove(found);
}

void Engine::Remove(std::map<int64_t, Sequence>::iterator sequence) {
  cache_.Close(sequence->second.cache, sequence->second.tokens);
  scheduler_.Remove(sequence->first);
  sequences_.erase(sequence);
}

int64_t Engine::Sequence::cacheable() const {
  const int64_t most = rows() - 1;
  return next_scored > 0 && next_scored < prompt() ? std::min(most, next_scored - 1) : most;
}

int64_t Engine::Extend(int64_t request, bool all) {
  Sequence& sequence = sequences_.at(request);
  cache_.Extend(sequence.cache, sequence.tokens, sequence.cacheable(), all);
  return sequence.cache.length;
}

uint64_t Engine::UnitUnderWay(int64_t request) const {
  const Sequence& sequence = sequences_.at(request);
  return cache_.UnitUnderWay(sequence.cache, sequence.tokens, sequence.rows());
}

bool Engine::Reserve(int64_t request, int64_t length) {
  return cache_.Reserve(sequences_.at(request).cache, length);
}

void Engine::Release(int64_t request) {
  Sequence& sequence = sequences_.at(request);
  cache_.Release(sequence.cache, sequence.tokens);
}

bool Engine::Drafts(const Scheduler::Step& step) {
  if (options_.draft == DraftMode::kOff || options_.draft_tokens == 0 || !executor_.drafts())
    return false;
  return options_.draft == DraftMode::kOn ||
         policy_.ShouldDraft(static_cast<int64_t>(step.grants.size()));
}

Piece Engine::MakePiece(Sequence& sequence, const Scheduler::Grant& grant, bool drafts,
                        std::vector<int32_t>& guessed) {
  std::span<const int32_t> tokens = sequence.tokens;
  const int64_t end = grant.first + grant.count - grant.guesses;
  const auto count = static_cast<size_t>(end - grant.first);
  std::span<const int32_t> computed = tokens.subspan(static_cast<size_t>(grant.first), count);
  if (grant.guesses > 0) {
    guessed.assign(computed.begin(), computed.end());
    guessed.insert(guessed.end(), sequence.guesses.begin(),
                   sequence.guesses.begin() + static_cast<std::ptrdiff_t>(grant.guesses));
    computed = guessed;
  }
  Piece piece{.tokens = computed,
              .guesses = grant.guesses,
              .first_position = grant.first,
              .pages = sequence.cache.pages,
              .top = sequence.request.top_logprobs};
  if (end == sequence.length()) {
    piece.embeds = sequence.request.embeds;
    if (!piece.embeds) piece.sampler = &sequence.sampler;
  }
  if (drafts && sequence.request.max_tokens > 0) {
    piece.draft = &sequence.draft;
    // There is no use for guesses beyond the answer's last token.
    const int64_t left =
        sequence.request.max_tokens - sequence.usage.answer_tokens - 2 - grant.guesses;
    piece.drafts = std::clamp<int64_t>(left, 0, options_.draft_tokens);
  }
  const int64_t scored_end = std::min(end + 1, sequence.prompt());
  if (sequence.next_scored > 0 && sequence.next_scored < scored_end) {
    piece.first_scored = sequence.next_scored;
    piece.targets = tokens.subspan(static_cast<size_t>(piece.first_scored),
                                   static_cast<size_t>(scored_end - piece.first_scored));
  }
  return piece;
}

std::vector<EngineEvent> Engine::Step() {
  const Scheduler::Step step = scheduler_.Schedule(*this);
  for (const int64_t id : step.preempted) ++sequences_.at(id).usage.preemptions;
  statistics_.preemptions += static_cast<int64_t>(step.preempted.size());
  std::vector<Piece> pieces;
  std::vector<std::vector<int32_t>> guessed(step.grants.size());
  const bool drafts = Drafts(step);
  bool only_answers = true;
  for (const Scheduler::Grant& grant : step.grants) {
    Sequence& sequence = sequences_.at(grant.id);
    if (!sequence.started) sequence.usage.queue_seconds = SecondsSince(sequence.arrival);
    sequence.started = true;
    only_answers =
        only_answers && sequence.usage.answer_tokens > 0 && grant.count == 1 + grant.guesses;
    pieces.push_back(MakePiece(sequence, grant, drafts, guessed[pieces.size()]));
  }
  std::vector<EngineEvent> events;
  if (pieces.empty()) return events;
  // Nothing before this changes what a request has got, so that after an exception the same step
  // can be tried again.
  const auto start = Clock::now();
  std::vector<PieceResult> results = executor_.Compute(pieces);
  // A step after which the way changes is neither: it makes guesses that nobody verifies, or
  // verifies without making any.
  if (only_answers && drafts == drafted_) {
    int64_t written = 0;
    for (const PieceResult& result : results) written += std::ssize(result.drawn);
    policy_.Record(std::ssize(pieces), drafts, written, SecondsSince(start));
  }
  drafted_ = drafts;
  ++statistics_.steps;
  for (size_t i = 0; i < step.grants.size(); ++i) {
    const auto sequence = sequences_.find(step.grants[i].id);
    if (Take(sequence->second, step.grants[i], std::move(results[i]), events)) Remove(sequence);
  }
  return events;
}

void Engine::CountGuesses(Sequence& sequence, const Scheduler::Grant& grant,
                          const PieceResult& result) {
  const int64_t held = std::max<int64_t>(0, std::ssize(result.drawn) - 1);
  sequence.usage.guessed_tokens += grant.guesses;
  sequence.usage.accepted_tokens += held;
  const auto places = static_cast<size_t>(grant.guesses);
  if (statistics_.guessed.size() < places) {
    statistics_.guessed.resize(places);
    statistics_.accepted.resize(places);
  }
  for (int64_t i = 0; i < grant.guesses; ++i) {
    ++statistics_.guessed[static_cast<size_t>(i)];
    statistics_.accepted[static_cast<size_t>(i)] += i < held ? 1 : 0;
  }
}

bool Engine::Take(Sequence& sequence, const Scheduler::Grant& grant, PieceResult result,
                  std::vector<EngineEvent>& events) {
  RequestUsage& usage = sequence.usage;
  const std::vector<int32_t>& stops = sequence.request.stop_ids;
  const int64_t most = sequence.request.max_tokens;
  CountGuesses(sequence, grant, result);
  // What comes after a stop id, or after the last token that is wanted, was never asked for.
  std::vector<DrawnToken>& drawn = result.drawn;
  const auto stop = std::ranges::find_if(drawn, [&](const DrawnToken& token) {
    return std::ranges::find(stops, token.token) != stops.end();
  });
  const bool stopped = stop != drawn.end();
  if (stopped) drawn.erase(stop + 1, drawn.end());
  if (std::ssize(drawn) > most - usage.answer_tokens)
    drawn.resize(static_cast<size_t>(most - usage.answer_tokens));
  const int64_t held = std::max<int64_t>(0, std::ssize(drawn) - 1);  // guesses whose rows count
  const int64_t end = grant.first + grant.count - grant.guesses + held;
  const int64_t cached = std::max<int64_t>(0, grant.first - sequence.seen);
  usage.cached_tokens += cached;
  usage.recomputed_tokens += std::max<int64_t>(0, std::min(sequence.seen, end) - grant.first);
  statistics_.cached_tokens += cached;
  statistics_.computed_tokens += grant.count;
  statistics_.tokens += std::max<int64_t>(0, end - sequence.seen);
  statistics_.prompt_tokens +=
      std::max<int64_t>(0, std::min(end, sequence.prompt()) - sequence.seen);
  const bool prompt_ends = sequence.seen < sequence.prompt() && end >= sequence.prompt();
  sequence.seen = std::max(sequence.seen, end);
  const int64_t first_drawn = sequence.length();
  for (const DrawnToken& token : drawn) {
    sequence.tokens.push_back(token.token);
    sequence.sampler.Accept(token.token);
  }
  sequence.guesses = std::move(result.guesses);
  cache_.Commit(sequence.cache, sequence.tokens, end, prompt_ends);

  for (ScoredToken& score : result.scores) {
    events.push_back({.request = sequence.id,
                      .scored = true,
                      .token = sequence.tokens[static_cast<size_t>(sequence.next_scored)],
                      .position = sequence.next_scored,
                      .logprob = score.logprob,
                      .sampled_logprob = score.logprob,
                      .top = std::move(score.top)});
    ++sequence.next_scored;
  }
  for (size_t i = 0; i < drawn.size(); ++i) {
    if (++usage.answer_tokens == 1) usage.first_token_seconds = SecondsSince(sequence.arrival);
    events.push_back({.request = sequence.id,
                      .token = drawn[i].token,
                      .position = first_drawn + static_cast<int64_t>(i),
                      .logprob = drawn[i].score.logprob,
                      .sampled_logprob = drawn[i].sampled_logprob,
                      .top = std::move(drawn[i].score.top),
                      .usage = usage});
  }
  if (!result.hidden.empty()) {
    events.push_back({.request = sequence.id,
                      .scored = true,
                      .token = sequence.tokens.back(),
                      .position = sequence.length() - 1,
                      .hidden = std::move(result.hidden)});
  }
  const bool failed = !result.error.empty() && !stopped && usage.answer_tokens < most;
  if (failed) events.push_back({.request = sequence.id, .position = sequence.length()});

  FinishReason finish = FinishReason::kNone;
  if (failed) {
    finish = FinishReason::kFailed;
    events.back().error = result.error;
  } else if (stopped) {
    finish = FinishReason::kStop;
  } else if (most > 0 ? usage.answer_tokens == most : end == sequence.rows()) {
    finish = FinishReason::kLength;
  }
  if (finish == FinishReason::kNone) {
    scheduler_.Computed(sequence.id, end, sequence.rows(), std::ssize(sequence.guesses));
    return false;
  }
  usage.disk_tokens = sequence.cache.taken_from_files;
  usage.seconds = SecondsSince(sequence.arrival);
  events.back().finish = finish;
  events.back().usage = usage;
  return true;
}

void Engine::CheckInvariants() const {
  cache_.tree().CheckInvariants();
  // Every reference of a page is held by a sequence or by the tree.
  int64_t held = cache_.tree().nodes(), referenced = 0, used = 0;
  const PagePool& pool = cache_.pool();
  for (const auto& [id, sequence] : sequences_) {
    const CacheSequence& cache = sequence.cache;
    FATHOM_CHECK(scheduler_.IsRunning(id) || cache.pages.empty(), "request {} waits with pages",
                 id);
    FATHOM_CHECK(cache.pages.size() == cache.nodes.size());
    held += static_cast<int64_t>(cache.pages.size());
    for (size_t i = 0; i < cache.pages.size(); ++i) {
      const bool whole = static_cast<int64_t>(i + 1) * cache_.page_tokens() <= cache.length;
      FATHOM_CHECK(whole == (cache.nodes[i] != nullptr));
      FATHOM_CHECK(!whole || cache.nodes[i]->page == cache.pages[i]);
      // What is written to has one writer; the tree may keep the part that is there.
      const int32_t most =
          sequence.cache.tail != nullptr && sequence.cache.tail->page == cache.pages[i] ? 2 : 1;
      FATHOM_CHECK(whole || pool.references(cache.pages[i]) == most,
                   "page {} is written to and has {} users", cache.pages[i],
                   pool.references(cache.pages[i]));
    }
  }
  for (int32_t page = 0; page < static_cast<int32_t>(pool.size()); ++page) {
    referenced += pool.references(page);
    used += pool.references(page) > 0 ? 1 : 0;
  }
  FATHOM_CHECK(held == referenced, "{} references are held, {} counted", held, referenced);
  FATHOM_CHECK(used + pool.free() == pool.size());
}

}  // namespace fathom
