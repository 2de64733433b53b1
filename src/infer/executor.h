#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/cache/prefix_cache.h"
#include "infer/sampling/sampler.h"
#include "model/expert_load.h"

namespace fathom {

struct RankedToken {
  int32_t token;
  float logprob;
};

// What drafting remembers of a sequence from one step to the next; any state is a right one, an
// outdated one only guesses worse.
struct DraftState {
  int64_t next = 0;           // rows of the draft module below this are in the cache
  std::vector<float> hidden;  // the hidden state of position next - 1, where it is needed; or empty
};

// What is computed of one sequence in a step.
struct Piece {
  std::span<const int32_t> tokens;
  // The last ones of `tokens` that are guesses of what comes after the tokens that there are. A
  // guess holds when the token drawn in its place is the same and the guess before it holds.
  int64_t guesses = 0;
  int64_t first_position = 0;
  std::span<const int32_t> pages;  // of positions from 0 on, these tokens' included
  // Not null: the token after the last one is drawn; with guesses, those after each guess that
  // holds too.
  Sampler* sampler = nullptr;
  // Not null: the draft module's rows are computed too, and where a token is drawn, so many more
  // are guessed, as many as there is room for in the pages.
  DraftState* draft = nullptr;
  int64_t drafts = 0;
  // The log-probabilities of known tokens, wanted from position first_scored on: targets[i] stands
  // at position first_scored + i, which is one of those after each of `tokens`.
  int64_t first_scored = 0;
  std::span<const int32_t> targets;
  // Also the most likely tokens in the place of each drawn or scored one, so many.
  int64_t top = 0;
  // The hidden state of the last of `tokens` is wanted.
  bool embeds = false;
};

struct ScoredToken {
  // ln p(token) of the model itself: at temperature 1, before any truncation (what a scorer and a
  // trainer compute).
  float logprob = 0;
  std::vector<RankedToken> top;  // the likeliest first, of equals the lower id
};

struct DrawnToken {
  int32_t token = 0;
  ScoredToken score;
  // `logprob` at the request's temperature, before bias, penalties, constraint and truncation; with
  // greedy sampling, the same.
  float sampled_logprob = 0;
};

struct PieceResult {
  std::vector<ScoredToken> scores;  // of the targets
  std::vector<DrawnToken> drawn;    // one, and one for each guess that holds
  std::vector<int32_t> guesses;     // of the tokens after those
  std::vector<float> hidden;        // [hidden], what the head reads, after the final norm
  std::string error;                // why no more could be drawn: logits that are no numbers
};

// Who computes the engine's steps: a model (TransformerExecutor), or what stands in for one in a
// test of everything around it.
class Executor : public PageMemory {
 public:
  virtual int64_t vocabulary() const = 0;
  virtual int64_t max_length() const = 0;  // tokens of a sequence
  virtual bool drafts() const = 0;         // whether it can guess
  // Of all steps so far; MTP modules' guesses are not counted.
  virtual const ExpertLoad& expert_load() const = 0;
  // Computes the pieces as one batch and writes their rows to their pages. What it throws leaves
  // rows below first_position as they were.
  virtual std::vector<PieceResult> Compute(std::span<const Piece> pieces) = 0;
};

}  // namespace fathom
