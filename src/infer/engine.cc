#include "infer/engine.h"

#include <algorithm>

#include "base/error.h"
#include "infer/forward.h"
#include "ops/backend.h"

namespace fathom {
std::string_view Name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
  }
  FATHOM_CHECK(false);
}

Engine::Engine(Context& context, const Transformer& transformer, KvCache& cache,
               const EngineOptions& options)
    : context_(context),
      transformer_(transformer),
      cache_(cache),
      options_(options),
      total_pages_(cache.free_pages()) {
  FATHOM_CHECK(options.chunk_tokens > 0 && options.max_running > 0);
  FATHOM_CHECK(transformer.precision().sum == DType::kF32);
  if (options_.max_length == 0) {
    options_.max_length = transformer.config().max_position_embeddings;
  }
}

Engine::~Engine() {
  while (!sequences_.empty()) Release(sequences_.begin());
}

int64_t Engine::AddRequest(GenerationRequest request) {
  if (request.prompt.empty()) {
    throw UsageError("prompt", "is empty", "give at least one token, for instance the begin token");
  }
  if (request.max_tokens < 1) {
    throw UsageError("max_tokens", fmt::format("{} is out of range", request.max_tokens),
                     "it has to be at least 1");
  }
  const int64_t vocabulary = transformer_.config().vocab_size;
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] < 0 || request.prompt[i] >= vocabulary) {
      throw Error(fmt::format("prompt, token {}", i),
                  fmt::format("id {} is outside the model's vocabulary of {}", request.prompt[i],
                              vocabulary));
    }
  }
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (request.max_tokens > options_.max_length - prompt) {
    throw Error("request",
                fmt::format("{} tokens of prompt + {} of answer are more than the context of {}",
                            prompt, request.max_tokens, options_.max_length),
                "shorten one of them");
  }
  // The last token's keys are never needed.
  const int64_t cached = prompt + request.max_tokens - 1;
  if (KvCache::Pages(cached) > total_pages_) {
    throw Error("request",
                fmt::format("{} tokens of prompt + {} of answer need {} cache pages of {} tokens, "
                            "and there are {}",
                            prompt, request.max_tokens, KvCache::Pages(cached),
                            KvCache::kPageTokens, total_pages_),
                "shorten one of them or give more memory to the cache");
  }
  Sampler sampler(request.sampling, request.choice);
  std::vector<int32_t> tokens = request.prompt;
  sequences_.push_back({.id = next_id_,
                        .request = std::move(request),
                        .sampler = std::move(sampler),
                        .tokens = std::move(tokens),
                        .length_when_done = cached + 1});
  return next_id_++;
}

void Engine::Cancel(int64_t id) {
  const auto found = std::find_if(sequences_.begin(), sequences_.end(),
                                  [id](const Sequence& sequence) { return sequence.id == id; });
  if (found != sequences_.end()) Release(found);
}

void Engine::Release(std::list<Sequence>::iterator sequence) {
  if (sequence->cache_id >= 0) {
    cache_.FreeSequence(sequence->cache_id);
    --running_;
  }
  sequences_.erase(sequence);
}

void Engine::Admit() {
  for (Sequence& sequence : sequences_) {
    if (sequence.cache_id >= 0) continue;
    if (running_ == options_.max_running) return;
    const int64_t cache_id = cache_.NewSequence();
    if (!cache_.Reserve(cache_id, sequence.length_when_done - 1)) {
      cache_.FreeSequence(cache_id);
      return;
    }
    sequence.cache_id = cache_id;
    ++running_;
  }
}

std::vector<EngineEvent> Engine::Step() {
  Admit();
  std::vector<int32_t> tokens, rows;
  std::vector<BatchSequence> batch;
  std::vector<std::list<Sequence>::iterator> computed, producing;
  int64_t prompt_budget = options_.chunk_tokens;
  for (auto it = sequences_.begin(); it != sequences_.end(); ++it) {
    if (it->cache_id < 0) break;
    const auto length = static_cast<int64_t>(it->tokens.size());
    const bool in_prompt = it->cached < static_cast<int64_t>(it->request.prompt.size());
    const int64_t count = in_prompt ? std::min(length - it->cached, prompt_budget) : 1;
    if (count == 0) continue;
    if (in_prompt) prompt_budget -= count;
    batch.push_back({.begin = static_cast<int64_t>(tokens.size()),
                     .count = count,
                     .first_position = it->cached,
                     .cache_id = it->cache_id});
    tokens.insert(tokens.end(), it->tokens.begin() + it->cached,
                  it->tokens.begin() + it->cached + count);
    computed.push_back(it);
    if (it->cached + count == length) {
      producing.push_back(it);
      rows.push_back(static_cast<int32_t>(tokens.size() - 1));
    }
  }
  std::vector<EngineEvent> events;
  if (batch.empty()) return events;

  ArenaScope scope(*context_.workspace);
  const Tensor h = ForwardRows(context_, transformer_, cache_, tokens, batch, rows);
  const auto count = static_cast<int64_t>(rows.size());
  if (count > 0) {
    Arena& workspace = *context_.workspace;
    const int64_t vocabulary = transformer_.head().vocab_size();
    const Tensor logits = workspace.New(DType::kF32, Shape({count, vocabulary}));
    transformer_.head().Logits(context_, h, logits);
    const std::vector<float> host = Download(context_, logits);
    std::vector<int32_t> chosen;
    for (size_t i = 0; i < producing.size(); ++i) {
      const auto row = static_cast<size_t>(vocabulary) * i;
      chosen.push_back(
          producing[i]->sampler.Sample({host.data() + row, static_cast<size_t>(vocabulary)},
                                       static_cast<int64_t>(producing[i]->tokens.size())));
    }
    // One definition of a log-probability for sampler, scorer and trainer: the backend's.
    const Tensor targets = UploadIds(context_, workspace, chosen);
    const Tensor logprob = workspace.New(DType::kF32, Shape({count}));
    const Tensor sampled = workspace.New(DType::kF32, Shape({count}));
    const Tensor lse = workspace.New(DType::kF32, Shape({count}));
    context_.backend->LogProb(context_, logits, 1, targets, logprob, lse);
    context_.backend->Cast(context_, logprob, sampled);
    for (int64_t i = 0; i < count; ++i) {
      const double temperature = producing[static_cast<size_t>(i)]->request.sampling.temperature;
      if (temperature == 0 || temperature == 1) continue;
      context_.backend->LogProb(context_, logits.Rows(i, i + 1), temperature,
                                targets.Rows(i, i + 1), sampled.Rows(i, i + 1), lse.Rows(i, i + 1));
    }
    const std::vector<float> logprobs = Download(context_, logprob);
    const std::vector<float> sampled_logprobs = Download(context_, sampled);
    for (size_t i = 0; i < producing.size(); ++i) {
      const Sequence& sequence = *producing[i];
      events.push_back({.request = sequence.id,
                        .token = chosen[i],
                        .position = static_cast<int64_t>(sequence.tokens.size()),
                        .logprob = logprobs[i],
                        .sampled_logprob = sampled_logprobs[i]});
    }
  }
  // Nothing above changes a sequence, so that what it throws leaves the engine as it was.
  for (size_t i = 0; i < computed.size(); ++i) computed[i]->cached += batch[i].count;
  computed_tokens_ += static_cast<int64_t>(tokens.size());
  for (size_t i = 0; i < producing.size(); ++i) {
    Sequence& sequence = *producing[i];
    const std::vector<int32_t>& stops = sequence.request.stop_ids;
    sequence.tokens.push_back(events[i].token);
    if (std::find(stops.begin(), stops.end(), events[i].token) != stops.end()) {
      events[i].finish = FinishReason::kStop;
    } else if (static_cast<int64_t>(sequence.tokens.size()) == sequence.length_when_done) {
      events[i].finish = FinishReason::kLength;
    }
    if (events[i].finish != FinishReason::kNone) Release(producing[i]);
  }
  return events;
}

}  // namespace fathom
