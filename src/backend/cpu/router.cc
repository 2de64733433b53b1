#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {
namespace {

using cpu::At;

constexpr double kNormalizeEps = 1e-20;

// Marks the `count` largest of values[begin, end) in chosen; ties to the lower index. A NaN is
// larger than nothing.
void MarkLargest(const float* values, int64_t size, int64_t count, const uint8_t* allowed,
                 uint8_t* chosen) {
  for (int64_t c = 0; c < count; ++c) {
    int64_t best = -1;
    for (int64_t i = 0; i < size; ++i) {
      if (chosen[i] || (allowed && !allowed[i])) continue;
      if (best < 0 || values[i] > values[best]) best = i;
    }
    chosen[best] = 1;
  }
}

// What one thread chooses with.
struct Chooser {
  std::vector<float> biased, group_scores;
  std::vector<uint8_t> allowed, group_chosen, chosen;

  Chooser(int64_t experts, int64_t groups)
      : biased(static_cast<size_t>(experts)),
        group_scores(static_cast<size_t>(groups)),
        allowed(static_cast<size_t>(experts)),
        group_chosen(static_cast<size_t>(groups)),
        chosen(static_cast<size_t>(experts)) {}

  // Fills `chosen` from `biased`.
  void Choose(const RouterOptions& options) {
    const auto experts = static_cast<int64_t>(biased.size());
    std::fill(chosen.begin(), chosen.end(), uint8_t{0});
    if (options.top_groups == options.groups) {
      MarkLargest(biased.data(), experts, options.top_k, nullptr, chosen.data());
      return;
    }
    const int64_t size = experts / options.groups;
    for (int64_t g = 0; g < options.groups; ++g) {
      const float* group = biased.data() + g * size;
      int64_t first = 0, second = -1;
      for (int64_t i = 1; i < size; ++i) {
        if (group[i] > group[first]) {
          second = first;
          first = i;
        } else if (second < 0 || group[i] > group[second]) {
          second = i;
        }
      }
      const bool one = second < 0 || options.group_score == GroupScore::kMaximum;
      group_scores[static_cast<size_t>(g)] = one ? group[first] : group[first] + group[second];
    }
    std::fill(group_chosen.begin(), group_chosen.end(), uint8_t{0});
    MarkLargest(group_scores.data(), options.groups, options.top_groups, nullptr,
                group_chosen.data());
    for (int64_t e = 0; e < experts; ++e) {
      allowed[static_cast<size_t>(e)] = group_chosen[static_cast<size_t>(e / size)];
    }
    MarkLargest(biased.data(), experts, options.top_k, allowed.data(), chosen.data());
  }
};

const float* FloatRow(const ConstTensor& x, int64_t row) {
  return reinterpret_cast<const float*>(At(x, row));
}
float* FloatRow(const Tensor& x, int64_t row) { return reinterpret_cast<float*>(At(x, row)); }
const int32_t* IdRow(const ConstTensor& x, int64_t row) {
  return reinterpret_cast<const int32_t*>(At(x, row));
}

// y = softmax(x); the sum is made in double, over ascending elements.
void Softmax(const cpu::KernelTable& kernels, const float* x, float* y, int64_t n) {
  const float most = kernels.max(x, n);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] - most;
  kernels.exp(y, y, n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(y[i]);
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(static_cast<double>(y[i]) / sum);
}

}  // namespace

void CpuBackend::Route(Context& context, ConstTensor logits, ConstTensor bias,
                       const RouterOptions& options, Tensor scores, Tensor expert_ids,
                       Tensor weights) {
  const int64_t tokens = logits.dim(0), experts = logits.dim(1), top_k = options.top_k;
  if (!bias.empty()) cpu::CheckShape(bias, {experts}, "bias");
  cpu::CheckShape(scores, {tokens, experts}, "scores");
  cpu::CheckShape(expert_ids, {tokens, top_k}, "expert_ids");
  cpu::CheckShape(weights, {tokens, top_k}, "weights");
  FATHOM_CHECK(logits.dtype() == DType::kF32 && scores.dtype() == DType::kF32 &&
               weights.dtype() == DType::kF32 && expert_ids.dtype() == DType::kI32);
  FATHOM_CHECK(options.groups > 0 && experts % options.groups == 0 && options.top_groups > 0 &&
                   options.top_groups <= options.groups &&
                   top_k <= experts / options.groups * options.top_groups,
               "top {} of {} experts in {} of {} groups", top_k, experts, options.top_groups,
               options.groups);
  const float* selection_bias = bias.empty() ? nullptr : bias.data<float>();
  cpu::ForRows(*context.pool, tokens, experts * (4 + top_k), [&](int64_t begin, int64_t end, int) {
    Chooser chooser(experts, options.groups);
    for (int64_t t = begin; t < end; ++t) {
      float* s = FloatRow(scores, t);
      if (options.scoring == RouterScoring::kSigmoid) {
        kernels_.sigmoid(FloatRow(logits, t), s, experts);
      } else {
        Softmax(kernels_, FloatRow(logits, t), s, experts);
      }
      for (int64_t e = 0; e < experts; ++e) {
        chooser.biased[static_cast<size_t>(e)] = selection_bias ? s[e] + selection_bias[e] : s[e];
      }
      chooser.Choose(options);
      auto* ids = reinterpret_cast<int32_t*>(At(expert_ids, t));
      float* w = FloatRow(weights, t);
      double sum = 0;
      int64_t slot = 0;
      for (int64_t e = 0; e < experts; ++e) {
        if (!chooser.chosen[static_cast<size_t>(e)]) continue;
        ids[slot++] = static_cast<int32_t>(e);
        sum += static_cast<double>(s[e]);
      }
      const double factor =
          options.scaling_factor / (options.normalize ? sum + kNormalizeEps : 1.0);
      for (int64_t i = 0; i < top_k; ++i) {
        w[i] = static_cast<float>(static_cast<double>(s[ids[i]]) * factor);
      }
    }
  });
}

void CpuBackend::BalanceLoss(Context& context, ConstTensor scores, ConstTensor expert_ids,
                             ConstTensor sequence_of, double alpha, Tensor balance_f, Tensor loss) {
  const int64_t tokens = scores.dim(0), experts = scores.dim(1), top_k = expert_ids.dim(1);
  const int64_t sequences = loss.dim(0);
  cpu::CheckShape(expert_ids, {tokens, top_k}, "expert_ids");
  cpu::CheckShape(sequence_of, {tokens}, "sequence_of");
  cpu::CheckShape(balance_f, {sequences, experts}, "balance_f");
  FATHOM_CHECK(scores.dtype() == DType::kF32 && expert_ids.dtype() == DType::kI32 &&
               balance_f.dtype() == DType::kF32);
  const auto ids = sequence_of.span<int32_t>();
  auto* losses = loss.data<float>();
  const int64_t average = tokens / std::max<int64_t>(1, sequences);
  cpu::ForRows(
      *context.pool, sequences, average * experts * 2, [&](int64_t begin, int64_t end, int) {
        std::vector<double> chosen(static_cast<size_t>(experts)),
            mean(static_cast<size_t>(experts));
        for (int64_t s = begin; s < end; ++s) {
          std::fill(chosen.begin(), chosen.end(), 0.0);
          std::fill(mean.begin(), mean.end(), 0.0);
          const auto [first, last] =
              std::equal_range(ids.begin(), ids.end(), static_cast<int32_t>(s));
          const double length = static_cast<double>(last - first);
          FATHOM_CHECK(length > 0, "sequence {} has no token", s);
          for (int64_t t = first - ids.begin(); t < last - ids.begin(); ++t) {
            const int32_t* choice = IdRow(expert_ids, t);
            for (int64_t i = 0; i < top_k; ++i) chosen.at(static_cast<size_t>(choice[i])) += 1;
            const float* score = FloatRow(scores, t);
            double sum = 0;
            for (int64_t e = 0; e < experts; ++e) sum += static_cast<double>(score[e]);
            const double inverse = 1 / sum;
            for (int64_t e = 0; e < experts; ++e) {
              mean[static_cast<size_t>(e)] += static_cast<double>(score[e]) * inverse;
            }
          }
          float* f_row = FloatRow(balance_f, s);
          double total = 0;
          for (int64_t e = 0; e < experts; ++e) {
            const double f = static_cast<double>(experts) / (static_cast<double>(top_k) * length) *
                             chosen[static_cast<size_t>(e)];
            total += alpha * f * mean[static_cast<size_t>(e)] / length;
            f_row[e] = static_cast<float>(alpha * f / length);
          }
          losses[s] = static_cast<float>(total);
        }
      });
}

void CpuBackend::RouteBackward(Context& context, ConstTensor dweights, ConstTensor scores,
                               ConstTensor expert_ids, const RouterOptions& options,
                               ConstTensor balance_f, ConstTensor sequence_of, Tensor dlogits) {
  const int64_t tokens = scores.dim(0), experts = scores.dim(1), top_k = options.top_k;
  cpu::CheckShape(dweights, {tokens, top_k}, "dweights");
  cpu::CheckShape(expert_ids, {tokens, top_k}, "expert_ids");
  cpu::CheckShape(dlogits, {tokens, experts}, "dlogits");
  FATHOM_CHECK(balance_f.empty() == sequence_of.empty());
  FATHOM_CHECK(dweights.dtype() == DType::kF32 && scores.dtype() == DType::kF32 &&
               expert_ids.dtype() == DType::kI32 && dlogits.dtype() == DType::kF32);
  const int32_t* sequence = nullptr;
  if (!sequence_of.empty()) {
    cpu::CheckShape(sequence_of, {tokens}, "sequence_of");
    sequence = sequence_of.data<int32_t>();
  }
  cpu::ForRows(*context.pool, tokens, 4 * experts, [&](int64_t begin, int64_t end, int) {
    std::vector<double> ds(static_cast<size_t>(experts));
    for (int64_t t = begin; t < end; ++t) {
      const float* s = FloatRow(scores, t);
      const float* dw = FloatRow(dweights, t);
      const int32_t* ids = IdRow(expert_ids, t);
      std::fill(ds.begin(), ds.end(), 0.0);

      // w_i = c s_i / S, S = sum of the chosen s + 1e-20:  ds_i = c (dw_i - sum_j dw_j s_j / S) /
      // S.
      double chosen_sum = kNormalizeEps, weighted = 0;
      for (int64_t i = 0; i < top_k; ++i) {
        FATHOM_CHECK(ids[i] >= 0 && ids[i] < experts, "expert {} of {}", ids[i], experts);
        const double score = s[ids[i]];
        chosen_sum += score;
        weighted += static_cast<double>(dw[i]) * score;
      }
      for (int64_t i = 0; i < top_k; ++i) {
        const double d = dw[i];
        ds[static_cast<size_t>(ids[i])] =
            options.scaling_factor *
            (options.normalize ? (d - weighted / chosen_sum) / chosen_sum : d);
      }

      // L = sum_i F_i p_i, p_i = s_i / S over all experts:  ds_i += (F_i - sum_j F_j p_j) / S.
      if (sequence) {
        FATHOM_CHECK(sequence[t] >= 0 && sequence[t] < balance_f.dim(0), "sequence {}",
                     sequence[t]);
        const float* f = FloatRow(balance_f, sequence[t]);
        double sum = 0, f_dot_s = 0;
        for (int64_t e = 0; e < experts; ++e) {
          sum += static_cast<double>(s[e]);
          f_dot_s += static_cast<double>(f[e]) * static_cast<double>(s[e]);
        }
        const double mean = f_dot_s / sum, inverse = 1 / sum;
        for (int64_t e = 0; e < experts; ++e) {
          ds[static_cast<size_t>(e)] += (static_cast<double>(f[e]) - mean) * inverse;
        }
      }

      // Sigmoid: ds/dz = s (1 - s). Softmax: dz_i = s_i (ds_i - sum_j ds_j s_j).
      float* out = FloatRow(dlogits, t);
      const bool sigmoid = options.scoring == RouterScoring::kSigmoid;
      double mean = 0;
      for (int64_t e = 0; e < experts; ++e) {
        mean += ds[static_cast<size_t>(e)] * static_cast<double>(s[e]);
      }
      for (int64_t e = 0; e < experts; ++e) {
        const double score = s[e], d = ds[static_cast<size_t>(e)];
        out[e] = static_cast<float>(sigmoid ? d * score * (1 - score) : score * (d - mean));
      }
    }
  });
}

}  // namespace fathom
