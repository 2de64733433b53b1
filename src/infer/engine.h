#pragma once

#include <cstdint>
#include <list>
#include <string_view>
#include <vector>

#include "infer/sampler.h"
#include "model/transformer.h"

namespace fathom {

struct EngineOptions {
  int64_t chunk_tokens = 512;  // prompt tokens in one step at most, over all requests
  int64_t max_running = 256;   // requests that are computed at a time
  // Tokens of a sequence, prompt and answer together; 0: the model's max_position_embeddings.
  int64_t max_length = 0;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  uint64_t choice = 0;  // which of several answers to the same prompt; see Sampler
  int64_t max_tokens = 256;
  std::vector<int32_t> stop_ids;  // the answer ends with the first of these
};

enum class FinishReason : uint8_t {
  kNone,    // it goes on
  kStop,    // the token is a stop id
  kLength,  // max_tokens are there
};
std::string_view Name(FinishReason reason);  // "stop", "length"; empty for kNone

// One token that was generated.
struct EngineEvent {
  int64_t request = 0;
  int32_t token = 0;
  int64_t position = 0;  // absolute, in the sequence
  // ln p(token) of the model itself: at temperature 1, before any truncation (what a scorer and a
  // trainer compute).
  float logprob = 0;
  // The same at the request's temperature, before truncation; with greedy sampling, `logprob`.
  float sampled_logprob = 0;
  FinishReason finish = FinishReason::kNone;
};

// Generates for many requests at once: each Step computes one batch made of pieces of prompts and
// one token of every answer under way. What a request gets (tokens and log-probs, bit for bit) is a
// function of the model and the request: not of the others, of how its prompt was cut, or of where
// its pages lie (the numerics contract, docs/architecture.md; attention is in the absorbed form).
//
// First come, first served: a request starts when the cache has room for all of its prompt and
// answer, and then never has to stop for another one. Not thread-safe.
class Engine {
 public:
  // The transformer is packed; the cache is used by this engine alone. All have to outlive it.
  Engine(Context& context, const Transformer& transformer, KvCache& cache,
         const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Returns the request's id. Throws UsageError for parameters out of range and an empty prompt;
  // Error for ids outside the vocabulary, and when prompt and answer can never fit into the model's
  // context or the cache.
  int64_t AddRequest(GenerationRequest request);
  // Gives up a request, wherever it stands; ids that are unknown or finished are ignored.
  void Cancel(int64_t id);

  // Whether there is nothing to do.
  bool idle() const { return sequences_.empty(); }
  // Computes one batch; the tokens it produced, in the order of their requests. Empty when only
  // pieces of prompts were computed.
  std::vector<EngineEvent> Step();

  // Tokens of prompts and answers computed so far, over all requests: for progress displays.
  int64_t computed_tokens() const { return computed_tokens_; }

 private:
  // A request under way.
  struct Sequence {
    int64_t id;
    GenerationRequest request;
    Sampler sampler;
    int64_t cache_id = -1;         // -1: it waits
    std::vector<int32_t> tokens;   // prompt and answer
    int64_t cached = 0;            // tokens whose keys are in the cache
    int64_t length_when_done = 0;  // prompt and max_tokens
  };

  // Starts waiting requests, in order, as long as there is room.
  void Admit();
  void Release(std::list<Sequence>::iterator sequence);

  Context& context_;
  const Transformer& transformer_;
  KvCache& cache_;
  EngineOptions options_;
  int64_t total_pages_;
  std::list<Sequence> sequences_;  // in the order of their arrival: running ones, then waiting ones
  int64_t running_ = 0;
  int64_t computed_tokens_ = 0;
  int64_t next_id_ = 0;
};

}  // namespace fathom
