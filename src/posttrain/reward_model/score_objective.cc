#include "posttrain/reward_model/score_objective.h"

#include <algorithm>
#include <cmath>

namespace fathom {

double Sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

double NegativeLogSigmoid(double x) {
  return std::max(-x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

int64_t PairwiseObjective::Count(const TokenRows& rows) const {
  return static_cast<int64_t>(rows.examples.size());
}

ObjectiveSums PairwiseObjective::Loss(const TokenRows& rows, std::span<const double> outputs,
                                      std::span<double> gradient) const {
  double preference = 0, centering = 0, right = 0, difference = 0;
  for (const ScoredExample& pair : rows.examples) {
    const auto better = static_cast<size_t>(pair.row * rows.length + pair.end);
    const auto worse = static_cast<size_t>(pair.row * rows.length + pair.worse_end);
    const double b = outputs[better], w = outputs[worse];
    const double push = Sigmoid(-(b - w - pair.value)), pull = 2 * centering_ * (b + w);
    gradient[better] += pull - push;
    gradient[worse] += pull + push;
    preference += NegativeLogSigmoid(b - w - pair.value);
    centering += centering_ * (b + w) * (b + w);
    right += b > w ? 1 : 0;
    difference += b - w;
  }
  return {{"loss", preference + centering},
          {"preference", preference},
          {"centering", centering},
          {"pair_accuracy", right},
          {"score_difference", difference}};
}

int64_t PointwiseObjective::Count(const TokenRows& rows) const {
  return static_cast<int64_t>(rows.examples.size());
}

ObjectiveSums PointwiseObjective::Loss(const TokenRows& rows, std::span<const double> outputs,
                                       std::span<double> gradient) const {
  double loss = 0, right = 0, scores = 0;
  for (const ScoredExample& text : rows.examples) {
    const auto end = static_cast<size_t>(text.row * rows.length + text.end);
    const double score = outputs[end], label = text.value;
    gradient[end] += Sigmoid(score) - label;
    loss += label * NegativeLogSigmoid(score) + (1 - label) * NegativeLogSigmoid(-score);
    right += (score > 0) == (label > 0.5) ? 1 : 0;
    scores += score;
  }
  return {{"loss", loss}, {"label_accuracy", right}, {"score", scores}};
}

}  // namespace fathom
