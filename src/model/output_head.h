#pragma once

#include <vector>

#include "model/linear.h"
#include "model/precision.h"

namespace fathom {

// From normalised hidden states to probabilities, or to scores. Logits of all tokens are never
// held: they are made, used and dropped a block of rows at a time.
class OutputHead {
 public:
  // Its matrix is ModelConfig::head_parameter. Where that is the embedding, the embedding's
  // gradient is the sum of both uses.
  OutputHead(const ModelConfig& config, Precision precision, ParameterStore& store);

  void Pack(Context& context, PackedUse use, Arena& arena) {
    head_.Pack(context, precision_.act, use, arena);
  }

  ModelHead kind() const { return kind_; }
  // Logits of a token; of a head that scores, 1.
  int64_t vocab_size() const { return head_.out(); }

  // h act [rows, hidden] -> logits sum [rows, vocabulary].
  void Logits(Context& context, ConstTensor h, Tensor logits) const;
  // logprob sum [rows] of targets i32 [rows] at a temperature; see Backend::LogProb.
  void LogProb(Context& context, ConstTensor h, double temperature, ConstTensor targets,
               Tensor logprob) const;
  // The id of the largest logit of every row, the lowest of equal ones, as greedy sampling takes
  // it.
  std::vector<int32_t> Greedy(Context& context, ConstTensor h) const;
  // What the rows are to be learnt from besides their targets: the probabilities that another head
  // gives them at a temperature (Backend::KlDivergence). Both have one vocabulary.
  struct SoftTargets {
    const OutputHead& teacher;
    ConstTensor teacher_h;  // act of the teacher [rows, its hidden]
    ConstTensor weight;     // sum [rows]: dLoss/dkl
    double temperature;
    Tensor kl;  // sum [rows], assigned
  };
  // The divergences alone.
  void Divergence(Context& context, ConstTensor h, const SoftTargets& soft) const;

  // The log-probs, and backward: given dlogprob sum [rows], assigns dh sum [rows, hidden] and adds
  // the head's weight gradient at once (its dY, rows x vocabulary, is too large to be kept for a
  // later half). soft: adds weight kl to what is differentiated; may be null.
  void LogProbAndBackward(Context& context, ConstTensor h, double temperature, ConstTensor targets,
                          ConstTensor dlogprob, Tensor logprob, Tensor dh,
                          const SoftTargets* soft = nullptr) const;

  // Of a head that scores: given dscore sum [rows], where score = h . w is what Logits makes,
  // assigns dh sum [rows, hidden] and adds the head's weight gradient.
  void ScoreBackward(Context& context, ConstTensor h, ConstTensor dscore, Tensor dh) const;

 private:
  int64_t BlockRows() const;
  // Rows [begin, end) of a block whose logits there are; dlogits may be empty.
  void Diverge(Context& context, const SoftTargets& soft, int64_t begin, int64_t end, Tensor logits,
               Tensor dlogits) const;
  void ForEachBlock(
      Context& context, ConstTensor h, double temperature, ConstTensor targets, Tensor logprob,
      FunctionRef<void(int64_t begin, int64_t end, Tensor logits, Tensor lse)> use) const;

  Precision precision_;
  ModelHead kind_;
  Linear head_;
};

}  // namespace fathom
