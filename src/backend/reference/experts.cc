#include <algorithm>
#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {
namespace {

// The ids of the `count` largest values, ties to the lower id, ascending. A NaN is larger than
// nothing.
std::vector<int64_t> Largest(const std::vector<double>& values, int64_t count) {
  std::vector<int64_t> chosen;
  while (static_cast<int64_t>(chosen.size()) < count) {
    int64_t best = -1;
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
      if (best < 0 || values[static_cast<size_t>(i)] > values[static_cast<size_t>(best)]) best = i;
    }
    chosen.push_back(best);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// The scores of one token.
std::vector<double> Scores(const std::vector<double>& logits, RouterScoring scoring) {
  std::vector<double> scores;
  if (scoring == RouterScoring::kSigmoid) {
    for (const double logit : logits) scores.push_back(1 / (1 + std::exp(-logit)));
    return scores;
  }
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - most);
  for (const double logit : logits) scores.push_back(std::exp(logit - most) / sum);
  return scores;
}

// The experts that a token with these s + bias chooses.
std::vector<int64_t> Choose(const std::vector<double>& biased, const RouterOptions& options) {
  const auto experts = static_cast<int64_t>(biased.size());
  const int64_t group_size = experts / options.groups;
  std::vector<double> group_scores;
  for (int64_t g = 0; g < options.groups; ++g) {
    std::vector<double> members(biased.begin() + g * group_size,
                                biased.begin() + (g + 1) * group_size);
    double score = 0;
    const int64_t best = options.group_score == GroupScore::kTopTwo ? 2 : 1;
    for (const int64_t i : Largest(members, std::min(best, group_size))) {
      score += members[static_cast<size_t>(i)];
    }
    group_scores.push_back(score);
  }
  std::vector<int64_t> candidates;
  std::vector<double> candidate_scores;
  for (const int64_t g : Largest(group_scores, options.top_groups)) {
    for (int64_t e = g * group_size; e < (g + 1) * group_size; ++e) {
      candidates.push_back(e);
      candidate_scores.push_back(biased[static_cast<size_t>(e)]);
    }
  }
  std::vector<int64_t> chosen;
  for (const int64_t i : Largest(candidate_scores, options.top_k)) {
    chosen.push_back(candidates[static_cast<size_t>(i)]);
  }
  return chosen;
}

constexpr double kNormalizeEps = 1e-20;

}  // namespace

void ReferenceBackend::Route(Context&, ConstTensor logits, ConstTensor bias,
                             const RouterOptions& options, Tensor scores, Tensor expert_ids,
                             Tensor weights) {
  const int64_t tokens = logits.dim(0), experts = logits.dim(1);
  if (!bias.empty()) CheckShape(bias, {experts}, "bias");
  CheckShape(scores, {tokens, experts}, "scores");
  CheckShape(expert_ids, {tokens, options.top_k}, "expert_ids");
  CheckShape(weights, {tokens, options.top_k}, "weights");
  FATHOM_CHECK(options.groups > 0 && experts % options.groups == 0 && options.top_groups > 0 &&
                   options.top_groups <= options.groups &&
                   options.top_k <= experts / options.groups * options.top_groups,
               "top {} of {} experts in {} of {} groups", options.top_k, experts,
               options.top_groups, options.groups);
  for (int64_t t = 0; t < tokens; ++t) {
    const std::vector<double> s_row = Scores(LoadRow(logits, t), options.scoring);
    std::vector<double> biased;
    for (int64_t e = 0; e < experts; ++e) {
      Store(scores, t, e, s_row[static_cast<size_t>(e)]);
      biased.push_back(Load(scores, t, e) + (bias.empty() ? 0 : Load(bias, e)));
    }
    const std::vector<int64_t> chosen = Choose(biased, options);
    double sum = 0;
    for (const int64_t e : chosen) sum += Load(scores, t, e);
    for (int64_t i = 0; i < options.top_k; ++i) {
      const int64_t e = chosen[static_cast<size_t>(i)];
      const double s = Load(scores, t, e);
      Store(expert_ids, t, i, static_cast<double>(e));
      Store(weights, t, i,
            options.scaling_factor * (options.normalize ? s / (sum + kNormalizeEps) : s));
    }
  }
}

void ReferenceBackend::BalanceLoss(Context&, ConstTensor scores, ConstTensor expert_ids,
                                   ConstTensor sequence_of, double alpha, Tensor balance_f,
                                   Tensor loss) {
  const int64_t tokens = scores.dim(0), experts = scores.dim(1), top_k = expert_ids.dim(1);
  const int64_t sequences = loss.dim(0);
  CheckShape(expert_ids, {tokens, top_k}, "expert_ids");
  CheckShape(sequence_of, {tokens}, "sequence_of");
  CheckShape(balance_f, {sequences, experts}, "balance_f");
  for (int64_t s = 0; s < sequences; ++s) {
    std::vector<double> chosen(static_cast<size_t>(experts)), mean(static_cast<size_t>(experts));
    double length = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      if (LoadIndex(sequence_of, t) != s) continue;
      length += 1;
      for (int64_t i = 0; i < top_k; ++i) {
        chosen.at(static_cast<size_t>(LoadIndex(expert_ids, t, i))) += 1;
      }
      double sum = 0;
      for (int64_t e = 0; e < experts; ++e) sum += Load(scores, t, e);
      for (int64_t e = 0; e < experts; ++e) {
        mean[static_cast<size_t>(e)] += Load(scores, t, e) / sum;
      }
    }
    FATHOM_CHECK(length > 0, "sequence {} has no token", s);
    double total = 0;
    for (int64_t e = 0; e < experts; ++e) {
      const auto i = static_cast<size_t>(e);
      const double f =
          static_cast<double>(experts) / (static_cast<double>(top_k) * length) * chosen[i];
      const double p = mean[i] / length;
      total += alpha * f * p;
      Store(balance_f, s, e, alpha * f / length);
    }
    Store(loss, s, total);
  }
}

void ReferenceBackend::RouteBackward(Context&, ConstTensor dweights, ConstTensor scores,
                                     ConstTensor expert_ids, const RouterOptions& options,
                                     ConstTensor balance_f, ConstTensor sequence_of,
                                     Tensor dlogits) {
  const int64_t tokens = scores.dim(0), experts = scores.dim(1);
  CheckShape(dweights, {tokens, options.top_k}, "dweights");
  CheckShape(expert_ids, {tokens, options.top_k}, "expert_ids");
  CheckShape(dlogits, {tokens, experts}, "dlogits");
  FATHOM_CHECK(balance_f.empty() == sequence_of.empty());
  for (int64_t t = 0; t < tokens; ++t) {
    const std::vector<double> s = LoadRow(scores, t);
    std::vector<double> ds(s.size());

    // w_i = c s_i / S, S = sum of the chosen s + 1e-20:  ds_i = c (dw_i - sum_j dw_j s_j / S) / S.
    double chosen_sum = kNormalizeEps, weighted = 0;
    for (int64_t i = 0; i < options.top_k; ++i) {
      const double score = s.at(static_cast<size_t>(LoadIndex(expert_ids, t, i)));
      chosen_sum += score;
      weighted += Load(dweights, t, i) * score;
    }
    for (int64_t i = 0; i < options.top_k; ++i) {
      const double dw = Load(dweights, t, i);
      ds[static_cast<size_t>(LoadIndex(expert_ids, t, i))] =
          options.scaling_factor *
          (options.normalize ? (dw - weighted / chosen_sum) / chosen_sum : dw);
    }

    // L = sum_i F_i p_i, p_i = s_i / S over all experts:  ds_i += (F_i - sum_j F_j p_j) / S.
    if (!balance_f.empty()) {
      const std::vector<double> f = LoadRow(balance_f, LoadIndex(sequence_of, t));
      double sum = 0, f_dot_s = 0;
      for (size_t e = 0; e < s.size(); ++e) {
        sum += s[e];
        f_dot_s += f.at(e) * s[e];
      }
      for (size_t e = 0; e < s.size(); ++e) ds[e] += (f[e] - f_dot_s / sum) / sum;
    }

    // Sigmoid: ds/dz = s (1 - s). Softmax: dz_i = s_i (ds_i - sum_j ds_j s_j).
    double mean = 0;
    for (size_t e = 0; e < s.size(); ++e) mean += ds[e] * s[e];
    for (int64_t e = 0; e < experts; ++e) {
      const auto i = static_cast<size_t>(e);
      Store(dlogits, t, e,
            options.scoring == RouterScoring::kSigmoid ? ds[i] * s[i] * (1 - s[i])
                                                       : s[i] * (ds[i] - mean));
    }
  }
}

void ReferenceBackend::SortByExpert(Context&, ConstTensor expert_ids, int64_t experts,
                                    ExpertRows* rows) {
  const int64_t tokens = expert_ids.dim(0), top_k = expert_ids.dim(1);
  CheckShape(rows->token_of_row, {tokens * top_k}, "token_of_row");
  CheckShape(rows->row_of_slot, {tokens, top_k}, "row_of_slot");
  rows->offsets.assign(1, 0);
  int64_t row = 0;
  for (int64_t e = 0; e < experts; ++e) {
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < top_k; ++i) {
        if (LoadIndex(expert_ids, t, i) != e) continue;
        Store(rows->token_of_row, row, static_cast<double>(t));
        Store(rows->row_of_slot, t, i, static_cast<double>(row));
        ++row;
      }
    }
    rows->offsets.push_back(row);
  }
  FATHOM_CHECK(row == tokens * top_k, "an expert id is not below {}", experts);
}

void ReferenceBackend::PermuteSlots(Context&, const ExpertRows& rows, bool to_slots,
                                    ConstTensor from, Tensor to) {
  const int64_t tokens = rows.row_of_slot.dim(0), top_k = rows.row_of_slot.dim(1);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < top_k; ++i) {
      const int32_t row = LoadIndex(rows.row_of_slot, t, i);
      if (to_slots) {
        Store(to, t, i, Load(from, row));
      } else {
        Store(to, row, Load(from, t, i));
      }
    }
  }
}

void ReferenceBackend::CombineExperts(Context&, ConstTensor y, const ExpertRows& rows,
                                      ConstTensor weights, ConstTensor shared, Tensor x) {
  const int64_t tokens = rows.row_of_slot.dim(0), top_k = rows.row_of_slot.dim(1);
  const int64_t d = x.dim(1);
  CheckShape(x, {tokens, d}, "x");
  CheckShape(y, {tokens * top_k, d}, "y");
  if (!weights.empty()) CheckShape(weights, {tokens, top_k}, "weights");
  if (!shared.empty()) CheckShape(shared, {tokens, d}, "shared");
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t j = 0; j < d; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < top_k; ++i) {
        const double weight = weights.empty() ? 1 : Load(weights, t, i);
        sum += weight * Load(y, LoadIndex(rows.row_of_slot, t, i), j);
      }
      if (!shared.empty()) sum += Load(shared, t, j);
      Store(x, t, j, Load(x, t, j) + sum);
    }
  }
}

}  // namespace fathom
