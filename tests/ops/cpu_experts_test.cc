#include "ops/cpu_test.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuExperts);

struct Gate {
  int64_t tokens, experts, top_k, groups, top_groups;
  bool normalize;
  RouterScoring scoring = RouterScoring::kSigmoid;
  GroupScore group_score = GroupScore::kTopTwo;
};
constexpr Gate kGates[] = {
    {1, 4, 1, 1, 1, true},
    {300, 16, 2, 1, 1, true},
    {77, 32, 6, 1, 1, false},
    {50, 256, 8, 8, 4, true},
    {33, 12, 3, 4, 3, true},
    {9, 8, 2, 8, 2, false},
    {301, 64, 6, 1, 1, false, RouterScoring::kSoftmax},
    {50, 160, 6, 8, 3, false, RouterScoring::kSoftmax, GroupScore::kMaximum},
    {7, 15, 4, 5, 2, true, RouterScoring::kSoftmax, GroupScore::kMaximum},
};

RouterOptions Options(const Gate& gate) {
  return {gate.top_k, gate.groups,  gate.top_groups, gate.normalize,
          2.5,        gate.scoring, gate.group_score};
}

TEST_P(CpuExperts, ChoosesAsTheReferenceDoes) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const Gate& gate : kGates) {
    SCOPED_TRACE(gate.experts);
    const int64_t t = gate.tokens, e = gate.experts, k = gate.top_k;
    const TestTensor logits = RandomTensor(random_, DType::kF32, {t, e}, 2);
    // A softmax gate has no bias.
    const TestTensor some_bias = RandomTensor(random_, DType::kF32, {e}, 0.1);
    const ConstTensor bias =
        gate.scoring == RouterScoring::kSigmoid ? ConstTensor(some_bias) : ConstTensor();
    const TestTensor scores(DType::kF32, {t, e}), expected_scores(DType::kF32, {t, e});
    const TestTensor ids(DType::kI32, {t, k}), expected_ids(DType::kI32, {t, k});
    const TestTensor weights(DType::kF32, {t, k}), expected_weights(DType::kF32, {t, k});
    (*cpu)->Route(cpu->context(), logits, bias, Options(gate), scores, ids, weights);
    (*reference)
        ->Route(reference->context(), logits, bias, Options(gate), expected_scores, expected_ids,
                expected_weights);
    ExpectNear(scores, expected_scores);
    ExpectSameBits(ids, expected_ids);
    ExpectNear(weights, expected_weights);

    // Two sequences (one where there is one token), with and without the balance loss.
    const int64_t sequences = t > 1 ? 2 : 1;
    const TestTensor sequence_of(DType::kI32, {t});
    for (int64_t i = 0; i < t; ++i) sequence_of.data<int32_t>()[i] = i >= t / 2 && t > 1;
    const TestTensor f(DType::kF32, {sequences, e}), expected_f(DType::kF32, {sequences, e});
    const TestTensor loss(DType::kF32, {sequences}), expected_loss(DType::kF32, {sequences});
    (*cpu)->BalanceLoss(cpu->context(), expected_scores, ids, sequence_of, 0.01, f, loss);
    (*reference)
        ->BalanceLoss(reference->context(), expected_scores, ids, sequence_of, 0.01, expected_f,
                      expected_loss);
    ExpectNear(f, expected_f);
    ExpectNear(loss, expected_loss);

    const TestTensor dweights = RandomTensor(random_, DType::kF32, {t, k});
    for (const bool balanced : {false, true}) {
      const TestTensor dlogits(DType::kF32, {t, e}), expected(DType::kF32, {t, e});
      const ConstTensor balance = balanced ? ConstTensor(f) : ConstTensor();
      const ConstTensor sequence = balanced ? ConstTensor(sequence_of) : ConstTensor();
      (*cpu)->RouteBackward(cpu->context(), dweights, expected_scores, ids, Options(gate), balance,
                            sequence, dlogits);
      (*reference)
          ->RouteBackward(reference->context(), dweights, expected_scores, ids, Options(gate),
                          balance, sequence, expected);
      // A single normalised weight is constant: its gradient is rounding noise.
      if (k > 1 || !gate.normalize) ExpectNear(dlogits, expected);
    }
  }
}

TEST_P(CpuExperts, TiesGoToTheLowerIdEvenWithoutOrder) {
  auto cpu = Cpu();
  const TestTensor logits = TensorOf(DType::kF32, {2, 6}, {1, 2, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0});
  const TestTensor bias(DType::kF32, {6});
  const TestTensor scores(DType::kF32, {2, 6}), ids(DType::kI32, {2, 4});
  const TestTensor weights(DType::kF32, {2, 4});
  (*cpu)->Route(cpu->context(), logits, bias, {.top_k = 4}, scores, ids, weights);
  EXPECT_EQ(LoadAll(ids), (std::vector<double>{0, 1, 2, 4, 0, 1, 2, 3}));
}

TEST_P(CpuExperts, SortsPermutesAndCombines) {
  auto reference = Reference();
  for (const int threads : {1, 3}) {
    auto cpu = Cpu(threads);
    constexpr int64_t kTokens = 60, kTopK = 3, kExperts = 9, kD = 333;
    // Distinct ascending ids in a row; expert 4 gets none.
    const TestTensor ids(DType::kI32, {kTokens, kTopK});
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t i = 0; i < kTopK; ++i) {
        const int64_t id = 3 * i + static_cast<int64_t>(random_.NextBelow(3));
        ids.data<int32_t>()[t * kTopK + i] = static_cast<int32_t>(id == 4 ? 5 : id);
      }
    }
    const TestTensor token_of_row(DType::kI32, {kTokens * kTopK});
    const TestTensor row_of_slot(DType::kI32, {kTokens, kTopK});
    const TestTensor expected_token(DType::kI32, {kTokens * kTopK});
    const TestTensor expected_row(DType::kI32, {kTokens, kTopK});
    ExpertRows rows{{}, token_of_row, row_of_slot}, expected{{}, expected_token, expected_row};
    (*cpu)->SortByExpert(cpu->context(), ids, kExperts, &rows);
    (*reference)->SortByExpert(reference->context(), ids, kExperts, &expected);
    EXPECT_EQ(rows.offsets, expected.offsets);
    EXPECT_EQ(rows.offsets[4], rows.offsets[5]);
    ExpectSameBits(token_of_row, expected_token);
    ExpectSameBits(row_of_slot, expected_row);

    const TestTensor slots = RandomTensor(random_, DType::kF32, {kTokens, kTopK});
    const TestTensor by_row(DType::kF32, {kTokens * kTopK}), back(DType::kF32, {kTokens, kTopK});
    (*cpu)->PermuteSlots(cpu->context(), rows, false, slots, by_row);
    (*cpu)->PermuteSlots(cpu->context(), rows, true, by_row, back);
    ExpectSameBits(back, slots);
    EXPECT_EQ(by_row.data<float>()[row_of_slot.data<int32_t>()[5]], slots.data<float>()[5]);

    for (const DType y_type : kActTypes) {
      for (const DType x_type : kActTypes) {
        for (const bool with : {false, true}) {
          const TestTensor y = RandomTensor(random_, y_type, {kTokens * kTopK, kD}, 1, 1);
          const TestTensor shared = RandomTensor(random_, y_type, {kTokens, kD}, 1, 3);
          const TestTensor x = RandomTensor(random_, x_type, {kTokens, kD}, 1, 5);
          const TestTensor expected_x = Copy(x);
          const ConstTensor w = with ? ConstTensor(slots) : ConstTensor();
          const ConstTensor s = with ? ConstTensor(shared) : ConstTensor();
          (*cpu)->CombineExperts(cpu->context(), y, rows, w, s, x);
          (*reference)->CombineExperts(reference->context(), y, rows, w, s, expected_x);
          ExpectNear(x, expected_x);
          x.ExpectSurroundingsUntouched();
        }
      }
    }
  }
}

}  // namespace
}  // namespace fathom::test
