#pragma once

#include <span>

#include "posttrain/evaluation/statistics.h"

namespace fathom {

// A held-out example with what a model makes of it.
struct JudgedExample {
  double score = 0;        // of the better text of a pair, or of the single text
  double worse_score = 0;  // of a pair's other text
  double value = 0;        // the margin, or the label

  // A pair's score difference; of a single text, the score in the direction of its label: right
  // where it is above 0, and the more wrong the further it is below.
  double Agreement(bool pairs) const;
};

struct ScoreStatistics {
  double loss = 0;  // mean, without centring, nats
  // Share of pairs whose better text has the higher score (equal scores are wrong), or of texts
  // whose label the score's sign says; 95 % by Wilson.
  Estimated accuracy;
  // Expected calibration error (Naeini et al., AAAI 2015): of sigmoid(difference) as the
  // probability that the better text of a pair is the better one, or of sigmoid(score) as that of
  // label 1; ten bins of equal width, |mean probability - share| weighted by the bins' counts.
  // Every pair counts once in either order.
  double calibration_error = 0;
  // Single texts: the share of (label 1, label 0) pairs of which the first has the higher score,
  // equal ones counted half. NaN where there is one label alone.
  double auc = 0;
};

// examples: not empty.
ScoreStatistics MakeScoreStatistics(std::span<const JudgedExample> examples, bool pairs);

}  // namespace fathom
