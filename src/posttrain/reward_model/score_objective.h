#pragma once

#include "train/row_objective.h"

namespace fathom {

// Bradley-Terry: the better text of a pair, of score b, wins over the worse one, of score w, with
// the probability sigmoid(b - w). With its margin m (Llama 2, arXiv 2307.09288, eq. 2; 0:
// InstructGPT, arXiv 2203.02155, eq. 1) the loss of a pair is
//   -ln sigmoid(b - w - m) + centering (b + w)^2
// whose second term keeps scores, of which the first only knows differences, near 0 (Eisenstein et
// al., arXiv 2312.09244). Means of the log: loss, preference (the first term), centering (the
// second), pair_accuracy (b > w), score_difference (b - w).
class PairwiseObjective : public RowObjective {
 public:
  explicit PairwiseObjective(double centering) : centering_(centering) {}

  int64_t Count(const TokenRows& rows) const override;
  ObjectiveSums Loss(const TokenRows& rows, std::span<const double> outputs,
                     std::span<double> gradient) const override;

 private:
  double centering_;
};

// Binary cross-entropy of a label y, 0 or 1, with the score as the logit of 1:
//   -y ln sigmoid(s) - (1 - y) ln sigmoid(-s)
// Means of the log: loss, label_accuracy (s > 0 where y is 1), score.
class PointwiseObjective : public RowObjective {
 public:
  int64_t Count(const TokenRows& rows) const override;
  ObjectiveSums Loss(const TokenRows& rows, std::span<const double> outputs,
                     std::span<double> gradient) const override;
};

// 1 / (1 + e^-x), and -ln of it, without overflow.
double Sigmoid(double x);
double NegativeLogSigmoid(double x);

}  // namespace fathom
