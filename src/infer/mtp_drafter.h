#pragma once

#include "infer/executor.h"
#include "model/transformer.h"

namespace fathom {

// Guesses what a sequence goes on with. The first MTP module of a model goes on from a token's
// hidden state and the token after it to the one after that (V3 report, section 2.2): it runs over
// what a step has computed and drawn, and from its last row the next token is drawn with the
// request's own sampler, which guesses as well as can be what the model itself will draw there
// (Sampler). Of several guesses the later ones come from the same module, fed with its own hidden
// state and guess.
//
// Its rows of the cache are written where the tokens are known, and overwritten where they were
// guesses that did not hold. Nothing else is written, so no guess can change what a model draws.
class MtpDrafter {
 public:
  // The transformer has MTP modules; all have to outlive it.
  MtpDrafter(Context& context, const Transformer& transformer, KvCache& cache)
      : context_(context), transformer_(transformer), cache_(cache) {}

  // Sets guesses and states of the pieces that draft. h act: the hidden states, after the final
  // norm, of all tokens of those pieces, one piece after the other.
  void Draft(std::span<const Piece> pieces, ConstTensor h, std::vector<PieceResult>& results);

 private:
  struct Run;
  // What the module reads: tokens, and for each the hidden state before it.
  struct Input {
    std::vector<int32_t> tokens;
    std::vector<int32_t> sources;  // rows of the step's hidden states, or behind them of `carried`
    std::vector<BatchSequence> batch;
    std::vector<std::vector<float>> carried;
  };

  // Adds a piece whose hidden states begin at first_row of `rows`; moves its state on.
  Run Add(const Piece& piece, PieceResult& result, int64_t first_row, int64_t rows, Input& input);
  // The hidden state at a row, on the host.
  std::vector<float> Carry(ConstTensor h, int64_t row);
  Tensor Previous(ConstTensor h, const Input& input);
  // The module over rows of one batch: its residual stream.
  Tensor RunModule(std::span<const int32_t> tokens, std::vector<BatchSequence> batch,
                   ConstTensor previous);
  // Guesses on from rows `last` of the stream x, one token a run at a time.
  void GuessOn(std::vector<Run> runs, std::vector<int32_t> last, Tensor x);

  Context& context_;
  const Transformer& transformer_;
  KvCache& cache_;
};

}  // namespace fathom
