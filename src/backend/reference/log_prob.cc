#include <algorithm>
#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

void ReferenceBackend::LogProb(Context&, ConstTensor logits, double temperature,
                               ConstTensor targets, Tensor logprob, Tensor lse) {
  const int64_t rows = logits.dim(0);
  FATHOM_CHECK(targets.empty() == logprob.empty());
  CheckShape(lse, {rows}, "lse");
  if (!targets.empty()) {
    CheckShape(targets, {rows}, "targets");
    CheckShape(logprob, {rows}, "logprob");
  }
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> z = LoadRow(logits, r);
    for (double& value : z) value /= temperature;
    const double maximum = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double value : z) sum += std::exp(value - maximum);
    const double log_sum = maximum + std::log(sum);
    Store(lse, r, log_sum);
    if (targets.empty()) continue;
    const int32_t target = LoadIndex(targets, r);
    Store(logprob, r, target < 0 ? 0 : z.at(static_cast<size_t>(target)) - log_sum);
  }
}

void ReferenceBackend::LogProbBackward(Context&, ConstTensor dlogprob, ConstTensor logits,
                                       double temperature, ConstTensor targets, ConstTensor lse,
                                       Tensor dlogits) {
  const int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  CheckShape(dlogprob, {rows}, "dlogprob");
  CheckShape(targets, {rows}, "targets");
  CheckShape(lse, {rows}, "lse");
  CheckShape(dlogits, {rows, vocabulary}, "dlogits");
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t target = LoadIndex(targets, r);
    FATHOM_CHECK(target < vocabulary, "target {} of {}", target, vocabulary);
    for (int64_t j = 0; j < vocabulary; ++j) {
      const double probability = std::exp(Load(logits, r, j) / temperature - Load(lse, r));
      const double onehot = j == target ? 1 : 0;
      Store(dlogits, r, j,
            target < 0 ? 0 : Load(dlogprob, r) * (onehot - probability) / temperature);
    }
  }
}

void ReferenceBackend::KlDivergence(Context&, ConstTensor weight, ConstTensor logits,
                                    ConstTensor lse, ConstTensor teacher_logits,
                                    ConstTensor teacher_lse, double temperature, Tensor kl,
                                    Tensor dlogits) {
  const int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  CheckShape(weight, {rows}, "weight");
  CheckShape(lse, {rows}, "lse");
  CheckShape(teacher_logits, {rows, vocabulary}, "teacher_logits");
  CheckShape(teacher_lse, {rows}, "teacher_lse");
  CheckShape(kl, {rows}, "kl");
  if (!dlogits.empty()) CheckShape(dlogits, {rows, vocabulary}, "dlogits");
  for (int64_t r = 0; r < rows; ++r) {
    const double w = Load(weight, r);
    double sum = 0;
    for (int64_t j = 0; w != 0 && j < vocabulary; ++j) {
      const double log_p = Load(teacher_logits, r, j) / temperature - Load(teacher_lse, r);
      const double log_q = Load(logits, r, j) / temperature - Load(lse, r);
      const double p = std::exp(log_p);
      sum += p * (log_p - log_q);
      if (dlogits.empty()) continue;
      Store(dlogits, r, j, Load(dlogits, r, j) + w * (std::exp(log_q) - p) / temperature);
    }
    Store(kl, r, sum);
  }
}

}  // namespace fathom
